"""The queue: tasks are published in threads of their own, once, and in bounded time."""

from __future__ import annotations

from typing import Any, Protocol

import anyio
from anyio.to_thread import run_sync
from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from .celeryconfig import TASK_NAME, make_publisher
from .failures import QueueUnavailable
from .settings import QueueSettings

# kombu lets the errors of the Redis client, of sockets and of its own pools pass.
PUBLISHING_ERRORS = (RedisError, KombuError, CeleryError, OSError, RuntimeError, KeyError)


class TaskQueue(Protocol):
    """What the endpoint needs of the queue."""

    async def submit(self, data: dict[str, Any]) -> str:
        """Queue a task and return its id."""


class CeleryQueue:
    """Publishes to Celery's broker. Nothing connects before there is something to publish."""

    def __init__(self, settings: QueueSettings) -> None:
        self._app: Celery = make_publisher(settings)
        self._limiter = anyio.CapacityLimiter(settings.publishers)
        self._wait_seconds = settings.wait_seconds

    async def submit(self, data: dict[str, Any]) -> str:
        """Queue a task and return its id. The broker has taken it when this returns."""
        await self._take_turn()
        own_thread = anyio.CapacityLimiter(1)  # the turn is taken: nothing to wait for
        try:
            return await run_sync(self._publish, data, limiter=own_thread)
        except PUBLISHING_ERRORS as error:
            raise QueueUnavailable from error
        finally:
            self._limiter.release()

    async def close(self) -> None:
        """Close the connections to the broker."""
        await run_sync(self._app.pool.force_close_all)

    async def _take_turn(self) -> None:
        try:
            with anyio.fail_after(self._wait_seconds):
                await self._limiter.acquire()
        except TimeoutError as error:
            raise QueueUnavailable from error

    def _publish(self, data: dict[str, Any]) -> str:
        return str(self._app.send_task(TASK_NAME, args=[data], retry=False).id)
