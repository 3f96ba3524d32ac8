"""Results of tasks, as `celery.result.AsyncResult` shows them."""

import time
from typing import Any

import redis.asyncio

from conformance.core import timeouts
from conformance.core.evidence import Journal
from conformance.core.observations import (
    FINAL_STATES,
    PENDING,
    UNREADABLE,
    ResultLifetime,
    TaskResult,
)
from conformance.core.polling import wait_until
from conformance.spec.model import format_value
from conformance.testbed.broker_messages import BrokerMessages
from conformance.testbed.celery_messages import read_result
from conformance.testbed.redis_admin import RESULT_PREFIX, BrokerAccess, as_broken_testbed

RESULT_LIMIT = 8 * 2**20  # bytes; the largest result of the suite's own data takes 1 MB


class BrokerResults:
    """Reads results. Every method raises BrokenTestbed if the server fails."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        access: BrokerAccess,
        journal: Journal,
        messages: BrokerMessages,
    ) -> None:
        self._client = client
        self._messages = messages
        self._access = access
        self._journal = journal

    async def wait_for_result(self, task_id: str, limit: float) -> tuple[Any, TaskResult]:
        """Wait until a task has ended, for `limit` seconds at most since the queue moved last.

        The queue moves when fewer messages are unfinished than ever before. Returns the task's
        value, or the reason why there is none, and what was seen then.
        """
        step = limit * timeouts.SHARE_OF_A_WAIT
        least = await self._messages.count_unfinished() if limit else 0
        moved = time.monotonic()
        while True:
            left = moved + limit - time.monotonic()
            state, value = await wait_until(
                lambda: self._read_result(task_id),
                min(step, left),
                lambda seen: seen[0] in FINAL_STATES,
            )
            if state in FINAL_STATES or left <= step:
                break
            if (unfinished := await self._messages.count_unfinished()) < least:
                least, moved = unfinished, time.monotonic()
        text = f"task {task_id} is {state}: {format_value(value)}"
        return value, self._journal.record(TaskResult, text=text, state=state)

    async def check_lifetime(self, task_id: str) -> ResultLifetime:
        """Record how many seconds the result of a task is kept."""
        with as_broken_testbed("read a key's time to live"):
            seconds = await self._client.ttl(RESULT_PREFIX + task_id)
        text = f"the result of task {task_id} has {seconds} s to live"
        return self._journal.record(ResultLifetime, text=text, seconds=seconds)

    async def _read_result(self, task_id: str) -> tuple[str, Any]:
        """The state and the value of a task, read in one step."""
        try:
            if not (stored := await self._fetch(RESULT_PREFIX + task_id)):
                return PENDING, None
            if len(stored) > RESULT_LIMIT:
                return UNREADABLE, f"it is longer than {RESULT_LIMIT} bytes"
            return read_result(stored)
        except ValueError as error:
            return UNREADABLE, str(error)

    async def _fetch(self, key: str) -> bytes:
        """The text under a key, up to a byte beyond the limit. Raises ValueError if it is none."""
        with as_broken_testbed("read a result"):
            try:
                stored: Any = await self._client.getrange(key, 0, RESULT_LIMIT)
            except redis.ResponseError as error:
                if not str(error).startswith("WRONGTYPE"):
                    raise
                raise ValueError("its key holds no text") from error
        return bytes(stored)
