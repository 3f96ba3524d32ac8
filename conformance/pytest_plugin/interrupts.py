"""Interrupts: Ctrl-C, SIGTERM and SIGHUP end a run in order, wherever it is."""

import asyncio
import signal
import sys
from types import FrameType
from typing import Any

import pytest

from conformance.core.signals import SIGNALS


def leave_out_frames_of_no_line(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Make an interrupt one that pytest can show: it wants a line of each frame, and a signal may come at an instruction of none."""
    excinfo.value.__suppress_context__ = True
    excinfo.traceback = excinfo.traceback.filter(_has_line)


class Interrupts:
    """What becomes of the signals that end a run: noted at first, raised while probes run, ignored while it is cleaned up.

    They are never raised in the middle of an import: the interpreter would keep the module's lock, and whichever thread
    imports the same module next would wait for ever. Nor are they raised while an event loop runs: the task that happens to be
    at work would keep the exception and raise it a second time, where nobody expects it. Its tasks are cancelled instead.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._raising = False
        self._session: pytest.Session | None = None
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def note(self, session: pytest.Session) -> None:
        """From now on a signal is noted, and ends the session at its next step."""
        self._session = session
        for number in SIGNALS:
            signal.signal(number, self._receive)

    def check(self) -> None:
        """Raise KeyboardInterrupt where a signal was noted."""
        if self._received:
            raise KeyboardInterrupt(f"ended by {self._received.name}")

    def raise_at_once(self) -> None:
        """From now on a signal ends what it arrives in. Raises KeyboardInterrupt where one was noted before."""
        self._raising = True
        self.check()

    def ignore(self) -> None:
        """From now on signals are ignored: cleaning up is bounded in time, and a second Ctrl-C must not cut it short."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def restore(self) -> None:
        """Do as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        sys.unraisablehook = _be_silent  # what is cut short cannot close what it had opened, and pytest would make that an error
        if self._session:
            self._session.shouldstop = (
                f"ended by {self._received.name}"  # should somebody swallow the exception
            )
        if not self._raising or _imports(frame):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.check()
        else:
            loop.call_soon_threadsafe(_cancel_all, loop)


def _be_silent(_: object) -> None:
    """Report nothing."""


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _imports(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _has_line(entry: Any) -> bool:
    try:
        return bool(entry.lineno >= 0)
    except TypeError:
        return False
