"""The suite's own session on a database, in which one statement at a time runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from conformance.core import timeouts
from conformance.core.errors import NoEvidence
from conformance.testbed.postgres_admin import DatabaseAccess, as_broken_testbed, connect

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '{milliseconds}ms'"


class PostgresSession:
    """A session of the suite's own. `work` is what a statement is for, in an error.

    Every method raises BrokenTestbed if the server does not do what it is asked.
    """

    def __init__(self, access: DatabaseAccess) -> None:
        self.access = access
        self._opened: asyncpg.Connection | None = None
        self._table_oid = 0
        self.advisory_key = 0  # of the lock for which reads wait that have seen the table
        self._busy = asyncio.Lock()

    async def open(self) -> None:
        """Connect."""
        with as_broken_testbed("connect"):
            self._opened = await connect(self.access.admin_url)
        self._table_oid = await self.fetch_value("find the table", "SELECT 'items'::regclass::oid")

    async def close(self) -> None:
        """Disconnect."""
        with as_broken_testbed("disconnect"):
            await self._connection.close(timeout=timeouts.OWN_LOCK_DEADLINE)

    @property
    def table_oid(self) -> int:
        """The object id of the table `items`."""
        return self._table_oid

    @property
    def role(self) -> str:
        """The target's role. Raises NoEvidence where the suite may not change it."""
        if self.access.role is None:
            raise NoEvidence(
                "the suite may not change the target's role in the database: start the target "
                "on a `conformance testbed`, or let the suite start it"
            )
        return self.access.role

    async def fetch(self, work: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of a query."""
        with as_broken_testbed(work):
            async with self._busy:
                return await self._connection.fetch(query, *arguments)

    async def fetch_row(self, work: str, query: str, *arguments: Any) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        rows = await self.fetch(work, query, *arguments)
        return dict(rows[0]) if rows else None

    async def fetch_value(self, work: str, query: str, *arguments: Any) -> Any:
        """The first column of the first row of a query."""
        with as_broken_testbed(work):
            async with self._busy:
                return await self._connection.fetchval(query, *arguments)

    async def execute(self, work: str, statement: str) -> None:
        """Execute a statement."""
        with as_broken_testbed(work):
            async with self._busy:
                await self._connection.execute(statement)

    async def alter_table(self, statements: str) -> None:
        """Change the table. Raises NoEvidence where a session of the target keeps it locked."""
        with as_broken_testbed("change the table"):
            async with self._busy, self._connection.transaction():
                await self._connection.execute(set_lock_timeout())
                try:
                    await self._connection.execute(statements)
                except asyncpg.LockNotAvailableError as error:
                    raise NoEvidence(
                        "the table could not be changed: a session of the target keeps a lock on it"
                    ) from error

    @asynccontextmanager
    async def another_connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A further connection, which ends with the block, and its transaction with it."""
        with as_broken_testbed("connect"):
            connection = await connect(self.access.admin_url)
        try:
            yield connection
        finally:
            await connection.close()

    @property
    def _connection(self) -> asyncpg.Connection:
        assert self._opened, "`open` comes first"
        return self._opened


def set_lock_timeout() -> str:
    """The statement that bounds how long a transaction waits for a lock."""
    return LOCK_TIMEOUT.format(milliseconds=int(timeouts.OWN_LOCK_DEADLINE * 1000))
