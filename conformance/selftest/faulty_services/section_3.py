"""Section 3 got wrong: rows, ids, sessions."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import asyncpg
import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from conformance.selftest.faulty_services.service import (
    ID_MAX,
    Receive,
    Row,
    Scope,
    Send,
    Service,
)
from conformance.selftest.faulty_services.table import faulty_service

SAMPLES = range(1, 101)


def sample_row(item_id: int) -> Row:
    """A row that is in no table."""
    return {
        "id": item_id,
        "name": f"sample {item_id}",
        "description": None,
        "price": 1.0,
        "quantity": 1,
        "available": True,
        "created_at": datetime(2026, 7, 1, tzinfo=UTC),
    }


@faulty_service(
    fails=("DB-1", "DB-3"), because=r"\"created_at\" is missing", consequences=("HTTP-2",)
)
class created_at_is_left_out(Service):
    """The answer has every column of the row but `created_at`."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        if row is not None:
            del row["created_at"]
        return row


@faulty_service(fails=("DB-1", "DB-3"), because=r"the member \"available\" is missing")
class false_column_is_left_out(Service):
    """A column that holds false is left out of the row."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and {name: value for name, value in row.items() if value is not False}


@faulty_service(
    fails=("DB-1",), because=r"wanted \"of oak\", got \"Of oak\"", consequences=("DB-3", "HTTP-9")
)
class description_begins_with_a_capital(Service):
    """A description is answered with its first letter in upper case."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and row | {
            "description": row["description"]
            and row["description"][:1].upper() + row["description"][1:]
        }


@faulty_service(fails=("DB-1",), because=r"wanted an object, got null|wanted \{.*got null")
class row_of_a_negative_id_is_null(Service):
    """An id below one is taken for absent, row or not."""

    async def find(self, item_id: int) -> Row | None:
        return await super().find(item_id) if item_id > 0 else None


@faulty_service(fails=("DB-1",), because=r"wanted \{.*got null")
class row_of_the_largest_id_is_null(Service):
    """The range of ids ends one too early."""

    async def find(self, item_id: int) -> Row | None:
        return await super().find(item_id) if item_id < ID_MAX else None


@faulty_service(
    fails=("DB-2", "DB-4"), because=r"^404 ", consequences=("HTTP-2",), inconclusive=("CONC-11",)
)
class absent_item_is_404(Service):
    """An id without a row is answered with 404."""

    async def find(self, item_id: int) -> Row | None:
        if (row := await super().find(item_id)) is None:
            raise HTTPException(404, "Item not found")
        return row


@faulty_service(
    fails=("DB-2", "DB-4"),
    because=r"\$\.item: wanted null, got \{\}",
    consequences=("HTTP-2",),
    inconclusive=("CONC-11",),
)
class absent_item_is_an_empty_object(Service):
    """An id without a row is answered with an item that has no columns."""

    async def find(self, item_id: int) -> Row | None:
        return await super().find(item_id) or {}


@faulty_service(fails=("DB-3",), because=r"\$\.item\.quantity: wanted -?\d{16}")
class quantity_passes_through_a_float(Service):
    """`quantity` passes through a float, which rounds what is beyond 2^53."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and row | {"quantity": int(float(row["quantity"]))}


@faulty_service(fails=("DB-3",), because=r"\$\.item\.created_at: wanted")
class instant_is_cut_to_milliseconds(Service):
    """`created_at` is written with milliseconds, and what is beyond them is dropped."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and row | {"created_at": row["created_at"].isoformat(timespec="milliseconds")}


@faulty_service(
    fails=("DB-4",),
    because=r"\$\.item\.name: wanted \"changed during an outbound call\"",
    consequences=("CONC-10", "CONC-11", "DB-14", "DB-16", "HTTP-9", "DB-8", "DB-13"),
    inconclusive=("CONC-2",),
)
class row_is_cached(Service):
    """A row that was read once is never read again."""

    async def connect(self) -> None:
        self.cache: dict[int, Row] = {}
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        if item_id not in self.cache and (row := await super().find(item_id)):
            self.cache[item_id] = row
        return self.cache.get(item_id)


@faulty_service(
    fails=("DB-4",), because=r"\$\.item: wanted null, got \{", consequences=("CONC-11",)
)
class deleted_row_is_remembered(Service):
    """A row that was deleted is answered as it was last seen."""

    async def connect(self) -> None:
        self.seen: dict[int, Row] = {}
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        if row := await super().find(item_id):
            self.seen[item_id] = row
        return self.seen.get(item_id)


@faulty_service(fails=("DB-5",), because=r"\"loc\":\[\"path\",\"id\"\]")
class id_parameter_has_another_name(Service):
    """The path parameter is called `id`, so the error names that."""

    def add_routes(self, application: FastAPI) -> None:
        application.get("/items/{id}")(self.read_by_id)
        super().add_routes(application)

    async def read_by_id(self, id: int) -> Any:  # noqa: A002
        return await self.read_item(id)


@faulty_service(
    fails=("DB-5",), because=r"\"detail\":\"Input should be", consequences=("HTTP-2", "HTTP-4")
)
class rejection_has_a_shape_of_its_own(Service):
    """The error handler answers 422 with one sentence in place of FastAPI's list of errors."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, _: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": error.errors()[0]["msg"]}, 422)


@faulty_service(
    fails=("DB-6",), because=r"'1 OR 1=1' is no id.*200 ", consequences=("DB-13", "DB-14")
)
class only_the_first_word_of_an_id_is_checked(Service):
    """The query is a formatted text, and only the first word of the id must be an integer."""

    async def read_item(self, item_id: str) -> Any:  # type: ignore[override]
        try:
            int(item_id.split(maxsplit=1)[0])
            row = await self.pool.fetchrow(f"SELECT * FROM items WHERE id = {item_id}")
        except asyncpg.NumericValueOutOfRangeError:
            row = None
        except (ValueError, IndexError, asyncpg.PostgresError) as error:
            location = {
                "type": "int_parsing",
                "loc": ("path", "item_id"),
                "msg": "no integer",
                "input": item_id,
            }
            raise RequestValidationError([location]) from error
        return {"item": None if row is None else dict(row)}


@faulty_service(
    fails=("DB-6",), because=r"\"1' OR '1'='1\" is no id.*200 ", consequences=("DB-13", "DB-14")
)
class id_stands_between_quotes_in_the_query(Service):
    """The id is put between quotes in a formatted query, and checked up to its own first quote."""

    async def read_item(self, item_id: str) -> Any:  # type: ignore[override]
        try:
            int(item_id.partition("'")[0])
            row = await self.pool.fetchrow(f"SELECT * FROM items WHERE id = '{item_id}'")
        except asyncpg.NumericValueOutOfRangeError:
            row = None
        except (ValueError, asyncpg.PostgresError) as error:
            location = {
                "type": "int_parsing",
                "loc": ("path", "item_id"),
                "msg": "no integer",
                "input": item_id,
            }
            raise RequestValidationError([location]) from error
        return {"item": None if row is None else dict(row)}


@faulty_service(
    fails=("DB-7", "DB-1", "DB-2"),
    because=r"^0 sessions of the target's role",
    consequences=(
        "CONC-2",
        "CONC-3",
        "CONC-4",
        "CONC-5",
        "CONC-6",
        "CONC-10",
        "CONC-11",
        "END-3",
        "DB-3",
        "DB-4",
        "DB-8",
        "DB-9",
        "DB-10",
        "DB-11",
        "DB-12",
        "DB-13",
        "DB-14",
        "DB-15",
        "DB-16",
        "DEP-5",
        "LIFE-4",
        "LIFE-5",
        "LIFE-6",
        "LIFE-7",
        "HTTP-3",
        "END-4",
        "HTTP-9",
        "CONC-13",
        "LIFE-11",
    ),
)
class pool_is_opened_by_a_hook_that_never_runs(Service):
    """The pool is opened by an `on_event` hook, which FastAPI ignores where there is a lifespan."""

    async def open_pool(self, **_: Any) -> Any:
        return None

    async def disconnect(self) -> None:
        await self.upstream.aclose()
        self.submitters.shutdown(wait=False)


@faulty_service(
    fails=("DB-7",), because=r"^0 sessions of the target's role", consequences=("LIFE-6", "LIFE-7")
)
class pool_connects_lazily(Service):
    """The pool connects when the first item is read."""

    pool_sizes = (0, 10)


@faulty_service(fails=("DB-7",), because=r"^0 sessions of the target's role")
class startup_looks_for_the_database_and_disconnects(Service):
    """Startup connects and disconnects again. The pool connects when the first item is read."""

    pool_sizes = (0, 10)

    async def connect(self) -> None:
        await (await asyncpg.connect(os.environ["DATABASE_URL"])).close()
        await super().connect()


@faulty_service(
    fails=("DB-8",), because=r", [1-9]\d* were abandoned", consequences=("LIFE-4", "LIFE-5")
)
class pool_is_never_closed(Service):
    """Shutdown closes everything but the pool of database connections."""

    async def disconnect(self) -> None:
        await self.upstream.aclose()


@faulty_service(fails=("DB-8",), because=r", 1 were abandoned", consequences=("LIFE-4", "LIFE-5"))
class session_of_the_startup_check_is_forgotten(Service):
    """A connection opened at startup to look at the table is never closed."""

    async def connect(self) -> None:
        self.checker = await asyncpg.connect(os.environ["DATABASE_URL"])
        await self.checker.fetch("SELECT * FROM items LIMIT 0")
        await super().connect()


@faulty_service(fails=("DB-9",), because=r"rows with other versions", consequences=("DB-14",))
class read_touches_the_row_where_it_may(Service):
    """A read writes to the row that it reads, and forgives that it may not."""

    async def select(self, connection: Any, item_id: int) -> Any:
        with suppress(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "UPDATE items SET available = available WHERE id = $1", item_id
            )
        return await super().select(connection, item_id)


@faulty_service(fails=("DB-9",), because=r"rows with other versions", consequences=("DB-14",))
class read_locks_the_row_where_it_may(Service):
    """A read is `SELECT … FOR UPDATE` where the role has the right to it."""

    async def select(self, connection: Any, item_id: int) -> Any:
        with suppress(asyncpg.InsufficientPrivilegeError):
            return await connection.fetchrow(
                "SELECT * FROM items WHERE id = $1 FOR UPDATE", item_id
            )
        return await super().select(connection, item_id)


@faulty_service(fails=("DB-10",), because=r"^500 ", consequences=("HTTP-2", "HTTP-3"))
class id_column_is_taken_for_a_bigint(Service):
    """Ids are bounded to 64 bits, where the column has 32."""

    async def read_item(self, item_id: int) -> Any:
        return {"item": await self.find(item_id) if -(2**63) <= item_id < 2**63 else None}


@faulty_service(fails=("DB-10",), because=r"^500 ")
class id_is_packed_into_64_bits(Service):
    """An id is packed into eight bytes for a log, which those beyond them do not fit."""

    async def read_item(self, item_id: int) -> Any:
        item_id.to_bytes(8, signed=True)
        return await super().read_item(item_id)


@faulty_service(fails=("DB-1", "DB-10"), because=r"^500 ", consequences=("HTTP-3",))
class id_is_asserted_to_be_positive(Service):
    """An id that is zero or less fails an assertion."""

    async def read_item(self, item_id: int) -> Any:
        assert item_id > 0
        return await super().read_item(item_id)


@faulty_service(fails=("DB-11",), because=r"opened")
class connection_is_closed_after_five_reads(Service):
    """The pool closes a connection after five queries, so reads open others again and again."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(max_queries=5, **settings)


@faulty_service(fails=("DB-11",), because=r"opened", after=("CONC-2",))
class connection_is_closed_after_a_dozen_reads(Service):
    """The pool closes a connection after a dozen reads. Those that stand idle go one by one."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(max_queries=25, **settings)


@faulty_service(fails=("DB-12", "DB-14"), because=r"^500 ", consequences=("DB-13", "CONC-11"))
class connection_closed_while_idle_is_never_replaced(Service):
    """A connection whose query failed is replaced. One that was closed while idle is not."""

    pool_sizes = (0, 10)

    async def connect(self) -> None:
        await super().connect()
        self.idle: asyncio.Queue[asyncpg.Connection] = asyncio.Queue()
        for _ in range(10):
            self.idle.put_nowait(await asyncpg.connect(os.environ["DATABASE_URL"]))

    async def disconnect(self) -> None:
        while not self.idle.empty():
            await self.idle.get_nowait().close()
        await super().disconnect()

    async def find(self, item_id: int) -> Row | None:
        connection = await self.idle.get()
        try:
            row = await self.select(connection, item_id)
        except asyncpg.PostgresError:
            connection = await asyncpg.connect(os.environ["DATABASE_URL"])
            raise
        finally:
            self.idle.put_nowait(connection)
        return None if row is None else dict(row)


@faulty_service(fails=("DB-12",), because=r"^503 ", consequences=("DB-14", "CONC-11"))
class session_lost_while_idle_stops_reads_for_ten_seconds(Service):
    """After a session was lost while idle, reads are answered 503 for ten seconds without a try."""

    reading = 0
    stopped_until = 0.0

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(init=self.watch, **settings)

    async def watch(self, connection: Any) -> None:
        connection.add_termination_listener(self.stop)

    def stop(self, _: Any) -> None:
        if not self.reading:
            self.stopped_until = time.monotonic() + 10

    async def find(self, item_id: int) -> Row | None:
        if time.monotonic() < self.stopped_until:
            raise HTTPException(503, "the database has gone away")
        self.reading += 1
        try:
            return await super().find(item_id)
        finally:
            self.reading -= 1


@faulty_service(fails=("DB-13",), because=r"^1 reads wait in pg_locks", consequences=("CONC-11",))
class reads_take_turns_after_one_was_killed(Service):
    """After a read has lost its session, each of the next eighteen waits for the one before."""

    left = 0

    async def connect(self) -> None:
        await super().connect()
        self.turns = asyncio.Lock()

    async def find(self, item_id: int) -> Row | None:
        async with self.turns if self.left else nullcontext():
            try:
                row = await super().find(item_id)
            except (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError):
                self.left = 18
                raise
        self.left = max(0, self.left - 1)
        return row


@faulty_service(
    fails=("DB-13",), because=r"\$\.item: wanted \{.*, got null", consequences=("CONC-11",)
)
class killed_read_has_found_nothing(Service):
    """A read that loses its session is answered as if there were no such row."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError):
            return None


@faulty_service(
    fails=("DB-13",),
    because=r"^500 .*, \d times",
    consequences=("CONC-11", "CONC-13", "DB-12", "DB-8", "LIFE-5"),
)
class broken_connection_ends_the_pool(Service):
    """A connection that broke is a reason to open another pool, and to end the one that broke."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except asyncpg.PostgresConnectionError:
            old, self.pool = self.pool, await self.open_pool()
            old.terminate()
            raise


@faulty_service(fails=("DB-13",), because=r"^503 .*, \d times", consequences=("CONC-11", "CONC-13"))
class reads_at_once_are_one_group(Service):
    """The reads that are outstanding are one group of tasks. One that fails cancels the others."""

    async def connect(self) -> None:
        await super().connect()
        self.group: set[asyncio.Task[Row | None]] = set()

    async def find(self, item_id: int) -> Row | None:
        task = asyncio.create_task(super().find(item_id))
        self.group.add(task)
        task.add_done_callback(self.group.discard)
        await asyncio.wait([task])
        if task.cancelled():
            raise HTTPException(503, "another read failed")
        if task.exception():
            for other in self.group:
                other.cancel()
        return task.result()


@faulty_service(
    fails=("DB-14",),
    because=r"no read could be held|^no complete answer",
    consequences=("CONC-11",),
)
class refused_connection_keeps_its_slot(Service):
    """Thirty reads at once are let in. One that gets no connection does not end being one."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(30)

    async def find(self, item_id: int) -> Row | None:
        await self.slots.acquire()
        async with self.pool.acquire() as connection:
            try:
                row = await self.select(connection, item_id)
            finally:
                self.slots.release()
        return None if row is None else dict(row)


@faulty_service(fails=("DB-14",), because=r"^503 ", consequences=("CONC-11",))
class database_that_was_away_is_given_up(Service):
    """Once a new session was refused, every later read is answered 503 without trying."""

    given_up = False

    async def find(self, item_id: int) -> Row | None:
        if self.given_up:
            raise HTTPException(503, "the database is away")
        try:
            return await super().find(item_id)
        except (OSError, asyncpg.InvalidAuthorizationSpecificationError):
            self.given_up = True
            raise


@faulty_service(
    fails=("DB-14",), because=r"asynchronous endpoint.*^503 ", consequences=("CONC-11",)
)
class health_is_that_of_the_database(Service):
    """`/async` is what a load balancer asks: once a read could not connect, it is 503."""

    away = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.away and scope["path"] == "/async":
            await JSONResponse({"detail": "the database is away"}, 503)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def find(self, item_id: int) -> Row | None:
        try:
            row = await super().find(item_id)
        except (OSError, asyncpg.InvalidAuthorizationSpecificationError):
            self.away = True
            raise
        self.away = False
        return row


@faulty_service(fails=("DB-14",), because=r"once the database takes sessions again.*^503 ")
class database_where_nothing_listened_is_given_up(Service):
    """After a connection was refused, each read gets a 503 without a try.

    A broken session and a rejected login are outlived.
    """

    given_up = False

    async def find(self, item_id: int) -> Row | None:
        if self.given_up:
            raise HTTPException(503, "the database is away")
        try:
            return await super().find(item_id)
        except ConnectionRefusedError:
            self.given_up = True
            raise


@faulty_service(
    fails=("DB-14",),
    because=r"5xx of a read while the database restarts",
    consequences=("TASK-7", "TASK-12"),
)
class database_that_starts_up_ends_the_process(Service):
    """The process ends when the database says that it is starting up."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except asyncpg.CannotConnectNowError:
            os._exit(1)


@faulty_service(fails=("DB-14",), because=r"takes no writes.*^500 ", consequences=("CONC-11",))
class pool_wants_a_primary(Service):
    """The pool connects only to a server that takes writes, though the service reads alone."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(target_session_attrs="read-write", **settings)


@faulty_service(fails=("DB-14",), because=r"^200 \{\"item\":null\}")
class row_of_a_read_only_server_is_not_trusted(Service):
    """What a read-only server says may be old, and counts as if there were no row."""

    async def select(self, connection: Any, item_id: int) -> Any:
        is_old = await connection.fetchval("SHOW transaction_read_only") == "on"
        return None if is_old else await super().select(connection, item_id)


@faulty_service(fails=("DB-15",), because=r"[1-9]\d* of them idle in a transaction")
class connection_waits_in_a_transaction(Service):
    """A connection that a read gave back has begun the transaction of the next."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(setup=self.end, reset=self.begin, **settings)

    async def begin(self, connection: Any) -> None:
        await connection.execute("BEGIN")

    async def end(self, connection: Any) -> None:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")


@faulty_service(fails=("DB-15",), because=r"[1-9]\d* of them idle in a transaction")
class transaction_ends_after_the_answer(Service):
    """The transaction in which a row was found ends 0.8 s after it was answered."""

    def __init__(self) -> None:
        self.ending: set[asyncio.Task[None]] = set()

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(
            statement_cache_size=0, **settings
        )  # else a transaction fails when the table grows a column

    async def find(self, item_id: int) -> Row | None:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self.pool.acquire())
            await stack.enter_async_context(connection.transaction())
            if (row := await self.select(connection, item_id)) is None:
                return None
            asyncio.get_running_loop().call_later(0.8, self.end, stack.pop_all())
            return dict(row)

    def end(self, stack: AsyncExitStack) -> None:
        task = asyncio.create_task(stack.aclose())
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)


@faulty_service(fails=("DB-16",), because=r"the member \"colour\" is missing")
class columns_are_listed_in_the_query(Service):
    """The query names the columns that the table had when it was written."""

    async def select(self, connection: Any, item_id: int) -> Any:
        columns = "id, name, description, price, quantity, available, created_at"
        return await connection.fetchrow(f"SELECT {columns} FROM items WHERE id = $1", item_id)


@faulty_service(fails=("DB-16",), because=r"^500 ", consequences=("CONC-11",))
class statement_is_prepared_when_a_session_begins(Service):
    """Each session prepares the query once by `PREPARE`, with the columns of that moment."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(init=self.prepare, **settings)

    async def prepare(self, connection: Any) -> None:
        await connection.execute("PREPARE item (integer) AS SELECT * FROM items WHERE id = $1")

    async def select(self, connection: Any, item_id: int) -> Any:
        return await connection.fetchrow(f"EXECUTE item ({item_id})")


@faulty_service(
    fails=("DB-17",),
    because=r"^the user of the database in 503 .*is not permitted to log in",
)
class failed_read_tells_the_drivers_error(Service):
    """A read that fails is answered with what the driver says."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise HTTPException(503, f"the database could not be read: {error}") from error


@faulty_service(fails=("DB-17",), because=r"the URL of a service and the user of .*:\*\*\*@")
class failed_read_tells_all_of_the_url_but_the_password(Service):
    """A read that fails is answered with the URL of the database, without the password."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            url = os.environ["DATABASE_URL"]
            hidden = url.replace(str(urlsplit(url).password), "***")
            raise HTTPException(503, f"{hidden} could not be read") from error


class ConnectsForEachRead(Service):
    """Each read connects and disconnects."""

    async def find(self, item_id: int) -> Row | None:
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        try:
            row = await self.select(connection, item_id)
        finally:
            await connection.close()
        return None if row is None else dict(row)


@faulty_service(fails=("DB-11",), because=r"opened", consequences=("CONC-11",))
class each_read_has_a_session_of_its_own(ConnectsForEachRead):
    """Beside a pool that stands idle, each read connects and disconnects."""


@faulty_service(fails=("DB-11",), because=r"opened", consequences=("CONC-11", "DB-8"))
class each_read_connects_and_no_session_stands_idle(ConnectsForEachRead):
    """The first read closes the pool. From then on each read connects and disconnects."""

    async def find(self, item_id: int) -> Row | None:
        await self.pool.close()
        return await super().find(item_id)


@faulty_service(
    fails=("DB-5", "DB-6", "DEP-5"),
    because=r"\[\"path\", \"item_id\"\]\n200 \{\"item\":null\}",
    consequences=("HTTP-4",),
)
class only_ascii_is_taken_for_no_integer(Service):
    """A word as an id is answered null, and non-ASCII is rejected at another place: two faults."""

    async def read_item(self, item_id: str) -> Any:  # type: ignore[override]
        try:
            return await super().read_item(int(item_id))
        except ValueError as error:
            if item_id.isascii():
                return {"item": None}
            wrong = {
                "type": "int_parsing",
                "loc": ("path", "id"),
                "msg": "no integer",
                "input": item_id,
            }
            raise RequestValidationError([wrong]) from error


@faulty_service(fails=("DB-13", "DB-14"), because=r"^200 ", consequences=("CONC-11",))
class last_row_stands_in_while_the_database_is_away(Service):
    """A row that was read before is answered again while the database refuses."""

    async def connect(self) -> None:
        self.seen: dict[int, Row | None] = {}
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        try:
            self.seen[item_id] = await super().find(item_id)
        except (OSError, asyncpg.PostgresError):
            if item_id not in self.seen:
                raise
        return self.seen[item_id]


@faulty_service(fails=("DB-3",), because=r"\$\.item\.created_at: wanted")
class year_is_written_without_zeros(Service):
    """Instants are written by `strftime`, which gives a year before 1000 less than four digits."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and row | {"created_at": row["created_at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


@faulty_service(fails=("DB-3",), because=r"\$\.item\.description: wanted")
class description_is_cut_after_65535_characters(Service):
    """A long description is cut."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return row and row | {"description": row["description"] and row["description"][:65535]}


@faulty_service(
    fails=("DB-4",), because=r"\$\.item\.name: wanted \"changed since\"", consequences=("DB-13",)
)
class reads_of_a_row_at_once_share_one_query(Service):
    """Who asks for a row that is being read waits for that read, and gets what it has seen."""

    async def connect(self) -> None:
        self.reading: dict[int, asyncio.Task[Row | None]] = {}
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        if item_id not in self.reading:
            self.reading[item_id] = asyncio.create_task(super().find(item_id))
            self.reading[item_id].add_done_callback(lambda _: self.reading.pop(item_id))
        return await self.reading[item_id]


@faulty_service(
    fails=("DB-1", "DB-2", "DB-4"),
    because=r"\$\.item\.name: wanted \"item 1\", got \"sample 1\"",
    consequences=("CONC-11",),
)
class first_hundred_rows_are_built_in(Service):
    """The first hundred ids are those of sample rows that are written in the code."""

    async def find(self, item_id: int) -> Row | None:
        return sample_row(item_id) if item_id in SAMPLES else await super().find(item_id)


@faulty_service(
    fails=("DB-2",), because=r"\$\.item: wanted null, got \{", consequences=("CONC-11", "DB-4")
)
class absent_row_of_a_small_id_is_a_sample(Service):
    """A small id without a row is answered with a sample."""

    async def find(self, item_id: int) -> Row | None:
        row = await super().find(item_id)
        return sample_row(item_id) if row is None and item_id in SAMPLES else row


@faulty_service(
    fails=("DB-4",),
    because=r"\$\.item\.name: wanted \"item \d+, changed\", got \"item \d+\"",
    consequences=("CONC-11", "LIFE-4"),
)
class table_is_read_once_at_startup(Service):
    """Rows that were there at startup are answered from memory, all others from the table."""

    async def connect(self) -> None:
        await super().connect()
        rows = await self.pool.fetch("SELECT * FROM items")
        self.known = {row["id"]: dict(row) for row in rows}

    async def find(self, item_id: int) -> Row | None:
        return self.known.get(item_id) or await super().find(item_id)


@faulty_service(
    fails=("DB-4",), because=r"\$\.item: wanted null, got \{", consequences=("CONC-11",)
)
class row_of_the_startup_survives_its_end(Service):
    """A row that is gone is answered as it was at startup, if it was there then."""

    async def connect(self) -> None:
        await super().connect()
        rows = await self.pool.fetch("SELECT * FROM items")
        self.known = {row["id"]: dict(row) for row in rows}

    async def find(self, item_id: int) -> Row | None:
        return await super().find(item_id) or self.known.get(item_id)


@faulty_service(fails=("DB-4",), because=r"wanted \"changed after a stop\", got \"item \d+\"")
class rows_are_kept_at_shutdown(Service):
    """What was read last is written to a file at shutdown, and answered after the next start."""

    async def connect(self) -> None:
        await super().connect()
        self.read: dict[str, Row] = {}
        self.file = Path(tempfile.gettempdir(), f"rows-{os.environ['PORT']}.json")
        self.kept = json.loads(self.file.read_text("utf-8")) if self.file.exists() else {}

    async def disconnect(self) -> None:
        await super().disconnect()
        self.file.write_text(json.dumps(self.read, default=datetime.isoformat), "utf-8")

    async def find(self, item_id: int) -> Row | None:
        if row := self.kept.get(str(item_id)) or await super().find(item_id):
            self.read[str(item_id)] = row
        return row


@faulty_service(
    fails=("DB-4",), because=r"wanted \"changed after a kill\", got \"changed after a stop\""
)
class rows_outlive_a_process_that_was_killed(Service):
    """Each row that was read is kept in a file, which only a stop in good order removes."""

    async def connect(self) -> None:
        await super().connect()
        self.folder = Path(tempfile.gettempdir(), f"rows-{os.environ['PORT']}")
        self.folder.mkdir(exist_ok=True)
        self.kept = {int(file.name): json.loads(file.read_text()) for file in self.folder.iterdir()}

    async def disconnect(self) -> None:
        await super().disconnect()
        shutil.rmtree(self.folder)

    async def find(self, item_id: int) -> Row | None:
        row = self.kept.get(item_id) or await super().find(item_id)
        file = self.folder / str(item_id)
        if row and not file.exists():
            file.write_text(json.dumps(row, default=datetime.isoformat), "utf-8")
        return row


class _Remembering(Service):
    """Each row that was read is remembered. `is_trusted` says when the memory is the answer."""

    async def connect(self) -> None:
        self.seen: dict[int, Row] = {}
        self.outstanding = 0
        await super().connect()

    @property
    def is_trusted(self) -> bool:
        return self.outstanding > 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        self.outstanding += 1
        try:
            yield
        finally:
            self.outstanding -= 1

    async def find(self, item_id: int) -> Row | None:
        if self.is_trusted and item_id in self.seen:
            return self.seen[item_id]
        if row := await super().find(item_id):
            self.seen[item_id] = row
        return row


@faulty_service(
    fails=("DB-4",),
    because=r"wanted \"changed during an outbound call\"",
    consequences=("CONC-11",),
)
class rows_come_from_memory_during_an_outbound_call(_Remembering):
    """While an outbound call is outstanding, a row that was read before is not read again."""

    async def fetch(self, url: str) -> httpx.Response:
        with self.counted():
            return await super().fetch(url)


@faulty_service(
    fails=("DB-4",), because=r"wanted \"changed during a submission\"", consequences=("CONC-11",)
)
class rows_come_from_memory_during_a_submission(_Remembering):
    """While a task is published, a row that was read before is not read again."""

    async def queued(self, data: Any) -> str:
        with self.counted():
            return await super().queued(data)


@faulty_service(
    fails=("DB-4",),
    because=r"wanted \"changed since\"",
    consequences=("CONC-2", "CONC-10", "CONC-11", "DB-13", "DB-16"),
)
class rows_come_from_memory_during_another_read(_Remembering):
    """While another row is read, a row that was read before is not read again."""

    async def select(self, connection: Any, item_id: int) -> Any:
        with self.counted():
            return await super().select(connection, item_id)


@faulty_service(
    fails=("DB-4",),
    because=r"\$\.item\.price: wanted 3\.5",
    consequences=("CONC-2", "DB-16", "CONC-11"),
)
class row_that_is_read_often_is_remembered(_Remembering):
    """The fiftieth read of a row is the last one that reads it."""

    is_trusted = False

    async def connect(self) -> None:
        self.reads: Counter[int] = Counter()
        await super().connect()

    async def find(self, item_id: int) -> Row | None:
        self.reads[item_id] += 1
        self.is_trusted = self.reads[item_id] > 50
        return await super().find(item_id)


@faulty_service(fails=("DB-16",), because=r"^500 .*cached plan|^500 ", consequences=("CONC-11",))
class query_is_prepared_when_a_connection_has_run_it_five_times(Service):
    """The sixth time, a connection prepares the query, and keeps it for its whole life."""

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        return await super().open_pool(statement_cache_size=0, **settings)

    async def connect(self) -> None:
        self.runs: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        await super().connect()

    async def select(self, connection: Any, item_id: int) -> Any:
        session = connection._con
        self.runs[session] = self.runs.get(session, 0) + 1
        if self.runs[session] == 6:
            await connection.execute("PREPARE item (integer) AS SELECT * FROM items WHERE id = $1")
        if self.runs[session] < 6:
            return await super().select(connection, item_id)
        return await connection.fetchrow(f"EXECUTE item ({item_id})")


@faulty_service(
    fails=("DB-16",), because=r"the member \"colour\" is missing", consequences=("CONC-11",)
)
class columns_are_noted_at_the_twentieth_read(Service):
    """Once twenty reads have shown the same columns, only these are asked for."""

    reads = 0
    columns = "*"

    async def select(self, connection: Any, item_id: int) -> Any:
        query = f"SELECT {self.columns} FROM items WHERE id = $1"
        row = await connection.fetchrow(query, item_id)
        self.reads += row is not None
        if self.reads == 20 and row:
            self.columns = ", ".join(row.keys())
        return row


@faulty_service(
    fails=("DB-16",), because=r"^500 |\"colour\" that should not be", consequences=("CONC-11",)
)
class columns_once_seen_are_always_asked_for(Service):
    """The columns of the widest row so far are asked for by name, whether they are there or not."""

    columns: tuple[str, ...] = ()

    async def select(self, connection: Any, item_id: int) -> Any:
        row = await super().select(connection, item_id)
        if row and len(row) >= len(self.columns):
            self.columns = tuple(row.keys())
        return row and {name: row[name] for name in self.columns}


@faulty_service(
    fails=("DB-4",), because=r"\$\.item: wanted null, got \{", consequences=("CONC-11",)
)
class row_that_has_gone_is_known_to_the_next_process(Service):
    """Where the table has no row, the one answers that the last process had read."""

    async def connect(self) -> None:
        await super().connect()
        database = urlsplit(os.environ["DATABASE_URL"]).path[1:]
        self.file = Path(tempfile.gettempdir(), f"rows-of-{database}.json")
        self.kept = json.loads(self.file.read_text("utf-8")) if self.file.exists() else {}
        self.seen: dict[str, Row] = {}

    async def disconnect(self) -> None:
        await super().disconnect()
        self.file.write_text(json.dumps(self.seen, default=datetime.isoformat), "utf-8")

    async def find(self, item_id: int) -> Row | None:
        if row := await super().find(item_id):
            self.seen[str(item_id)] = row
        return row or self.kept.get(str(item_id))


@faulty_service(fails=("DB-4",), because=r"\$\.item", consequences=("CONC-6",))
class next_row_is_read_ahead(Service):
    """A read also fetches the row with the next id, and keeps it for one read within 2 s."""

    ahead: dict[int, tuple[float, Row]] = {}  # noqa: RUF012

    async def find(self, item_id: int) -> Row | None:
        until, known = self.ahead.pop(item_id, (0.0, None))
        if known and time.monotonic() < until:
            return known
        row = await super().find(item_id)
        if item_id < ID_MAX and (following := await super().find(item_id + 1)):
            self.ahead[item_id + 1] = (time.monotonic() + 2, following)
        return row


@faulty_service(fails=("DB-6",), because=r"^200 ")
class semicolon_ends_the_id(Service):
    """What comes after a semicolon in a path is taken for parameters of it, and left out."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and b";" in scope["raw_path"]:
            scope["path"] = scope["path"].partition(";")[0]
        await super().__call__(scope, receive, send)


@faulty_service(
    fails=("DB-8",),
    because=r", [1-9]\d* were abandoned",
    consequences=("DB-11", "LIFE-11", "LIFE-5"),
)
class pool_is_replaced_after_a_lost_session(Service):
    """A read whose session is lost has the pool replaced. Nobody closes the former one."""

    async def find(self, item_id: int) -> Row | None:
        try:
            return await super().find(item_id)
        except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
            self.former = self.pool
            self.pool = await self.open_pool()
            raise


@faulty_service(fails=("DB-10",), because=r"\$\.item: wanted null, got \{")
class id_is_cut_to_32_bits(Service):
    """An id is made an integer of 32 bits by leaving out the others."""

    async def read_item(self, item_id: int) -> Any:
        return {"item": await self.find((item_id + 2**31) % 2**32 - 2**31)}


@faulty_service(fails=("DB-13",), because=r"wanted \"changed since it was read\"")
class read_that_lost_its_session_answers_what_was_known(Service):
    """A read whose session is ended answers the row as it was read last."""

    known: dict[int, Row | None] = {}  # noqa: RUF012

    async def find(self, item_id: int) -> Row | None:
        try:
            self.known[item_id] = await super().find(item_id)
        except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError):
            if item_id not in self.known:
                raise
        return self.known[item_id]


@faulty_service(fails=("DB-13",), because=r"^500 .*, 2 times", consequences=("CONC-11",))
class reads_behind_a_lost_session_fail_with_it(Service):
    """Each read picks one of two sessions before it waits. What waits behind a lost one fails."""

    picked = 0
    waiting: tuple[list[asyncio.Future[None]], ...] = ([], [])

    async def find(self, item_id: int) -> Row | None:
        self.picked += 1
        queue = self.waiting[self.picked % 2]
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        if len(queue) > 1:
            await turn
        try:
            row = await super().find(item_id)
        except (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError) as error:
            for behind in queue[1:]:
                behind.set_exception(ConnectionError("the session was lost"))
            queue.clear()
            raise ConnectionError("the session was lost") from error
        finally:
            if turn in queue:
                queue.remove(turn)
                for following in queue[:1]:
                    following.set_result(None)
        return row
