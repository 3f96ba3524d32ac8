"""Probes of section 8: what the service says of itself, and how it says no."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conformance.client import openapi_document, schema_cases
from conformance.client.http import Client, RequestSpec
from conformance.core import timeouts
from conformance.core.errors import Violation
from conformance.core.evidence import Exchange
from conformance.judging.assertions import expect_status, parse_body, require
from conformance.testbed.upstream import Upstream

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
        f"{' and '.join(dangling[:3])} unresolved",
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
async def test_other_methods_are_405_with_allow(client: Client, method: str, path: str) -> None:
    expect_not_allowed(await client.send(RequestSpec(method, path)), "GET")


@pytest.mark.requirement("HTTP-5")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_of_the_submission_are_405_with_allow(
    client: Client, method: str
) -> None:
    expect_not_allowed(await client.send(RequestSpec(method, "/process-data/")), "POST")


def expect_not_allowed(exchange: Exchange, allowed: str) -> None:
    """405, and what is allowed instead."""
    wanted = f"405 with an Allow header that names {allowed}"
    expect_status(exchange, (405,), wanted)
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
