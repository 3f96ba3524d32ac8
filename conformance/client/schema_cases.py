"""The wire contract by Schemathesis: it generates the requests and checks the answers, and our own client sends them.

So nothing in a request tells that a schema tester made it: of what it would send, only method, target, body and content type
are taken. What it generates from is spec/openapi.yaml, never a document of the target's.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from conformance.client.http import RequestSpec
from conformance.core.evidence import Exchange
from conformance.spec.catalogue import FOLDER

# Every check of Schemathesis's, by name: which requirement it judges, or why it is off.
JUDGED_BY = {
    "status_code_conformance": "HTTP-2",
    "content_type_conformance": "HTTP-2",
    "response_headers_conformance": "HTTP-2",
    "response_schema_conformance": "HTTP-2",
    "positive_data_acceptance": "HTTP-2",
    "not_a_server_error": "HTTP-3",
}
OFF = {
    "negative_data_rejection": "DB-5 and TASK-8 say what is rejected; spellings of integers such as 1.0 are the implementation's choice",
    "missing_required_header": "the contract requires no header",
    "unsupported_method": "HTTP-5 judges other methods",
    "allow_header_conformance": "HTTP-5 judges the Allow header",
    "use_after_free": "the contract deletes nothing",
    "ensure_resource_availability": "the contract creates nothing that can be read again",
    "ignored_auth": "the contract knows no authentication",
    "object_level_authorization": "the contract knows no owners",
}

TAKING_INPUT = (
    "/items/",
    "/items/{item_id}",
    "/process-data/",
)  # what takes none has no invalid request
_OWN_ENCODING = (
    "content-encoding",
    "transfer-encoding",
    "content-length",
)  # our client has undone these
_INTEGER = re.compile(r"/items/[+-]?[\d_]{9,}")


@cache
def operations() -> dict[str, Any]:
    """The operations of the contract by path."""
    config = SchemathesisConfig()
    config.projects.default.generation.codec = (
        None  # all that UTF-8 can carry, without a table of it that takes 2 s and 200 MB to make
    )
    schema = schemathesis.openapi.from_path(FOLDER / "openapi.yaml", config=config)
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {operation.path: operation for operation in found}


@cache
def cases(path: str) -> SearchStrategy[Case[Any]]:
    """Requests of one operation: valid ones, and invalid ones where there can be any."""
    operation = operations()[path]
    valid: SearchStrategy[Case[Any]] = operation.as_strategy(
        generation_mode=GenerationMode.POSITIVE
    )
    return (
        valid | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        if path in TAKING_INPUT
        else valid
    )


def wanted(case: Case[Any]) -> RequestSpec:
    """The request that a case stands for, without the marks of who made it."""
    words = case.as_transport_kwargs(base_url="http://target")
    prepared = requests.Request(**words).prepare()
    body: Any = prepared.body or b""
    content_type: Any = prepared.headers.get("Content-Type")
    return RequestSpec(
        str(prepared.method),
        str(prepared.path_url),
        body.encode() if isinstance(body, str) else bytes(body),
        content_type,
    )


def is_judged_elsewhere(request: RequestSpec) -> bool:
    """Whether the request is another requirement's own: an id beyond the column's type (DB-10), kombu's notation (TASK-16)."""
    return bool(_INTEGER.fullmatch(request.path)) or b"__type__" in request.content


def disagreement(case: Case[Any], exchange: Exchange, requirement: str) -> str | None:
    """What the checks of a requirement say against an answer, in a line; None where they say nothing."""
    load_all_checks()
    checks: list[Any] = [
        CHECKS.get_one(name) for name, judged_by in JUDGED_BY.items() if judged_by == requirement
    ]
    try:
        case.validate_response(_response(exchange), checks=checks)
    except FailureGroup as found:
        return "; ".join(_said(failure) for failure in found.exceptions)
    return None


def _response(exchange: Exchange) -> httpx.Response:
    headers = [(name, value) for name, value in exchange.headers if name not in _OWN_ENCODING]
    request = httpx.Request(exchange.method, exchange.url + exchange.target)
    response = httpx.Response(
        exchange.status or 0, headers=headers, content=exchange.body, request=request
    )
    response.elapsed = timedelta(seconds=exchange.ended - exchange.at)
    return response


def _said(failure: Any) -> str:
    lines: Sequence[str] = [
        line.strip() for line in str(failure.message).splitlines() if line.strip()
    ]
    return f"{failure.title}: {' '.join(lines)}"[:300]
