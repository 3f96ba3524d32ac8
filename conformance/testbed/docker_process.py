"""What runs in a container as a process does elsewhere: its output, its signals, its end, all through the daemon."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
import docker.models.containers
import psutil
from docker.api import APIClient
from docker.utils.socket import STDERR, STDOUT, frames_iter

from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal, LogLine, Observation, ProcessEvent
from conformance.testbed.containers import TROUBLE, Engine, blaming_the_testbed, reached
from conformance.testbed.processes import Output, last_lines


class Contained:
    """A container, with all that it prints. Its first process is the one that signals go to and whose status counts."""

    is_heard = True

    def __init__(
        self,
        name: str,
        container: docker.models.containers.Container,
        journal: Journal,
        *,
        ours: bool,
    ) -> None:
        """Take the output of a container from now on."""
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
        self._left = False
        with blaming_the_testbed("read a container's output"):
            self._line: Any = _api(container).attach_socket(
                str(container.id), {"stdout": 1, "stderr": 1, "stream": 1}
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

    def output(self) -> list[LogLine]:
        """Every line printed so far: the daemon hands them on a moment later, so it is waited for LOG_LAG of silence."""
        while (
            self._status is None and (left := self._heard + timeouts.LOG_LAG - time.monotonic()) > 0
        ):
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
            self._reader.join(timeouts.STOP_DEADLINE)
            self._output.close()
            if self._is_ours:
                with blaming_the_testbed("remove a container"), suppress(docker.errors.NotFound):
                    self._container.remove(force=True, v=True)
                _api(self._container).close()

    def let_go(self) -> None:
        """Listen no more, whether it runs on or not."""
        self._left = True
        with (
            suppress(OSError, ValueError),
            socket.socket(fileno=os.dup(self._line.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeouts.STOP_DEADLINE)

    def blocking_line(self, _folder: Path) -> Observation | None:
        """None: a stack cannot be asked for through the daemon."""
        return None

    def _read(self) -> None:
        """Take what it prints until it ends, then its status."""
        with suppress(*TROUBLE):
            for stream, chunk in self._chunks():
                self._heard = time.monotonic()
                with self._lock:
                    self._output.take(stream, chunk)
        with self._lock:
            self._output.take("stdout", b"")
            self._output.take("stderr", b"")
        if not self._left:
            with suppress(*TROUBLE):
                self._status = int(self._container.wait()["StatusCode"])
        self._line._response.close()  # noqa: SLF001 - docker keeps it there so that somebody closes it
        self._line.close()

    def _chunks(self) -> Iterator[tuple[str, bytes]]:
        """What it prints, until it ends. The line of a container that does not run is silent until somebody starts it."""
        names = {STDOUT: "stdout", STDERR: "stderr"}
        for stream, chunk in frames_iter(self._line, tty=self._container.attrs["Config"]["Tty"]):
            yield names[stream], chunk

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
    """Start a container of the run's network, with some of its ports published on ports of this machine's.

    It is heard before it is started: between what the daemon has kept and what it goes on to hand over, a line would be lost.
    """
    inside = {key: engine.seen_from_inside(value) for key, value in environment.items()}
    with blaming_the_testbed(f"start {image}"):
        container = engine.made(image, list(command) or None, inside, ports)
    contained = Contained(name, container, journal, ours=True)
    with blaming_the_testbed(f"start {image}"):
        try:
            container.start()
        except docker.errors.APIError:
            container.remove(force=True, v=True)
            raise
    return contained


class Existing:
    """A container that somebody else has made, which is stopped and started and never removed."""

    def __init__(self, name: str, option: str) -> None:
        """Find it. Raises WrongUsage."""
        self._heard: list[Contained] = []
        self._wanted = f"{option} wants the name of a container that runs"
        try:
            self._container = reached().containers.get(name)
        except docker.errors.NotFound as error:
            raise WrongUsage(f"{self._wanted}; there is no {name}") from error
        except TROUBLE as error:
            raise WrongUsage(f"{self._wanted}, and a daemon that tells of it; {error}") from error

    def running(self, name: str, journal: Journal) -> Contained:
        """The container as it runs. Raises WrongUsage where it does not."""
        with blaming_the_testbed("look after a container"):
            self._container.reload()
        if self._container.status != "running":
            raise WrongUsage(f"{self._wanted}; {self._container.name} is {self._container.status}")
        return self._hear(name, journal)

    def start(self, name: str, journal: Journal) -> Contained:
        """Start it again, and take its output from the first line on."""
        contained = self._hear(name, journal)
        with blaming_the_testbed("start a container"):
            self._container.start()
        return contained

    def _hear(self, name: str, journal: Journal) -> Contained:
        self._heard.append(Contained(name, self._container, journal, ours=False))
        return self._heard[-1]

    def close(self) -> None:
        """Leave it as it is."""
        for contained in self._heard:
            contained.let_go()
        _api(self._container).close()


def _api(container: docker.models.containers.Container) -> APIClient:
    assert container.client
    return container.client.api
