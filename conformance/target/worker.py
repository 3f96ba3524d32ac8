"""The worker: the implementation's own, started and stopped as probes need it."""

import signal

from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Fact, LogLine
from conformance.target.server import Launch
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.processes import Running


class Worker:
    """At most one worker process of the target's."""

    def __init__(self, launch: Launch) -> None:
        """No worker yet, or the one that somebody else has started. Raises WrongUsage where that does not run."""
        self._launch = launch
        self._process: Running | None = (
            launch.worker_control.running() if launch.worker_control else None
        )
        self._asked: Running | None = None  # the one that was sent SIGTERM already
        self._proven = False  # a worker has done something
        self._warm = False  # this one has
        self._missed = False
        self._requirement = ""
        self.overdue: Violation | None = (
            None  # a result of the current requirement's that did not come in time
        )

    def begin_probe(self, requirement: str) -> None:
        """Begin a probe. A result that is overdue decides its requirement, so no other is waited for then."""
        if requirement != self._requirement:
            self._missed = self._missed or self.overdue is not None
            self._requirement, self.overdue = requirement, None

    def start(self) -> None:
        """See that a worker runs; it need not be ready. Raises NoEvidence where it cannot be started."""
        if self._process and self._process.status is None:
            return
        if self._process and not self._proven:
            raise NoEvidence(
                f"the worker ended with status {self._process.status} before it did anything: {' / '.join(self._process.read_last_lines(3))}"
            )
        try:
            self._process = self._launch.work()
            self._warm = False
        except FileNotFoundError as error:
            raise NoEvidence(
                f"the worker could not be started: {error}; correct --worker-command or --target-python"
            ) from error

    def stop(self) -> list[Fact]:
        """See that no worker runs: ask it to stop by SIGTERM, if it was not asked, and kill it if it does not. What was seen of that."""
        if self._process is None:
            return []
        process, self._process = self._process, None
        seen: list[Fact] = (
            []
            if process is self._asked or process.status is not None
            else [process.send(signal.SIGTERM)]
        )
        ended = process.wait_for_end(timeouts.STOP_DEADLINE)
        process.kill()
        return seen if ended is not None else [*seen, *take_last_lines(process.read_output(), 3)]

    def ask_to_stop(self) -> list[Fact]:
        """Send the worker SIGTERM, and see for GRACE_WATCHED whether it ends though it should not yet."""
        if self._process is None:
            return []
        self._asked = self._process
        signalled = self._process.send(signal.SIGTERM)
        self._process.wait_for_end(timeouts.GRACE_WATCHED)
        return [signalled]

    def kill(self) -> list[Fact]:
        """SIGKILL the worker and all that it has started; what it has missed is not held against the next."""
        self.overdue, self._missed = None, False
        if self._process is None:
            return []
        process, self._process = self._process, None
        killed = process.send(signal.SIGKILL)
        process.kill()
        return [killed]

    @property
    def has_ended(self) -> bool:
        """Whether a worker was started and has ended."""
        return self._process is not None and self._process.status is not None

    @property
    def deadline(self) -> float:
        """How long a result may take: longer for the first of a worker, which waits for its start; shorter once one was missed."""
        if self._missed:
            return timeouts.DEADLINE_AFTER_A_MISSED_ONE
        return timeouts.RESULT_DEADLINE if self._warm else timeouts.FIRST_RESULT_DEADLINE

    def did_its_work(self) -> None:
        """A result came."""
        self._proven, self._warm, self._missed = True, True, False

    def last_lines(self) -> list[LogLine]:
        """What the worker printed last, as evidence. Raises NoEvidence where it ended before it did anything."""
        if self._process is None:
            return []
        if self._process.status is not None and not self._proven:
            self.start()
        return take_last_lines(self._process.read_output(), 3)
