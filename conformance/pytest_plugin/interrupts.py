"""Interrupts: Ctrl-C, SIGTERM and SIGHUP end a run in order, wherever it is."""

import asyncio
import signal
import sys
from types import FrameType
from typing import Any

import pytest

from conformance.core.signals import SIGNALS


def leave_out_frames_of_no_line(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Make an interrupt one that pytest can show.

    pytest needs a line of each frame, and a signal may come at an instruction that has none.
    """
    excinfo.value.__suppress_context__ = True
    excinfo.traceback = excinfo.traceback.filter(_has_line)


class Interrupts:
    """Handles the signals that end a run: noted at first, raised while probes run, then ignored.

    They are never raised in the middle of an import. The interpreter would keep the module's lock,
    and whichever thread imports the same module next would wait for ever. Nor are they raised while
    an event loop runs. The task at work would keep the exception and raise it a second time, where
    nobody expects it. The loop's tasks are cancelled instead.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._raising = False
        self._session: pytest.Session | None = None
        self._before = {number: signal.getsignal(number) for number in SIGNALS}

    def note_signals(self, session: pytest.Session) -> None:
        """Note a signal from now on, which ends the session at its next step."""
        self._session = session
        for number in SIGNALS:
            signal.signal(number, self._receive)

    def raise_noted(self) -> None:
        """Raise KeyboardInterrupt where a signal was noted."""
        if self._received:
            raise KeyboardInterrupt(f"ended by {self._received.name}")

    def raise_at_once(self) -> None:
        """From now on a signal ends what it arrives in.

        Raises KeyboardInterrupt where one was noted before.
        """
        self._raising = True
        self.raise_noted()

    def ignore_signals(self) -> None:
        """Ignore signals from now on.

        The cleanup is bounded in time, and a second Ctrl-C must not cut it short.
        """
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def restore_handlers(self) -> None:
        """Handle signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        # What is cut short cannot close what it had opened, and pytest would make that an error.
        sys.unraisablehook = _ignore_unraisable
        if self._session:
            self._session.shouldstop = (
                f"ended by {self._received.name}"  # should somebody swallow the exception
            )
        if not self._raising or _is_importing(frame):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.raise_noted()
        else:
            loop.call_soon_threadsafe(_cancel_all, loop)


def _ignore_unraisable(_: object) -> None:
    """Report nothing."""


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


def _is_importing(frame: FrameType | None) -> bool:
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
