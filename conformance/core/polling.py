"""Polling: how long to pause between two looks at a fact that cannot be waited for otherwise (pg_locks, a log, a port)."""

import time

from conformance.core import timeouts


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
