"""The whole life of the target: what it printed from each start on, and its stop at the end."""

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.core.evidence import LogLine, ProcessEvent
from conformance.core.observations import EndedSessions
from conformance.scenarios.lifecycle.copies import Ending, interrupt, stop
from conformance.target.server import Target
from conformance.testbed.database import Database
from conformance.testbed.processes import Running


@dataclass(frozen=True)
class Life:
    """What the target printed from one start on."""

    lines: list[LogLine]
    first_signal: ProcessEvent | None  # None where it was sent none
    ended_by_itself: bool

    @classmethod
    def of(cls, process: Running) -> "Life":
        """What a process has printed so far."""
        signal = process.first_signal
        return cls(process.read_output(), signal, signal is None and process.status is not None)

    @property
    def unasked_lines(self) -> list[LogLine]:
        """What it printed before it was sent a signal."""
        if self.first_signal is None:
            return self.lines
        return [line for line in self.lines if line.at < self.first_signal.at]


@dataclass(frozen=True)
class WholeLife:
    """The lives of the target, and how the last of them ended.

    A target that somebody else has started is not ended: it has no ending here.
    """

    lives: list[Life]
    interrupted: Ending | None
    terminated: Ending | None  # by SIGTERM, where SIGINT did not end it
    sessions_at_end: EndedSessions | None  # None where they could not be seen, or it had no end


async def end_life(targets: Sequence[Target], items: Database | None) -> WholeLife:
    """Interrupt the last of some targets, to which nothing is sent any more."""
    target = targets[-1]
    if items:
        await items.sessions.note_abandoned()
    interrupted, terminated, sessions = await interrupt(target), None, None
    if interrupted.status is None:
        terminated = await stop(target)
    elif items:
        sessions = await items.sessions.wait_until_ended()
    return WholeLife(list_lives(targets), interrupted, terminated, sessions)


def list_lives(targets: Sequence[Target]) -> list[Life]:
    """What each start of the target printed so far."""
    return [Life.of(each.process) for each in targets]
