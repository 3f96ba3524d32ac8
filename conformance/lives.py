"""Lives: whole lives of further copies of the target, from start to end, lived in the background and recorded, not judged."""

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import Any, Self

from conformance import allowances
from conformance.client import Client
from conformance.errors import NoEvidence
from conformance.evidence import Exchange, LogLine, Observation, ProcessEvent
from conformance.target import Launch, NotReady, Target
from conformance.testbed import postgres

# Which requirements are judged by which life.
LOOKED_AT = {"stopped": {"DB-7", "DB-8", "DB-9", "LIFE-1", "LIFE-2", "LIFE-3"}, "killed": {"TASK-2", "TASK-7"}}

STARTING, STOPPING = "Starting up...", "Shutting down..."


class Life:
    """A life that may have failed to begin."""

    failure: NotReady | None

    def lived(self) -> Self:
        """This life. Raises NoEvidence where it never began; that it did not is judged elsewhere."""
        if self.failure:
            raise NoEvidence(f"another copy of the service, on another port, did not become ready: {self.failure.got}")
        return self


@dataclass
class StoppedLife(Life):
    """A copy that was started, read from a few times, and asked to stop by a signal."""

    failure: NotReady | None = None  # it never answered, and the rest is empty
    lines_at_first_answer: list[LogLine] = field(default_factory=list)
    sessions_at_first_answer: Observation | None = None
    reads: list[Exchange] = field(default_factory=list)
    sessions_at_signal: Observation | None = None
    table_before: Observation | None = None
    table_after: Observation | None = None
    lines_at_signal: list[LogLine] = field(default_factory=list)
    signalled: ProcessEvent | None = None
    status: int | None = None  # None: it had to be killed
    children: list[str] = field(default_factory=list)  # what was left of its group
    port_is_free: bool = False
    lines: list[LogLine] = field(default_factory=list)
    sessions_at_end: Observation | None = None


async def stopped(launch: Launch, place: postgres.Place) -> StoppedLife:
    """Live such a life on a database of its own, where the role may write, so that a read that writes succeeds in it."""
    life = StoppedLife()
    database = postgres.Database(place, launch.journal)
    await database.open()
    target = await asyncio.to_thread(Target.start, launch, "server (to be stopped)", DATABASE_URL=str(place.target_url))
    client = Client(target.url, launch.journal)
    await client.open()
    try:
        await asyncio.to_thread(target.ready)
        life.lines_at_first_answer = target.lines_at_first_answer
        life.sessions_at_first_answer = await database.sessions()
        rows = [await database.add() for _ in range(3)]
        life.table_before = await database.snapshot()
        life.reads = await client.all(*(f"/items/{row['id']}" for row in rows), f"/items/{database.unused_id()}")
        life.table_after = await database.snapshot()
        life.sessions_at_signal = await database.sessions()
        await asyncio.to_thread(_stop, target, life)
        life.sessions_at_end = await database.sessions_ended()
    except NotReady as failure:
        life.failure = failure
    finally:
        target.kill()
        await client.close()
        await database.close()
    return life


def _stop(target: Target, life: StoppedLife) -> None:
    process = target.process
    life.lines_at_signal = process.output()
    life.signalled = process.send(signal.SIGTERM)
    life.status = process.ended(allowances.STOP_DEADLINE)
    deadline = time.monotonic() + allowances.STOP_DEADLINE
    while (process.children or not target.port_is_free()) and time.monotonic() < deadline:
        time.sleep(allowances.POLL_INTERVAL)  # what the process started may end a moment after it
    life.children = process.child_names()
    life.port_is_free = target.port_is_free()
    life.lines = process.output()


@dataclass
class KilledLife(Life):
    """A copy that took one submission and was killed as soon as it had answered."""

    data: dict[str, Any]
    failure: NotReady | None = None
    submission: Exchange | None = None


async def killed(launch: Launch, marker: str) -> KilledLife:
    """Live such a life."""
    life = KilledLife({"outlives": marker})
    target = await asyncio.to_thread(Target.start, launch, "server (to be killed)")
    client = Client(target.url, launch.journal)
    await client.open()
    try:
        await asyncio.to_thread(target.ready)
        life.submission = await client.post("/process-data/", life.data)
        target.process.send(signal.SIGKILL)
    except NotReady as failure:
        life.failure = failure
    finally:
        target.kill()
        await client.close()
    return life
