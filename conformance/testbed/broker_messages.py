"""Messages in the lists of a broker, and where a task is."""

import time
from collections.abc import AsyncIterator

import redis.asyncio

from conformance.core import timeouts
from conformance.core.evidence import Journal, QueuedMessage
from conformance.core.observations import TaskLocation
from conformance.core.polling import wait_until
from conformance.testbed.celery_messages import read_message
from conformance.testbed.redis_admin import RESULT_PREFIX, as_broken_testbed

# Looks at a task in one step, so that nothing moves meanwhile. Answers the lists and the other
# keys that hold the id of the task, and whether its result is stored.
LOCATE = """
local lists, others = {}, {}
for _, key in ipairs(redis.call("KEYS", "*")) do
  local kind = redis.call("TYPE", key).ok
  local values = {}
  if key ~= ARGV[2] then
    if kind == "list" then values = redis.call("LRANGE", key, 0, -1) end
    if kind == "hash" then values = redis.call("HVALS", key) end
    if kind == "stream" then
      for _, entry in ipairs(redis.call("XRANGE", key, "-", "+")) do
        values[#values + 1] = cjson.encode(entry)
      end
    end
  end
  for _, value in ipairs(values) do
    if string.find(value, ARGV[1], 1, true) then
      if kind == "list" then lists[#lists + 1] = key else others[#others + 1] = key end
      break
    end
  end
end
return {lists, others, redis.call("EXISTS", ARGV[2])}
"""


# Counts the entries of all lists and hashes: what waits, and what a worker has taken and not
# acknowledged. Results are strings, and do not count.
COUNT_UNFINISHED = """
local count = 0
for _, key in ipairs(redis.call("KEYS", "*")) do
  local kind = redis.call("TYPE", key).ok
  if kind == "list" then count = count + redis.call("LLEN", key) end
  if kind == "hash" then count = count + redis.call("HLEN", key) end
end
return count
"""


class BrokerMessages:
    """Looks at messages. Every method raises BrokenTestbed if the server fails."""

    def __init__(self, client: redis.asyncio.Redis, journal: Journal) -> None:
        self._client = client
        self._journal = journal

    async def list_messages(self) -> list[QueuedMessage]:
        """Every Celery message in any list."""
        found = []
        with as_broken_testbed("read its lists"):
            async for key in self._client.scan_iter(_type="list"):
                for raw in await self._client.lrange(key, 0, -1):
                    message = read_message(raw)
                    found.append(
                        self._journal.record(
                            QueuedMessage,
                            key=key.decode("utf-8", "replace"),
                            task_id=message.task_id,
                            content_type=message.content_type,
                            arguments=message.arguments,
                        )
                    )
        return found

    async def locate_task(self, task_id: str) -> TaskLocation:
        """Record where a task is: in which keys its message is, and whether it has a result."""
        with as_broken_testbed("look for a message"):
            lists, others, done = await self._client.eval(
                LOCATE, 0, task_id, RESULT_PREFIX + task_id
            )
        keys = [key.decode("utf-8", "replace") for key in (*lists, *others)]
        return self._journal.record(
            TaskLocation,
            text=f"task {task_id} is in {' and '.join(keys) or 'no key'}, "
            f"{'with' if done else 'without'} a result",
            waiting=bool(lists),
            kept=bool(keys),
            done=bool(done),
        )

    async def count_unfinished(self) -> int:
        """How many messages wait, or were taken by a worker and are not acknowledged."""
        with as_broken_testbed("count its messages"):
            return int(await self._client.eval(COUNT_UNFINISHED, 0))

    async def watch_task(self, task_id: str) -> AsyncIterator[TaskLocation]:
        """Locate a task again and again, until it has a result or FIRST_RESULT_DEADLINE is over.

        There is no pause between two looks: a task in execution must not be missed.
        """
        deadline = time.monotonic() + timeouts.FIRST_RESULT_DEADLINE
        while time.monotonic() < deadline:
            seen = await self.locate_task(task_id)
            yield seen
            if seen.done:
                return

    async def wait_until_acknowledged(self, task_id: str) -> None:
        """Wait until the message of a done task is in no key, for RESULT_DEADLINE at most."""
        await wait_until(
            lambda: self.locate_task(task_id),
            timeouts.RESULT_DEADLINE,
            lambda seen: not seen.kept,
        )

    async def take_message(self, task_id: str) -> tuple[bytes, bytes | str] | None:
        """Take the message of a task out of its list: the list's key and the message, or None."""
        with as_broken_testbed("take a message"):
            async for key in self._client.scan_iter(_type="list"):
                for raw in await self._client.lrange(key, 0, -1):
                    if read_message(raw).task_id == task_id:
                        await self._client.execute_command("LREM", key, 1, raw)
                        return key, raw
        return None

    async def put_message(self, key: bytes, raw: bytes | str) -> None:
        """Put a message into a list, as Celery does."""
        with as_broken_testbed("put a message back"):
            await self._client.execute_command("LPUSH", key, raw)

    async def remove_task(self, task_id: str) -> None:
        """Remove every message of a task, also those that kombu keeps in `unacked`."""
        with as_broken_testbed("remove a message"):
            async for key in self._client.scan_iter(_type="list"):
                for raw in await self._client.lrange(key, 0, -1):
                    if task_id.encode() in raw:
                        await self._client.lrem(key, 0, raw)  # type: ignore[arg-type]
            async for key in self._client.scan_iter(_type="hash"):
                for name, raw in (await self._client.hgetall(key)).items():
                    if task_id.encode() in raw:
                        await self._client.hdel(key, name)
