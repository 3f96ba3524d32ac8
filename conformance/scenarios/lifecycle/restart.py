"""Three copies on one port: the first stopped under load, the second killed, the third too."""

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from conformance.core.evidence import ProcessEvent
from conformance.scenarios.lifecycle.copies import find_start_failure, start_copy, wait_until_ready
from conformance.scenarios.lifecycle.neighbours import Neighbours, open_neighbours
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.scenarios.lifecycle.stops import Load, StopUnderLoad, stop_under_load
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target
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
class RestartObserved:
    """What was observed of the three copies."""

    stopped: StopObserved
    after_stop: NotReady | None  # why the second copy did not start
    after_kill: NotReady | None  # why the third did not
    interrupted: StopObserved | None  # the third, where it started


class Restart(Scenario[RestartObserved]):
    """The first is sent SIGTERM, the second is killed, the third is interrupted by SIGINT."""

    requirements = frozenset({"LIFE-4", "LIFE-5", "LIFE-8", "LIFE-9"})
    database = DatabaseNeed.OWN

    async def run(self, launch: Launch, database: DatabaseAccess) -> RestartObserved:
        """Run it on a database."""
        async with open_neighbours(launch, database) as neighbours:
            copies = Copies(launch, neighbours)
            stopped = await copies.stop(terminate)
            after_stop = await copies.find_failure_and_kill()
            try:
                interrupted = await copies.stop(interrupt)
            except NotReady as failure:
                return RestartObserved(stopped, after_stop, failure, None)
        return RestartObserved(stopped, after_stop, None, interrupted)


def terminate(process: Running) -> ProcessEvent:
    """Send SIGTERM to the process alone, as a supervisor does."""
    return process.send(signal.SIGTERM)


def interrupt(process: Running) -> ProcessEvent:
    """Send SIGINT to all of it, as a terminal does."""
    return process.interrupt()


class Copies:
    """Copies that follow each other on one port."""

    def __init__(self, launch: Launch, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
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
            stopped = await stop_under_load(loads, self._neighbours, target, client, send)
        await self._neighbours.items.sessions.wait_until_ended()  # one that hung was killed
        return stopped

    async def find_failure_and_kill(self) -> NotReady | None:
        """Start a copy and kill it; why it did not become ready, or None."""
        target: Target
        async with start_copy(*self._where) as (target, _):
            failure = await find_start_failure(target)
        # Those of a copy that was killed are abandoned.
        await self._neighbours.items.sessions.wait_until_ended()
        return failure
