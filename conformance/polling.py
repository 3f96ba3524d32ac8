"""Polling: how long to pause between two looks at a fact that cannot be waited for otherwise (pg_locks, a log, a port)."""

import time

from conformance import allowances


class Pauses:
    """Pauses that grow with what has passed since the first look: what comes soon is seen at once, and what stays away costs little."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def next(self) -> float:
        """The seconds of the pause before the next look."""
        passed = time.monotonic() - self._began
        return min(max(passed * allowances.POLL_SHARE, allowances.POLL_INTERVAL), allowances.LONGEST_POLL_INTERVAL)
