"""Faults of a database, which last as long as their block and are undone whatever happens."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal, Observation
from conformance.testbed.database_sessions import DatabaseSessions
from conformance.testbed.postgres_admin import connect
from conformance.testbed.postgres_session import PostgresSession


class DatabaseFaults:
    """Makes the database fail for the target, and proves that it does."""

    def __init__(
        self, session: PostgresSession, journal: Journal, sessions: DatabaseSessions
    ) -> None:
        self._session = session
        self._journal = journal
        self._sessions = sessions

    @asynccontextmanager
    async def logins_refused(self) -> AsyncIterator[Observation]:
        """Refuse every login of the target, and end its sessions.

        Raises BrokenTestbed if the fault has no effect, and NoEvidence where the role is not
        the suite's.
        """
        await self._change_role("NOLOGIN")
        try:
            await self._sessions.terminate_sessions()
            await self._check_refused()
            yield self._journal.observe("fault", "the database refuses the service")
        finally:
            await self._change_role("LOGIN")
            self._journal.observe("fault", "the database lets the service in again")

    @asynccontextmanager
    async def writes_refused(self) -> AsyncIterator[Observation]:
        """End the target's sessions. New ones find a server that takes no writes.

        A failover leads to such a server until the new primary is promoted. Raises NoEvidence
        where the role is not the suite's.
        """
        await self._change_role("SET default_transaction_read_only = on")
        try:
            await self._sessions.terminate_sessions()
            await self._check_read_only()
            yield self._journal.observe("fault", "the database's sessions are read-only now")
        finally:
            await self._change_role("RESET default_transaction_read_only")
            await self._sessions.terminate_sessions()
            self._journal.observe("fault", "the database takes writes again")

    @asynccontextmanager
    async def column_added(self) -> AsyncIterator[Observation]:
        """Add a column to the table. Raises NoEvidence where the target keeps the table locked."""
        await self._session.alter_table("ALTER TABLE items ADD COLUMN colour text DEFAULT 'oak'")
        try:
            yield self._journal.observe("fault", "the table has a column more, colour")
        finally:
            await self._session.alter_table("ALTER TABLE items DROP COLUMN colour")
            self._journal.observe("fault", "the table has its columns again")

    async def _change_role(self, change: str) -> None:
        await self._session.execute(
            "change the target's role", f"ALTER ROLE {self._session.role} {change}"
        )

    async def _check_refused(self) -> None:
        try:
            connection = await connect(str(self._session.access.target_dsn))
        except asyncpg.InvalidAuthorizationSpecificationError:
            return
        await connection.close()
        raise BrokenTestbed("the target's role was denied to log in, and can log in still")

    async def _check_read_only(self) -> None:
        connection = await connect(str(self._session.access.target_dsn))
        is_read_only = await connection.fetchval("SHOW transaction_read_only") == "on"
        await connection.close()
        if not is_read_only:
            raise BrokenTestbed("the target's sessions were made read-only, and are not")
