"""Probes of section 8: what the service says of itself, and how it says no."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conformance.client import openapi_document, raw, schema_cases
from conformance.client.http import JSON, Client, RequestSpec
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Journal
from conformance.judging.assertions import (
    expect,
    expect_same,
    expect_status,
    parse_body,
    require,
    require_situation,
)
from conformance.judging.leaks import Secrets, expect_no_leak
from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.spec import model
from conformance.target.capabilities import Capabilities
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_replies import Reply, encode_chunks

OPERATIONS = [
    ("/sync", "get"),
    ("/async", "get"),
    ("/items/", "get"),
    ("/items/{item_id}", "get"),
    ("/external-data", "get"),
    ("/process-data/", "post"),
]
PATHS = [path for path, _ in OPERATIONS]
OBSERVED = [
    RequestSpec("GET", "/sync/"),
    RequestSpec("GET", "/items"),
    RequestSpec("POST", "/process-data"),
    RequestSpec("HEAD", "/async"),
    RequestSpec("OPTIONS", "/async"),
]


@pytest.mark.requirement("HTTP-1")
async def test_the_openapi_document_declares_the_operations_and_parameters(client: Client) -> None:
    exchange = await client.get("/openapi.json")
    document = expect_openapi(exchange)
    for path, method in OPERATIONS:
        require(
            openapi_document.find_operation(document, path, method) is not None,
            f"the operation {method.upper()} {path}",
            f"the paths {list(document.get('paths', {}))[:20]}",
            [exchange],
        )
    expect_parameter(exchange, document, "/items/{item_id}", "path", "item_id")
    expect_parameter(exchange, document, "/items/", "query", "q")
    types = openapi_document.list_body_types(document, "/process-data/", "post")
    require(
        "application/json" in types,
        "a JSON body of POST /process-data/",
        f"the media types {types}",
        [exchange],
    )


def expect_openapi(exchange: Exchange) -> Any:
    """200 and a document that is valid by OpenAPI's own schema. Returns the document."""
    wanted = "200 and a document of OpenAPI 3.0, 3.1 or 3.2"
    expect_status(exchange, (200,), wanted)
    document = parse_body(exchange, wanted)
    version = openapi_document.find_version(document)
    if version is None:
        raise Violation(wanted, exchange.outcome, [exchange])
    flaw = openapi_document.find_flaw(document, version)
    require(
        flaw is None,
        f"a document that is valid by the schema of OpenAPI {version}",
        str(flaw),
        [exchange],
    )
    dangling = openapi_document.find_dangling_references(document)
    require(
        not dangling,
        "references that lead somewhere",
        f"{' and '.join(dangling[:3])[:400]} unresolved",
        [exchange],
    )
    return document


def expect_parameter(exchange: Exchange, document: Any, path: str, where: str, name: str) -> None:
    """The operation declares a parameter."""
    declared = openapi_document.list_parameters(document, path, "get")
    found = any(
        (each.get("in"), each.get("name"), bool(each.get("required")))
        == (where, name, where == "path")
        for each in declared
    )
    kind = "required" if where == "path" else "optional"
    require(
        found,
        f"the {kind} {where} parameter {name} of GET {path}",
        json.dumps(declared)[:500],
        [exchange],
    )


SUPPRESSED = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
]  # they judge Schemathesis's strategies
generated = settings(
    max_examples=timeouts.EXAMPLES_OF_AN_OPERATION, suppress_health_check=SUPPRESSED
)


@pytest.mark.requirement("HTTP-2")
@pytest.mark.parametrize("path", PATHS)
@generated
@given(data=st.data())
async def test_answers_keep_to_the_contract(client: Client, path: str, data: st.DataObject) -> None:
    case = data.draw(schema_cases.generate_cases(path))
    request = schema_cases.make_request(case)
    assume(not schema_cases.is_judged_elsewhere(request))
    exchange = await client.send(request)
    if exchange.status is not None and exchange.status >= 500:
        return  # HTTP-3's to judge
    wanted = f"an answer as spec/openapi.yaml declares it for {case.method} {path}"
    expect_status(exchange, range(200, 500), wanted)
    if said := schema_cases.find_disagreement(case, exchange, "HTTP-2"):
        raise Violation(wanted, f"{exchange.outcome} — {said}", [exchange])


@pytest.mark.requirement("HTTP-3")
@pytest.mark.parametrize("path", PATHS)
@generated
@given(data=st.data())
async def test_no_generated_request_gets_a_5xx(
    client: Client, upstream: Upstream | None, path: str, data: st.DataObject
) -> None:
    if path == "/external-data" and not upstream:
        return  # whether its upstream answers is not the service's own
    case = data.draw(schema_cases.generate_cases(path))
    request = schema_cases.make_request(case)
    assume(not schema_cases.is_judged_elsewhere(request))
    exchange = await client.send(request)
    wanted = f"an answer of {case.method} {path} with a status below 500"
    expect_status(exchange, range(100, 600), wanted)
    if said := schema_cases.find_disagreement(case, exchange, "HTTP-3"):
        raise Violation(wanted, f"{exchange.outcome} — {said}", [exchange])


@pytest.mark.requirement("HTTP-4")
@pytest.mark.parametrize(
    "kind", ["an id that is no integer", "a body that is no object", "a body that is no JSON"]
)
async def test_a_422_has_fastapis_shape(client: Client, kind: str) -> None:
    match kind:
        case "an id that is no integer":
            exchange = await client.get("/items/abc")
        case "a body that is no object":
            exchange = await client.post("/process-data/", [1])
        case _:
            exchange = await client.post_bytes("/process-data/", b"{")
    if exchange.status != 422 and kind == "a body that is no JSON":
        return  # TASK-8 leaves the status open
    wanted = "422 with errors of loc, msg and type"
    expect_status(exchange, (422,), wanted)
    body = parse_body(exchange, wanted)
    errors = body.get("detail") if isinstance(body, dict) else None
    require(
        isinstance(errors, list) and bool(errors) and all(map(_is_error, errors)),
        wanted,
        exchange.outcome,
        [exchange],
    )


def _is_error(error: Any) -> bool:
    return (
        isinstance(error, dict)
        and isinstance(error.get("loc"), list)
        and all(isinstance(step, str | int) and not isinstance(step, bool) for step in error["loc"])
        and isinstance(error.get("msg"), str)
        and isinstance(error.get("type"), str)
    )


@pytest.mark.requirement("HTTP-5")
@pytest.mark.parametrize("path", ["/nowhere", "/sync/nowhere", "/items/1/parts"])
async def test_unknown_paths_are_404(client: Client, path: str) -> None:
    expect_status(await client.get(path), (404,), "404, for the contract has no such path")


@pytest.mark.requirement("HTTP-5")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/sync", "/async", "/items/", "/items/1", "/external-data"])
async def test_other_methods_are_404_or_405_with_allow(
    client: Client, method: str, path: str
) -> None:
    expect_not_allowed(await client.send(RequestSpec(method, path)), "GET")


@pytest.mark.requirement("HTTP-5")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_of_the_submission_are_404_or_405_with_allow(
    client: Client, method: str
) -> None:
    expect_not_allowed(await client.send(RequestSpec(method, "/process-data/")), "POST")


def expect_not_allowed(exchange: Exchange, allowed: str) -> None:
    """405, and what is allowed instead; or 404, as behind a catch-all that is mounted."""
    wanted = f"404, or 405 with an Allow header that names {allowed}"
    expect_status(exchange, (404, 405), wanted)
    if exchange.status == 404:
        return
    header = dict(exchange.headers).get("allow", "")
    require(
        allowed in [word.strip() for word in header.split(",")],
        wanted,
        f"405 with {header!r}",
        [exchange],
    )


@pytest.mark.requirement("HTTP-6")
@pytest.mark.parametrize("wanted", OBSERVED, ids=lambda wanted: f"{wanted.method}-{wanted.path}")
async def test_slashes_head_and_options(
    client: Client, observe: Callable[..., None], wanted: RequestSpec
) -> None:
    exchange = await client.send(wanted)
    place = dict(exchange.headers).get("location")
    observe(
        f"{wanted.method} {wanted.path}: {exchange.status or exchange.failure}"
        + (f" to {place}" if place else ""),
        exchange,
    )


WRONG_REQUESTS = [
    RequestSpec("GET", "/nowhere"),
    RequestSpec("GET", "/items/1/parts"),
    RequestSpec("DELETE", "/sync"),
    RequestSpec("GET", "/items/abc"),
    RequestSpec("GET", "/items/" + "9" * 400),
    RequestSpec("GET", "/items/%FF"),
    RequestSpec("POST", "/process-data/", b"[1]", JSON),
    RequestSpec("POST", "/process-data/", b"{", JSON),
    RequestSpec("POST", "/process-data/", b'{"text": "\xff"}', JSON),
    RequestSpec("POST", "/process-data/", b"order=7", "application/x-www-form-urlencoded"),
]
UPSTREAM_FAULTS = {
    "refuses connections": None,
    "closes connections": Reply(cut=-1),
    "resets connections": Reply(cut=-1, is_reset=True),
    "breaks its answer off": Reply(body=b'{"complete": false}', cut=7),
    "answers 500": Reply(status=500, body=b'{"error": "internal"}'),
    "sends no JSON": Reply(body=b"<html>maintenance</html>"),
}


@pytest.mark.requirement("HTTP-7")
@pytest.mark.parametrize(
    "request_spec", WRONG_REQUESTS, ids=lambda spec: f"{spec.method}-{spec.path}"[:20]
)
async def test_the_answer_to_a_wrong_request_leaks_nothing(
    client: Client, secrets: Secrets, request_spec: RequestSpec
) -> None:
    expect_nothing_revealed(await client.send(request_spec), secrets)


@pytest.mark.requirement("HTTP-7")
@pytest.mark.parametrize("fault", UPSTREAM_FAULTS)
async def test_the_answer_to_a_failed_call_leaks_nothing(
    client: Client, upstream: Upstream, secrets: Secrets, fault: str
) -> None:
    reply = UPSTREAM_FAULTS[fault]
    held: AbstractContextManager[None] = upstream.refusing()
    if reply:
        held = upstream.answering(reply)
    with held:
        exchange = await client.get("/external-data")
    expect_nothing_revealed(exchange, secrets)


@pytest.mark.requirement("HTTP-7")
@pytest.mark.worker("stopped")
async def test_the_answer_to_a_refused_submission_leaks_nothing(
    client: Client, queue: Broker, secrets: Secrets
) -> None:
    async with queue.faults.writes_refused():
        exchange = await client.post("/process-data/", {"accepted": False})
    expect_nothing_revealed(exchange, secrets)


@pytest.mark.requirement("HTTP-7")
@pytest.mark.stage("SCENARIOS")
async def test_the_answer_to_a_submission_without_a_broker_leaks_nothing(
    lifecycle: LifecycleObserver, capabilities: Capabilities, secrets: Secrets
) -> None:
    if not capabilities.starts_copies:
        return  # a broker that refuses writes was looked at
    submission = (await lifecycle.observe(BrokerUnreachable)).submission
    if submission and submission.exchange.answered:  # else TASK-10 and TASK-17 say so
        expect_no_leak(submission.exchange, secrets)


def expect_nothing_revealed(exchange: Exchange, secrets: Secrets) -> None:
    """An answer that leaks nothing. Raises NoEvidence where there is none to look at."""
    require_situation(exchange.answered, f"there is no answer to look at: {exchange.summary}")
    expect_no_leak(exchange, secrets)


@pytest.mark.requirement("HTTP-8")
@pytest.mark.parametrize("path", ["/sync", "/async", "/items/?q=1", "/items/1", "/items/abc"])
async def test_head_is_answered_as_get_is_or_refused(client: Client, path: str) -> None:
    head = await client.send(RequestSpec("HEAD", path))
    if head.status in (404, 405):
        expect_not_allowed(head, "GET")
        return
    get = await client.get(path)
    wanted = f"the status and the headers of GET {path}: {get.status}"
    expect_status(head, (get.status or 0,), wanted, get)
    names = ("content-type", "content-length", "etag")
    of_head, of_get = (
        {name: dict(each.headers).get(name) for name in names} for each in (head, get)
    )
    differ = [name for name in names if of_head[name] not in (None, of_get[name])]
    got = " and ".join(f"{name}: {of_head[name]} in place of {of_get[name]}" for name in differ)
    require(not differ, wanted, got, [head, get])


HARMLESS_HEADERS = [
    ("If-None-Match", '"nobody-gave-this"'),
    ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("If-Modified-Since", "some day"),
    ("If-Unmodified-Since", format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)),
    ("Range", "lines=1-2"),
    ("Range", "bytes=-"),
]
PART, UNSATISFIABLE = ("Range", "bytes=2-5"), ("Range", "bytes=99999999-")


@pytest.mark.requirement("HTTP-9")
@pytest.mark.parametrize("path", ["/async", "/items/"])
@pytest.mark.parametrize("header", HARMLESS_HEADERS, ids=": ".join)
async def test_a_conditional_or_range_header_that_does_not_apply_changes_nothing(
    client: Client, path: str, header: tuple[str, str]
) -> None:
    plain = await client.get(path)
    exchange = await client.get(path, (header,))
    if header[0] == "Range" and exchange.status == 416:
        return
    expect_same(exchange, plain)


@pytest.mark.requirement("HTTP-9")
async def test_a_range_is_the_whole_or_the_part_that_was_asked_for(client: Client) -> None:
    plain = await client.get("/async")
    part = await client.get("/async", (PART,))
    wanted = f"the whole ({plain.outcome}), or 206 with the bytes 2 to 5 of it"
    expect_status(part, (plain.status or 0, 206), wanted, plain)
    whole = plain.body[2:6] if part.status == 206 else plain.body
    require(part.body == whole, wanted, part.outcome, [plain, part])
    beyond = await client.get("/async", (UNSATISFIABLE,))
    expect_status(beyond, (plain.status or 0, 416), "200 or 416 for a range beyond the end", plain)


# A change of each column alone. An entity tag must depend on all of them.
CHANGES = {
    "name": "after",
    "description": "after",
    "price": 1.25,
    "quantity": 5,
    "available": False,
    "created_at": datetime(2026, 7, 2, tzinfo=UTC),
}


@pytest.mark.requirement("HTTP-9")
@pytest.mark.parametrize("column", CHANGES)
async def test_a_conditional_read_sees_the_row_as_it_is(
    client: Client, items: Database, column: str
) -> None:
    row = await items.rows.insert(name="before")
    path = f"/items/{row['id']}"
    before = await client.get(path)
    row = await items.rows.update(row["id"], **{column: CHANGES[column]})
    an_hour_ago = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    conditions = [("If-Modified-Since", an_hour_ago)]
    conditions += [("If-None-Match", tag) for name, tag in before.headers if name == "etag"]
    for condition in conditions:
        expect(await client.get(path, (condition,)), model.item_answer(row), before)


LONG = 20_000  # octets, more than the usual limits of a head (8 to 16 KiB)
LONG_HEADS = {
    "a long path": RequestSpec("GET", "/items/" + "a" * LONG),
    "a long query": RequestSpec("GET", "/items/?q=" + "a" * LONG),
    "a long header": RequestSpec("GET", "/async", headers=(("X-Long", "a" * LONG),)),
    "many headers": RequestSpec(
        "GET", "/async", headers=tuple((f"X-{number}", "a" * 90) for number in range(200))
    ),
}


@pytest.mark.requirement("HTTP-10")
@pytest.mark.parametrize("what", LONG_HEADS)
async def test_a_head_that_is_too_long_is_a_4xx(client: Client, what: str) -> None:
    exchange = await client.send(LONG_HEADS[what])
    wanted = f"4xx, a closed connection, or an answer as to a short one, for {what}"
    if not exchange.is_broken_off:
        expect_status(exchange, (200, *range(400, 500)), wanted)
    expect(await client.get("/async"), model.async_answer(), exchange)


@pytest.mark.requirement("HTTP-10")
async def test_a_url_of_4000_octets_is_answered_as_a_short_one(client: Client) -> None:
    q = "a" * (4000 - len(client.url + "/items/?q="))
    expect(await client.get(f"/items/?q={q}"), model.listing_answer(q))


@pytest.mark.requirement("HTTP-11")
async def test_requests_that_arrive_together_are_answered_in_turn(
    client: Client, journal: Journal
) -> None:
    texts = ["first", "second", "third"]
    specs = [RequestSpec("GET", f"/items/?q={text}") for text in texts]
    seen: list[Exchange] = []
    async with connect(client, journal) as connection:
        await connection.send(b"".join(raw.encode_request(spec, client.url) for spec in specs))
        for spec, text in zip(specs, texts, strict=True):
            exchange = await connection.read_answer(spec)
            if seen and exchange.status is None and exchange.is_broken_off:
                break  # a server may close a connection after any answer
            expect(exchange, model.listing_answer(text), *seen)
            seen.append(exchange)


@pytest.mark.requirement("HTTP-11")
async def test_a_request_that_arrives_in_parts_is_answered_as_a_whole_one(
    client: Client, journal: Journal
) -> None:
    spec = RequestSpec("GET", "/items/?q=parts")
    async with connect(client, journal) as connection:
        await send_in_parts(client, connection, raw.encode_request(spec, client.url))
        expect(await connection.read_answer(spec), model.listing_answer("parts"))


NO_HEADERS: tuple[tuple[str, str], ...] = ()
BODY = json.dumps({"parts": ["déjà vu"] * 3}, ensure_ascii=False).encode()


@pytest.mark.requirement("HTTP-11")
@pytest.mark.parametrize("coding", ["a length", "chunks"])
async def test_a_body_that_arrives_in_parts_is_accepted_as_a_whole_one(
    client: Client, journal: Journal, coding: str
) -> None:
    whole = await client.post_bytes("/process-data/", BODY)
    require_situation(whole.status == 200, f"no submission is accepted: {whole.summary}")
    content, headers = BODY, NO_HEADERS
    if coding == "chunks":
        border = BODY.index("é".encode()) + 1  # within a character
        content, headers = encode_chunks(BODY, border), (("Transfer-Encoding", "chunked"),)
    spec = RequestSpec("POST", "/process-data/", content, JSON, headers)
    async with connect(client, journal) as connection:
        await send_in_parts(client, connection, raw.encode_request(spec, client.url))
        exchange = await connection.read_answer(spec)
    if coding == "chunks" and exchange.status == 411:
        return  # a server may want to know the length (RFC 9112, 6.3)
    expect_status(exchange, (200,), f"200 for a body with {coding} that arrives in parts", whole)


@asynccontextmanager
async def connect(client: Client, journal: Journal) -> AsyncIterator[raw.RawConnection]:
    """A connection of the probe's own.

    Raises NoEvidence where there is none, or no answer even to a request on another one.
    """
    usual = await client.get("/items/?q=usual")
    require_situation(usual.answered, f"a usual request has no answer either: {usual.summary}")
    try:
        async with raw.connect(client.url, journal) as connection:
            yield connection
    except (OSError, TimeoutError) as error:
        raise NoEvidence(f"no connection to the service: {error}") from error


async def send_in_parts(client: Client, connection: raw.RawConnection, content: bytes) -> None:
    """Send bytes in four parts, each once the service has had time to read the one before.

    It has had that when it has answered a request that came after.
    """
    for part in cut_in_parts(content):
        await connection.send(part)
        await client.get("/async")


def cut_in_parts(content: bytes) -> Iterator[bytes]:
    """Cut a request within its first line, within its head, and within its end.

    Where its body has a character of two octets, it is cut between these.
    """
    head = content.index(b"\r\n\r\n") + 4
    character = content.find("é".encode(), head)
    last = max(head, len(content) - 5 - len(content[head:]) // 2)
    cuts = [0, 7, head - 9, last if character < 0 else character + 1, len(content)]
    for start, end in pairwise(cuts):
        yield content[start:end]
