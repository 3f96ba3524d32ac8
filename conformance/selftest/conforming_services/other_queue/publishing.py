"""Publishing, in a few threads of its own."""

from typing import Any

import anyio
from anyio.to_thread import run_sync

from .crunching import crunch

DEEPEST = 200
OWN_NOTATION = frozenset(("__type__", "__value__"))  # of kombu's decoder


class NoQueueError(Exception):
    """The broker did not take it."""


class Publisher:
    """At most four submissions at a time; others wait for their turn on the loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(4)

    async def __call__(self, payload: dict[str, Any]) -> str:
        """Publish; return the id. Raises NoQueueError."""
        try:
            return await run_sync(self._publish, payload, limiter=self._limiter)
        except Exception as error:
            raise NoQueueError from error

    @staticmethod
    def _publish(payload: dict[str, Any]) -> str:
        return str(crunch.s(payload=payload).apply_async().id)


def is_harmless(value: Any, depth: int = 0) -> bool:
    """Whether the decoder on the other side gives back what it was given."""
    if depth > DEEPEST:
        return False
    match value:
        case dict():
            return frozenset(value) != OWN_NOTATION and all(
                is_harmless(child, depth + 1) for child in value.values()
            )
        case list():
            return all(is_harmless(child, depth + 1) for child in value)
        case _:
            return True
