"""A copy that is started, read from a few times, and asked to stop by SIGTERM."""

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.evidence import Exchange, LogLine
from conformance.core.observations import (
    EndedSessions,
    SessionCount,
    TableSnapshot,
    TerminatedSessions,
)
from conformance.scenarios.lifecycle.copies import (
    Ending,
    open_database,
    start_copy,
    stop,
    use_database,
    wait_until_it_says_it_starts,
    wait_until_ready,
)
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.target.launch import Launch
from conformance.testbed.database import Database
from conformance.testbed.postgres_admin import DatabaseAccess


@dataclass(frozen=True)
class StopObserved:
    """What was observed of the copy from its start to its end."""

    lines_before_first_request: list[LogLine]
    lines_at_first_answer: list[LogLine]
    sessions_at_first_answer: SessionCount
    reads: list[Exchange]
    table_before: TableSnapshot  # the reads
    table_after: TableSnapshot
    lost: TerminatedSessions  # one of those whose reads waited, before the stop
    sessions_at_signal: SessionCount
    ending: Ending
    sessions_at_end: EndedSessions


class GracefulStop(Scenario[StopObserved]):
    """The role may write, so that a read that writes succeeds in doing so.

    That this copy starts shows that another, which lacks something and does not start, fails for
    that lack.
    """

    requirements = frozenset(
        {"DB-7", "DB-8", "DB-9", "TASK-17"}
        | {"LIFE-1", "LIFE-2", "LIFE-3", "LIFE-4", "LIFE-6", "LIFE-8"}
    )
    database = DatabaseNeed.OWN_WRITABLE

    async def run(self, launch: Launch, database: DatabaseAccess) -> StopObserved:
        """Run it on a database."""
        variables = use_database(database)
        async with (
            open_database(database, launch) as items,
            start_copy(launch, "to be stopped", variables) as (target, client),
        ):
            lines = await wait_until_it_says_it_starts(launch, target)
            await wait_until_ready(target)
            sessions_at_first_answer = await items.sessions.count_sessions()
            rows = [await items.rows.insert() for _ in range(3)]
            table_before = await items.rows.take_snapshot()
            paths = [f"/items/{row['id']}" for row in rows]
            reads = await client.get_all(*paths, f"/items/{items.rows.pick_unused_id()}")
            table_after = await items.rows.take_snapshot()
            lost = await lose_a_session(client, items, paths)
            return StopObserved(
                lines_before_first_request=lines,
                lines_at_first_answer=target.lines_at_first_answer,
                sessions_at_first_answer=sessions_at_first_answer,
                table_before=table_before,
                reads=reads,
                table_after=table_after,
                lost=lost,
                sessions_at_signal=await items.sessions.count_sessions(),
                ending=await stop(target),
                sessions_at_end=await items.sessions.wait_until_ended(),
            )


async def lose_a_session(
    client: Client, items: Database, paths: Sequence[str]
) -> TerminatedSessions:
    """End the session of one of several reads that wait, as an administrator may.

    The other sessions must be closed at the stop as well.
    """
    async with client.in_flight() as send, items.locks.table_locked():
        send(*paths)
        await items.locks.wait_for_reads(2, at_most=timeouts.SECOND_READ_WATCHED)
        lost = await items.sessions.terminate_sessions(only_waiting=True, at_most=1)
    await client.get_all(*paths)
    return lost
