"""Requests that Schemathesis generates from the wire contract, and its checks of the answers.

Our own client sends the requests. Only the method, the target, the body and the content type are
taken from Schemathesis, so nothing in a request shows that a schema tester made it. The contract is
spec/openapi.yaml, never a document of the target.

Two things of Schemathesis are used that are not in its public names (`schemathesis.__all__`), both
in this module: its registry of checks by name (`checks.CHECKS`, `checks.load_all_checks`), because
only it shows that a new release has a check that no requirement judges; and the attribute
`generation.codec` of a configuration, which has no other access.
"""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.errors import FailureGroup

from conformance.client.http import RequestSpec
from conformance.core.evidence import Exchange
from conformance.spec.catalogue import FOLDER

# Every check of Schemathesis by name: the requirement that it judges, or why it is off.
JUDGED_BY = {
    "status_code_conformance": "HTTP-2",
    "content_type_conformance": "HTTP-2",
    "response_headers_conformance": "HTTP-2",
    "response_schema_conformance": "HTTP-2",
    "positive_data_acceptance": "HTTP-2",
    "not_a_server_error": "HTTP-3",
}
OFF = {
    "negative_data_rejection": (
        "DB-5 and TASK-8 say what is rejected. "
        "Spellings of integers such as 1.0 are the implementation's choice."
    ),
    "missing_required_header": "the contract requires no header",
    "unsupported_method": "HTTP-5 judges other methods",
    "allow_header_conformance": "HTTP-5 judges the Allow header",
    "use_after_free": "the contract deletes nothing",
    "ensure_resource_availability": "the contract creates nothing that can be read again",
    "ignored_auth": "the contract has no authentication",
    "object_level_authorization": "the contract has no owners",
}

# The paths that take input. The others have no invalid request.
PATHS_WITH_INPUT = ("/items/", "/items/{item_id}", "/process-data/")

# What our client has undone when an exchange is recorded.
_ENCODING_HEADERS = ("content-encoding", "transfer-encoding", "content-length")
_LARGE_INTEGER = re.compile(r"/items/[+-]?[\d_]{9,}")
_LONGEST_LINE = 300  # characters of what one check says
_PLAIN_HEADERS = (("content-type", "application/json"),)


@cache
def load_operations() -> dict[str, Any]:
    """The operations of the contract by path, as Schemathesis has them.

    An explicit configuration is passed. Without one, Schemathesis reads `schemathesis.toml` from
    the folder of the caller, and a file there would decide a verdict.
    """
    config = schemathesis.Config()
    # None allows all that UTF-8 can carry. A codec needs a table that takes 2 s and 200 MB to make.
    config.projects.default.generation.codec = None
    schema = schemathesis.openapi.from_path(FOLDER / "openapi.yaml", config=config)
    found: list[Any] = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {operation.path: operation for operation in found}


@cache
def generate_cases(path: str) -> SearchStrategy[Case[Any]]:
    """A strategy for requests of one operation: valid ones, and invalid ones if it takes input."""
    operation = load_operations()[path]
    strategy: SearchStrategy[Case[Any]] = operation.as_strategy(
        generation_mode=GenerationMode.POSITIVE
    )
    if path in PATHS_WITH_INPUT:
        strategy |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return strategy


def make_request(case: Case[Any]) -> RequestSpec:
    """The request of a case, without what Schemathesis adds to name itself."""
    arguments = case.as_transport_kwargs(base_url="http://target")
    prepared = requests.Request(**arguments).prepare()
    body: Any = prepared.body or b""
    content_type: Any = prepared.headers.get("Content-Type")
    return RequestSpec(
        str(prepared.method),
        str(prepared.path_url),
        body.encode() if isinstance(body, str) else bytes(body),
        content_type,
    )


def is_judged_elsewhere(request: RequestSpec) -> bool:
    """Whether another requirement judges the request.

    These are an id beyond the type of the column (DB-10) and the notation of kombu (TASK-16).
    """
    return bool(_LARGE_INTEGER.fullmatch(request.path)) or b"__type__" in request.content


def find_disagreement(case: Case[Any], exchange: Exchange, requirement: str) -> str | None:
    """What the checks of a requirement find wrong with an answer, in one line; None if nothing."""
    load_all_checks()
    names = (name for name, judged_by in JUDGED_BY.items() if judged_by == requirement)
    checks: list[Any] = [CHECKS.get_one(name) for name in names]
    try:
        case.validate_response(_make_response(exchange), checks=checks)
    except FailureGroup as found:
        return "; ".join(_format_failure(failure) for failure in found.exceptions)
    except Exception as error:
        _check_control(case, exchange, checks)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return f"its answer could not be read: {reason}"[:_LONGEST_LINE]
    return None


def _check_control(case: Case[Any], exchange: Exchange, checks: list[Any]) -> None:
    """Check a plain answer in place of the target's. What it raises is a defect of our own."""
    control = replace(exchange, status=200, headers=_PLAIN_HEADERS, body=b"{}")
    with suppress(FailureGroup):
        case.validate_response(_make_response(control), checks=checks)


def _make_response(exchange: Exchange) -> httpx.Response:
    headers = [
        (name.encode(), value.encode())  # as bytes, since httpx takes texts of ASCII alone
        for name, value in exchange.headers
        if name not in _ENCODING_HEADERS
    ]
    request = httpx.Request(exchange.method, exchange.url + exchange.target)
    response = httpx.Response(
        exchange.status or 0, headers=headers, content=exchange.body, request=request
    )
    response.elapsed = timedelta(seconds=exchange.ended - exchange.at)
    return response


def _format_failure(failure: Any) -> str:
    lines = (line.strip() for line in str(failure.message).splitlines())
    return f"{failure.title}: {' '.join(filter(None, lines))}"[:_LONGEST_LINE]
