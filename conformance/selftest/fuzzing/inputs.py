"""What a target says in other ways than by answers: each is fed to what decodes and reports it."""

import asyncio
import base64
import json
import random
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from conformance.client.http import HEADERS
from conformance.client.status import NothingListens, NotHttp, ask_for_status
from conformance.config.settings_file import read_settings_file
from conformance.core.errors import NoEvidence, Violation, WrongUsage
from conformance.core.evidence import Journal, QueuedMessage
from conformance.core.observations import RouteList, TaskResult
from conformance.selftest.fuzzing.answers import judge_answers, serve_odd_answers
from conformance.selftest.fuzzing.mutations import (
    draw_encoded,
    mutate_bytes,
    mutate_value,
)
from conformance.spec import model
from conformance.spec.catalogue import catalogue
from conformance.target.routes import decode_routes
from conformance.testbed.celery_messages import read_message, read_result
from conformance.testbed.process_output import Output, take_last_texts
from conformance.testbed.stack_dump import parse_dump
from conformance.testbed.upstream import Upstream

DATA = {"order": 7, "deep": [[{"a": None}]], "text": "é", "price": 9.75}
META = {"status": "SUCCESS", "result": model.task_result(DATA), "task_id": "1", "children": []}
FAILED = META | {
    "status": "FAILURE",
    "result": {"exc_type": "KeyError", "exc_message": ["x"], "exc_module": "builtins"},
}
ROUTE = {
    "path": "/items/",
    "methods": ["GET"],
    "endpoint": "read_items",
    "coroutine": True,
    "dependencies": [{"name": "parameters", "coroutine": True, "parameters": ["q"]}],
}
SETTINGS = b"""target-app = "a:b"
only = ["DB-1"]
seed = 7
[[known-failures]]
id = "DB-2"
reason = "x"
"""
DUMP = (
    b"Stack (most recent call first):\n"
    b'  File "/srv/app.py", line 20 in fetch\n'
    b'  File "/usr/lib/python3.11/asyncio/base_events.py", line 99 in run_forever\n'
    b'  File "/srv/app.py", line 3 in <module>\n'
)
REQUEST = b"GET /posts?userId=1 HTTP/1.1\r\nHost: stub\r\nUser-Agent: x\r\n\r\n"
PATIENCE = 5.0  # seconds


def feed_answers(draw: random.Random, journal: Journal) -> None:
    """Answers to requests of probes."""
    asyncio.run(judge_answers(draw, journal))


def feed_status(draw: random.Random, _: Journal) -> None:
    """The answer by which a target becomes ready."""

    async def ask() -> None:
        async with serve_odd_answers(draw) as url:
            await asyncio.to_thread(
                ask_for_status, url, "GET", "/async", HEADERS.items(), b"", PATIENCE
            )

    with suppress(TimeoutError, NothingListens, NotHttp):
        asyncio.run(ask())


def feed_result(draw: random.Random, journal: Journal) -> None:
    """What is stored as a task's result."""
    try:
        state, value = read_result(draw_encoded(draw, draw.choice((META, FAILED))))
    except ValueError:
        return
    text = f"task 1 is {state}: {model.format_value(value)}"
    journal.record(TaskResult, text=text, state=state)
    model.find_difference(META["result"], value)


def feed_message(draw: random.Random, journal: Journal) -> None:
    """An entry of a list in the broker."""
    body = draw_encoded(draw, [[DATA], {}, {"callbacks": None}])
    envelope = {
        "headers": {"id": "1"},
        "content-type": "application/json",
        "properties": {"body_encoding": "base64"},
        "body": base64.b64encode(body).decode(),
    }
    raw = json.dumps(envelope).encode() if draw.random() < 0.5 else draw_encoded(draw, envelope)
    message = read_message(raw)
    journal.record(
        QueuedMessage,
        key="celery",
        task_id=message.task_id,
        content_type=message.content_type,
        arguments=message.arguments,
    )
    model.find_difference([[DATA], {}, {}], message.arguments)


def feed_routes(draw: random.Random, journal: Journal) -> None:
    """The list of an application's routes."""
    try:
        routes = decode_routes(draw_encoded(draw, [ROUTE, ROUTE]))
    except ValueError:
        return
    text = "; ".join(f"{route.endpoint} for {route.path}" for route in routes)
    journal.record(RouteList, text=text, routes=routes)


def feed_lines(draw: random.Random, journal: Journal) -> None:
    """What a process prints, in pieces, and the stack among it."""
    output = Output("server", journal)
    printed = mutate_bytes(draw, DUMP * draw.randrange(1, 4))
    while printed:
        size = draw.choice((1, 7, 100, 70_000))
        output.take_chunk(draw.choice(("stdout", "stderr")), printed[:size])
        printed = printed[size:]
    output.take_chunk("stderr", b"")
    texts = [line.text for line in output.lines]
    take_last_texts(output.lines, 6)
    parse_dump(texts).find_blocking_frame(Path("/srv"))
    output.close()


def feed_settings(draw: random.Random, _: Journal) -> None:
    """The target's own file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / draw.choice(("conformance.toml", "pyproject.toml"))
        file.write_bytes(mutate_bytes(draw, SETTINGS))
        with suppress(WrongUsage):
            read_settings_file(file, catalogue())


def feed_model(draw: random.Random, _: Journal) -> None:
    """Values that are compared with what was wanted."""
    value = mutate_value(draw, META)
    model.find_difference(META, value)
    model.format_value(value)
    model.has_item_id_error(value)


class UpstreamFeed:
    """Requests of a target's to the stub, which goes on answering others."""

    def __init__(self, journal: Journal) -> None:
        self.stub = Upstream(journal)
        self.stub.start()

    def __call__(self, draw: random.Random, _: Journal) -> None:
        """Send one, and then a right one."""
        request = mutate_bytes(draw, REQUEST * draw.randrange(1, 3))
        with (
            suppress(OSError),  # the stub may close it at any time
            socket.create_connection(("127.0.0.1", self.stub.port), PATIENCE) as connection,
        ):
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        self.stub.requests.clear()
        with socket.create_connection(("127.0.0.1", self.stub.port), PATIENCE) as connection:
            connection.sendall(REQUEST)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 "), request


Feed = Callable[[random.Random, Journal], Any]
FEEDS: tuple[Feed, ...] = (
    *((feed_answers,) * 3),
    feed_status,
    feed_result,
    feed_message,
    feed_routes,
    feed_lines,
    feed_settings,
    feed_model,
)
EXPECTED = (Violation, NoEvidence)  # verdicts, which probes come to
