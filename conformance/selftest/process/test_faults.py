"""Faults: each lasts as long as its block and is undone whatever happens in it.

A fault that has no effect is a BrokenTestbed.
"""

import asyncio
import json
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
import redis.asyncio

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence
from conformance.core.evidence import Journal
from conformance.core.urls import replace_address
from conformance.selftest.support.suite import servers
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.database_relay import DatabaseRelay
from conformance.testbed.embedded import RestartableRedis


class ProbeError(Exception):
    """What a probe raises in the middle of a fault."""


@dataclass(frozen=True)
class Testbed:
    """A database and a broker of a target, with the suite's own sessions on them."""

    items: Database
    queue: Broker

    async def try_read(self) -> str:
        """The columns that a read of the target's role gets, or the error."""
        try:
            connection = await asyncpg.connect(str(self.items.access.target_dsn))
        except asyncpg.PostgresError as error:
            return type(error).__name__
        row = await connection.fetchrow("SELECT * FROM items LIMIT 1")
        await connection.close()
        return ", ".join(row.keys()) if row else "no row"

    async def read_name(self, item_id: int) -> str:
        """The name in a row, as the target's role reads it."""
        connection = await asyncpg.connect(str(self.items.access.target_dsn))
        try:
            return str(await connection.fetchval("SELECT name FROM items WHERE id = $1", item_id))
        finally:
            await connection.close()

    async def try_write(self) -> str:
        """The outcome of a write of the target's Redis user, which is not waited for."""
        async with redis.asyncio.Redis.from_url(
            str(self.queue.access.target_dsn), socket_timeout=0.2, retry=None
        ) as client:
            try:
                await client.lpush("somewhere", "x")
            except redis.exceptions.RedisError as error:
                return type(error).__name__
        return "done"

    def make_fault(self, name: str) -> AbstractAsyncContextManager[object]:
        """A fault, by its name."""
        faults = {
            "database refuses": self.items.faults.logins_refused,
            "database takes no writes": self.items.faults.writes_refused,
            "another column": self.items.faults.column_added,
            "table locked": self.items.locks.table_locked,
            "reads held": self.items.locks.reads_held,
            "broker refuses": self.queue.faults.logins_refused,
            "broker denies writes": self.queue.faults.writes_refused,
            "broker stalled": self.queue.faults.writes_stalled,
        }
        return faults[name]()


@pytest.fixture(scope="module")
def urls(shared_place: Path) -> Iterator[tuple[str, str]]:
    """A Postgres and a Redis."""
    with servers(shared_place) as both:
        yield both


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def testbed(urls: tuple[str, str]) -> AsyncIterator[Testbed]:
    """A testbed with a row in the table."""
    database_url, redis_url = urls
    items = Database(await postgres_admin.create_database(database_url), Journal())
    queue = Broker(redis_admin.create_user(redis_url), Journal())
    await items.open()
    await queue.open()
    await items.rows.insert()
    yield Testbed(items, queue)
    await items.close()
    await queue.close()


async def test_rows_that_are_older_than_a_run_are_left_to_the_next(testbed: Testbed) -> None:
    run = Database(testbed.items.access, Journal())
    await run.open()
    older, own = await run.rows.list_older(), await run.rows.insert()
    for row in older:
        await run.rows.delete(row["id"])
        await run.rows.insert(**row)
    await run.rows.delete_inserted()
    assert await run.rows.list_older() == older
    assert (await run.rows.check_row(own["id"])).row is None
    await run.close()


async def test_the_role_of_a_target_may_read_the_table_and_nothing_else(testbed: Testbed) -> None:
    connection = await asyncpg.connect(str(testbed.items.access.target_dsn))
    await connection.fetch("SELECT * FROM items")
    for statement in (
        "CREATE TEMPORARY TABLE kept (id int)",
        "CREATE TABLE kept (id int)",
        "CREATE SCHEMA kept",
        "UPDATE items SET name = name",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


COLUMNS = "id, name, description, price, quantity, available, created_at"


@pytest.mark.parametrize(
    ("name", "reads", "writes"),
    [
        ("database refuses", "InvalidAuthorizationSpecificationError", "done"),
        ("another column", f"{COLUMNS}, colour", "done"),
        ("broker refuses", COLUMNS, "AuthenticationError"),
        ("broker denies writes", COLUMNS, "NoPermissionError"),
        ("broker stalled", COLUMNS, "TimeoutError"),
    ],
)
async def test_a_fault_lasts_as_long_as_its_block_and_is_undone_whatever_happens(
    testbed: Testbed, name: str, reads: str, writes: str
) -> None:
    with suppress(ProbeError):
        async with testbed.make_fault(name):
            assert (await testbed.try_read(), await testbed.try_write()) == (reads, writes)
            raise ProbeError
    assert (await testbed.try_read(), await testbed.try_write()) == (COLUMNS, "done")


async def test_a_database_takes_writes_again_whatever_happens(testbed: Testbed) -> None:
    async def is_read_only() -> bool:
        connection = await asyncpg.connect(str(testbed.items.access.target_dsn))
        setting = await connection.fetchval("SHOW transaction_read_only")
        await connection.close()
        return bool(setting == "on")

    with suppress(ProbeError):
        async with testbed.make_fault("database takes no writes"):
            assert (await is_read_only(), await testbed.try_read()) == (True, COLUMNS)
            raise ProbeError
    assert not await is_read_only()


async def test_a_restart_of_a_database_is_played_for_one_port(testbed: Testbed) -> None:
    dsn = str(testbed.items.access.target_dsn)
    relay = DatabaseRelay(dsn, Journal(), ("127.0.0.1",))
    url = replace_address(dsn, "127.0.0.1", relay.port)
    async with relay.listening():
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        async with relay.server_gone():
            assert b"C57P01\0" in await reader.read()
            with pytest.raises(ConnectionRefusedError):
                await asyncpg.connect(url)
            assert await testbed.try_read() == COLUMNS
        writer.close()
        with pytest.raises(asyncpg.CannotConnectNowError):
            await asyncpg.connect(url)
        for length in (7, 2**32 - 1):  # of a startup message; no client sends those
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(struct.pack("!II", length, 196_608))
            assert await reader.read() == b""
            writer.close()
        relay.finish_startup()
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(url)


async def test_a_broker_that_is_restarted_has_forgotten_everything(shared_place: Path) -> None:
    server = RestartableRedis("restarted", shared_place, Journal())
    for _ in range(2):
        server.start()
        server.wait_until_ready()
        async with redis.asyncio.Redis.from_url(server.url) as client:
            assert await client.keys() == []
            await client.set("some", "thing")
        server.stop()
        with pytest.raises(redis.exceptions.ConnectionError):
            await redis.asyncio.Redis.from_url(server.url, retry=None).ping()


async def test_a_backlog_is_removed_but_for_the_tasks_to_keep(testbed: Testbed) -> None:
    messages = testbed.queue.messages
    await messages.remove_task("")
    for task_id in ("kept", "ours", "others"):
        await messages.put_message(
            b"celery", json.dumps({"headers": {"id": task_id}, "content-type": "x"})
        )
    access = testbed.queue.access
    redis_admin.discard_backlog(access, {"kept"}, only={"kept", "ours"})
    assert {each.task_id for each in await messages.list_messages()} == {"kept", "others"}
    redis_admin.discard_backlog(access, {"kept"})
    assert [each.task_id for each in await messages.list_messages()] == ["kept"]
    assert await messages.take_message("kept")
    assert await messages.count_unfinished() == 0


async def test_a_result_is_waited_for_as_long_as_the_queue_moves(testbed: Testbed) -> None:
    messages = testbed.queue.messages
    await messages.remove_task("")

    async def work() -> None:
        for number in range(5):
            await asyncio.sleep(0.3)
            assert await messages.take_message(f"task {number}")

    for number in range(5):
        message = {"headers": {"id": f"task {number}"}, "content-type": "x"}
        await messages.put_message(b"celery", json.dumps(message))
    began = time.monotonic()
    worker = asyncio.create_task(work())
    _, seen = await testbed.queue.results.wait_for_result("task 9", 0.5)
    await worker
    assert seen.is_pending
    assert time.monotonic() - began > 1.5


async def test_a_locked_table_is_free_again_whatever_happens(testbed: Testbed) -> None:
    with suppress(ProbeError):
        async with testbed.make_fault("table locked"):
            raise ProbeError
    assert await testbed.try_read() == COLUMNS


async def test_reads_are_held_once_they_have_seen_the_table_and_free_again_whatever_happens(
    testbed: Testbed,
) -> None:
    row = await testbed.items.rows.insert(name="before")
    with suppress(ProbeError):
        async with testbed.make_fault("reads held"):
            early = asyncio.create_task(testbed.read_name(row["id"]))
            assert (await testbed.items.locks.wait_for_reads(1)).waiting == 1
            await testbed.items.rows.update(row["id"], name="after")
            raise ProbeError
    assert (await early, await testbed.read_name(row["id"])) == ("before", "after")


async def test_a_read_that_waits_is_cancelled_or_killed_alone(testbed: Testbed) -> None:
    row = await testbed.items.rows.insert(name="here")
    locks = testbed.items.locks
    async with testbed.make_fault("table locked"):
        reads = [asyncio.create_task(testbed.read_name(row["id"])) for _ in range(3)]
        assert (await locks.wait_for_reads(3)).waiting == 3
        killed = await testbed.items.sessions.terminate_sessions(only_waiting=True, at_most=1)
        assert (killed.terminated, await locks.count_held()) == (1, 2)
        await locks.cancel_reads(lambda: all(read.done() for read in reads))
        late = asyncio.create_task(testbed.read_name(row["id"]))
        assert (await locks.wait_for_reads(1)).waiting == 1
    ends = sorted(type(read.exception()).__name__ for read in reads)
    cancelled = "QueryCanceledError"
    assert ends == ["ConnectionDoesNotExistError", cancelled, cancelled]
    assert await late == "here"


async def test_what_a_killed_run_had_done_to_the_table_is_undone(testbed: Testbed) -> None:
    await testbed.items._session.execute(
        "break the table",
        "ALTER TABLE items ADD COLUMN colour text; ALTER TABLE items ENABLE ROW LEVEL SECURITY",
    )
    assert await testbed.try_read() == "no row"
    await postgres_admin.repair_database(testbed.items.access)
    assert await testbed.try_read() == COLUMNS


@pytest.mark.parametrize(
    "name",
    ["database refuses", "database takes no writes", "broker refuses", "broker denies writes"],
)
async def test_a_fault_without_effect_is_a_broken_testbed(
    testbed: Testbed, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def do_nothing(*_: str) -> None:
        pass

    monkeypatch.setattr(testbed.items.faults, "_change_role", do_nothing)
    monkeypatch.setattr(testbed.queue.faults, "_set_user", do_nothing)
    with pytest.raises(BrokenTestbed, match=r"can log in still|and (is|are) not|can write still"):
        async with testbed.make_fault(name):
            pass


async def test_a_session_that_keeps_the_table_locked_is_not_a_broken_testbed(
    testbed: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "OWN_LOCK_DEADLINE", 0.1)
    async with testbed.make_fault("table locked"):
        with pytest.raises(NoEvidence, match="keeps a lock"):
            async with testbed.make_fault("another column"):
                pass
        for name in ("table locked", "reads held"):
            with pytest.raises(NoEvidence, match="keeps a lock"):
                async with testbed.make_fault(name):
                    pass
