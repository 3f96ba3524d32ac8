"""A service or a worker in a container: its output, its signals and its end, by the daemon."""

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
from conformance.core.evidence import Journal, LogLine, ProcessEvent
from conformance.core.observations import BlockingLine
from conformance.testbed.container_settings import ContainerSettings
from conformance.testbed.containers import (
    TROUBLE,
    Engine,
    as_broken_testbed,
    connect_to_daemon,
    create_from_settings,
)
from conformance.testbed.process_output import Output, take_last_texts


class DockerProcess:
    """A container, with all that it prints.

    Signals go to its first process, whose exit status counts.
    """

    def __init__(
        self,
        name: str,
        container: docker.models.containers.Container,
        journal: Journal,
        *,
        ours: bool,
    ) -> None:
        """Read the output of a container from now on. It is removed in the end if it is `ours`."""
        self.name = name
        self.first_signal: ProcessEvent | None = None
        self._container = container
        self._journal = journal
        self._output = Output(name, journal)
        self._lock = threading.Lock()
        self._last_output = time.monotonic()
        self._status: int | None = None
        self._killing = threading.Lock()
        self._is_killed = False
        self._is_ours = ours
        self._is_abandoned = False
        with as_broken_testbed("read a container's output"):
            self._stream: Any = _client_of(container).attach_socket(
                str(container.id), {"stdout": 1, "stderr": 1, "stream": 1}
            )
        self._reader = threading.Thread(
            target=self._read_until_end, name=f"output of {name}", daemon=True
        )
        self._reader.start()

    @property
    def status(self) -> int | None:
        """The exit status, 128 and more for a signal, or None while it runs."""
        return self._status

    @property
    def children(self) -> Sequence[psutil.Process]:
        """None: what the first process of a container has started ends with it."""
        return ()

    def count_held(self) -> Mapping[str, int]:
        """None: they belong to the container."""
        return {}

    def read_output(self) -> list[LogLine]:
        """Every line printed so far.

        The daemon hands lines on a moment later, so LOG_LAG without output is waited for.
        """
        while self._status is None and (left := self._measure_lag_left()) > 0:
            self._reader.join(left)
        with self._lock:
            return self._output.lines

    def read_last_lines(self, count: int = 6) -> list[str]:
        """The texts of the last lines that are not empty."""
        return take_last_texts(self.read_output(), count)

    def _measure_lag_left(self) -> float:
        return self._last_output + timeouts.LOG_LAG - time.monotonic()

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to its first process."""
        event = self._record_event(f"was sent {number.name}")
        self.first_signal = self.first_signal or event
        with as_broken_testbed("send a signal to a container"), suppress(docker.errors.APIError):
            self._container.kill(signal=number.name)
        self._last_output = time.monotonic()
        return event

    def interrupt(self) -> ProcessEvent:
        """Send SIGINT to its first process: the daemon knows no process groups."""
        return self.send(signal.SIGINT)

    def wait_for_end(self, limit: float) -> int | None:
        """Wait until the container and its output end, for `limit` seconds at most.

        Returns the exit status, or None if it still runs.
        """
        self._reader.join(limit)
        if self._status is not None:
            self._record_event(f"ended with status {self._status}")
        return self._status

    def kill(self) -> None:
        """SIGKILL the container, and remove it if it is ours. The second time, it does nothing."""
        with self._killing:
            if self._is_killed:
                return
            self._is_killed = True
            with as_broken_testbed("kill a container"), suppress(docker.errors.APIError):
                self._container.kill()
            self._reader.join(timeouts.STOP_DEADLINE)
            self._output.close()
            if self._is_ours:
                with as_broken_testbed("remove a container"), suppress(docker.errors.NotFound):
                    self._container.remove(force=True, v=True)
                _client_of(self._container).close()

    def abandon(self) -> None:
        """Stop reading its output, whether it runs on or not."""
        self._is_abandoned = True
        with (
            suppress(OSError, ValueError),
            socket.socket(fileno=os.dup(self._stream.fileno())) as connection,
        ):
            connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeouts.STOP_DEADLINE)

    def find_blocking_line(self, _folder: Path) -> BlockingLine | None:
        """None: the daemon cannot ask a process for its stack."""
        return None

    def _read_until_end(self) -> None:
        """Read what it prints until it ends, and then its status."""
        with suppress(*TROUBLE):
            for stream, chunk in self._read_chunks():
                self._last_output = time.monotonic()
                with self._lock:
                    self._output.take_chunk(stream, chunk)
        with self._lock:
            self._output.take_chunk("stdout", b"")
            self._output.take_chunk("stderr", b"")
        if not self._is_abandoned:
            with suppress(*TROUBLE):
                self._status = int(self._container.wait()["StatusCode"])
        # docker keeps it there so that somebody closes it.
        self._stream._response.close()  # noqa: SLF001
        self._stream.close()

    def _read_chunks(self) -> Iterator[tuple[str, bytes]]:
        """The names of streams and what they carry, until the container ends.

        The connection to a container that does not run is silent until somebody starts it.
        """
        names = {STDOUT: "stdout", STDERR: "stderr"}
        for stream, chunk in frames_iter(self._stream, tty=self._container.attrs["Config"]["Tty"]):
            yield names[stream], chunk

    def _record_event(self, event: str) -> ProcessEvent:
        return self._journal.record(ProcessEvent, process=self.name, event=event)


def start_container(
    engine: Engine,
    name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    journal: Journal,
    ports: Mapping[int, int],
) -> DockerProcess:
    """Start a container of the run's network. Raises BrokenTestbed.

    `ports` maps ports of the container to those of this machine on which they are published. Its
    output is read from before its start. Otherwise a line could be lost between what the daemon
    has kept and what it hands on.
    """
    inside = {key: engine.translate_addresses(value) for key, value in environment.items()}
    with as_broken_testbed(f"start {image}"):
        container = engine.create_container(image, list(command) or None, inside, ports)
    with as_broken_testbed(f"start {image}"):
        return _start_created(name, container, journal)


def _start_created(
    name: str, container: docker.models.containers.Container, journal: Journal
) -> DockerProcess:
    """Start a container of the suite's own. It is removed where it cannot be started."""
    process = DockerProcess(name, container, journal, ours=True)
    try:
        container.start()
    except docker.errors.APIError:
        container.remove(force=True, v=True)
        raise
    return process


class ExistingContainer:
    """A container that somebody else has made. It is stopped and started, and never removed."""

    def __init__(self, name: str, option: str) -> None:
        """Find it. Raises WrongUsage."""
        self._processes: list[DockerProcess] = []
        self._wanted = f"{option} must be the name of a container that runs"
        try:
            self._container = connect_to_daemon().containers.get(name)
        except docker.errors.NotFound as error:
            raise WrongUsage(f"{self._wanted}; there is no {name}") from error
        except TROUBLE as error:
            raise WrongUsage(f"{self._wanted}; the daemon does not know: {error}") from error

    @property
    def settings(self) -> ContainerSettings:
        """Its settings, as they were when it was last looked at."""
        return ContainerSettings(self._container.attrs)

    def start_copy(
        self, name: str, settings: Mapping[str, Any], networks: Sequence[str], journal: Journal
    ) -> DockerProcess:
        """Start a container of the suite's own, of settings that are much like this one's.

        It joins the one network in its settings, and `networks`. Raises BrokenTestbed.
        """
        with as_broken_testbed(f"start a copy of {self._container.name}"):
            return _start_created(name, create_from_settings(settings, networks), journal)

    def find_running(self, name: str, journal: Journal) -> DockerProcess:
        """The container as it runs. Raises WrongUsage if it does not."""
        with as_broken_testbed("look at a container"):
            self._container.reload()
        if self._container.status != "running":
            raise WrongUsage(f"{self._wanted}; {self._container.name} is {self._container.status}")
        return self._read_output_of(name, journal)

    def start(self, name: str, journal: Journal) -> DockerProcess:
        """Start it again, and read its output from the first line on."""
        process = self._read_output_of(name, journal)
        with as_broken_testbed("start a container"):
            self._container.start()
        return process

    def _read_output_of(self, name: str, journal: Journal) -> DockerProcess:
        self._processes.append(DockerProcess(name, self._container, journal, ours=False))
        return self._processes[-1]

    def close(self) -> None:
        """Leave it as it is."""
        for process in self._processes:
            process.abandon()
        _client_of(self._container).close()


def _client_of(container: docker.models.containers.Container) -> APIClient:
    assert container.client
    return container.client.api
