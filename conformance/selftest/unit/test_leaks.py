"""What an answer reveals, and what looks like it and reveals nothing."""

from pathlib import Path
from typing import Any

import pytest

from conformance.core.errors import Violation
from conformance.core.evidence import Exchange, Journal
from conformance.judging.leaks import Secrets, expect_no_leak

SECRETS = Secrets.of(
    [
        "postgresql://shop_ro:pw-of-db@127.0.0.1:54321/shop",
        "redis://queue_rw:pw-of-queue@broker.internal:6399/0",
        "http://127.0.0.1:18080/posts?userId=1&tag=a%20b",
    ],
    Path("/srv/shop"),
)


def answer(body: str, *headers: tuple[str, str]) -> Exchange:
    values: dict[str, Any] = {
        "method": "GET",
        "url": "http://127.0.0.1:1",
        "target": "/items/1",
        "sent": b"",
        "sent_type": None,
        "status": 500,
        "headers": headers,
        "body": body.encode(),
        "failure": None,
        "ended": 0.0,
    }
    return Journal().record(Exchange, **values)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("pw-of-db", "the password of the database"),
        ("shop_ro may not log in", "the user of the database"),
        ("connect to 127.0.0.1:54321 failed", "the port of the database"),
        ("Error 111 connecting to broker.internal", "the host of the broker"),
        ("Error 111 connecting to 127.0.0.1:6379. Connection refused.", "an address"),
        ("Connect call failed ('10.0.0.7', 5432)", "an address"),
        ("no connection to localhost:6379", "an address"),
        ("pw-of-queue", "the password of the broker"),
        ("no route to ('127.0.0.1', 18080)", "the port of the upstream"),
        ("GET /posts?userId=1&tag=a%20b failed", "the URL of the upstream"),
        ("postgresql+asyncpg://somebody@elsewhere/x", "the URL of a service"),
        ("rediss://elsewhere", "the URL of a service"),
        ("[SQL: SELECT * FROM items]", "SQL"),
        ("Traceback (most recent call last):", "a traceback"),
        (r'{"detail": "File \"main.py\", line 7, in read"}', "a traceback"),
        ("Error: no\n    at serve (file:///srv/web/server.mjs:12:3)", "a traceback"),
        ("in /usr/lib/python3/site-packages/x", "a source file"),
        ("raised at upstream.py:31", "a source file"),
        ("httpx.ConnectError: all attempts failed", "an exception's class"),
        ("asyncpg.exceptions.InvalidPasswordError", "an exception's class"),
        ("the upstream cannot be reached (ReadError)", "an exception's class"),
        ("ConnectionRefusedError(111, 'Connect call failed')", "an exception's class"),
        ("cannot open /srv/shop/templates", "the folder of the code"),
    ],
)
def test_what_is_revealed_is_named(body: str, what: str) -> None:
    assert what in SECRETS.find_in(answer(body))
    assert what in SECRETS.find_in(answer("", ("x-error", body.replace("\n", " ")))) or "\n" in body


@pytest.mark.parametrize(
    "body",
    [
        '{"detail":"Not Found"}',
        '{"code":"ValidationError"}',
        '{"detail":"Internal Server Error"}',
        '{"detail":"the upstream did not answer in time"}',
        (
            '{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be'
            ' a valid integer, unable to parse string as an integer","input":"abc"}]}'
        ),
        (
            '{"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error",'
            '"input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]}'
        ),
        "Internal Server Error",
        '{"item":{"id":1543210,"quantity":543219}}',
        "Please select an item. The service is at http://127.0.0.1:1/docs",
        '{"version":"1.10.0.2, 17","place":"http://127.0.0.1:1/items/"}',
        '{"type":"about:blank","title":"Bad Gateway","instance":"/external-data"}',
    ],
)
def test_what_reveals_nothing_is_not_named(body: str) -> None:
    usual = (("server", "uvicorn"), ("content-length", "54321"), ("allow", "GET"))
    assert SECRETS.find_in(answer(body, *usual)) == []
    expect_no_leak(answer(body), SECRETS)


def test_a_finding_shows_what_it_found_and_where() -> None:
    with pytest.raises(Violation) as found:
        expect_no_leak(answer("shop_ro, SELECT 1"), SECRETS)
    assert found.value.got == "SQL and the user of the database in 500 shop_ro, SELECT 1"


def test_without_urls_of_ours_the_general_marks_are_looked_for() -> None:
    nothing_known = Secrets.of([], Path("/items"))
    assert nothing_known.find_in(answer("None")) == []
    assert nothing_known.find_in(answer("/items/1 was not found")) == []
    assert nothing_known.find_in(answer("SELECT 1")) == ["SQL"]
