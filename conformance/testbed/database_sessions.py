"""The target's sessions on its database, as the server sees them by the target's role."""

import asyncio
from collections.abc import Sequence
from typing import Any

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal
from conformance.core.observations import (
    EndedSessions,
    SessionCount,
    SessionList,
    TerminatedSessions,
)
from conformance.core.polling import wait_until
from conformance.testbed.database_locks import select_held
from conformance.testbed.postgres_session import PostgresSession
from conformance.testbed.process_table import describe_client

QUERY_SHOWN = 120  # characters of a query
READ_ACTIVITY = "read pg_stat_activity"
ABANDONED = "SELECT sessions_abandoned FROM pg_stat_database WHERE datname = current_database()"


class DatabaseSessions:
    """Counts and ends the target's sessions.

    Raises BrokenTestbed if the server fails, and NoEvidence where the role is not the suite's.
    """

    def __init__(self, session: PostgresSession, journal: Journal) -> None:
        self._session = session
        self._journal = journal
        self._abandoned = 0  # as the server has counted them so far

    async def count_sessions(self) -> SessionCount:
        """Record how many sessions the target's role has."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
        seen = int(await self._session.fetch_value(READ_ACTIVITY, query, self._session.role))
        text = f"{seen} sessions of the target's role are open"
        return self._journal.record(SessionCount, text=text, sessions=seen)

    async def list_sessions(self) -> SessionList:
        """Record which sessions the target's role has, and which are idle in a transaction."""
        return await self._record(await self._fetch_sessions())

    async def wait_until_no_transaction_is_open(self) -> SessionList:
        """Record the sessions once none is idle in a transaction.

        Waits for TRANSACTION_DEADLINE at most.
        """
        rows = await wait_until(
            self._fetch_sessions,
            timeouts.TRANSACTION_DEADLINE,
            lambda rows: not any(map(_is_idle_in_transaction, rows)),
        )
        return await self._record(rows)

    async def terminate_sessions(
        self, *, only_waiting: bool = False, at_most: int | None = None
    ) -> TerminatedSessions:
        """End the target's sessions, or only those whose reads are held, and wait for that.

        `at_most` is how many are ended.
        """
        held = select_held(self._session)
        ended = await self._session.fetch(
            "terminate the target's sessions",
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE usename = $1 {f'AND pid IN ({held})' if only_waiting else ''} LIMIT $2",
            self._session.role,
            at_most,
        )
        await self._wait_until_gone([row["pid"] for row in ended])
        text = f"{len(ended)} sessions of the service's were terminated"
        return self._journal.record(TerminatedSessions, text=text, terminated=len(ended))

    async def wait_until_ended(self) -> EndedSessions:
        """Wait until the target has no session, for STOP_DEADLINE at most.

        Records how many the server has counted as abandoned since the last time, and how many
        are open still.
        """
        left = await wait_until(
            self.count_sessions, timeouts.STOP_DEADLINE, lambda seen: seen.sessions == 0
        )
        abandoned = await self.note_abandoned()
        return self._journal.record(
            EndedSessions,
            text=f"of all sessions of the target's, {abandoned} were abandoned,"
            f" and {left.sessions} are open still",
            abandoned=abandoned,
            open=left.sessions,
        )

    async def note_abandoned(self) -> int:
        """How many sessions were abandoned since this was called last."""
        counted = int(await self._session.fetch_value("read pg_stat_database", ABANDONED))
        abandoned, self._abandoned = counted - self._abandoned, counted
        return abandoned

    async def _fetch_sessions(self) -> Sequence[Any]:
        query = (
            "SELECT pid, backend_start::text, state, query, client_port FROM pg_stat_activity"
            " WHERE usename = $1"
        )
        return await self._session.fetch(READ_ACTIVITY, query, self._session.role)

    async def _record(self, rows: Sequence[Any]) -> SessionList:
        idle = [row for row in rows if _is_idle_in_transaction(row)]
        # Whose session it is takes half a second to find where the processor is busy.
        owner = await asyncio.to_thread(_describe_idle, idle)
        return self._journal.record(
            SessionList,
            text=f"{len(rows)} sessions of the target's role are open,"
            f" {len(idle)} of them idle in a transaction{owner}",
            identities=tuple(sorted(f"{row['pid']} since {row['backend_start']}" for row in rows)),
            idle_in_transaction=tuple(row["pid"] for row in idle),
        )

    async def _wait_until_gone(self, pids: list[int]) -> None:
        async def count_left() -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)"
            return int(await self._session.fetch_value(READ_ACTIVITY, query, pids))

        if await wait_until(count_left, timeouts.BOOT_DEADLINE, lambda left: left == 0):
            raise BrokenTestbed(
                "Postgres did not end the target's sessions within "
                f"{timeouts.BOOT_DEADLINE:.0f} s of pg_terminate_backend"
            )


def _is_idle_in_transaction(row: Any) -> bool:
    return str(row["state"]).startswith("idle in transaction")


def _describe_idle(rows: Sequence[Any]) -> str:
    """Whose session the first of some is, and what it did last. Empty if there is none."""
    if not rows:
        return ""
    owner = describe_client(int(rows[0]["client_port"] or 0)) or "a process that cannot be seen"
    return f": that of {owner}, after {str(rows[0]['query'])[:QUERY_SHOWN]}"
