"""A database as probes use it: its rows, its locks, the target's sessions, and its faults."""

from conformance.core.evidence import Journal
from conformance.testbed.database_faults import DatabaseFaults
from conformance.testbed.database_locks import DatabaseLocks
from conformance.testbed.database_rows import DatabaseRows
from conformance.testbed.database_sessions import DatabaseSessions
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.postgres_session import PostgresSession


class Database:
    """One database with the table `items`, seen through a session of the suite's own."""

    def __init__(self, access: DatabaseAccess, journal: Journal) -> None:
        self.access = access
        self._session = session = PostgresSession(access)
        self.rows = DatabaseRows(session, journal)
        self.locks = DatabaseLocks(session, journal)
        self.sessions = DatabaseSessions(session, journal)
        self.faults = DatabaseFaults(session, journal, self.sessions)

    async def open(self) -> None:
        """Connect. Raises BrokenTestbed."""
        await self._session.open()
        await self.rows.note_small_ids()
        await self.sessions.note_abandoned()

    async def close(self) -> None:
        """Disconnect. Raises BrokenTestbed."""
        await self._session.close()
