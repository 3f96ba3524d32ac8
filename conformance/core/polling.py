"""Polling: waits for facts that send no event, such as rows of pg_locks, a log line or a port."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from conformance.core import timeouts

T = TypeVar("T")


async def wait_until(
    look: Callable[[], Awaitable[T]],
    seconds: float,
    is_enough: Callable[[T], object] = bool,
) -> T:
    """Call `look` until its result is enough, or until `seconds` have passed.

    Returns the last result, whether it is enough or not. Unless it is enough, that look began when
    the time was over: a suite that got no processor meanwhile must not judge by an older one.
    """
    pauses = _Pauses(seconds)
    while True:
        is_last = pauses.are_over
        seen = await look()
        if is_enough(seen) or is_last:
            return seen
        await asyncio.sleep(pauses.next)


def block_until(
    look: Callable[[], T],
    seconds: float,
    is_enough: Callable[[T], object] = bool,
) -> T:
    """Do the same as `wait_until`, in a thread that may block."""
    pauses = _Pauses(seconds)
    while True:
        is_last = pauses.are_over
        seen = look()
        if is_enough(seen) or is_last:
            return seen
        time.sleep(pauses.next)


class _Pauses:
    """Pauses that grow with the time since the first look, and end when `seconds` have passed.

    What comes soon is seen at once, and what does not come costs little.
    """

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        self._seconds = seconds

    @property
    def are_over(self) -> bool:
        """Whether the time has passed."""
        return self._passed >= self._seconds

    @property
    def next(self) -> float:
        """The seconds of the pause before the next look."""
        passed = self._passed
        pause = min(
            max(passed * timeouts.POLL_SHARE, timeouts.POLL_INTERVAL),
            timeouts.LONGEST_POLL_INTERVAL,
        )
        return max(0.0, min(pause, self._seconds - passed))

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._began
