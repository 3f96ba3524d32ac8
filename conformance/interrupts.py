"""Interrupts: Ctrl-C, SIGTERM and SIGHUP end a run in order, wherever it is."""

import signal
from types import FrameType

import pytest

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """What becomes of the signals that end a run: noted at first, raised while probes run, ignored while it is cleaned up.

    They are never raised in the middle of an import: the interpreter would keep the module's lock, and whichever thread
    imports the same module next would wait for ever.
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
        """From now on a signal is raised where it arrives. Raises KeyboardInterrupt where one was noted before."""
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
        if self._session:
            self._session.shouldstop = f"ended by {self._received.name}"  # should somebody swallow the exception
        if self._raising and not _imports(frame):
            self.check()


def _imports(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
