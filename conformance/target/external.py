"""A service or worker that somebody else has started: found, stopped, and started again."""

import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

from conformance.config.options import Options
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, WrongUsage
from conformance.core.evidence import Journal, LogLine, ProcessEvent
from conformance.core.observations import BlockingLine
from conformance.core.polling import block_until
from conformance.core.urls import find_port
from conformance.target.container_copies import ContainerCopies
from conformance.testbed.process_table import count_held, is_running, kill_processes
from conformance.testbed.processes import Running

if TYPE_CHECKING:
    from conformance.testbed.docker_process import DockerProcess

UNSEEN_STATUS = 1 << 16  # stands for an exit status that only the parent of a process can read


class ExternalControl(Protocol):
    """Finds a service that somebody else has started, and starts it again."""

    def find_running(self) -> Running:
        """What runs now. Raises WrongUsage where nothing does."""

    def start(self) -> Running:
        """Start it again after it has ended. Raises NoEvidence."""

    def close(self) -> None:
        """Leave it as it is."""


def control_target(options: Options, journal: Journal) -> ExternalControl | None:
    """The control that a run was given over its target. Raises WrongUsage."""
    if options.target.container:
        return ContainerControl(options.target.container, "server", journal, "--container")
    return CommandControl(options, journal) if options.target.restart_command else None


def control_worker(options: Options, journal: Journal) -> ExternalControl | None:
    """The control that a run was given over its target's worker. Raises WrongUsage."""
    name = options.worker.container
    return ContainerControl(name, "worker", journal, "--worker-container") if name else None


def copy_target(
    control: ExternalControl | None, options: Options, run: str, journal: Journal
) -> ContainerCopies | None:
    """What starts further copies of a target in a container; None where it is in none.

    `run` is the name of the run's folder.
    """
    if not isinstance(control, ContainerControl):
        return None
    return ContainerCopies(control.existing, str(options.target.url), run, journal)


class ContainerControl:
    """A service in a container that somebody else has made."""

    def __init__(self, container: str, name: str, journal: Journal, option: str) -> None:
        # It takes half a second, which only those pay who need it.
        from conformance.testbed.docker_process import ExistingContainer  # noqa: PLC0415

        self._name = name
        self._journal = journal
        self.existing = ExistingContainer(container, option)

    def find_running(self) -> "DockerProcess":
        """The container as it runs."""
        return self.existing.find_running(self._name, self._journal)

    def start(self) -> "DockerProcess":
        """Start the container again."""
        return self.existing.start(self._name, self._journal)

    def close(self) -> None:
        """Leave it as it is."""
        self.existing.close()


class CommandControl:
    """A process of this machine, found by its port, and a command that starts it again."""

    def __init__(self, options: Options, journal: Journal) -> None:
        self._command = shlex.split(str(options.target.restart_command))
        self._folder = options.target.directory
        self._url = str(options.target.url)
        self._journal = journal

    def find_running(self) -> Running:
        """The process that listens. Raises WrongUsage where none can be found."""
        port = find_port(self._url)
        try:
            connections = psutil.net_connections("tcp")
            pids = {
                line.pid
                for line in connections
                if line.status == psutil.CONN_LISTEN and getattr(line.laddr, "port", None) == port
            }
        except psutil.AccessDenied:
            pids = set()
        found = [psutil.Process(pid) for pid in pids if pid]
        # Its children have the socket too.
        first = [process for process in found if process.ppid() not in pids]
        if not first:
            raise WrongUsage(
                "--restart-command needs a service on this machine whose process this user may "
                f"stop; none is seen at {self._url}"
            )
        return ExternalProcess("server", first[0], self._journal)

    def start(self) -> Running:
        """Run the command to its end. Raises NoEvidence where it fails, or does not end."""
        try:
            done = subprocess.run(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeouts.READY_DEADLINE,
                check=False,
                start_new_session=True,  # an interrupt of the suite must not end what it starts
            )
        except OSError as error:
            raise NoEvidence(f"--restart-command cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise NoEvidence(
                "--restart-command must start the service and end, and it does not end"
            ) from error
        if done.returncode:
            raise NoEvidence(f"--restart-command ended with status {done.returncode}")
        running = block_until(self._find_if_running, timeouts.READY_DEADLINE)
        if running is None:
            lack = "nothing listens where the service was"
            raise NoEvidence(f"--restart-command ended, and {lack}")
        return running

    def _find_if_running(self) -> Running | None:
        try:
            return self.find_running()
        except WrongUsage:
            return None

    def close(self) -> None:
        """Leave it as it is."""


class ExternalProcess:
    """A process that somebody else has started.

    It can be signalled and seen to end. Its output and its exit status cannot be seen.
    """

    def __init__(self, name: str, process: psutil.Process, journal: Journal) -> None:
        self.name = name
        self.first_signal: ProcessEvent | None = None
        self._process = process
        self._journal = journal
        self._family: list[psutil.Process] = []

    @property
    def status(self) -> int | None:
        """UNSEEN_STATUS once it has ended; None while it runs."""
        return None if is_running(self._process) else UNSEEN_STATUS

    @property
    def children(self) -> Sequence[psutil.Process]:
        """The processes that descend from it, or did when it was sent a signal."""
        self._look_at_family()
        return [child for child in self._family if is_running(child)]

    def _look_at_family(self) -> None:
        with suppress(psutil.Error):
            self._family = self._process.children(recursive=True) or self._family

    def count_held(self) -> Mapping[str, int]:
        """How many processes, threads and descriptors it has, as far as this user may see them."""
        return count_held([self._process, *self.children])

    def read_output(self) -> list[LogLine]:
        """None: it goes to somebody else."""
        return []

    def read_last_lines(self, _count: int = 6) -> list[str]:
        """None, likewise."""
        return []

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the process alone."""
        event = self._record_signal(number.name)
        with suppress(psutil.Error):
            self._process.send_signal(number)
        return event

    def interrupt(self) -> ProcessEvent:
        """Send SIGINT to it and to all that descends from it.

        Its process group may hold what its owner runs beside it.
        """
        event = self._record_signal("SIGINT with all that descends from it")
        for process in (self._process, *self._family):
            with suppress(psutil.Error):
                process.send_signal(signal.SIGINT)
        return event

    def _record_signal(self, name: str) -> ProcessEvent:
        self._look_at_family()  # once it has ended, they cannot be found any more
        event = self._journal.record(ProcessEvent, process=self.name, event=f"was sent {name}")
        self.first_signal = self.first_signal or event
        return event

    def wait_for_end(self, limit: float) -> int | None:
        """Wait for the end; UNSEEN_STATUS, or None if the deadline passed."""
        with suppress(psutil.NoSuchProcess):
            try:
                self._process.wait(limit)
            except psutil.TimeoutExpired:
                return self.status
        self._journal.record(
            ProcessEvent, process=self.name, event="ended, with a status that cannot be seen"
        )
        return UNSEEN_STATUS

    def kill(self) -> None:
        """SIGKILL it and all that descends from it, and wait until it is gone."""
        family = [self._process, *self.children]
        kill_processes(family)
        psutil.wait_procs(family, timeout=timeouts.STOP_DEADLINE)

    def find_blocking_line(self, _folder: Path) -> BlockingLine | None:
        """None: its output, to which it would print its stack, goes to somebody else."""
        return None
