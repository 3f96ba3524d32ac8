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

    Returns the last result, whether it is enough or not. `look` is called at least once.
    """
    deadline = time.monotonic() + seconds
    pauses = _Pauses()
    while not is_enough(seen := await look()) and time.monotonic() < deadline:
        await asyncio.sleep(pauses.next)
    return seen


def block_until(
    look: Callable[[], T],
    seconds: float,
    is_enough: Callable[[T], object] = bool,
) -> T:
    """Do the same as `wait_until`, in a thread that may block."""
    deadline = time.monotonic() + seconds
    pauses = _Pauses()
    while not is_enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(pauses.next)
    return seen


class _Pauses:
    """Pauses that grow with the time since the first look.

    What comes soon is seen at once, and what does not come costs little.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def next(self) -> float:
        """The seconds of the pause before the next look."""
        passed = time.monotonic() - self._began
        return min(
            max(passed * timeouts.POLL_SHARE, timeouts.POLL_INTERVAL),
            timeouts.LONGEST_POLL_INTERVAL,
        )
