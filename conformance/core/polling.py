"""Polling: how long to pause between two looks at a fact that cannot be waited for otherwise (pg_locks, a log, a port)."""

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
    """Look again and again until what is seen is enough, or until `seconds` have passed.

    Returns what was seen last, whether it is enough or not. It is looked at once at least.
    """
    deadline = time.monotonic() + seconds
    pauses = Pauses()
    while not is_enough(seen := await look()) and time.monotonic() < deadline:
        await asyncio.sleep(pauses.next)
    return seen


def block_until(
    look: Callable[[], T],
    seconds: float,
    is_enough: Callable[[T], object] = bool,
) -> T:
    """Do as `wait_until` does, in a thread that may block."""
    deadline = time.monotonic() + seconds
    pauses = Pauses()
    while not is_enough(seen := look()) and time.monotonic() < deadline:
        time.sleep(pauses.next)
    return seen


class Pauses:
    """Pauses that grow with what has passed since the first look: what comes soon is seen at once, and what stays away costs little."""

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
