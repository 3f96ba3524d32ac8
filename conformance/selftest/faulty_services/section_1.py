"""Faults in section 1: what should overlap waits, or is mixed up when it overlaps."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import json
import os
import tempfile
import threading
import time
from collections import deque
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import redis
from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from conformance.selftest.faulty_services.service import (
    ID_MAX,
    ID_MIN,
    Receive,
    Row,
    Scope,
    Send,
    Service,
    celery_application,
    completed,
)
from conformance.selftest.faulty_services.table import faulty_service


@faulty_service(
    fails=("CONC-1",),
    because=r"^10 of them, and no other while",
    consequences=("CONC-7", "CONC-10", "UP-6"),
)
class outbound_calls_wait_for_one_of_ten_connections(Service):
    """The pool of the outbound client has ten connections. The eleventh call waits for another."""

    limits = httpx.Limits(max_connections=10)


@faulty_service(
    fails=("CONC-1",),
    because=r"^1 of them, and no other while",
    consequences=("CONC-7", "CONC-10", "UP-6"),
    inconclusive=("CONC-6",),
)
class outbound_calls_at_once_share_one_answer(Service):
    """A call that comes during another one makes no request, and takes the answer of the other."""

    outstanding: asyncio.Task[httpx.Response] | None = None

    async def fetch(self, url: str) -> httpx.Response:
        if self.outstanding is None or self.outstanding.done():
            self.outstanding = asyncio.create_task(super().fetch(url))
        return await asyncio.shield(self.outstanding)


@faulty_service(
    fails=("CONC-1", "CONC-3"),
    because=r"^1 of them, and no other while",
    consequences=("CONC-5", "CONC-7", "CONC-10", "CONC-11", "UP-6", "LIFE-4", "LIFE-5"),
    inconclusive=("CONC-6",),
)
class outbound_call_blocks_the_event_loop(Service):
    """The outbound call is made by a synchronous client inside the coroutine."""

    async def connect(self) -> None:
        await super().connect()
        self.synchronous = httpx.Client(timeout=30, trust_env=False, cookies=self.make_cookies())

    async def fetch(self, url: str) -> httpx.Response:
        return self.synchronous.get(url)


@faulty_service(
    fails=("CONC-3",),
    because=r"an answer of /process-data/ while outbound calls are held",
    consequences=("CONC-7", "UP-6", "CONC-10", "CONC-8"),
)
class outbound_calls_take_the_threads_of_submissions(Service):
    """Outbound calls wait in the same twenty threads as submissions to the broker."""

    async def fetch(self, url: str) -> httpx.Response:
        return await asyncio.get_running_loop().run_in_executor(
            self.submitters, lambda: httpx.get(url, timeout=30, trust_env=False)
        )


@faulty_service(
    fails=("CONC-2",),
    because=r"^1 reads wait in pg_locks",
    consequences=("CONC-10",),
    inconclusive=("DB-13",),
)
class reads_share_one_connection(Service):
    """The pool of database connections has one, so reads take turns."""

    pool_sizes = (1, 1)


@faulty_service(
    fails=("CONC-2", "CONC-4", "CONC-5"),
    because=r"^1 reads wait in pg_locks",
    consequences=("CONC-10", "CONC-11", "DB-11", "DEP-8", "LIFE-4", "LIFE-5"),
    inconclusive=("DB-13",),
)
class read_blocks_the_event_loop(Service):
    """The coroutine waits for its row synchronously, as it does with a synchronous driver."""

    async def connect(self) -> None:
        await super().connect()
        self.driver = asyncio.new_event_loop()
        threading.Thread(target=self.driver.run_forever, daemon=True).start()

    async def find(self, item_id: int) -> Row | None:
        return asyncio.run_coroutine_threadsafe(self.find_alone(item_id), self.driver).result()

    async def find_alone(self, item_id: int) -> Row | None:
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        row = await self.select(connection, item_id)
        await connection.close()
        return None if row is None else dict(row)


@faulty_service(
    fails=("CONC-4",), because=r"an answer of /items/abc while 15 reads are outstanding"
)
class invalid_id_is_rejected_with_a_connection_in_hand(Service):
    """An id is checked once a connection is free, so none is rejected while reads hold them."""

    async def read_item(self, item_id: str) -> Any:  # type: ignore[override]
        async with self.pool.acquire():
            try:
                number = int(item_id)
            except ValueError as error:
                location = {
                    "type": "int_parsing",
                    "loc": ("path", "item_id"),
                    "msg": "no integer",
                    "input": item_id,
                }
                raise RequestValidationError([location]) from error
        return await super().read_item(number)


@faulty_service(fails=("CONC-4",), because=r"^503 ")
class sync_is_refused_while_many_reads_are_outstanding(Service):
    """While ten reads are outstanding, the service takes itself for overloaded, and refuses."""

    reading = 0

    async def find(self, item_id: int) -> Row | None:
        self.reading += 1
        try:
            return await super().find(item_id)
        finally:
            self.reading -= 1

    def read_sync(self) -> Any:
        if self.reading > 10:
            raise HTTPException(503, "overloaded")
        return super().read_sync()


@faulty_service(
    fails=("CONC-5",),
    because=r"^a read that waits, and no outbound call",
    consequences=("CONC-11", "LIFE-4", "LIFE-5"),
)
class upstream_is_spared_while_a_read_is_held(Service):
    """While a read is longer than a second, `/external-data` repeats the last document."""

    reads: set[asyncio.Future[Row | None]] = set()  # noqa: RUF012
    last = "[]"

    async def find(self, item_id: int) -> Row | None:
        reading = asyncio.ensure_future(super().find(item_id))
        self.reads.add(reading)
        reading.add_done_callback(self.reads.discard)
        return await reading

    async def fetch(self, url: str) -> httpx.Response:
        if self.reads and (await asyncio.wait(self.reads, timeout=1))[1]:
            return httpx.Response(200, text=self.last)
        return await super().fetch(url)

    def document(self, response: httpx.Response) -> str:
        self.last = super().document(response)
        return self.last


@faulty_service(
    fails=("CONC-6",),
    because=r"\$\.item\.id: wanted \d+, got \d+",
    consequences=("CONC-11", "DB-15", "DB-4", "DB-13"),
)
class wanted_id_is_kept_on_the_service(Service):
    """The id is kept on the service across an `await`. A read that waited returns another row."""

    async def find(self, item_id: int) -> Row | None:
        self.wanted = item_id
        if await super().find(item_id) is None:
            return None
        return await super().find(self.wanted)


@faulty_service(
    fails=("CONC-3",),
    because=r"^429 ",
    consequences=(
        "CONC-4",
        "CONC-7",
        "CONC-11",
        "UP-6",
        "DB-4",
        "CONC-10",
        "LIFE-4",
        "LIFE-5",
        "CONC-9",
    ),
)
class busy_while_an_outbound_call_is_held(Service):
    """While an outbound call is outstanding, every other endpoint answers 429."""

    outstanding = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.outstanding and scope["path"] != "/external-data":
            await JSONResponse({"detail": "busy"}, 429)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def fetch(self, url: str) -> httpx.Response:
        self.outstanding += 1
        try:
            return await super().fetch(url)
        finally:
            self.outstanding -= 1


@faulty_service(
    fails=("CONC-7",), because=r"^40 of them, and no other while", consequences=("CONC-10",)
)
class outbound_calls_wait_for_one_of_forty_connections(Service):
    """The pool of the outbound client has forty connections. The forty-first call waits."""

    limits = httpx.Limits(max_connections=40)


@faulty_service(
    fails=("CONC-8",),
    because=r"an answer of /async while the broker takes 35 submissions and does not answer",
    consequences=("CONC-11",),
)
class publishing_blocks_the_event_loop(Service):
    """The coroutine itself publishes the task, and blocks until the broker has answered."""

    tasks = celery_application(
        completed, broker_transport_options={"max_retries": 1, "interval_start": 0}
    )

    async def queued(self, data: Any) -> str:
        return self.publish(data)


@faulty_service(
    fails=("CONC-9",),
    because=r"an answer of /async while the broker refuses the service",
    consequences=("CONC-11",),
)
class broker_is_waited_for_in_the_event_loop(Service):
    """While the broker refuses, the coroutine itself tries again for eight seconds."""

    async def queued(self, data: Any) -> str:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            for _ in range(16):
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    time.sleep(0.5)  # noqa: ASYNC251
        return await super().queued(data)


@faulty_service(fails=("CONC-10",), because=r"^1 reads wait in pg_locks", consequences=("CONC-11",))
class clients_that_leave_lower_the_reads_at_once(Service):
    """Each client that left halves the limit of reads at once. Fifty answers raise it by one."""

    limit = most = 10
    reading = answered = 0

    async def connect(self) -> None:
        await super().connect()
        self.turns = asyncio.Condition()

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        async with self.turns:
            await self.turns.wait_for(lambda: self.reading < self.limit)
            self.reading += 1
        try:
            found = await super().read_item(item_id)
            self.answered += 1
            raised = min(self.most, self.limit + (self.answered % 50 == 0))
            self.limit = max(1, self.limit // 2) if await request.is_disconnected() else raised
        finally:
            self.reading -= 1
            async with self.turns:
                self.turns.notify_all()
        return found


@faulty_service(fails=("CONC-10",), because=r"^no outbound call could be held: GET /external-data")
class client_that_left_closes_the_outbound_client(Service):
    """When a client has left, the outbound client is closed, which belongs to all of them."""

    async def external_data(self, request: Request) -> Response:  # type: ignore[override]
        answer = await super().external_data()
        if await request.is_disconnected():
            await self.upstream.aclose()
        return answer


@faulty_service(fails=("CONC-11",), because=r"503 ")
class refused_submission_stops_outbound_calls(Service):
    """A submission that the broker refused stops all outbound calls until one is accepted."""

    broken = False

    async def submit(self, data: Any) -> str:
        try:
            task_id = await super().submit(data)
        except HTTPException:
            self.broken = True
            raise
        self.broken = False
        return task_id

    async def fetch(self, url: str) -> httpx.Response:
        if self.broken:
            raise HTTPException(503, "try again later")
        return await super().fetch(url)


@faulty_service(
    fails=("CONC-2",),
    because=r"^1 reads wait in pg_locks",
    consequences=("CONC-10",),
    inconclusive=("DB-13",),
)
class reads_are_gathered_for_one_query_at_a_time(Service):
    """Reads that come during a query are gathered. One query reads them all when it has ended."""

    query: asyncio.Task[dict[int, Row]] | None = None

    async def connect(self) -> None:
        await super().connect()
        self.gathered: set[int] = set()
        self.turn = asyncio.Lock()

    async def find(self, item_id: int) -> Row | None:
        self.gathered.add(item_id)
        self.query = self.query or asyncio.create_task(self.find_gathered())
        return (await asyncio.shield(self.query)).get(item_id)

    async def find_gathered(self) -> dict[int, Row]:
        async with self.turn:
            wanted, self.gathered, self.query = self.gathered, set(), None
            rows = await self.pool.fetch("SELECT * FROM items WHERE id = ANY($1)", wanted)
        return {row["id"]: dict(row) for row in rows}


@faulty_service(
    fails=("CONC-5", "CONC-4"),
    because=r"^a read that waits, and no outbound call",
    consequences=("CONC-11", "LIFE-4", "LIFE-5", "CONC-10"),
)
class outbound_calls_wait_until_no_read_is_outstanding(Service):
    """Reads go first: an outbound call begins when none of them is outstanding."""

    reading = 0

    async def connect(self) -> None:
        await super().connect()
        self.turns = asyncio.Condition()

    async def find(self, item_id: int) -> Row | None:
        self.reading += 1
        try:
            return await super().find(item_id)
        finally:
            self.reading -= 1
            async with self.turns:
                self.turns.notify_all()

    async def fetch(self, url: str) -> httpx.Response:
        async with self.turns:
            await self.turns.wait_for(lambda: not self.reading)
        return await super().fetch(url)


@faulty_service(
    fails=("CONC-6",),
    because=r"\$\.item\.id: wanted \d+, got \d+",
    consequences=("CONC-11", "DB-15", "DB-4", "DB-13"),
)
class row_goes_to_the_caller_that_came_last(Service):
    """Callers wait on one stack. Each row goes to the one on top, whoever asked for it."""

    async def connect(self) -> None:
        await super().connect()
        self.callers: list[asyncio.Future[Row | None]] = []

    async def find(self, item_id: int) -> Row | None:
        caller: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self.callers.append(caller)
        row = await super().find(item_id)
        self.callers.pop().set_result(row)
        return await caller


@faulty_service(fails=("CONC-7",), because=r"an answer of /sync while 64 outbound calls are held")
class outbound_calls_take_the_threads_of_plain_functions(Service):
    """Outbound calls block the threads of plain functions, all sixty-four. `/sync` finds none."""

    async def connect(self) -> None:
        await super().connect()
        current_default_thread_limiter().total_tokens = 64
        self.caller = httpx.Client(limits=self.limits, cookies=self.make_cookies())

    async def disconnect(self) -> None:
        await super().disconnect()
        self.caller.close()

    async def fetch(self, url: str) -> httpx.Response:
        return await run_sync(self.caller.get, url)


@faulty_service(
    fails=("CONC-8",),
    because=r"an answer of /async while the broker takes 35 submissions and does not answer",
    consequences=("CONC-9",),
)
class submission_is_counted_until_it_is_published(Service):
    """The lock of a counter is held while a task is published, and `/async` waits for that lock."""

    tasks = celery_application(
        completed, broker_transport_options={"max_retries": 1, "interval_start": 0}
    )
    count = 0

    async def connect(self) -> None:
        await super().connect()
        self.counting = asyncio.Lock()

    async def read_async(self) -> Any:
        async with self.counting:
            self.count += 1
        return await super().read_async()

    async def queued(self, data: Any) -> str:
        async with self.counting:
            self.count += 1
            return await super().queued(data)


@faulty_service(
    fails=("CONC-9",), because=r"an answer of /async while the broker refuses the service"
)
class async_waits_until_a_submission_has_its_broker(Service):
    """A thread waits for the broker by Celery's own retries, and `/async` waits for the thread."""

    async def connect(self) -> None:
        await super().connect()
        self.sure = asyncio.Event()
        self.sure.set()

    async def read_async(self) -> Any:
        await self.sure.wait()
        return await super().read_async()

    async def queued(self, data: Any) -> str:
        self.sure.clear()
        try:
            await asyncio.get_running_loop().run_in_executor(self.submitters, self.make_sure)
        finally:
            self.sure.set()
        return await super().queued(data)

    def make_sure(self) -> None:
        with self.tasks.connection_for_write() as connection:
            connection.ensure_connection(max_retries=4, interval_start=1, interval_step=0)


@faulty_service(fails=("CONC-10",), because=r"no read could be held")
class client_that_left_while_it_waited_keeps_its_connection(Service):
    """A read that gets its turn after its client has left never gives its connection back."""

    pool_sizes = (2, 8)

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        if not ID_MIN <= item_id <= ID_MAX:
            return {"item": None}
        connection = await self.pool.acquire()
        if await request.is_disconnected():
            return Response(status_code=499)
        try:
            row = await self.select(connection, item_id)
        finally:
            await self.pool.release(connection)
        return {"item": None if row is None else dict(row)}


@faulty_service(fails=("CONC-3", "CONC-11"), because=r"^503 .*given up")
class submission_ends_the_outbound_calls(Service):
    """A submission comes first: the outbound calls of that moment are cancelled for it."""

    async def connect(self) -> None:
        await super().connect()
        self.calls: set[asyncio.Task[httpx.Response]] = set()

    async def fetch(self, url: str) -> httpx.Response:
        call = asyncio.create_task(super().fetch(url))
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)
        await asyncio.wait([call])
        if call.cancelled():
            raise HTTPException(503, "given up for a submission")
        return call.result()

    async def queued(self, data: Any) -> str:
        for call in self.calls:
            call.cancel()
        return await super().queued(data)


@faulty_service(
    fails=("CONC-2",), because=r"^1 reads wait in pg_locks", consequences=("CONC-10", "DB-13")
)
class reads_of_rows_that_are_known_take_turns(Service):
    """A lock is held around the read of a row that was read before."""

    async def connect(self) -> None:
        await super().connect()
        self.turn = asyncio.Lock()
        self.known: set[int] = set()

    async def find(self, item_id: int) -> Row | None:
        async with self.turn if item_id in self.known else nullcontext():
            row = await super().find(item_id)
        if row:
            self.known.add(item_id)
        return row


@faulty_service(
    fails=("CONC-6",),
    because=r"\$\.item\.id: wanted \d+, got \d+",
    consequences=("CONC-2", "CONC-10", "CONC-11", "DB-4", "DB-13", "DB-15"),
)
class reads_at_once_are_told_apart_by_their_last_digit(Service):
    """A read that comes during another one whose id ends in the same digit takes its row."""

    async def connect(self) -> None:
        await super().connect()
        self.outstanding: dict[int, asyncio.Task[Row | None]] = {}

    async def find(self, item_id: int) -> Row | None:
        task = self.outstanding.get(item_id % 10)
        if task is None or task.done():
            task = self.outstanding[item_id % 10] = asyncio.create_task(super().find(item_id))
        return await asyncio.shield(task)


@faulty_service(
    fails=("CONC-6",), because=r"that no other request was given.*nonce", consequences=("CONC-11",)
)
class document_goes_to_every_call_that_waits(Service):
    """The first document that comes is the answer of every call that is outstanding then."""

    async def connect(self) -> None:
        await super().connect()
        self.outstanding: list[asyncio.Future[httpx.Response]] = []

    async def fetch(self, url: str) -> httpx.Response:
        answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
        self.outstanding.append(answer)
        try:
            response = await super().fetch(url)
        except httpx.HTTPError:
            self.outstanding.remove(answer)
            raise
        waiting, self.outstanding = self.outstanding, []
        for each in waiting:
            each.set_result(response)
        return await answer


@faulty_service(
    fails=("CONC-10",),
    because=r"no outbound call could be held",
    consequences=("CONC-11",),
)
class client_that_left_keeps_a_slot_of_eighty_eight(Service):
    """Outbound calls take one of 88 slots, which a client that left never gives back."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(88)

    async def external_data(self, request: Request) -> Any:  # type: ignore[override]
        await self.slots.acquire()
        try:
            answer = await super().external_data()
        except HTTPException:
            self.slots.release()
            raise
        if not await request.is_disconnected():
            self.slots.release()
        return answer


@faulty_service(fails=("CONC-11",), because=r"^200 \{\"document\": ?\d\} — \$.*: wanted")
class document_outlives_a_restart(Service):
    """The last document is kept in a file, and answers the first call after a start.

    It stands in for a document that has the same members, and for no other.
    """

    kept: bytes | None = None

    async def connect(self) -> None:
        await super().connect()
        database = urlsplit(os.environ["DATABASE_URL"]).path[1:]
        self.file = Path(tempfile.gettempdir(), f"document-of-{database}")
        if self.file.exists():
            self.kept = self.file.read_bytes()

    async def fetch(self, url: str) -> httpx.Response:
        response = await super().fetch(url)
        if not response.is_success:
            return response
        self.file.write_bytes(response.content)
        kept, self.kept = self.kept, None
        members = list_members(response.content)
        is_alike = kept and members and list_members(kept) == members
        return httpx.Response(200, content=kept) if is_alike else response


def list_members(content: bytes) -> list[str] | None:
    """The members of a JSON object; None of anything else."""
    with suppress(ValueError, RecursionError):
        document = json.loads(content)
        return sorted(document) if isinstance(document, dict) else None
    return None


@faulty_service(fails=("CONC-11",), because=r"^503 .*out of date")
class changed_table_stops_submissions(Service):
    """A row of other columns than the first one stops submissions, until one has these again."""

    width = 0
    is_out_of_date = False

    async def find(self, item_id: int) -> Row | None:
        if row := await super().find(item_id):
            self.width = self.width or len(row)
            self.is_out_of_date = len(row) != self.width
        return row

    async def submit(self, data: Any) -> str:
        if self.is_out_of_date:
            raise HTTPException(503, "the service is out of date")
        return await super().submit(data)


@faulty_service(fails=("CONC-11",), because=r"\$\.item: wanted \{.*, got null")
class small_ids_are_absent_after_a_refused_submission(Service):
    """Once a submission was refused, small ids count as absent until one is accepted."""

    is_refused = False

    async def submit(self, data: Any) -> str:
        try:
            task_id = await super().submit(data)
        except HTTPException:
            self.is_refused = True
            raise
        self.is_refused = False
        return task_id

    async def find(self, item_id: int) -> Row | None:
        return None if self.is_refused and item_id < 1000 else await super().find(item_id)


@faulty_service(
    fails=("CONC-1",),
    because=r"^503 .*, \d+ times",
    consequences=("CONC-3", "CONC-7", "CONC-10", "UP-6"),
)
class answers_beyond_sixteen_at_once_are_shed(Service):
    """A call that ends while more than sixteen are outstanding is answered 503."""

    outstanding = 0

    async def fetch(self, url: str) -> httpx.Response:
        self.outstanding += 1
        try:
            response = await super().fetch(url)
            if self.outstanding > 16:
                raise HTTPException(503, "too much at once")
        finally:
            self.outstanding -= 1
        return response


@faulty_service(
    fails=("CONC-2",),
    because=r"^no complete answer within \d+ s, \d+ times",
    consequences=(
        "CONC-4",
        "CONC-10",
        "CONC-11",
        "CONC-13",
        "DB-12",
        "DB-13",
        "DB-14",
        "DB-4",
        "DB-16",
    ),
)
class each_read_takes_two_connections(Service):
    """A read has its row, and takes another connection before it gives the first one back.

    When ten readers have their rows at once, none goes on.
    """

    async def find(self, item_id: int) -> Row | None:
        async with self.pool.acquire() as connection:
            row = await self.select(connection, item_id)
            async with self.pool.acquire():
                return None if row is None else dict(row)


@faulty_service(fails=("CONC-2",), because=r"^no complete answer within \d+ s, \d+ times")
class thirty_reads_at_most_wait_for_their_turn(Service):
    """Ten reads go on at once. Of the others, the last thirty are remembered, and no more."""

    reading = 0

    async def connect(self) -> None:
        await super().connect()
        self.waiting: deque[asyncio.Future[None]] = deque(maxlen=30)

    async def find(self, item_id: int) -> Row | None:
        if self.reading == 10:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        else:
            self.reading += 1
        try:
            return await super().find(item_id)
        finally:
            if self.waiting:
                self.waiting.popleft().set_result(None)
            else:
                self.reading -= 1


@faulty_service(
    fails=("CONC-3",),
    because=r"an answer of /no-such-path while outbound calls are held",
    consequences=("CONC-7", "UP-6"),
)
class unknown_paths_wait_until_no_outbound_call_is_outstanding(Service):
    """The page of the status 404 is made when no outbound call is outstanding."""

    outstanding = 0

    async def connect(self) -> None:
        await super().connect()
        self.turns = asyncio.Condition()

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)

        async def not_found(_: Request, __: Exception) -> Response:
            async with self.turns:
                await self.turns.wait_for(lambda: not self.outstanding)
            return JSONResponse({"detail": "Not Found"}, 404)

        application.exception_handler(404)(not_found)

    async def fetch(self, url: str) -> httpx.Response:
        self.outstanding += 1
        try:
            return await super().fetch(url)
        finally:
            self.outstanding -= 1
            async with self.turns:
                self.turns.notify_all()


@faulty_service(
    fails=("CONC-4",),
    because=r"an answer of /process-data/ with a body that is no object while 15 reads",
)
class rejected_bodies_are_counted_with_a_connection_in_hand(Service):
    """What is wrong with a body is kept in the database, so it waits for a connection."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)

        async def reject(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError)
            if request.method == "POST":
                async with self.pool.acquire() as connection:
                    await connection.execute("SELECT 1")
            return await self.reject(request, error)

        application.exception_handler(RequestValidationError)(reject)


@faulty_service(
    fails=("CONC-8",),
    because=r"an answer of /external-data while the broker takes 35 submissions",
    consequences=("CONC-9",),
)
class submissions_take_the_threads_of_name_resolution(Service):
    """Tasks are published in asyncio's own executor, in which host names are resolved as well."""

    async def queued(self, data: Any) -> str:
        return await asyncio.to_thread(self.publish, data)

    async def fetch(self, url: str) -> httpx.Response:
        host = httpx.URL(url).host
        await asyncio.get_running_loop().getaddrinfo(host, None)
        return await super().fetch(url)


@faulty_service(
    fails=("CONC-8",),
    because=r"an answer of /sync while the broker takes 35 submissions",
    consequences=("CONC-9",),
)
class sync_waits_for_the_lock_of_publishing(Service):
    """Publishing and `/sync` count in the same table of figures, under one lock."""

    figures = threading.Lock()
    count = 0

    def read_sync(self) -> Any:
        with self.figures:
            self.count += 1
        return super().read_sync()

    def publish(self, data: Any, **options: Any) -> str:
        with self.figures:
            self.count += 1
            return super().publish(data, **options)


@faulty_service(
    fails=("CONC-9",),
    because=r"submissions that were refused.*^no complete answer",
    consequences=("TASK-10", "TASK-11", "CONC-11"),
)
class refused_submission_keeps_its_slot(Service):
    """Thirty submissions at once are published. One that is refused does not end being one."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(30)

    async def queued(self, data: Any) -> str:
        await self.slots.acquire()
        task_id = await super().queued(data)
        self.slots.release()
        return task_id


@faulty_service(fails=("CONC-9",), because=r"^503 .*degraded")
class reads_are_refused_while_the_broker_is_looked_for(Service):
    """While a thread tries to reach the broker again, the whole service says it is degraded."""

    trying = 0

    async def read_item(self, item_id: int) -> Any:
        if self.trying:
            raise HTTPException(503, "degraded")
        return await super().read_item(item_id)

    async def queued(self, data: Any) -> str:
        try:
            return await super().queued(data)
        except Exception:
            self.trying += 1
            try:
                await asyncio.get_running_loop().run_in_executor(self.submitters, self.make_sure)
            finally:
                self.trying -= 1
            raise

    def make_sure(self) -> None:
        with self.tasks.connection_for_write() as connection:
            connection.ensure_connection(max_retries=4, interval_start=0.5, interval_step=0)


@faulty_service(fails=("CONC-10",), because=r"^8 of them, and no other while")
class slot_is_kept_where_polling_finds_that_the_client_left(Service):
    """Every 50 ms it is looked whether the client is there. If not, the call alone is ended."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(98)

    async def external_data(self, request: Request) -> Any:  # type: ignore[override]
        await self.slots.acquire()
        call = asyncio.ensure_future(super().external_data())
        while not (await asyncio.wait([call], timeout=0.05))[0]:
            if await request.is_disconnected():
                call.cancel()
                return Response(status_code=499)
        self.slots.release()
        return call.result()


@faulty_service(
    fails=("CONC-10",), because=r"no read could be held", consequences=("CONC-11", "UP-6")
)
class connection_is_kept_where_polling_finds_that_the_client_left(Service):
    """A read's client is looked for every 0.4 s. If it has left, so has the connection."""

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        if not ID_MIN <= item_id <= ID_MAX:
            return {"item": None}
        connection = await self.pool.acquire()
        reading = asyncio.ensure_future(self.select(connection, item_id))
        while not (await asyncio.wait([reading], timeout=0.4))[0]:
            if await request.is_disconnected():
                return Response(status_code=499)
        await self.pool.release(connection)
        row = reading.result()
        return {"item": None if row is None else dict(row)}


@faulty_service(
    fails=("CONC-13",),
    because=r"no read could be held",
    consequences=("CONC-11", "DB-13", "DB-14"),
)
class slot_of_a_read_is_given_back_by_a_success_alone(Service):
    """Thirty-four reads at once are let in. One that fails does not end being one of them."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(34)

    async def find(self, item_id: int) -> Row | None:
        await self.slots.acquire()
        row = await super().find(item_id)
        self.slots.release()
        return row


class LimitedReads(Service):
    """A limit of reads at once, which what counts as a mistake lowers, and an answer raises."""

    limit = most = 20
    reading = 0

    async def connect(self) -> None:
        await super().connect()
        self.turns = asyncio.Condition()

    def lower(self) -> None:
        self.limit = max(1, self.limit - 1)

    async def find(self, item_id: int) -> Row | None:
        async with self.turns:
            await self.turns.wait_for(lambda: self.reading < self.limit)
            self.reading += 1
        try:
            row = await super().find(item_id)
            self.judge(row)
        finally:
            self.reading -= 1
            async with self.turns:
                self.turns.notify_all()
        return row

    def judge(self, _: Row | None) -> None:
        self.limit = min(self.most, self.limit + 1)


@faulty_service(fails=("CONC-13",), because=r"^1 reads wait in pg_locks")
class absent_rows_lower_the_reads_at_once(LimitedReads):
    """A row that is not there counts as an overload of the database."""

    def judge(self, row: Row | None) -> None:
        if row is None:
            self.lower()
        else:
            self.limit = self.most


@faulty_service(
    fails=("CONC-13",),
    because=r"^1 reads wait in pg_locks",
    consequences=("CONC-2", "CONC-4", "TASK-19"),
)
class rejected_ids_lower_the_reads_at_once(LimitedReads):
    """An id that is no integer counts as an overload as well."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)

        async def reject(request: Request, error: Exception) -> Response:
            assert isinstance(error, RequestValidationError)
            self.lower()
            return await self.reject(request, error)

        application.exception_handler(RequestValidationError)(reject)


@faulty_service(
    fails=("CONC-13",),
    because=r"^no complete answer",
    consequences=("HTTP-2", "HTTP-3", "HTTP-4", "TASK-1", "CONC-9", "CONC-8", "TASK-16", "HTTP-1"),
)
class rejected_submission_keeps_its_slot(Service):
    """Thirty-four submissions at once are looked at. One that is rejected stays one of them."""

    async def connect(self) -> None:
        await super().connect()
        self.slots = asyncio.Semaphore(34)

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        await self.slots.acquire()
        try:
            data = json.loads(await request.body())
        except ValueError:
            data = None
        if not isinstance(data, dict):
            location = {"type": "dict_type", "loc": ("body",), "msg": "no object", "input": data}
            raise RequestValidationError([location])
        answer = await super().process_data(data)
        self.slots.release()
        return answer


@faulty_service(
    fails=("CONC-5",), because=r"an outbound call at the upstream while a read waits for the table"
)
class call_after_a_failed_one_waits_for_reads(Service):
    """After a failed call the client is made anew, once nothing is read."""

    reading = 0
    has_failed = False

    async def find(self, item_id: int) -> Row | None:
        self.reading += 1
        try:
            return await super().find(item_id)
        finally:
            self.reading -= 1

    async def fetch(self, url: str) -> httpx.Response:
        while self.has_failed and self.reading:
            await asyncio.sleep(0.01)
        try:
            response = await super().fetch(url)
        except httpx.HTTPError:
            self.has_failed = True
            raise
        self.has_failed = not response.is_success
        return response


@faulty_service(fails=("CONC-10",), because=r"no read could be held", consequences=("CONC-11",))
class turn_is_handed_to_a_client_that_left(Service):
    """A read that ends hands its turn to the next in the queue, also if nobody waits there."""

    free = 8

    async def connect(self) -> None:
        await super().connect()
        self.queue: deque[asyncio.Future[None]] = deque()

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        if not ID_MIN <= item_id <= ID_MAX:
            return {"item": None}
        if self.free:
            self.free -= 1
        elif not await self.wait_for_turn(request):
            return Response(status_code=499)
        try:
            return {"item": await self.find(item_id)}
        finally:
            self.pass_turn_on()

    def pass_turn_on(self) -> None:
        """Give a turn to the next in the queue."""
        if not self.queue:
            self.free += 1
        elif not (turn := self.queue.popleft()).done():
            turn.set_result(None)

    async def wait_for_turn(self, request: Request) -> bool:
        """Wait for a turn, or until the client has left. Returns whether there is a turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.append(turn)
        while not turn.done():
            await asyncio.wait([turn], timeout=0.02)
            if not turn.done() and await request.is_disconnected():
                turn.cancel()
                return False
        return True
