"""Progress: one line of a terminal that says where a run is, and each failure above it.

The line is written again in place. A failure appears as soon as it is found.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import pytest

from conformance.judging.verdict import Status
from conformance.session.run import Run
from conformance.spec.catalogue import Requirement, sections
from conformance.target.capabilities import Capabilities

INTERVAL = 0.1  # seconds between two updates, which show tenths
ERASE = "\r\x1b[K"  # to the line's beginning, and all of it away
OPENING = "opening Postgres, Redis and the target"
REACHING = "reaching the target"
CLOSING = "stopping what was started"


def is_wanted(config: pytest.Config, stream: TextIO) -> bool:
    """Whether the line replaces pytest's own letters.

    It does in a terminal that can erase, where nobody else writes, by default and with -q.
    """
    others = (
        config.getoption("capture") == "no"
        or config.getoption("usepdb", default=False)
        or config.getoption("setupshow", default=False)
    )
    is_usual = config.pluginmanager.has_plugin("terminal") and config.getoption("verbose") in (
        0,
        -1,
    )
    return is_usual and not others and os.environ.get("TERM", "dumb") != "dumb" and stream.isatty()


def format_line(where: str, done: str, width: int) -> str:
    """Where the run is and how much is done, in one line narrower than the terminal.

    Where there is no room for both, the former is cut.
    """
    room = (
        width - 1 - len(done) - 2
    )  # a letter in the last column would move some terminals to the next line
    if room < 1:
        return done[: max(0, width - 1)]
    return f"{where if len(where) <= room else where[: room - 1] + '…'}  {done}"


def describe_place(requirement: Requirement) -> str:
    """Where a run is that checks a requirement: its section, its id and its sentence."""
    title = next(section.title for section in sections() if section.number == requirement.section)
    return f"{requirement.section} {title}  {requirement.id} {requirement.sentence}"


def find_news(status: str | None, requirement: Requirement) -> str | None:
    """What to announce of a status: each failure, and of many errors the first.

    None for what passed or is known.
    """
    if status == Status.FAIL:
        return requirement.id
    return "the suite" if status == Status.ERROR else None


class Line:
    """The last line of a terminal. A thread writes it, so its seconds go on while a probe waits."""

    def __init__(self, stream: TextIO, now: Callable[[], float]) -> None:
        self._terminal = os.dup(
            stream.fileno()
        )  # pytest turns the stream itself elsewhere while a probe runs
        self._encoding = stream.encoding
        self._now = now
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._where: str | None = None  # nothing is shown
        self._done = ""
        self._thread = threading.Thread(target=self._repeat, name="progress", daemon=True)
        self._thread.start()

    def show(self, where: str | None, done: str = "") -> None:
        """From now on show this; None for nothing."""
        with self._lock:
            self._where, self._done = where, done
            self._write()

    @contextmanager
    def stand_aside(self) -> Iterator[None]:
        """Take the line away while something else is written, which then stays above it."""
        with self._lock:
            self._write_text(ERASE)
            yield
            self._write()

    @property
    def has_ended(self) -> bool:
        """Whether the terminal is somebody else's again."""
        return self._ended.is_set()

    def end(self) -> None:
        """Leave nothing; may be said twice."""
        if self.has_ended:
            return
        self.show(None)
        self._ended.set()
        self._thread.join()
        os.close(self._terminal)

    def _repeat(self) -> None:
        while not self._ended.wait(INTERVAL):
            with self._lock:
                if self._where is not None:
                    self._write()

    def _write(self) -> None:
        if self._where is None:
            return self._write_text(ERASE)
        seconds = f"{self._now():.1f} s"
        done = f"{self._done}  {seconds}" if self._done else seconds
        return self._write_text(ERASE + format_line(self._where, done, self._find_width()))

    def _write_text(self, text: str) -> None:
        with suppress(OSError):  # a terminal that has gone away is nobody's failure
            os.write(self._terminal, text.encode(self._encoding, "replace"))

    def _find_width(self) -> int:
        with suppress(OSError):
            if columns := os.get_terminal_size(self._terminal).columns:
                return columns
        return shutil.get_terminal_size().columns


class Progress:
    """The hooks that move the line on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._line = Line(sys.stdout, run.journal.now)
        self._done = 0
        self._all = 0
        self._current: Requirement | None = None
        self._announced: set[str] = set()  # shown above the line

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let pytest write no names of files."""
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert isinstance(reporter, pytest.TerminalReporter)
        reporter.showfspath = False
        self._reporter = reporter

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """While the testbed opens, say so."""
        self._all = len(session.items)
        starts_target = Capabilities.of(self._run.options).starts_target
        self._line.show(OPENING if starts_target else REACHING)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Name the requirement before its probe is prepared for, which may take long."""
        marker = item.get_closest_marker("requirement")
        assert marker
        self._current = self._run.catalogue[marker.args[0]]
        self._line.show(describe_place(self._current), f"{self._done}/{self._all}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell of a failure at once."""
        status, requirement = getattr(report, "status", None), self._current
        if (
            requirement is None
            or not (subject := find_news(status, requirement))
            or subject in self._announced
        ):
            return
        self._announced.add(subject)
        with self._line.stand_aside():
            self._reporter.write_line(
                f"{status}  {requirement.id}  {requirement.sentence}", red=True
            )
            self._reporter.flush()

    def pytest_runtest_logfinish(self) -> None:
        """Count the probe."""
        self._done += 1

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Any, Any]:
        """Count as pytest does, and show no letter while the line is there."""
        status = yield
        return status if self._line.has_ended else (status[0], "", "")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Say that the testbed closes, then leave the terminal to pytest.

        pytest's own hook encloses this one.
        """
        if self._all:
            self._line.show(CLOSING)
        try:
            return (yield)
        finally:
            self._line.end()

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self) -> None:
        """Leave the terminal to pytest."""
        self._line.end()

    @pytest.hookimpl(tryfirst=True)
    def pytest_enter_pdb(self) -> None:
        """Leave the terminal to the debugger."""
        self._line.show(None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Leave nothing where the session has never begun."""
        self._line.end()
