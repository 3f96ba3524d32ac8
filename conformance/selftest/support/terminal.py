"""A pseudo-terminal in which the suite runs, and what a person would see on its screen."""

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.config.paths import PROJECT
from conformance.selftest.support.suite import PATIENCE, command, environment

PART = re.compile(r"\x1b\[K|\x1b\[[\d;]*m|.", re.DOTALL)
BEGUN = re.compile(r"(\x1b(\[[\d;]*)?)?\Z")
# Ctrl-C is for those whose terminal it is.
LOG_IN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
CTRL_C = b"\x03"


@dataclass
class Screen:
    """As much of a terminal as a run uses: long lines wrap, a line can be erased or replaced."""

    width: int
    rows: list[str] = field(default_factory=lambda: [""])
    lines: list[str] = field(
        default_factory=list
    )  # what the last row said each time before it was written again
    _column: int = 0
    _rest: str = ""  # of a sequence that has not come to its end

    def feed(self, text: str) -> None:
        """Show some more output."""
        text = self._rest + text
        self._rest = BEGUN.search(text)[0]  # type: ignore[index] # it matches nothing as well
        for part in PART.findall(text.removesuffix(self._rest)):
            self._show(part)

    def _show(self, part: str) -> None:
        row = self.rows[-1]
        if part == "\r":
            self.lines.append(row)
            self._column = 0
        elif part == "\n":
            self.rows.append("")
        elif part == "\x1b[K":
            self.rows[-1] = row[: self._column]
        elif not part.startswith("\x1b["):
            assert part.isprintable(), f"{part!r} is more than this terminal knows"
            self._put(part)

    def _put(self, letter: str) -> None:
        if self._column == self.width:
            self.rows.append("")
            self._column = 0
        row = self.rows[-1].ljust(self._column)
        self.rows[-1] = row[: self._column] + letter + row[self._column + 1 :]
        self._column += 1


def opened(width: int) -> tuple[int, int]:
    """Both ends of a new pseudo-terminal: the screen's and the program's."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    return ours, theirs


@dataclass(frozen=True)
class Seen:
    """What a run in a terminal left: its exit status, its output, and the screen."""

    status: int
    output: str
    screen: Screen


def watch(
    folder: Path,
    width: int,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    interrupt: Callable[[Screen], bool] | None = None,
) -> Seen:
    """Run the suite in a terminal to its end. Press Ctrl-C when `interrupt` holds of the screen."""
    variables = {name: value for name, value in environment(folder).items() if name != "COLUMNS"}
    ours, theirs = opened(width)
    process = subprocess.Popen(
        [sys.executable, "-c", LOG_IN, *command(*arguments)],
        cwd=PROJECT,
        env={**variables, "TERM": "xterm", **(env or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen, output, decoder = Screen(width), "", codecs.getincrementaldecoder("utf-8")()
    while chunk := _read(ours):
        output += (text := decoder.decode(chunk))
        screen.feed(text)
        if interrupt and interrupt(screen):
            os.write(ours, CTRL_C)
            interrupt = None
    os.close(ours)
    return Seen(process.wait(PATIENCE), output, screen)


def _read(end: int) -> bytes:
    """What came; nothing at the end, which Linux tells by an error."""
    try:
        return os.read(end, 2**16)
    except OSError:
        return b""
