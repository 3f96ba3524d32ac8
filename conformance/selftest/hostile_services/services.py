"""Hostile services that are applications, and their workers."""

import asyncio
import gzip
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import redis
from celery import Celery, current_task
from fastapi import FastAPI, Response

from conformance.selftest.faulty_services.service import (
    Receive,
    Scope,
    Send,
    Service,
    celery_application,
    completed,
)
from conformance.selftest.hostile_services.table import hostile_service

SMALL = ("END-1", "DEP-1", "LIFE-10")  # beside what is attacked, they must still be judged


def open_redis() -> redis.Redis:
    """A connection of the service's own user."""
    return redis.Redis.from_url(os.environ["REDIS_URL"])


# What it answers


class _AddsToHeads(Service):
    """Adds a line to the head of every answer."""

    line: tuple[bytes, bytes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with the line."""

        async def add(message: Scope) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self.line]
            await send(message)

        await super().__call__(scope, receive, add)


@hostile_service(only=("HTTP-2", "HTTP-3", *SMALL))
class header_beyond_ascii(_AddsToHeads):  # noqa: N801 - like the faulty services
    """A byte beyond ASCII in a header is allowed (RFC 9110, 5.5)."""

    line = (b"x", "é".encode("latin-1"))


@hostile_service(only=SMALL, fails=("END-1", "DEP-1"), because="gzip, gzip, and none was asked for")
class answers_in_two_coats(Service):  # noqa: N801
    """`/sync` and listings are coded twice: 302 bytes unpack to 80 MB."""

    @cached_property
    def bomb(self) -> bytes:
        """What is small on the wire."""
        return gzip.compress(gzip.compress(bytes(80_000_000)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; of two endpoints, what is coded twice."""
        if scope["type"] == "http" and scope["path"] in ("/sync", "/items/"):
            headers = {"content-encoding": "gzip, gzip"}
            await Response(self.bomb, headers=headers)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@hostile_service(
    only=("UP-1", "UP-2", "UP-4", "CONC-7", *SMALL),
    fails=("UP-1", "UP-2", "UP-4", "CONC-7"),
    because="wanted",
)
class answers_with_three_megabytes(Service):  # noqa: N801
    """The upstream's data come with 3 MB beside them, below every limit of one answer."""

    async def external_data(self) -> Response:
        """Answer with too much."""
        answer = await super().external_data()
        document = json.loads(bytes(answer.body))
        return Response(json.dumps([document, "x" * 3_000_000]), media_type="application/json")


@hostile_service(
    only=("TASK-1", "TASK-2", "TASK-3", "TASK-4", *SMALL),
    fails=("TASK-1", "TASK-2"),
    because="message",
)
class submissions_are_answered_with_megabytes(Service):  # noqa: N801
    """Each submission is answered with 3 MB beside its task id."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        """Answer with too much."""
        return {**await super().process_data(data), "more": "x" * 3_000_000}


class _OddDocument(Service):
    """Its OpenAPI document is of an odd shape."""

    @cached_property
    def app(self) -> FastAPI:
        """Serve another document."""
        application = super().app
        document = json.dumps(self.spoil(application.openapi())) if not self.text else self.text
        application.router.routes[:] = [
            route
            for route in application.router.routes
            if getattr(route, "path", "") != "/openapi.json"
        ]
        application.get("/openapi.json")(lambda: Response(document, media_type="application/json"))
        return application

    text = ""

    def spoil(self, document: dict[str, Any]) -> Any:
        """Make it odd."""
        return document


@hostile_service(only=("HTTP-1", *SMALL), fails=("HTTP-1",), because="paths")
class openapi_paths_are_a_list(_OddDocument):  # noqa: N801
    """`paths` is an array."""

    def spoil(self, document: dict[str, Any]) -> Any:
        """Make it odd."""
        return document | {"paths": []}


@hostile_service(
    only=("HTTP-1", *SMALL), fails=("HTTP-1",), because="valid by the schema of OpenAPI"
)
class openapi_parameters_are_null(_OddDocument):  # noqa: N801
    """The parameters of a path are null."""

    def spoil(self, document: dict[str, Any]) -> Any:
        """Make it odd."""
        document["paths"]["/items/{item_id}"]["get"]["parameters"] = None
        document["paths"]["/process-data/"]["post"]["requestBody"] = {"content": 7}
        return document


@hostile_service(only=("HTTP-1", *SMALL), fails=("HTTP-1",), because="nested more than")
class openapi_is_nested_deeply(_OddDocument):  # noqa: N801
    """850 arrays in each other."""

    text = "[" * 850 + "]" * 850


# What it writes where its code is looked at


def attack_the_look(name: str, answer: str) -> None:
    """Do in place of the suite's script what the service of this name does."""
    match name:
        case "routes_are_junk":
            Path(answer).write_text("[1, 2]")
        case "routes_are_a_flood":
            with suppress(OSError), Path(answer).open("wb") as file:
                file.writelines(b"[" * 2**20 for _ in range(200))
        case "routes_never_come":
            if os.fork() == 0:
                signal.pause()  # with the pipe for the answer still open
        case "look_prints_a_flood":
            for _ in range(100):
                print("x" * 2**20)
            return
        case _:
            return
    os._exit(0)


if sys.argv[0] == "-c" and len(sys.argv) == 3:  # imported by the suite's script
    attack_the_look(sys.argv[1].partition(":")[2], sys.argv[2])


@hostile_service(
    only=("END-6", "DEP-9", *SMALL), fails=("END-6", "DEP-9"), because="routes could not be read"
)
class routes_are_junk(Service):  # noqa: N801
    """Its import writes a list of routes that is none."""


@hostile_service(
    only=("END-6", "DEP-9", *SMALL), fails=("END-6", "DEP-9"), because="routes could not be read"
)
class routes_are_a_flood(Service):  # noqa: N801
    """Its import writes a list of routes of 200 MB."""


@hostile_service(only=("END-6", "DEP-9", *SMALL), unseen=("END-6", "DEP-9"))
class routes_never_come(Service):  # noqa: N801
    """Its import ends at once, and a child of it keeps the pipe of the answer open."""


@hostile_service(only=("END-6", "DEP-9", *SMALL))
class look_prints_a_flood(Service):  # noqa: N801
    """Its import prints 100 MB."""


# What it stores


def complete_with(stored: bytes) -> Any:
    """A task that stores something of its own in place of a result."""

    def complete(data: Any) -> Any:
        with open_redis() as client:
            client.set(f"celery-task-meta-{current_task.request.id}", stored)
        return completed(data)

    return complete


def hostile_worker(stored: bytes) -> Celery:
    """A worker of which no result is stored but this."""
    return celery_application(complete_with(stored), task_ignore_result=True)


worker_of_junk = hostile_worker(b"{}")
worker_of_a_class = hostile_worker(
    json.dumps(
        {
            "status": "FAILURE",
            "result": {"exc_module": "os", "exc_type": "system", "exc_message": ["touch taken"]},
        }
    ).encode()
)
worker_of_a_deep_result = hostile_worker(
    b'{"status": "SUCCESS", "result": ' + b"[" * 900 + b"]" * 900 + b"}"
)


@hostile_service(
    only=("TASK-5", *SMALL), fails=("TASK-5",), because="UNREADABLE", worker="worker_of_junk"
)
class results_are_junk(Service):  # noqa: N801
    """Each result is an empty object."""


@hostile_service(
    only=("TASK-5", *SMALL), fails=("TASK-5",), because="system: touch", worker="worker_of_a_class"
)
class results_name_a_class(Service):  # noqa: N801
    """Each result is an exception whose class is a function of the system (CVE-2021-23727)."""


@hostile_service(
    only=("TASK-5", *SMALL),
    fails=("TASK-5",),
    because="nested more than",
    worker="worker_of_a_deep_result",
)
class results_are_nested_deeply(Service):  # noqa: N801
    """Each result is nested 900 levels deep."""


class _FillsRedis(Service):
    """Puts entries into a list before it is ready."""

    entries: tuple[str, ...]

    @asynccontextmanager
    async def lifespan(self, application: FastAPI) -> AsyncIterator[None]:
        """Fill it, and then be what it is."""
        with open_redis() as client:
            client.delete("elsewhere")
            client.rpush("elsewhere", *self.entries)
        async with super().lifespan(application):
            yield


def nest(depth: int) -> str:
    """A message whose body is nested."""
    body = "[" * depth + "]" * depth
    return json.dumps(
        {
            "headers": {"id": str(depth)},
            "content-type": "application/json",
            "properties": {"body_encoding": None},
            "body": body,
        }
    )


@hostile_service(only=("TASK-2", "TASK-3", *SMALL))
class queue_is_nested_deeply(_FillsRedis):  # noqa: N801
    """A list holds 290 messages that are nested 700 to 990 levels deep."""

    entries = tuple(nest(depth) for depth in range(700, 990))


@hostile_service(only=("TASK-2", "TASK-3", "TASK-8", *SMALL))
class queue_is_long(_FillsRedis):  # noqa: N801
    """A list holds 500 messages of 4 KB, at each of many looks."""

    entries = tuple(json.dumps({"n": number, "text": "x" * 4000}) for number in range(500))


@hostile_service(
    only=("TASK-2", "TASK-3", *SMALL),
    fails=("TASK-3",),
    because="its queue could not be read",
)
class queue_is_flooded(_FillsRedis):  # noqa: N801
    """A list holds more than anybody looks at."""

    entries = ("x" * 100,) * 6000


# What it holds


@hostile_service(only=("DB-4", "DB-1", *SMALL))
class advisory_lock_is_held(Service):  # noqa: N801
    """A session holds the advisory lock whose key is the table's object id."""

    @asynccontextmanager
    async def lifespan(self, application: FastAPI) -> AsyncIterator[None]:
        """Take it for as long as the process lives."""
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        await connection.execute("SELECT pg_advisory_lock('items'::regclass::oid::bigint)")
        async with super().lifespan(application):
            yield
        await connection.close()


@hostile_service(
    only=("TASK-3", "TASK-8", *SMALL), fails=("TASK-3",), because="a script of the service's"
)
class script_never_ends(Service):  # noqa: N801
    """The first submission runs a script in Redis that never ends."""

    script = "while true do end"
    connection: Any = None

    async def submit(self, data: Any) -> str:
        """Queue it, and then keep Redis from everybody else."""
        task_id = await super().submit(data)
        if self.connection is None:
            self.connection = open_redis().connection_pool.get_connection()
            self.connection.send_command("EVAL", self.script, 0)
        return task_id


@hostile_service(
    only=("TASK-3", "DB-1", *SMALL), fails=("TASK-3",), because="cannot be ended: it has written"
)
class script_that_has_written_never_ends(type(script_never_ends)):  # type: ignore[misc] # noqa: N801
    """The same with a script that Redis does not let anybody end."""

    script = "redis.call('SET', 'x', 1) while true do end"


# What it sends


@hostile_service(only=("UP-2", *SMALL), fails=("UP-2",), because="502")
class upstream_is_flooded(Service):  # noqa: N801
    """Each outbound call is sixty, with heads of 12 KB."""

    async def external_data(self) -> Response:
        """Call, and call, and call."""
        padding = {"x-padding": "x" * 12_000}
        url = os.environ["EXTERNAL_DATA_URL"]
        calls = (self.upstream.get(url, headers=padding) for _ in range(60))
        await asyncio.gather(*calls, return_exceptions=True)
        return await super().external_data()
