"""Three copies on one port: the first stopped under load, the second killed, the third too."""

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from conformance.client.http import Client
from conformance.core.evidence import Exchange, ProcessEvent
from conformance.core.observations import RowCheck
from conformance.scenarios.lifecycle.copies import find_start_failure, start_copy, wait_until_ready
from conformance.scenarios.lifecycle.neighbours import Neighbours, open_neighbours
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.scenarios.lifecycle.stops import Load, StopUnderLoad, stop_under_load
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target
from conformance.testbed.database import Database
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.processes import Running

# Alone, in the order in which they are tried where a copy with all of them does not end.
LOADS = (Load.IDLE, Load.SUBMISSION, Load.CALL, Load.READ)


@dataclass(frozen=True)
class StopObserved:
    """How a copy ended that had everything in flight, and what alone keeps one from ending."""

    under_all: StopUnderLoad
    under_one: StopUnderLoad | None  # of a further copy, which did not end
    culprit: Load | None  # what that one had


@dataclass(frozen=True)
class ReadInNextLife:
    """A read of a row that an earlier copy had read, and that changed while none ran."""

    row: dict[str, Any] | None  # None of one that was deleted
    exchange: Exchange
    check: RowCheck


@dataclass(frozen=True)
class RestartObserved:
    """What was observed of the three copies."""

    stopped: StopObserved
    later_reads: list[ReadInNextLife]  # after the stop and after the kill, as far as it started
    after_stop: NotReady | None  # why the second copy did not start
    after_kill: NotReady | None  # why the third did not
    interrupted: StopObserved | None  # the third, where it started


class Restart(Scenario[RestartObserved]):
    """The first is sent SIGTERM, the second is killed, the third is interrupted by SIGINT."""

    requirements = frozenset({"DB-4", "LIFE-4", "LIFE-5", "LIFE-8", "LIFE-9"})
    database = DatabaseNeed.OWN

    async def run(self, launch: Launch, database: DatabaseAccess) -> RestartObserved:
        """Run it on a database."""
        async with open_neighbours(launch, database) as neighbours:
            rows = RowsAcrossLives(
                neighbours.items, [await neighbours.items.rows.insert() for _ in range(2)]
            )
            copies = Copies(launch, neighbours, rows)
            stopped = await copies.stop(terminate)
            await rows.change("changed after a stop")
            after_stop = await copies.find_failure_and_kill()
            await rows.change("changed after a kill")
            try:
                interrupted = await copies.stop(interrupt)
            except NotReady as failure:
                return RestartObserved(stopped, rows.later_reads, after_stop, failure, None)
        return RestartObserved(stopped, rows.later_reads, after_stop, None, interrupted)


def terminate(process: Running) -> ProcessEvent:
    """Send SIGTERM to the process alone, as a supervisor does."""
    return process.send(signal.SIGTERM)


def interrupt(process: Running) -> ProcessEvent:
    """Send SIGINT to all of it, as a terminal does."""
    return process.interrupt()


class RowsAcrossLives:
    """Two rows that the first copy reads, and that change while none runs."""

    def __init__(self, items: Database, rows: Sequence[dict[str, Any]]) -> None:
        self._items = items
        self._kept, self._going = (row["id"] for row in rows)
        self._rows: dict[int, dict[str, Any] | None] = {row["id"]: row for row in rows}
        self._have_changed = False
        self.later_reads: list[ReadInNextLife] = []

    async def read(self, client: Client) -> None:
        """Read them by a copy that is ready. What comes after a change is kept."""
        for item_id, row in self._rows.items():
            exchange = await client.get(f"/items/{item_id}")
            if self._have_changed:
                check = await self._items.rows.check_row(item_id)
                self.later_reads.append(ReadInNextLife(row, exchange, check))

    async def change(self, name: str) -> None:
        """Give one another name, and delete the other one."""
        self._have_changed = True
        self._rows[self._kept] = await self._items.rows.update(self._kept, name=name)
        await self._items.rows.delete(self._going)
        self._rows[self._going] = None


class Copies:
    """Copies that follow each other on one port. Each reads the same rows when it is ready."""

    def __init__(self, launch: Launch, neighbours: Neighbours, rows: RowsAcrossLives) -> None:
        self._neighbours = neighbours
        self._rows = rows
        self._where = (launch, "to be started again", neighbours.variables, claim_port())

    async def stop(self, send: Callable[[Running], ProcessEvent]) -> StopObserved:
        """Stop a copy under every load, and where it does not end, one under each load alone.

        Raises NotReady where the first does not start.
        """
        under_all = await self._stop(send, *LOADS)
        if under_all.ending.status is None:
            for load in LOADS:
                with suppress(NotReady):
                    under_one = await self._stop(send, load)
                    if under_one.ending.status is None:
                        return StopObserved(under_all, under_one, load)
        return StopObserved(under_all, None, None)

    async def _stop(self, send: Callable[[Running], ProcessEvent], *loads: Load) -> StopUnderLoad:
        async with start_copy(*self._where) as (target, client):
            await wait_until_ready(target)
            await self._rows.read(client)
            stopped = await stop_under_load(loads, self._neighbours, target, client, send)
        await self._neighbours.items.sessions.wait_until_ended()  # one that hung was killed
        return stopped

    async def find_failure_and_kill(self) -> NotReady | None:
        """Start a copy and kill it; why it did not become ready, or None."""
        target: Target
        async with start_copy(*self._where) as (target, client):
            failure = await find_start_failure(target)
            if failure is None:
                await self._rows.read(client)
        # Those of a copy that was killed are abandoned.
        await self._neighbours.items.sessions.wait_until_ended()
        return failure
