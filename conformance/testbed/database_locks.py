"""Locks that hold the target's reads of the table `items`, and how many reads wait for them."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from conformance.core import timeouts
from conformance.core.errors import NoEvidence
from conformance.core.evidence import Journal
from conformance.core.observations import LockCount
from conformance.core.polling import wait_until
from conformance.testbed.postgres_admin import DROP_POLICY, as_broken_testbed
from conformance.testbed.postgres_session import PostgresSession, set_lock_timeout


class DatabaseLocks:
    """Holds reads, and counts those that are held."""

    def __init__(self, session: PostgresSession, journal: Journal) -> None:
        self._session = session
        self._journal = journal
        self._timed_out = False  # the last wait for reads

    @asynccontextmanager
    async def table_locked(self) -> AsyncIterator[None]:
        """Hold every read of the table, by an exclusive lock in a transaction of the suite's own.

        Raises NoEvidence where a session of the target keeps a lock of its own.
        """
        async with self._session.another_connection() as connection:
            try:
                with as_broken_testbed("lock the table"):
                    await _lock_table(connection)
                self._journal.observe("lock", "the table is locked")
                yield
            finally:
                await connection.close()  # ends the transaction, whatever state it is in
                self._journal.observe("lock", "the table is free again")

    @asynccontextmanager
    async def reads_held(self) -> AsyncIterator[None]:
        """Hold every read of a row once it has seen the table.

        A row policy of the target's role waits for an advisory lock of the suite's own, whose key
        nobody could have taken before. Raises NoEvidence where the role is not the suite's, or the
        target keeps the table locked.
        """
        key = self._session.advisory_key = secrets.randbits(63)
        wait = f"pg_advisory_xact_lock_shared({key})::text IS NOT NULL"
        policy = f"CREATE POLICY held ON items TO {self._session.role} USING ({wait})"
        enable = "ALTER TABLE items ENABLE ROW LEVEL SECURITY"
        async with self._session.another_connection() as connection:
            with as_broken_testbed("take a lock"):
                await connection.execute(f"SELECT pg_advisory_lock({key})")
            await self._session.alter_table(f"{DROP_POLICY}; {policy}; {enable}")
            try:
                self._journal.observe("lock", "a read of a row is held once it has seen the table")
                yield
            finally:
                with as_broken_testbed("give a lock back"):
                    await connection.execute("SELECT pg_advisory_unlock_all()")
                await self._session.alter_table(DROP_POLICY)
                self._journal.observe("lock", "reads are held no more")

    async def wait_for_reads(self, count: int, *, at_most: float | None = None) -> LockCount:
        """Wait until this many reads are held, or until ARRIVAL_DEADLINE has passed.

        Returns what was seen then. The time limit is shorter after a wait that timed out. With
        a limit of its own (`at_most`, in seconds), a wait has no influence on later ones.
        """
        limit = timeouts.ARRIVAL_DEADLINE
        if self._timed_out:
            limit = timeouts.DEADLINE_AFTER_A_MISSED_ONE
        seen = await wait_until(self.count_held, at_most or limit, lambda held: held >= count)
        if at_most is None:
            self._timed_out = seen < count
        return self._journal.record(LockCount, text=f"{seen} reads wait in pg_locks", waiting=seen)

    async def count_held(self) -> int:
        """How many reads are held now."""
        query = f"SELECT count(*) FROM ({select_held(self._session)}) AS held"
        return int(await self._session.fetch_value("read pg_locks", query))

    async def cancel_reads(self, is_over: Callable[[], bool]) -> None:
        """Cancel each read that is held until something is so, for ANSWER_DEADLINE at most.

        The query ends with an error, and its session goes on.
        """
        query = f"SELECT count(pg_cancel_backend(pid)) FROM ({select_held(self._session)})"

        async def cancel() -> bool:
            await self._session.fetch_value("cancel queries", f"{query} AS held")
            return is_over()

        await wait_until(cancel, timeouts.ANSWER_DEADLINE)
        self._journal.observe("fault", "the queries of reads that waited were cancelled")


def select_held(session: PostgresSession) -> str:
    """A query for the process ids of sessions that wait for a lock of the suite's own.

    That is the lock on the table or, once a read has seen the table, the one of the policy.
    """
    # pg_locks shows an advisory key of 64 bits so.
    high, low = divmod(session.advisory_key, 2**32)
    advisory = f"locktype = 'advisory' AND classid = {high} AND objid = {low} AND objsubid = 1"
    here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    return (
        f"SELECT pid FROM pg_locks"
        f" WHERE NOT granted AND {here} AND (relation = {session.table_oid} OR {advisory})"
    )


async def _lock_table(connection: asyncpg.Connection) -> None:
    await connection.execute(f"BEGIN; {set_lock_timeout()}")
    try:
        await connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    except asyncpg.LockNotAvailableError as error:
        raise NoEvidence(
            "the table could not be locked: "
            "a session of the target keeps a lock on it after its answer"
        ) from error
