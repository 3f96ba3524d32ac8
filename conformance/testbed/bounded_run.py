"""Runs a program to its end, whatever it prints and for however long it would go on."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from conformance.testbed.process_table import kill_processes

CHUNK = 65_536
PRINTED_LIMIT = 65_536  # bytes that are kept of each stream, the last ones
ANSWER_LIMIT = 2**20  # bytes of an answer
TICK = 0.05  # seconds; a grandchild may keep a pipe open for ever


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, the last that it printed, and its answer."""

    status: int
    stdout: bytes
    stderr: bytes
    answer: bytes

    @property
    def has_long_answer(self) -> bool:
        """Whether the answer is longer than is kept."""
        return len(self.answer) > ANSWER_LIMIT

    @property
    def last_line(self) -> str:
        """The last line of its errors."""
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it ended silently"


@dataclass
class _Pipes:
    """What was read of each descriptor so far."""

    kept: dict[int, bytes] = field(default_factory=dict)
    answer: int = -1

    def read_chunk(self, descriptor: int) -> bool:
        """Read once. Returns whether there may be more."""
        with suppress(BlockingIOError):
            chunk = os.read(descriptor, CHUNK)
            text = self.kept[descriptor] + chunk
            is_answer = descriptor == self.answer
            self.kept[descriptor] = text[: ANSWER_LIMIT + 1] if is_answer else text[-PRINTED_LIMIT:]
            return bool(chunk)
        return True


def run_bounded(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    limit: float,
    spawn: Callable[..., "subprocess.Popen[bytes]"] = subprocess.Popen,
) -> Ended:
    """Run a program, whose last argument is a file for its answer: a pipe that is read with limits.

    Raises OSError where it cannot be run, and subprocess.TimeoutExpired after `limit` seconds. Its
    children are killed with it.
    """
    with ExitStack() as stack:
        answer, its_answer = os.pipe()
        stack.callback(os.close, answer)
        try:
            process = spawn(
                [*argv, f"/dev/fd/{its_answer}"],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[its_answer],
            )
        finally:
            os.close(its_answer)
        stack.enter_context(process)
        stack.callback(_kill, process)
        return _read_until_end(process, answer, limit)


def _read_until_end(process: "subprocess.Popen[bytes]", answer: int, limit: float) -> Ended:
    assert process.stdout and process.stderr
    streams = (process.stdout.fileno(), process.stderr.fileno(), answer)
    pipes = _Pipes(dict.fromkeys(streams, b""), answer)
    deadline = time.monotonic() + limit
    with selectors.DefaultSelector() as selector:
        for descriptor in streams:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, limit)
            _read_ready(selector, pipes, TICK)
        while _read_ready(selector, pipes, 0) and time.monotonic() < deadline:
            pass  # what it had written before it ended
    stdout, stderr, answered = (pipes.kept[descriptor] for descriptor in streams)
    return Ended(process.returncode, stdout, stderr, answered)


def _read_ready(selector: selectors.BaseSelector, pipes: _Pipes, seconds: float) -> bool:
    """Read from each pipe that has something. Returns whether any had."""
    if not selector.get_map():
        time.sleep(seconds)  # its pipes are closed, and it goes on
        return False
    ready = selector.select(seconds)
    for key, _ in ready:
        if not pipes.read_chunk(key.fd):
            selector.unregister(key.fd)
    return bool(ready)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program that still runs, with what has come of it."""
    if process.poll() is not None:
        return
    with suppress(psutil.Error):
        kill_processes(psutil.Process(process.pid).children(recursive=True))
    process.kill()
