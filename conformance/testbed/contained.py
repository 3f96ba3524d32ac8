"""What runs in a container as a process does elsewhere: its output, its signals, its end, all through the daemon."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import docker.errors
import docker.models.containers
import psutil
from docker.types import CancellableStream
from testcontainers.core.docker_client import DockerClient

from conformance import allowances
from conformance.errors import WrongUsage
from conformance.evidence import Journal, LogLine, Observation, ProcessEvent
from conformance.testbed.containers import TROUBLE, Engine, blaming_the_testbed, why_not
from conformance.testbed.processes import Output, last_lines


class Contained:
    """A container, with all that it prints. Its first process is the one that signals go to and whose status counts."""

    is_heard = True

    def __init__(self, name: str, container: docker.models.containers.Container, journal: Journal, *, ours: bool) -> None:
        """Take the output of a container: of ours, all of it; of somebody else's, what comes from now on."""
        self.name = name
        self._container = container
        self._journal = journal
        self._output = Output(name, journal)
        self._lock = threading.Lock()
        self._heard = time.monotonic()  # when it printed last
        self._status: int | None = None
        self._killing = threading.Lock()
        self._gone = False
        self._is_ours = ours
        with blaming_the_testbed("read a container's output"):
            self._stream: CancellableStream[tuple[bytes | None, bytes | None]] = container.attach(
                stdout=True, stderr=True, stream=True, logs=ours, demux=True
            )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def status(self) -> int | None:
        """The exit status, 128 and more for a signal, or None while it runs."""
        return self._status

    @property
    def children(self) -> Sequence[psutil.Process]:
        """None: what a container's first process has started ends with it."""
        return ()

    def child_names(self) -> list[str]:
        """None, likewise."""
        return []

    def output(self) -> list[LogLine]:
        """Every line printed so far: the daemon hands them on a moment later, so it is waited for LOG_LAG of silence."""
        while self._status is None and (left := self._heard + allowances.LOG_LAG - time.monotonic()) > 0:
            self._reader.join(left)
        with self._lock:
            return self._output.lines

    def last_lines(self, count: int = 6) -> list[str]:
        """The last lines that are not empty, as text."""
        return last_lines(self.output(), count)

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to its first process."""
        with blaming_the_testbed("send a signal to a container"), suppress(docker.errors.APIError):
            self._container.kill(signal=number.name)
        self._heard = time.monotonic()
        return self._event(f"was sent {number.name}")

    def ended(self, deadline: float) -> int | None:
        """Wait for the end of the container and of its output; the exit status, or None if the deadline passed."""
        self._reader.join(deadline)
        if self._status is not None:
            self._event(f"ended with status {self._status}")
        return self._status

    def kill(self) -> None:
        """SIGKILL the container, and remove it where it is ours. The second time, it does nothing."""
        with self._killing:
            if self._gone:
                return
            self._gone = True
            with blaming_the_testbed("kill a container"), suppress(docker.errors.APIError):
                self._container.kill()
            self._reader.join(allowances.STOP_DEADLINE)
            self._stream.close()
            self._output.close()
            if self._is_ours:
                self._remove()

    def blocking_line(self, _folder: Path) -> Observation | None:
        """None: a stack cannot be asked for through the daemon."""
        return None

    def _remove(self) -> None:
        with blaming_the_testbed("remove a container"), suppress(docker.errors.NotFound):
            self._container.remove(force=True, v=True)
        if self._container.client:
            self._container.client.close()

    def _read(self) -> None:
        """Take what it prints until it ends, then its status."""
        with suppress(*TROUBLE):
            for chunks in self._stream:
                self._heard = time.monotonic()
                with self._lock:
                    for name, chunk in zip(("stdout", "stderr"), chunks, strict=True):
                        if chunk:
                            self._output.take(name, chunk)
        with self._lock:
            self._output.take("stdout", b"")
            self._output.take("stderr", b"")
        with suppress(*TROUBLE):
            self._status = int(self._container.wait()["StatusCode"])

    def _event(self, event: str) -> ProcessEvent:
        return self._journal.record(ProcessEvent, process=self.name, event=event)


def start(
    engine: Engine,
    name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    journal: Journal,
    ports: Mapping[int, int],
) -> Contained:
    """Start a container of the run's network, with some of its ports published on ports of this machine's."""
    inside = {key: engine.seen_from_inside(value) for key, value in environment.items()}
    with blaming_the_testbed(f"start {image}"):
        container = engine.container(image, list(command) or None, inside, ports).start()
    return Contained(name, container.get_wrapped_container(), journal, ours=True)


class Standing:
    """A container that somebody else has made, which is stopped and started and never removed."""

    def __init__(self, name: str, option: str) -> None:
        """Find it. Raises WrongUsage."""
        self._wanted = f"{option} wants the name of a container that runs"
        try:
            self._container = DockerClient().client.containers.get(name)
        except docker.errors.NotFound as error:
            raise WrongUsage(f"{self._wanted}; there is no {name}") from error
        except TROUBLE as error:
            raise WrongUsage(f"{self._wanted}, and a daemon that tells of it; {why_not(error)}") from error

    def running(self, name: str, journal: Journal) -> Contained:
        """The container as it runs. Raises WrongUsage where it does not."""
        with blaming_the_testbed("look after a container"):
            self._container.reload()
        if self._container.status != "running":
            raise WrongUsage(f"{self._wanted}; {self._container.name} is {self._container.status}")
        return Contained(name, self._container, journal, ours=False)

    def start(self, name: str, journal: Journal) -> Contained:
        """Start it again, and take its output from the first line on."""
        contained = Contained(name, self._container, journal, ours=False)
        with blaming_the_testbed("start a container"):
            self._container.start()
        return contained
