"""Answers of a target: what the probes that need nothing but answers make of them."""

import asyncio
import importlib
import inspect
import pkgutil
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import hypothesis
import yaml

import conformance.probes
from conformance.client import schema_cases
from conformance.client.http import Client, RequestSpec
from conformance.core.evidence import Exchange, Journal
from conformance.selftest.fuzzing.mutations import SPECIAL, draw_encoded, mutate_bytes
from conformance.spec.catalogue import FOLDER

STATUSES = (200, 200, 200, 200, 404, 405, 422, 500, 204, 304, 299, 999, 101, 103, 100)
BODIES: tuple[Any, ...] = (
    {"message": "This is a synchronous endpoint"},
    {"message": "This is an asynchronous endpoint"},
    {"q": None},
    {"q": "a"},
    {"item": {"id": 1, "name": "x", "price": 9.75, "created_at": "2026-07-01T12:30:15.25Z"}},
    {"message": "Task submitted", "task_id": "5e1c0f0e-0000-4000-8000-000000000000"},
    {"detail": [{"loc": ["path", "item_id"], "msg": "m", "type": "t", "input": "abc"}]},
    {"detail": "Not Found"},
)
TYPES = ("application/json", "application/json; charset=utf-16", "text/html", "", "/", ";=,", "é")


@cache
def read_document() -> Any:
    """The contract, which stands in for a right OpenAPI document."""
    return yaml.safe_load((FOLDER / "openapi.yaml").read_text("utf-8"))


def draw_response(draw: random.Random) -> bytes:
    """The bytes of an answer that is nearly right, or not at all."""
    body = draw_encoded(draw, draw.choice((*BODIES, read_document())))
    lines = [
        b"HTTP/1.1 %d X" % draw.choice(STATUSES),
        b"Content-Type: " + draw.choice(TYPES).encode(),
        b"Allow: GET",
        b"Connection: close",
    ]
    if draw.random() < 0.1:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif draw.random() < 0.8:
        lines.append(b"Content-Length: %d" % len(body))
    if draw.random() < 0.2:
        lines.append(b"X-Odd: " + draw.choice(SPECIAL))
    if draw.random() < 0.2:
        coding = draw.choice((b"gzip", b"gzip, gzip", b"deflate", b"br", b"identity", b"\xff"))
        lines.append(b"Content-Encoding: " + coding)
    response = b"\r\n".join([*lines, b"", body])
    return mutate_bytes(draw, response) if draw.random() < 0.15 else response


@asynccontextmanager
async def serve_odd_answers(draw: random.Random) -> AsyncIterator[str]:
    """The URL of a server on loopback whose every answer is drawn."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(draw_response(draw))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@dataclass(frozen=True)
class Judge:
    """Something that looks at answers: a probe with its arguments, or a check of the contract."""

    name: str
    judge: Callable[[Client], Any]


@cache
def list_judges() -> Sequence[Judge]:
    """Every probe that needs a client alone, and the checks of each operation."""
    return (*_list_probes(), *map(_check_operation, schema_cases.load_operations()))


def _list_probes() -> Iterator[Judge]:
    for each in pkgutil.iter_modules(conformance.probes.__path__, "conformance.probes."):
        module = importlib.import_module(each.name)
        for name, probe in inspect.getmembers(module, inspect.iscoroutinefunction):
            if not name.startswith("test_") or hypothesis.is_hypothesis_test(probe):
                continue
            wanted = set(inspect.signature(probe).parameters) - {"client", "observe"}
            for arguments in _list_arguments(probe, wanted):
                yield Judge(name, _bind(probe, arguments))


def _list_arguments(probe: Any, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """The arguments that the probe's own parameters give it; none where it needs a fixture."""
    axes: list[list[dict[str, Any]]] = []
    for mark in getattr(probe, "pytestmark", ()):
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            names = names.split(",") if isinstance(names, str) else list(names)
            rows = [value if len(names) > 1 else (value,) for value in values]
            axes.append([dict(zip(names, row, strict=True)) for row in rows])
    for chosen in product(*axes):
        arguments = {name: value for row in chosen for name, value in row.items()}
        if set(arguments) == wanted:
            yield arguments


def _bind(probe: Any, arguments: dict[str, Any]) -> Callable[[Client], Any]:
    has_observer = "observe" in inspect.signature(probe).parameters
    observer = {"observe": lambda *_: None} if has_observer else {}
    return lambda client: probe(client=client, **arguments, **observer)


def _check_operation(path: str) -> Judge:
    operation = schema_cases.load_operations()[path]
    method = str(operation.method).upper()
    case = operation.Case(path_parameters={"item_id": 1}) if "{" in path else operation.Case()
    target = path.replace("{item_id}", "1")

    async def check(client: Client) -> None:
        exchange = await client.send(
            RequestSpec(method, target, b"{}" if method == "POST" else b"")
        )
        if exchange.status is not None:
            for requirement in ("HTTP-2", "HTTP-3"):
                schema_cases.find_disagreement(case, exchange, requirement)
        read_exchange(exchange)

    return Judge(f"the checks of {path}", check)


def read_exchange(exchange: Exchange) -> None:
    """Say all that can be said of an exchange."""
    for text in (exchange.summary, exchange.outcome, exchange.curl, exchange.media_type):
        text.encode("utf-8", "backslashreplace")


async def judge_answers(draw: random.Random, journal: Journal) -> None:
    """Have something judge answers that are drawn. Raises what it raises."""
    judge = draw.choice(list_judges())
    async with serve_odd_answers(draw) as url:
        client = Client(url, journal)
        try:
            await judge.judge(client)
        finally:
            await client.close()
