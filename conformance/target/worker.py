"""The target's own worker, started and stopped as probes need it."""

import signal

from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Fact, LogLine
from conformance.target.launch import Launch
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.processes import Running


class Worker:
    """At most one worker process of the target's."""

    def __init__(self, launch: Launch) -> None:
        """No worker yet, or the one that somebody else has started.

        Raises WrongUsage where that one does not run.
        """
        external = launch.external_worker
        self._launch = launch
        self._process: Running | None = external.find_running() if external else None
        self._asked_to_stop: Running | None = None  # the one that was sent SIGTERM already
        self._proven = False  # a worker has stored a result
        self._warm = False  # this one has
        self._timed_out_earlier = False
        self._requirement = ""
        # A result of the current requirement's that did not come in time.
        self.timed_out: Violation | None = None

    def begin_probe(self, requirement: str) -> None:
        """Begin a probe. A result that timed out decides its requirement; no other is awaited."""
        if requirement != self._requirement:
            self._timed_out_earlier = self._timed_out_earlier or self.timed_out is not None
            self._requirement, self.timed_out = requirement, None

    def start(self) -> None:
        """See that a worker runs. It need not be ready. Raises NoEvidence where it cannot start."""
        if self._process and self._process.status is None:
            return
        if self._process and not self._proven:
            lines = " / ".join(self._process.read_last_lines(3))
            status = self._process.status
            ended = f"the worker ended with status {status} before it did anything: {lines}"
            raise NoEvidence(ended)
        self._process = self._launch.start_worker()
        self._warm = False

    def stop(self) -> list[Fact]:
        """See that no worker runs: SIGTERM, if it was not sent yet, then SIGKILL.

        Returns what was seen: the signal, and the last lines of one that had to be killed.
        """
        if self._process is None:
            return []
        process, self._process = self._process, None
        is_asked = process is self._asked_to_stop or process.status is not None
        seen: list[Fact] = [] if is_asked else [process.send(signal.SIGTERM)]
        ended = process.wait_for_end(timeouts.STOP_DEADLINE)
        process.kill()
        return seen if ended is not None else [*seen, *take_last_lines(process.read_output(), 3)]

    def ask_to_stop(self) -> list[Fact]:
        """Send SIGTERM, and watch for GRACE_WATCHED whether it ends, which it should not yet."""
        if self._process is None:
            return []
        self._asked_to_stop = self._process
        signalled = self._process.send(signal.SIGTERM)
        self._process.wait_for_end(timeouts.GRACE_WATCHED)
        return [signalled]

    def kill(self) -> list[Fact]:
        """SIGKILL the worker and all it has started. What it missed does not count for the next."""
        self.timed_out, self._timed_out_earlier = None, False
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
        """The seconds that a result may take.

        More for the first result of a worker, which waits for its start; fewer once one was missed.
        """
        if self._timed_out_earlier:
            return timeouts.DEADLINE_AFTER_A_MISSED_ONE
        return timeouts.RESULT_DEADLINE if self._warm else timeouts.FIRST_RESULT_DEADLINE

    def note_result(self) -> None:
        """A result came."""
        self._proven, self._warm, self._timed_out_earlier = True, True, False

    def read_last_lines(self) -> list[LogLine]:
        """What the worker printed last. Raises NoEvidence where it ended before it did anything."""
        if self._process is None:
            return []
        if self._process.status is not None and not self._proven:
            self.start()
        return take_last_lines(self._process.read_output(), 3)
