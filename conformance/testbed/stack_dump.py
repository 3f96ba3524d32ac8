"""Where a Python process is stuck: a dump of its stack, which it prints on a signal.

The signal's handler is `injected/sitecustomize.py`, which runs in every Python process of a
target.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice, takewhile
from pathlib import Path

from conformance.core import timeouts
from conformance.core.evidence import Journal, LogLine
from conformance.core.observations import BlockingLine
from conformance.core.polling import block_until

STACK_SIGNAL: int = signal.SIGRTMIN + 9 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR2
LOOP_FUNCTIONS = ("_run_once", "run_forever", "run_until_complete", "run")  # of asyncio

MOST_PROCESSES = 8  # that are asked; one that catches the signal and prints nothing costs a second
HEADING = "Stack (most recent call first):"
_FRAME = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d{1,9}) in (?P<function>.+)')


@dataclass(frozen=True)
class Frame:
    """A call on a stack."""

    file: str
    line: int
    function: str

    @property
    def is_outermost(self) -> bool:
        """Whether a main thread's stack ends with it."""
        return self.function == "<module>" or self.file == "<frozen runpy>"

    def is_inside(self, folder: Path) -> bool:
        """Whether it is of the code in a folder, and not of a package installed there."""
        file = Path(self.file)
        return file.is_relative_to(folder) and "site-packages" not in file.parts


@dataclass(frozen=True)
class StackDump:
    """The frames of one main thread, innermost first."""

    frames: tuple[Frame, ...]
    is_whole: bool

    def find_blocking_frame(self, folder: Path) -> Frame | None:
        """The innermost frame of the code in a folder that the event loop has called."""
        return next((frame for frame in self._list_called() if frame.is_inside(folder)), None)

    def _list_called(self) -> Sequence[Frame]:
        """The frames that the event loop has called. None if the loop itself waits."""
        for index, frame in enumerate(self.frames):
            if "asyncio" in Path(frame.file).parts and frame.function in LOOP_FUNCTIONS:
                waits = self.frames[0].file.endswith("selectors.py")
                return () if waits else self.frames[:index]
        return ()


def find_blocking_line(
    name: str,
    pids: Iterable[int],
    read_output: Callable[[], Sequence[LogLine]],
    folder: Path,
    journal: Journal,
) -> BlockingLine | None:
    """The line of the code in `folder` in which an event loop of one of the processes is stuck.

    `read_output` reads what they print. None if no loop is stuck, or no stack can be read.
    """
    for pid in islice(pids, MOST_PROCESSES):
        stack = dump_stack(pid, read_output)
        if stack and (frame := stack.find_blocking_frame(folder)):
            line = f"{frame.file}:{frame.line}"
            return journal.record(
                BlockingLine,
                text=f"the event loop of {name} (pid {pid}) is stuck at {line} in {frame.function}",
                line=line,
                frames=tuple(f"{each.file}:{each.line}:{each.function}" for each in stack.frames),
            )
    return None


def dump_stack(pid: int, read_output: Callable[[], Sequence[LogLine]]) -> StackDump | None:
    """The stack of a process's main thread, or None if the process does not print it."""
    if not _catches_signal(pid, STACK_SIGNAL):
        return None
    before = max((line.number for line in read_output()), default=0)

    def read_dump() -> StackDump:
        lines = [line for line in read_output() if line.number > before]
        return parse_dump([line.text for line in lines if line.stream == "stderr"])

    os.kill(pid, STACK_SIGNAL)
    return block_until(read_dump, timeouts.STACK_DEADLINE, lambda seen: seen.is_whole)


def parse_dump(lines: Sequence[str]) -> StackDump:
    """Read what `faulthandler` printed of the main thread, as far as it came."""
    dump = list(dropwhile(lambda text: not text.startswith(HEADING), lines))[1:]
    matches = list(takewhile(bool, (_FRAME.fullmatch(text) for text in dump)))
    frames = tuple(
        Frame(match["file"], int(match["line"]), match["function"]) for match in matches if match
    )
    is_whole = bool(frames) and (len(frames) < len(dump) or frames[-1].is_outermost)
    return StackDump(frames, is_whole)


def _catches_signal(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal, so that sending it is harmless.

    False where that cannot be known.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)
