"""The worker: the implementation's own, started and stopped as probes need it."""

from contextlib import suppress

from conformance import allowances
from conformance.errors import NoEvidence
from conformance.evidence import LogLine
from conformance.target import Launch
from conformance.testbed.processes import Process


class Worker:
    """At most one worker process of the target's."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._process: Process | None = None
        self._proven = False

    def start(self) -> None:
        """See that a worker runs; it need not be ready. Raises NoEvidence where it cannot be started."""
        if self._process and self._process.status is None:
            return
        if self._process and not self._proven:
            raise NoEvidence(
                f"the worker ended with status {self._process.status} before it did anything: {' / '.join(self._process.last_lines(3))}"
            )
        try:
            self._process = self._launch.start("worker", self._launch.worker())
        except FileNotFoundError as error:
            raise NoEvidence(f"the worker could not be started: {error}; correct --worker-command or --target-python") from error

    def start_ahead(self) -> None:
        """Start it before it is needed; what goes wrong is told when it is."""
        with suppress(NoEvidence):
            self.start()

    def stop(self) -> None:
        """See that no worker runs."""
        if self._process:
            self._process.stop()

    @property
    def deadline(self) -> float:
        """How long a result may take: longer for the first, which waits for the worker's start."""
        return allowances.RESULT_DEADLINE if self._proven else allowances.FIRST_RESULT_DEADLINE

    def proven(self) -> None:
        """A result came."""
        self._proven = True

    def last_lines(self) -> list[LogLine]:
        """What the worker printed last, as evidence. Raises NoEvidence where it ended before it did anything."""
        if self._process is None:
            return []
        if self._process.status is not None and not self._proven:
            self.start()
        return [line for line in self._process.output() if line.text.strip()][-3:]
