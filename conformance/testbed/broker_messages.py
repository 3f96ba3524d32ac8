"""Messages in the lists of a broker, and where a task is."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import redis.asyncio

from conformance.core import timeouts
from conformance.core.errors import Unreadable
from conformance.core.evidence import Journal, QueuedMessage
from conformance.core.observations import TaskLocation
from conformance.core.polling import wait_until
from conformance.testbed.celery_messages import read_message
from conformance.testbed.redis_admin import RESULT_PREFIX, as_broken_testbed

# What one look takes from the broker at most. The suite's own tasks in a queue are some hundreds,
# and the largest of them takes 1 MB.
MOST_MESSAGES = 5000
MOST_BYTES = 32 * 2**20
MOST_KEYS = 20_000
FLOODED = "FLOODED"  # how the scripts say that there is more

# Reads a list, up to a number of entries and bytes. Answers whether that is all, and the entries.
READ_LIST = """
local found, left = {}, tonumber(ARGV[2])
local length = redis.call("LLEN", KEYS[1])
for index = 0, math.min(length, tonumber(ARGV[1])) - 1 do
  local value = redis.call("LRANGE", KEYS[1], index, index)[1]
  left = left - #value
  if left < 0 then break end
  found[#found + 1] = value
end
return {length, found}
"""

# Looks at a task in one step, so that nothing moves meanwhile. Answers the lists and the other
# keys that hold the id of the task, and whether its result is stored.
LOCATE = """
local lists, others = {}, {}
if redis.call("DBSIZE") > tonumber(ARGV[3]) then return redis.error_reply("FLOODED") end
for _, key in ipairs(redis.call("KEYS", "*")) do
  local kind = redis.call("TYPE", key).ok
  if kind == "list" and redis.call("LLEN", key) > tonumber(ARGV[4]) then
    return redis.error_reply("FLOODED")
  end
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
        self._known: dict[tuple[bytes, bytes], QueuedMessage] = {}  # of the look before

    async def list_messages(self) -> list[QueuedMessage]:
        """Every Celery message in any list. One that is there still is the same fact again.

        Raises Unreadable where there is more than one look takes.
        """
        found: dict[tuple[bytes, bytes], QueuedMessage] = {}
        messages: list[QueuedMessage] = []
        left = MOST_BYTES
        with as_broken_testbed("read its lists"):
            async for key in self._client.scan_iter(_type="list"):
                answer: Any = await self._client.eval(
                    READ_LIST, 1, key, str(MOST_MESSAGES - len(messages)), str(left)
                )
                length, entries = answer
                if length > len(entries):
                    raise _find_flood(key)
                left -= sum(map(len, entries))
                for raw in entries:
                    found[key, raw] = self._known.get((key, raw)) or self._record(key, raw)
                    messages.append(found[key, raw])
        self._known = found
        return messages

    def _record(self, key: bytes, raw: bytes) -> QueuedMessage:
        message = read_message(raw)
        return self._journal.record(
            QueuedMessage,
            key=key.decode("utf-8", "replace"),
            task_id=message.task_id,
            content_type=message.content_type,
            arguments=message.arguments,
        )

    async def locate_task(self, task_id: str) -> TaskLocation:
        """Record where a task is: in which keys its message is, and whether it has a result."""
        limits = (str(MOST_KEYS), str(MOST_MESSAGES))
        with as_broken_testbed("look for a message"):
            try:
                lists, others, done = await self._client.eval(
                    LOCATE, 0, task_id, RESULT_PREFIX + task_id, *limits
                )
            except redis.ResponseError as error:
                if FLOODED in str(error):
                    raise _find_flood(None) from error
                raise
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

        There is no pause between two looks: a task in execution must not be missed. While it waits
        for a worker, there are short ones.
        """
        deadline = time.monotonic() + timeouts.FIRST_RESULT_DEADLINE
        while time.monotonic() < deadline:
            seen = await self.locate_task(task_id)
            yield seen
            if seen.done:
                return
            if seen.waiting:
                await asyncio.sleep(timeouts.POLL_INTERVAL)

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


def _find_flood(key: bytes | None) -> Unreadable:
    """That there is more than a look takes: in a list, or in all of the database."""
    if key is None:
        what = f"more than {MOST_KEYS} keys, or a list of more than {MOST_MESSAGES} entries"
        return Unreadable("its queue", f"the broker holds {what}")
    what = f"more than {MOST_MESSAGES} entries or {MOST_BYTES // 2**20} MB"
    return Unreadable("its queue", f"the broker's lists, such as {ascii(key)[1:60]}, hold {what}")
