"""Processes: start one in a group of its own, read its output line by line, signal it, and see it end."""

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Protocol

import psutil

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal, LogLine, Observation, ProcessEvent

STACK_SIGNAL: int = signal.SIGRTMIN + 9 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2
LINE_LIMIT = 8192  # bytes of one line that are kept
CHUNKS = 4  # of 64 KiB, a pipe's usual capacity, that are read at once

_FRAME = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)')


class Running(Protocol):
    """What runs as a service or as its worker, wherever it runs: what it printed, how to signal it, and its end."""

    name: str
    is_heard: bool  # whether what it prints can be read

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""

    @property
    def children(self) -> Sequence[psutil.Process]:
        """The processes that it has started and that run still, as far as they can be seen."""

    def output(self) -> list[LogLine]:
        """Every line printed so far; of a flood, the first and the last LINES_KEPT."""

    def last_lines(self, count: int = 6) -> list[str]:
        """The last lines that are not empty, as text."""

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the process alone, as whoever runs a service does."""

    def ended(self, deadline: float) -> int | None:
        """Wait for the end of the process and of its output; the exit status, or None if the deadline passed."""

    def kill(self) -> None:
        """SIGKILL all of it and wait until it is gone. The second time, it does nothing."""

    def blocking_line(self, folder: Path) -> Observation | None:
        """The line of the code in `folder` in which a main thread's event loop is stuck; None where none is, or none can tell."""


class Output:
    """The lines that two streams carried: of a flood, the first and the last LINES_KEPT."""

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._head: list[LogLine] = []
        self._tail: deque[LogLine] = deque(maxlen=timeouts.LINES_KEPT)

    def take(self, stream: str, chunk: bytes) -> None:
        """Take what a stream carried; nothing means that it has ended, perhaps in the middle of a line."""
        chunk = chunk or b"\n" * bool(self._partial[stream])
        *lines, rest = (self._partial[stream] + chunk).split(b"\n")
        self._partial[stream] = rest[:LINE_LIMIT]
        for line in lines:
            text = line[:LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
            early = len(self._head) < timeouts.LINES_KEPT
            fact = self._journal.record(
                LogLine, keep=early, process=self._name, stream=stream, text=text
            )
            (self._head if early else self._tail).append(fact)

    @property
    def lines(self) -> list[LogLine]:
        """All that are kept."""
        return [*self._head, *self._tail]

    def close(self) -> None:
        """Let the journal keep the last ones too."""
        for line in self._tail:
            self._journal.keep(line)


def last_said(lines: Sequence[LogLine], count: int) -> list[LogLine]:
    """The last of some lines that are not empty."""
    return [line for line in lines if line.text.strip()][-count:]


def last_lines(lines: Sequence[LogLine], count: int) -> list[str]:
    """The same as text."""
    return [line.text for line in last_said(lines, count)]


def names_of(processes: Iterable[psutil.Process]) -> list[str]:
    """The names of processes, those that can still be told."""
    names = []
    for process in processes:
        with suppress(psutil.Error):
            names.append(process.name())
    return names


class Process:
    """One process started by the suite, with all that it prints.

    Two streams are read by one thread. `output()` also reads what lies in the pipes at that moment, so that whatever was
    printed before a fact is in the output when the fact is seen.
    """

    is_heard = True
    spawn: Callable[..., subprocess.Popen[bytes]] = (
        subprocess.Popen
    )  # the suite's own tests start theirs otherwise

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
        self._journal = journal
        self._lock = threading.Lock()
        self._closed = False
        self._killing = threading.Lock()
        self._family: list[psutil.Process] = []
        self._output = Output(name, journal)
        try:
            self._popen = self.spawn(
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
        assert self._popen.stdout and self._popen.stderr
        self._streams = {
            self._popen.stdout.fileno(): "stdout",
            self._popen.stderr.fileno(): "stderr",
        }
        for descriptor in self._streams:
            os.set_blocking(descriptor, False)
        self.pid = self._popen.pid
        self._event("started: " + " ".join(self.argv[:6]))
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    # What it printed

    def output(self) -> list[LogLine]:
        """Every line printed so far; of a flood, the first and the last LINES_KEPT."""
        with self._lock:
            self._drain()
            return self._output.lines

    def last_lines(self, count: int = 6) -> list[str]:
        """The last lines that are not empty, as text."""
        return last_lines(self.output(), count)

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor in self._streams:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map() and not self._closed:
                for _ in selector.select(
                    timeout=0.2
                ):  # a stray grandchild may keep a pipe open for ever
                    with self._lock:
                        ended = self._drain()
                    for descriptor in ended & set(selector.get_map()):
                        selector.unregister(descriptor)

    def _drain(self) -> set[int]:
        """Read what lies in both pipes; return the descriptors that have ended. The lock is held."""
        ended: set[int] = set()
        if self._closed:
            return ended
        for descriptor, stream in self._streams.items():
            with suppress(BlockingIOError):
                for _ in range(CHUNKS):  # a flood must not hold the lock for ever
                    chunk = os.read(descriptor, 65536)
                    self._output.take(stream, chunk)
                    if not chunk:
                        ended.add(descriptor)
                        break
        return ended

    # Its life

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the process alone, as whoever runs a service does."""
        self._family = (
            self.children
        )  # once it has ended, those in sessions of their own cannot be found any more
        with suppress(ProcessLookupError):
            self._popen.send_signal(number)
        return self._event(f"was sent {number.name}")

    def ended(self, deadline: float) -> int | None:
        """Wait for the end of the process and of its output; the exit status, or None if the deadline passed."""
        try:
            status = self._popen.wait(deadline)
        except subprocess.TimeoutExpired:
            return None
        self.output()
        self._event(f"ended with status {status}")
        return status

    def kill(self) -> None:
        """SIGKILL the whole group and wait until the process is gone; close the pipes. The second time, it does nothing."""
        with self._killing:
            if not self._closed:
                self._kill()

    def _kill(self) -> None:
        children = self.children
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        kill_all(children)
        self._popen.wait()
        self.output()
        self._closed = True
        self._reader.join()
        self._output.close()
        for pipe in (self._popen.stdout, self._popen.stderr):
            if pipe:
                pipe.close()

    def stop(
        self, deadline: float = timeouts.STOP_DEADLINE, by: signal.Signals = signal.SIGTERM
    ) -> int | None:
        """Signal, wait, and kill what is left; the exit status, or None if it had to be killed."""
        if self.status is None:
            self.send(by)
        status = self.ended(deadline)
        self.kill()
        return status

    @property
    def children(self) -> list[psutil.Process]:
        """The processes that descend from this one, or did when it was sent a signal, or are still in its group."""
        found = [child for child in self._family if is_running(child)]
        with suppress(psutil.Error):
            found += (
                child
                for child in psutil.Process(self.pid).children(recursive=True)
                if child not in found
            )
        found += (
            process
            for process in _in_group(self.pid)
            if process not in found and process.pid != self.pid
        )
        return found

    def _event(self, event: str) -> ProcessEvent:
        return self._journal.record(ProcessEvent, process=self.name, event=event)

    # Where it is

    def blocking_line(self, folder: Path) -> Observation | None:
        """The line of the code in `folder` in which a main thread's event loop is stuck; None where none is, or none can tell."""
        for pid in (self.pid, *(child.pid for child in self.children)):
            frames = self._stack(pid)
            own = [frame for frame in _inside_the_loop(frames) if _is_of(folder, frame[0])]
            if own:
                file, line, function = own[0]
                return self._journal.observe(
                    "stack",
                    f"the event loop of {self.name} (pid {pid}) is stuck at {file}:{line} in {function}",
                    line=f"{file}:{line}",
                    frames=[":".join(frame) for frame in frames],
                )
        return None

    def _stack(self, pid: int) -> list[tuple[str, str, str]]:
        """The frames of a process's main thread, innermost first, or none if it does not answer."""
        if not _catches(pid, STACK_SIGNAL):
            return []
        before = max((line.number for line in self.output()), default=0)
        os.kill(pid, STACK_SIGNAL)
        deadline = time.monotonic() + timeouts.STACK_DEADLINE
        frames: list[tuple[str, str, str]] = []
        while time.monotonic() < deadline:
            lines = [
                line.text
                for line in self.output()
                if line.number > before and line.stream == "stderr"
            ]
            dump = list(dropwhile(lambda text: not text.startswith("Current thread"), lines))[1:]
            found = list(takewhile(bool, (_FRAME.fullmatch(text) for text in dump)))
            frames = [(frame["file"], frame["line"], frame["function"]) for frame in found if frame]
            if frames and (
                len(found) < len(dump)
                or frames[-1][2] == "<module>"
                or frames[-1][0] == "<frozen runpy>"
            ):
                break
            time.sleep(timeouts.POLL_INTERVAL)
        return frames


def started_with(value: str) -> list[psutil.Process]:
    """The processes that have this value in their environment, whoever is their parent now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if value in process.environ().values():
                found.append(process)
    return found


def is_running(process: psutil.Process) -> bool:
    """Whether a process is there, and more than a status that nobody has asked for."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each that is there still."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def run_to_end(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, user: int | None = None
) -> None:
    """Run a command of the testbed's own to its end. Raises BrokenTestbed with its last lines."""
    drop: list[int] | None = None if user is None else []
    try:
        done = subprocess.run(
            argv, env=dict(env), cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeouts.BOOT_DEADLINE,
            check=False, user=user, group=user, extra_groups=drop,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BrokenTestbed(
            f"{Path(argv[0]).name} did not end within {timeouts.BOOT_DEADLINE:.0f} s"
        ) from error
    if done.returncode:
        said = " / ".join(
            (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-3:]
        )
        raise BrokenTestbed(f"{Path(argv[0]).name} ended with status {done.returncode}: {said}")


def _in_group(group: int) -> Iterable[psutil.Process]:
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and is_running(process := psutil.Process(pid)):
                yield process


def _inside_the_loop(frames: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The frames that the event loop called, innermost first; none where the loop itself is the innermost, and waits."""
    for index, (file, _, function) in enumerate(frames):
        if "asyncio" in Path(file).parts and function in (
            "_run_once",
            "run_forever",
            "run_until_complete",
            "run",
        ):
            return [] if frames[0][0].endswith("selectors.py") else frames[:index]
    return []


def _is_of(folder: Path, file: str) -> bool:
    return Path(file).is_relative_to(folder) and "site-packages" not in Path(file).parts


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, so that sending it is harmless; False where that cannot be known."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)
