"""Processes: start one in a group of its own, read its output, signal it, and see it end."""

import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal, LogLine, ProcessEvent
from conformance.core.observations import BlockingLine
from conformance.testbed.process_output import Output, take_last_texts
from conformance.testbed.process_table import count_held, is_running, kill_processes, list_group
from conformance.testbed.stack_dump import find_blocking_line

CHUNK = 65_536  # bytes, a pipe's usual capacity
CHUNKS = 4  # that are read at once: a flood must not hold the lock for ever
SELECT_TIMEOUT = 0.2  # seconds; a stray grandchild may keep a pipe open for ever


class Running(Protocol):
    """What runs as a service or as its worker, whether in a process or in a container."""

    name: str
    first_signal: ProcessEvent | None  # that it was sent; None while it was sent none

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""

    @property
    def children(self) -> Sequence[psutil.Process]:
        """The processes that it has started and that still run, as far as they can be seen."""

    def count_held(self) -> Mapping[str, int]:
        """How many processes, threads and descriptors it has, as far as they can be seen."""

    def read_output(self) -> list[LogLine]:
        """Every line printed so far. Of a flood, the first and the last LINES_KEPT."""

    def read_last_lines(self, count: int = 6) -> list[str]:
        """The texts of the last lines that are not empty."""

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the process alone, as whoever runs a service does."""

    def interrupt(self) -> ProcessEvent:
        """Send SIGINT to all of it, as a terminal does at Ctrl-C, as far as that can be done."""

    def wait_for_end(self, limit: float) -> int | None:
        """Wait until the process and its output end, for `limit` seconds at most.

        Returns the exit status, or None if it still runs.
        """

    def kill(self) -> None:
        """SIGKILL all of it and wait until it is gone. The second time, it does nothing."""

    def find_blocking_line(self, folder: Path) -> BlockingLine | None:
        """The line of the code in `folder` in which a main thread's event loop is stuck.

        None if no loop is stuck, or no stack can be read.
        """


class Process:
    """One process started by the suite, with all that it prints.

    Two streams are read by one thread. `read_output` also reads what is in the pipes at that
    moment: whatever was printed before a fact is in the output when the fact is seen.
    """

    spawn: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen  # the self-tests replace it

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        journal: Journal,
        *,
        env: Mapping[str, str],
        cwd: Path,
        user: int | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.first_signal: ProcessEvent | None = None
        self._journal = journal
        self._lock = threading.Lock()
        self._closed = False
        self._killing = threading.Lock()
        self._family: list[psutil.Process] = []
        self._output = Output(name, journal)
        self._popen = self._spawn_process(env, cwd, user)
        assert self._popen.stdout and self._popen.stderr
        self._streams = {
            self._popen.stdout.fileno(): "stdout",
            self._popen.stderr.fileno(): "stderr",
        }
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
        self.pid = self._popen.pid
        self._record_event("started: " + " ".join(self.argv[:6]))
        self._reader = threading.Thread(
            target=self._read_until_end, name=f"output of {name}", daemon=True
        )
        self._reader.start()

    def _spawn_process(
        self, env: Mapping[str, str], cwd: Path, user: int | None
    ) -> subprocess.Popen[bytes]:
        try:
            return self.spawn(
                self.argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        except OSError as error:
            raise FileNotFoundError(
                f"{self.argv[0]} cannot be started: {error.strerror or error}"
            ) from error

    # What it printed

    def read_output(self) -> list[LogLine]:
        """Every line printed so far. Of a flood, the first and the last LINES_KEPT."""
        with self._lock:
            self._drain_pipes()
            return self._output.lines

    def read_last_lines(self, count: int = 6) -> list[str]:
        """The texts of the last lines that are not empty."""
        return take_last_texts(self.read_output(), count)

    def find_blocking_line(self, folder: Path) -> BlockingLine | None:
        """The line of the code in `folder` in which a main thread's event loop is stuck.

        None if no loop is stuck, or no stack can be read.
        """
        pids = (self.pid, *(child.pid for child in self.children))
        return find_blocking_line(self.name, pids, self.read_output, folder, self._journal)

    def _read_until_end(self) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor in self._streams:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map() and not self._closed:
                for _ in selector.select(SELECT_TIMEOUT):
                    with self._lock:
                        ended = self._drain_pipes()
                    for descriptor in ended & set(selector.get_map()):
                        selector.unregister(descriptor)

    def _drain_pipes(self) -> set[int]:
        """Read what is in both pipes, with the lock held. Returns the descriptors that ended."""
        ended: set[int] = set()
        if self._closed:
            return ended
        for descriptor, stream in self._streams.items():
            with suppress(BlockingIOError):
                for _ in range(CHUNKS):
                    chunk = os.read(descriptor, CHUNK)
                    self._output.take_chunk(stream, chunk)
                    if not chunk:
                        ended.add(descriptor)
                        break
        return ended

    # Signals and the end

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the process alone, as whoever runs a service does."""
        event = self._record_signal(number.name)
        with suppress(ProcessLookupError):
            self._popen.send_signal(number)
        return event

    def interrupt(self) -> ProcessEvent:
        """Send SIGINT to its whole group, as a terminal does at Ctrl-C."""
        event = self._record_signal("SIGINT with its whole process group")
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)
        return event

    def _record_signal(self, name: str) -> ProcessEvent:
        """Record that a signal is sent, before what is done about it can be seen."""
        # Children in sessions of their own cannot be found any more once it has ended.
        self._family = self.children
        event = self._record_event(f"was sent {name}")
        self.first_signal = self.first_signal or event
        return event

    def wait_for_end(self, limit: float) -> int | None:
        """Wait until the process and its output end, for `limit` seconds at most.

        Returns the exit status, or None if it still runs.
        """
        status = self._wait(limit)
        if status is not None:
            self.read_output()
            self._record_event(f"ended with status {status}")
        return status

    def _wait(self, limit: float) -> int | None:
        try:
            return self._popen.wait(limit)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL the whole group, wait until the process is gone, and close the pipes.

        The second time, it does nothing.
        """
        with self._killing:
            if not self._closed:
                self._kill_group()

    def _kill_group(self) -> None:
        self._kill_processes()
        self.read_output()
        self._closed = True
        self._reader.join()
        self._output.close()
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe:
                pipe.close()

    def _kill_processes(self) -> None:
        children = self.children
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        kill_processes(children)
        self._popen.wait()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int | None:
        """Send a signal, wait for STOP_DEADLINE, and kill what is left.

        Returns the exit status, or None if it had to be killed.
        """
        if self.status is None:
            self.send(by)
        status = self.wait_for_end(timeouts.STOP_DEADLINE)
        self.kill()
        return status

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that descend from this one, or are still in its group.

        Those that descended from it when it was sent a signal count too.
        """
        found = [child for child in self._family if is_running(child)]
        with suppress(psutil.Error):
            found += (
                child
                for child in psutil.Process(self.pid).children(recursive=True)
                if child not in found
            )
        found += (
            process
            for process in list_group(self.pid)
            if process not in found and process.pid != self.pid
        )
        return found

    def count_held(self) -> Mapping[str, int]:
        """How many processes, threads and descriptors it has."""
        with suppress(psutil.Error):
            return count_held([psutil.Process(self.pid), *self.children])
        return {}

    def _record_event(self, event: str) -> ProcessEvent:
        return self._journal.record(ProcessEvent, process=self.name, event=event)


class CommandFailed(BrokenTestbed):
    """A command of the testbed's own failed. `output` is what it printed."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


def run_to_end(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, user: int | None = None
) -> None:
    """Run a command of the testbed's own to its end. Raises CommandFailed, with its last lines."""
    name = Path(argv[0]).name
    try:
        done = subprocess.run(
            argv,
            env=dict(env),
            cwd=cwd,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeouts.BOOT_DEADLINE,
            check=False,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{name} did not end within {timeouts.BOOT_DEADLINE:.0f} s") from error
    if done.returncode:
        output = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        last_lines = " / ".join(output.splitlines()[-3:])
        raise CommandFailed(f"{name} ended with status {done.returncode}: {last_lines}", output)
