"""Results of tasks, read as `celery.result.AsyncResult` reads them."""

import asyncio
import time
from functools import cached_property
from typing import Any

import redis.asyncio
from celery import Celery
from celery.app.backends import by_url
from kombu.exceptions import KombuError

from conformance.core import timeouts
from conformance.core.evidence import Journal
from conformance.core.observations import FINAL_STATES, UNREADABLE, ResultLifetime, TaskResult
from conformance.core.polling import wait_until
from conformance.spec.model import format_value
from conformance.testbed.broker_messages import BrokerMessages
from conformance.testbed.redis_admin import RESULT_PREFIX, BrokerAccess, as_broken_testbed


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

    def close(self) -> None:
        """Disconnect Celery's backend, if it was used."""
        if "_backend" in vars(self):
            self._backend.client.close()

    async def wait_for_result(self, task_id: str, limit: float) -> tuple[Any, TaskResult]:
        """Wait until a task has ended, for `limit` seconds at most since the queue moved last.

        The queue moves when fewer messages are unfinished than ever before. Returns the task's
        value, or the reason why there is none, and what was seen then.
        """

        async def read_once() -> tuple[str, Any]:
            return await asyncio.to_thread(self._read_result, task_id)

        step = limit * timeouts.SHARE_OF_A_WAIT
        least = await self._messages.count_unfinished() if limit else 0
        moved = time.monotonic()
        while True:
            state, value = await wait_until(read_once, step, lambda seen: seen[0] in FINAL_STATES)
            if state in FINAL_STATES or time.monotonic() - moved >= limit:
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

    @cached_property
    def _backend(self) -> Any:
        """Celery's own backend. It takes a while to make, and most runs need none.

        It is made from its class, since CELERY_RESULT_BACKEND of the caller's environment would
        win over the argument of an application.
        """
        app = Celery("conformance", set_as_current=False)
        backend, url = by_url(self._access.admin_url, app.loader)
        return backend(app=app, url=url)

    def _read_result(self, task_id: str) -> tuple[str, Any]:
        """The state and the value of a task, read in one step."""
        with as_broken_testbed("read a result"):
            try:
                meta = self._backend.get_task_meta(task_id, cache=False)
            except (KombuError, ValueError, RecursionError) as error:
                return UNREADABLE, str(error)
            return str(meta["status"]), meta["result"]
