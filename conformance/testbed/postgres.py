"""Postgres: a database of the run's own on any server, its table, the target's role, and the server's own view of them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, WrongUsage
from conformance.core.evidence import Journal, Observation
from conformance.core.polling import Pauses
from conformance.spec.catalogue import FOLDER
from conformance.spec.model import COLUMNS, format_value

TABLE = (FOLDER / "schema.sql").read_text("utf-8")
ABANDONED = "SELECT sessions_abandoned FROM pg_stat_database WHERE datname = current_database()"
OWN = "conformance_"  # every role and database of ours begins with this
POLICY_DROPPED = "DROP POLICY IF EXISTS held ON items; ALTER TABLE items DISABLE ROW LEVEL SECURITY"  # sent as one, so that no read comes between
TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True)
class Place:
    """A database with the table `items`, and by which URLs the suite and the target reach it."""

    admin_url: str
    target_url: (
        str | None
    )  # None where the target was started by somebody else, with credentials of its own
    database: str
    role: str | None


async def version(admin_url: str) -> str:
    """The server's name and version, such as "PostgreSQL 18.6"."""
    with blaming_the_testbed("ask its version"):
        connection = await _connect(admin_url)
        try:
            return " ".join(
                str(await connection.fetchval("SELECT version()")).split(",")[0].split(" ")[:2]
            )
        finally:
            await connection.close()


async def check_rights(admin_url: str) -> None:
    """Say which rights an administrator's URL lacks. Raises WrongUsage."""
    try:
        connection = await _connect(admin_url)
    except TROUBLE as error:
        raise WrongUsage(
            f"--database-url wants a Postgres server that answers; {_without_password(admin_url)} does not: {_said(error)}"
        ) from error
    try:
        row = await connection.fetchrow(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolname FROM pg_roles WHERE rolname = current_user"
        )
        assert row
        lacks = [
            word
            for word, has in (
                ("CREATEDB", row["rolcreatedb"]),
                ("CREATEROLE", row["rolcreaterole"]),
            )
            if not has and not row["rolsuper"]
        ]
        if lacks:
            raise WrongUsage(
                f"--database-url wants a role that may make a database and a role for the target; "
                f"{row['rolname']} lacks {' and '.join(lacks)}: ALTER ROLE {row['rolname']} {' '.join(lacks)}"
            )
    finally:
        await connection.close()


async def create(admin_url: str, *, may_write: bool = False) -> Place:
    """Make a database with the table and a role for one target; the role may SELECT, or also write."""
    name, password = OWN + secrets.token_hex(6), secrets.token_hex(12)
    place = Place(
        _at(admin_url, database=name),
        _at(admin_url, user=name, password=password, database=name),
        name,
        name,
    )
    try:
        with blaming_the_testbed("make a database"):
            await _execute(
                admin_url,
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'",
            )
            rights = "SELECT, INSERT, UPDATE, DELETE" if may_write else "SELECT"
            await _execute(place.admin_url, TABLE, f"GRANT {rights} ON items TO {name}")
    except BrokenTestbed:
        with suppress(BrokenTestbed):
            await drop(admin_url, place)
        raise
    return place


async def drop(admin_url: str, place: Place) -> None:
    """Remove the database and the role that `create` made."""
    with blaming_the_testbed("remove a database"):
        await _execute(
            admin_url,
            f"DROP DATABASE IF EXISTS {place.database} WITH (FORCE)",
            f"DROP ROLE IF EXISTS {place.role}",
        )


async def is_used(place: Place) -> bool:
    """Whether the target's role has a session."""
    with blaming_the_testbed("look at pg_stat_activity"):
        connection = await _connect(place.admin_url)
        try:
            return bool(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", place.role
                )
            )
        finally:
            await connection.close()


async def heal(place: Place) -> None:
    """Undo whatever fault a run may have left that was killed."""
    with blaming_the_testbed("mend what a run has left"):
        await _execute(place.admin_url, f"ALTER ROLE {place.role} LOGIN")
        await _execute(
            place.admin_url, "ALTER TABLE items DROP COLUMN IF EXISTS colour", POLICY_DROPPED
        )


async def adopt(admin_url: str) -> Place:
    """The database of a target that runs already; only rows of ours are touched. Raises WrongUsage where it lacks something."""
    try:
        connection = await _connect(admin_url)
    except TROUBLE as error:
        raise WrongUsage(
            f"--database-url wants the target's Postgres database; {_without_password(admin_url)} does not answer: {_said(error)}"
        ) from error
    try:
        columns = {
            row["attname"]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('items') AND attnum > 0"
            )
        }
        if missing := [column for column in COLUMNS if column not in columns]:
            raise WrongUsage(
                f"--database-url wants a database with the table of spec/schema.sql; {_without_password(admin_url)} has no items.{missing[0]}"
            )
        rights = ("SELECT", "INSERT", "UPDATE", "DELETE")
        if lacks := [
            right
            for right in rights
            if not await connection.fetchval("SELECT has_table_privilege('items', $1)", right)
        ]:
            raise WrongUsage(
                f"--database-url wants a role that may change the table items; it lacks {', '.join(lacks)}"
            )
        return Place(
            admin_url, None, str(await connection.fetchval("SELECT current_database()")), None
        )
    finally:
        await connection.close()


class Database:
    """The suite's own sessions on one place: rows made and looked up, locks taken, sessions counted."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place = place
        self._journal = journal
        self._next_id = 1_000_000_000 + secrets.randbelow(900_000_000)
        self._made: set[int] = set()
        self._missed = False
        self._abandoned = 0  # sessions, as counted so far
        self._busy = asyncio.Lock()

    async def open(self) -> None:
        """Connect."""
        with blaming_the_testbed("connect"):
            self._connection = await _connect(self.place.admin_url)
            self._table = await self._connection.fetchval("SELECT 'items'::regclass::oid")
            self._abandoned = await self._connection.fetchval(ABANDONED)

    async def close(self) -> None:
        """Disconnect."""
        with blaming_the_testbed("disconnect"):
            await self._connection.close(timeout=timeouts.OWN_LOCK_DEADLINE)

    async def forget(self) -> None:
        """Remove the rows that we made, by a session that nothing else uses."""
        with blaming_the_testbed("remove our rows"):
            connection = await _connect(self.place.admin_url)
            try:
                await connection.execute("DELETE FROM items WHERE id = ANY($1)", list(self._made))
            finally:
                await connection.close()

    # Rows

    async def add(self, **values: Any) -> dict[str, Any]:
        """Insert a row under an id of ours, and return it as the table holds it."""
        item_id = self.unused_id()
        defaults = {
            "name": f"item {item_id}", "description": None, "price": 9.75, "quantity": item_id, "available": True,
            "created_at": datetime(2026, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC),
        }  # fmt: skip
        row = {"id": item_id, **defaults, **values}
        marks = ", ".join(f"${index}" for index in range(1, len(row) + 1))
        stored = await self._row(
            f"INSERT INTO items ({', '.join(row)}) VALUES ({marks}) RETURNING *", *row.values()
        )
        assert stored
        self._made.add(stored["id"])
        return stored

    async def add_unless_there(self, item_id: int) -> dict[str, Any]:
        """The row under an id that need not be ours to give: the one that somebody else has there, or a new one."""
        there = await self._row("SELECT * FROM items WHERE id = $1", item_id)
        return there or await self.add(id=item_id)

    def unused_id(self, apart: int = 1) -> int:
        """An id of ours that has no row, this far from the one before."""
        self._next_id += apart
        return self._next_id

    async def change(self, item_id: int, **values: Any) -> dict[str, Any]:
        """Update a row of ours, and return it as the table holds it."""
        sets = ", ".join(f"{name} = ${index}" for index, name in enumerate(values, 2))
        row = await self._row(
            f"UPDATE items SET {sets} WHERE id = $1 RETURNING *", item_id, *values.values()
        )
        assert row
        return row

    async def delete(self, item_id: int) -> None:
        """Delete a row of ours."""
        await self._row("DELETE FROM items WHERE id = $1 RETURNING *", item_id)

    async def check_row(self, item_id: int) -> Observation:
        """Record what the table holds under an id."""
        row = await self._row("SELECT * FROM items WHERE id = $1", item_id)
        text = (
            f"items has no row {item_id}" if row is None else f"items has {format_value(row, 400)}"
        )
        return self._journal.observe("row", text, row=row)

    async def snapshot(self) -> Observation:
        """Record our rows with their physical versions, which change with every write and every row lock."""
        where = "" if self.place.role else "WHERE id = ANY($1)"
        arguments = () if self.place.role else (list(self._made),)
        with blaming_the_testbed("read the table"):
            async with self._busy:
                rows = await self._connection.fetch(
                    f"SELECT id, ctid::text, xmin::text, xmax::text, items::text FROM items {where} ORDER BY id",
                    *arguments,
                )
        versions = {row["id"]: tuple(row.values()) for row in rows}
        return self._journal.observe("table", f"items has {len(rows)} rows", versions=versions)

    async def _row(self, query: str, *arguments: Any) -> dict[str, Any] | None:
        with blaming_the_testbed("change or read the table"):
            async with self._busy:
                row = await self._connection.fetchrow(query, *arguments)
        return None if row is None else dict(row)

    # Faults of the target's sessions, which are found by its role

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[Observation]:
        """Let the target in no more, and end the sessions it has. Raises BrokenTestbed where that does not take hold."""
        await self._execute(f"ALTER ROLE {self._role} NOLOGIN")
        try:
            await self.terminate()
            await self._check_refused()
            yield self._journal.observe("fault", "the database refuses the service")
        finally:
            await self._execute(f"ALTER ROLE {self._role} LOGIN")
            self._journal.observe("fault", "the database lets the service in again")

    async def terminate(self, *, waiting: bool = False) -> Observation:
        """End the target's sessions, or those alone whose reads are held, and wait until they are gone."""
        only = f"AND pid IN ({self._held})" if waiting else ""
        query = (
            f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 {only}"
        )
        deadline = time.monotonic() + timeouts.BOOT_DEADLINE
        with blaming_the_testbed("terminate the target's sessions"):
            async with self._busy:
                ended = [row["pid"] for row in await self._connection.fetch(query, self._role)]
                pauses = Pauses()
                while await self._connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)", ended
                ):
                    if time.monotonic() > deadline:
                        raise BrokenTestbed(
                            "Postgres was told to terminate the target's sessions, and they are there still"
                        )
                    await asyncio.sleep(pauses.next)
        return self._journal.observe(
            "fault",
            f"{len(ended)} sessions of the service's were terminated",
            terminated=len(ended),
        )

    @asynccontextmanager
    async def with_another_column(self) -> AsyncIterator[Observation]:
        """Give the table a column more. Raises NoEvidence where a session of the target's keeps the table locked."""
        await self._alter("ALTER TABLE items ADD COLUMN colour text DEFAULT 'oak'")
        try:
            yield self._journal.observe("fault", "the table has a column more, colour")
        finally:
            await self._alter("ALTER TABLE items DROP COLUMN colour")
            self._journal.observe("fault", "the table has its columns again")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What an error answer must not tell of the target's database."""
        parts = urlsplit(str(self.place.target_url))
        return str(parts.password), str(parts.username), str(parts.port), "SELECT", "Traceback"

    @property
    def _role(self) -> str:
        """The target's role. Raises NoEvidence where it is not ours to change."""
        if self.place.role is None:
            raise NoEvidence(
                "the target's role in the database is not ours to change: start it on a `conformance testbed`, or let the suite start it"
            )
        return self.place.role

    async def _execute(self, statement: str) -> None:
        with blaming_the_testbed("change the target's role"):
            async with self._busy:
                await self._connection.execute(statement)

    async def _alter(self, statements: str) -> None:
        with blaming_the_testbed("change the table"):
            async with self._busy, self._connection.transaction():
                await self._connection.execute(
                    f"SET LOCAL lock_timeout = '{int(timeouts.OWN_LOCK_DEADLINE * 1000)}ms'"
                )
                try:
                    await self._connection.execute(statements)
                except asyncpg.LockNotAvailableError as error:
                    raise NoEvidence(
                        "the table could not be changed: a session of the target's keeps a lock on it"
                    ) from error

    async def _check_refused(self) -> None:
        try:
            connection = await _connect(str(self.place.target_url))
        except asyncpg.InvalidAuthorizationSpecificationError:
            return
        await connection.close()
        raise BrokenTestbed("the target's role was denied to log in, and can log in still")

    # Sessions and locks

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold every read of the table: an exclusive lock in a transaction of our own. Raises NoEvidence where it cannot be had."""
        with blaming_the_testbed("connect"):
            connection = await _connect(self.place.admin_url)
        try:
            with blaming_the_testbed("lock the table"):
                await connection.execute(
                    f"BEGIN; SET LOCAL lock_timeout = '{int(timeouts.OWN_LOCK_DEADLINE * 1000)}ms'"
                )
                try:
                    await connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
                except asyncpg.LockNotAvailableError as error:
                    raise NoEvidence(
                        "the table could not be locked: a session of the target's keeps a lock on it after its answer"
                    ) from error
            self._journal.observe("lock", "the table is locked")
            yield
        finally:
            await connection.close()  # ends the transaction, whatever state it is in
            self._journal.observe("lock", "the table is free again")

    @asynccontextmanager
    async def holding_what_was_read(self) -> AsyncIterator[None]:
        """Hold every read of a row once it has seen the table: by a row policy of the target's role that waits for a lock of our own.

        Raises NoEvidence where the role is not ours, or a session of the target's keeps the table locked.
        """
        wait = f"pg_advisory_xact_lock_shared({self._table})::text IS NOT NULL"
        policy = f"CREATE POLICY held ON items TO {self._role} USING ({wait})"
        with blaming_the_testbed("connect"):
            connection = await _connect(self.place.admin_url)
        try:
            with blaming_the_testbed("take a lock"):
                await connection.execute(f"SELECT pg_advisory_lock({self._table})")
            await self._alter(
                f"{POLICY_DROPPED}; {policy}; ALTER TABLE items ENABLE ROW LEVEL SECURITY"
            )
            try:
                self._journal.observe("lock", "a read of a row is held once it has seen the table")
                yield
            finally:
                with blaming_the_testbed("give a lock back"):
                    await connection.execute("SELECT pg_advisory_unlock_all()")
                await self._alter(POLICY_DROPPED)
                self._journal.observe("lock", "reads are held no more")
        finally:
            await connection.close()

    @property
    def _held(self) -> str:
        """A query for the sessions that wait for our lock on the table or, once they have seen it, for that of the policy."""
        advisory = f"locktype = 'advisory' AND classid = 0 AND objid = {self._table} AND objsubid = 1"  # as a key of 64 bits is shown
        here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        return f"SELECT pid FROM pg_locks WHERE NOT granted AND {here} AND (relation = {self._table} OR {advisory})"

    async def waiting(self, count: int, *, at_most: float | None = None) -> Observation:
        """Wait until this many reads are held; what was seen when that is so, or when ARRIVAL_DEADLINE has passed.

        With a limit of its own, nothing is concluded from fewer, and nothing later is waited for less.
        """
        patience = at_most or (
            timeouts.DEADLINE_AFTER_A_MISSED_ONE if self._missed else timeouts.ARRIVAL_DEADLINE
        )
        deadline = time.monotonic() + patience
        pauses = Pauses()
        while True:
            with blaming_the_testbed("look at pg_locks"):
                async with self._busy:
                    seen = await self._connection.fetchval(
                        f"SELECT count(*) FROM ({self._held}) AS held"
                    )
            if seen >= count or time.monotonic() > deadline:
                self._missed = self._missed if at_most else seen < count
                return self._journal.observe("lock", f"{seen} reads wait in pg_locks", waiting=seen)
            await asyncio.sleep(pauses.next)

    async def sessions(self) -> Observation:
        """Record how many sessions the target's role has."""
        with blaming_the_testbed("look at pg_stat_activity"):
            async with self._busy:
                seen = await self._connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", self._role
                )
        return self._journal.observe(
            "session", f"{seen} sessions of the target's role are open", sessions=seen
        )

    async def sessions_by_identity(self) -> Observation:
        """Record which sessions the target's role has, each by process and start, and which are idle in a transaction."""
        query = "SELECT pid, backend_start::text, state FROM pg_stat_activity WHERE usename = $1"
        with blaming_the_testbed("look at pg_stat_activity"):
            async with self._busy:
                rows = await self._connection.fetch(query, self._role)
        identities = sorted(f"{row['pid']} since {row['backend_start']}" for row in rows)
        open_transactions = [
            row["pid"] for row in rows if str(row["state"]).startswith("idle in transaction")
        ]
        text = f"{len(rows)} sessions of the target's role are open, {len(open_transactions)} of them idle in a transaction"
        return self._journal.observe(
            "session", text, identities=identities, idle_in_transaction=open_transactions
        )

    async def sessions_ended(self) -> Observation:
        """Wait until the target's sessions are gone, and record how many the server has counted as abandoned since the last time."""
        deadline = time.monotonic() + timeouts.STOP_DEADLINE
        pauses = Pauses()
        while (left := (await self.sessions()).data["sessions"]) and time.monotonic() < deadline:
            await asyncio.sleep(pauses.next)
        with blaming_the_testbed("look at pg_stat_database"):
            async with self._busy:
                counted = await self._connection.fetchval(ABANDONED)
        abandoned, self._abandoned = counted - self._abandoned, counted
        text = f"of all sessions of the target's, {abandoned} were abandoned, and {left} are open still"
        return self._journal.observe("session", text, abandoned=abandoned, open=left)


async def _execute(url: str, *statements: str) -> None:
    connection = await _connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        url,
        timeout=timeouts.BOOT_DEADLINE,
        command_timeout=timeouts.BOOT_DEADLINE,
        ssl=False if urlsplit(url).hostname in ("127.0.0.1", "localhost") else None,
    )


@contextmanager
def blaming_the_testbed(work: str) -> Iterator[None]:
    """Whatever the server answers to the suite's own work is the testbed's trouble, never the target's."""
    try:
        yield
    except TROUBLE as error:
        raise BrokenTestbed(f"Postgres did not let the suite {work}: {_said(error)}") from error


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.hostname}:{parts.port or 5432}"))


def at_port(url: str, port: int) -> str:
    """The same URL on another port of 127.0.0.1."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"))


def _at(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0] if user is None else f"{user}:{password}"
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return urlunsplit(
        parts._replace(
            netloc=f"{credentials}@{host}:{parts.port or 5432}", path="/" + quote(database)
        )
    )
