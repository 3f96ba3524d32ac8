"""Requests from the contract: what is taken from Schemathesis, and what its checks find."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import ConfigError

from conformance.client import schema_cases
from conformance.client.http import RequestSpec
from conformance.core.evidence import Exchange, Journal
from conformance.spec.catalogue import FOLDER

PATHS = sorted(schema_cases.load_operations())
few = settings(max_examples=5, suppress_health_check=list(HealthCheck))


def exchange(
    status: int, body: bytes, media_type: str = "application/json", more: str = "plain"
) -> Exchange:
    return Journal().record(
        Exchange,
        method="GET",
        url="http://127.0.0.1:8000",
        target="/items/",
        sent=b"",
        sent_type=None,
        status=status,
        headers=(("content-type", media_type), ("content-encoding", "gzip"), ("x", more)),
        body=body,
        failure=None,
        ended=0.5,
        at=0.1,
    )


def test_the_contract_has_six_operations() -> None:
    assert PATHS == [
        "/async",
        "/external-data",
        "/items/",
        "/items/{item_id}",
        "/process-data/",
        "/sync",
    ]


@pytest.mark.parametrize("path", PATHS)
@few
@given(data=st.data())
def test_a_request_has_no_mark_of_the_tool_that_made_it(path: str, data: st.DataObject) -> None:
    request = schema_cases.make_request(data.draw(schema_cases.generate_cases(path)))
    assert request.method == ("POST" if path == "/process-data/" else "GET")
    assert request.path.startswith(path.partition("{")[0])
    assert request.path.isascii()
    assert not request.headers


@pytest.mark.parametrize(
    ("request_", "is_judged"),
    [
        (RequestSpec("GET", "/items/2147483648"), True),
        (RequestSpec("GET", "/items/-999_999_999"), True),
        (RequestSpec("GET", "/items/12345678"), False),
        (RequestSpec("GET", "/items/123456789x"), False),
        (RequestSpec("POST", "/process-data/", b'{"__type__": "x"}'), True),
        (RequestSpec("POST", "/process-data/", b'{"type": "x"}'), False),
    ],
)
def test_requests_of_other_requirements_are_left_to_them(
    request_: RequestSpec, is_judged: bool
) -> None:
    assert schema_cases.is_judged_elsewhere(request_) is is_judged


@pytest.mark.parametrize(
    ("answer", "requirement", "finding"),
    [
        (exchange(200, b'{"q": null}'), "HTTP-2", None),
        (exchange(200, b'{"q": 1}'), "HTTP-2", "Response violates schema: "),
        (exchange(200, b"{}", "text/html"), "HTTP-2", "Undocumented Content-Type: "),
        (exchange(418, b"{}"), "HTTP-2", "Undocumented status code: "),
        (exchange(500, b"{}"), "HTTP-3", "Server error"),
        (exchange(200, b'{"q": 1}'), "HTTP-3", None),
        (exchange(200, b'{"q": null}', more="\u00e9"), "HTTP-2", None),
        (exchange(200, b"[" * 900 + b"]" * 900), "HTTP-2", "JSON deserialization error"),
    ],
)
@few
@given(data=st.data())
def test_the_checks_of_a_requirement_say_what_is_wrong(
    answer: Exchange, requirement: str, finding: str | None, data: st.DataObject
) -> None:
    case = data.draw(schema_cases.generate_cases("/items/"))
    found = schema_cases.find_disagreement(case, answer, requirement)
    if finding is None:
        assert found is None
    else:
        assert found is not None
        assert finding in found
        assert "\n" not in found


def test_a_configuration_in_the_callers_folder_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schemathesis.toml").write_text('generation.modes = ["nonsense"]\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        schemathesis.openapi.from_path(FOLDER / "openapi.yaml")
    schema_cases.load_operations.cache_clear()
    schema_cases.generate_cases.cache_clear()

    @few
    @given(data=st.data())
    def draw_and_check(data: st.DataObject) -> None:
        case = data.draw(schema_cases.generate_cases("/items/"))
        body = json.dumps({"q": None}).encode()
        assert schema_cases.find_disagreement(case, exchange(200, body), "HTTP-2") is None

    run: Any = draw_and_check
    run()
