"""Three copies on one port: the first stopped over a read, the second killed, the third stopped."""

import asyncio
import signal
from dataclasses import dataclass
from typing import Any

from conformance.client.http import Client, PendingRequest
from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.observations import EndedSessions, LockCount, RowCheck
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import (
    Ending,
    find_start_failure,
    open_database,
    start_copy,
    stop_by,
    use_database,
    wait_until_ready,
    watch_end,
)
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target
from conformance.testbed.database import Database
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess

IDLE_CLIENTS = 3


@dataclass(frozen=True)
class StopOverRead:
    """How a copy ended that had a read in flight and idle clients when SIGTERM came."""

    row: dict[str, Any]
    waiting: LockCount  # the read that is in flight when SIGTERM comes
    in_flight: Exchange  # and its answer
    ending: Ending
    sessions_at_end: EndedSessions


@dataclass(frozen=True)
class Interruption:
    """How a copy ended that was sent SIGINT."""

    ending: Ending
    sessions_at_end: EndedSessions


@dataclass(frozen=True)
class ReadInNextLife:
    """A read of a row that an earlier copy had read, and that changed while none ran."""

    row: dict[str, Any] | None  # None of one that was deleted
    exchange: Exchange
    check: RowCheck


@dataclass(frozen=True)
class RestartObserved:
    """What was observed of the three copies."""

    stopped: StopOverRead
    later_reads: list[ReadInNextLife]  # after the stop and after the kill, as far as it started
    after_stop: NotReady | None  # why the second copy did not start
    after_kill: NotReady | None  # why the third did not
    interruption: Interruption | None  # of the third, where it started


class Restart(Scenario[RestartObserved]):
    """The second copy is killed by SIGKILL, the third is interrupted by SIGINT."""

    requirements = frozenset({"DB-4", "LIFE-4", "LIFE-5", "LIFE-8", "LIFE-9"})
    database = DatabaseNeed.OWN

    async def run(self, launch: Launch, database: DatabaseAccess) -> RestartObserved:
        """Run it on a database."""
        where = (launch, "to be started again", use_database(database), claim_port())
        later_reads = []
        async with open_database(database, launch) as items:
            row, going = await items.rows.insert(), await items.rows.insert()
            async with start_copy(*where) as (target, client):
                await wait_until_ready(target)
                await client.get(f"/items/{going['id']}")
                stopped = await _stop_over_read(row, items, target, client)
            await items.rows.delete(going["id"])
            changed = await items.rows.update(row["id"], name="changed after a stop")
            async with start_copy(*where) as (target, client):
                after_stop = await find_start_failure(target)
                if after_stop is None:
                    later_reads += [
                        await _read_again(row["id"], changed, items, client),
                        await _read_again(going["id"], None, items, client),
                    ]
            changed = await items.rows.update(row["id"], name="changed after a kill")
            await items.sessions.wait_until_ended()  # those of a copy that was killed are abandoned
            interruption = None
            async with start_copy(*where) as (target, client):
                after_kill = await find_start_failure(target)
                if after_kill is None:
                    later_reads.append(await _read_again(row["id"], changed, items, client))
                    ending = await stop_by(target, signal.SIGINT)
                    interruption = Interruption(ending, await items.sessions.wait_until_ended())
        return RestartObserved(stopped, later_reads, after_stop, after_kill, interruption)


async def _read_again(
    item_id: int, row: dict[str, Any] | None, items: Database, client: Client
) -> ReadInNextLife:
    exchange = await client.get(f"/items/{item_id}")
    return ReadInNextLife(row, exchange, await items.rows.check_row(item_id))


async def _stop_over_read(
    row: dict[str, Any], items: Database, target: Target, client: Client
) -> StopOverRead:
    async with client.idle(IDLE_CLIENTS):
        async with client.in_flight() as send, items.locks.table_locked():
            (read,) = send(f"/items/{row['id']}")
            waiting = await items.locks.wait_for_reads(1)
            lines = target.process.read_output()
            signalled = target.process.send(signal.SIGTERM)
            await _wait_for_reaction(target, read)
            await asyncio.sleep(timeouts.GRACE_WATCHED)
        in_flight = await read.wait_for_answer()
        ending = await asyncio.to_thread(watch_end, target, signalled, lines)
    return StopOverRead(row, waiting, in_flight, ending, await items.sessions.wait_until_ended())


async def _wait_for_reaction(target: Target, read: PendingRequest) -> None:
    """Wait until a copy acts on a signal: it listens no more, drops the read, or ends.

    One that shows nothing is waited for no longer than SIGNAL_DEADLINE.
    """

    async def has_reacted() -> bool:
        return read.is_done or target.process.status is not None or target.is_port_free()

    await wait_until(has_reacted, timeouts.SIGNAL_DEADLINE)
