"""Redis: the target's user, the messages in its lists, the results on its backend, and the faults of a broker."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio
from celery import Celery
from kombu.exceptions import KombuError

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, WrongUsage
from conformance.core.evidence import Journal, Observation, QueuedMessage
from conformance.core.polling import Pauses
from conformance.spec.model import format_value

PAUSE_MS = 600_000  # longer than any probe lasts; the pause ends with the block

# The target's user may do all that Celery does, and nothing to the server itself.
RIGHTS = ("~*", "&*", "+@all", "-@admin", "-flushall", "-flushdb", "-swapdb")

_WAITING_FOR_MESSAGES = ("brpop", "blpop", "blmove", "brpoplpush", "bzmpop", "blmpop")

# One look at a task, so that nothing moves meanwhile: the lists and the other keys that hold its id, and whether it has its result.
_FIND = """
local lists, others = {}, {}
for _, key in ipairs(redis.call("KEYS", "*")) do
  local kind = redis.call("TYPE", key).ok
  local values = {}
  if key ~= ARGV[2] then
    if kind == "list" then values = redis.call("LRANGE", key, 0, -1) end
    if kind == "hash" then values = redis.call("HVALS", key) end
    if kind == "stream" then for _, entry in ipairs(redis.call("XRANGE", key, "-", "+")) do values[#values + 1] = cjson.encode(entry) end end
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


@dataclass(frozen=True)
class Place:
    """A logical database, and by which URLs the suite and the target reach it."""

    admin_url: str
    target_url: str | None
    user: str | None


def version(admin_url: str) -> str:
    """The server's name and version, such as "Valkey 9.1.2"."""
    with blaming_the_testbed("say its version"), redis.Redis.from_url(admin_url) as client:
        about: dict[str, Any] = client.info("server")
    return (
        f"Valkey {about['valkey_version']}"
        if "valkey_version" in about
        else f"Redis {about['redis_version']}"
    )


def check_rights(admin_url: str, *, empty: bool) -> None:
    """Say what a given server lacks. Raises WrongUsage."""
    shown_url = _without_password(admin_url)
    try:
        with redis.Redis.from_url(admin_url, socket_connect_timeout=5, socket_timeout=5) as client:
            size = client.dbsize()
            if empty and size:
                raise WrongUsage(
                    f"--redis-url wants a logical database that is empty, so that nothing of yours is touched; {shown_url} holds {size} keys"
                )
            if empty:
                client.acl_list()
    except redis.exceptions.NoPermissionError as error:
        raise WrongUsage(
            f"--redis-url wants a user that may make a user for the target (ACL SETUSER) and read every key: {error}"
        ) from error
    except redis.exceptions.ResponseError as error:
        raise WrongUsage(
            f"--redis-url wants a server with users (ACL, Redis 6 or newer) that lets us in; {shown_url} says: {error}"
        ) from error
    except redis.RedisError as error:
        raise WrongUsage(
            f"--redis-url wants a Redis server that answers; {shown_url} does not: {error}"
        ) from error


def create(admin_url: str) -> Place:
    """Make a user for the target."""
    name, password = "conformance_" + secrets.token_hex(6), secrets.token_hex(12)
    with blaming_the_testbed("make a user"), redis.Redis.from_url(admin_url) as client:
        client.execute_command("ACL", "SETUSER", name, "on", f">{password}", *RIGHTS)
    parts = urlsplit(admin_url)
    target_url = urlunsplit(
        parts._replace(
            netloc=f"{name}:{password}@{parts.hostname}:{parts.port or 6379}",
            path=parts.path or "/0",
        )
    )
    return Place(admin_url, target_url, name)


def drop(place: Place, task_ids: set[str], *, ours: bool) -> None:
    """Remove what a run left: of a place of ours the user and all keys, which there were none of before, else those of our own tasks."""
    with blaming_the_testbed("remove our keys"), redis.Redis.from_url(place.admin_url) as client:
        if ours:
            client.execute_command("ACL", "DELUSER", place.user)
            client.flushdb()
            return
        for task_id in task_ids:
            client.delete(f"celery-task-meta-{task_id}")
        for key in client.scan_iter(_type="list"):
            for raw in client.lrange(key, 0, -1):
                if _message(raw)[0] in task_ids:
                    client.execute_command("LREM", key, 1, raw)
        for key in client.scan_iter(
            _type="hash"
        ):  # kombu's `unacked`, of a worker that was killed; its index has the same names
            for name, raw in client.hgetall(key).items():
                if any(task_id.encode() in raw for task_id in task_ids):
                    client.hdel(key, name)
                    client.zrem(key + b"_index", name)


def is_used(place: Place) -> bool:
    """Whether the target's user has a connection."""
    with blaming_the_testbed("list its clients"), redis.Redis.from_url(place.admin_url) as client:
        return any(each.get("user") == place.user for each in client.client_list())


def heal(place: Place) -> None:
    """Undo whatever fault a run may have left that was killed, and remove messages and results; what Celery is bound to stays."""
    with (
        blaming_the_testbed("mend what a run has left"),
        redis.Redis.from_url(place.admin_url) as client,
    ):
        client.execute_command("CLIENT", "UNPAUSE")
        client.execute_command("ACL", "SETUSER", place.user, "on", *RIGHTS)
        if left := [key for key in client.scan_iter() if b"_kombu.binding." not in key]:
            client.delete(*left)


class Broker:
    """The suite's own session on one place."""

    def __init__(self, place: Place, journal: Journal, *, shared: bool = False) -> None:
        self.place = place
        self.is_shared = shared  # whether somebody else may run a worker on it
        self._journal = journal

    async def open(self) -> None:
        """Connect."""
        self._client = redis.asyncio.Redis.from_url(self.place.admin_url)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
        if "_backend" in vars(self):
            self._backend.client.close()

    @cached_property
    def _backend(self) -> Any:
        """Celery's own view of the results; it takes a while to make, and most runs of a few requirements ask for none."""
        return Celery(
            "conformance",
            backend=self.place.admin_url,
            broker=self.place.admin_url,
            set_as_current=False,
        ).backend

    async def messages(self) -> list[QueuedMessage]:
        """Every Celery message in any list."""
        found = []
        with blaming_the_testbed("read its lists"):
            async for key in self._client.scan_iter(_type="list"):
                for raw in await self._client.lrange(key, 0, -1):
                    task_id, content_type, arguments = _message(raw)
                    found.append(
                        self._journal.record(
                            QueuedMessage,
                            key=key.decode("utf-8", "replace"),
                            task_id=task_id,
                            content_type=content_type,
                            arguments=arguments,
                        )
                    )
        return found

    async def result(self, task_id: str, deadline: float) -> tuple[Any, Observation]:
        """Wait for a task's outcome; its state and value, and what was seen when it ended or the deadline passed."""
        until = time.monotonic() + deadline
        pauses = Pauses()
        while True:
            state, value = await asyncio.to_thread(self._outcome, task_id)
            if state in ("SUCCESS", "FAILURE", "REVOKED", "UNREADABLE") or time.monotonic() > until:
                return value, self._journal.observe(
                    "result", f"task {task_id} is {state}: {format_value(value)}", state=state
                )
            await asyncio.sleep(pauses.next)

    def _outcome(self, task_id: str) -> tuple[str, Any]:
        """What `celery.result.AsyncResult` says of a task, its state and its value read at once."""
        with blaming_the_testbed("read a result"):
            try:
                meta = self._backend.get_task_meta(task_id, cache=False)
            except (KombuError, ValueError, RecursionError) as error:
                return "UNREADABLE", str(error)
            return str(meta["status"]), meta["result"]

    async def consumers(self) -> int:
        """How many clients wait for a message now (BRPOP and its like)."""
        with blaming_the_testbed("list its clients"):
            clients = await self._client.client_list()
        return sum(client.get("cmd", "") in _WAITING_FOR_MESSAGES for client in clients)

    @asynccontextmanager
    async def refusing_writes(self) -> AsyncIterator[None]:
        """Take every write from the target's user. Raises BrokenTestbed where that does not take hold."""
        await self._set_user("-@write")
        try:
            await self._check_refused()
            self._journal.observe("broker", "the target's user may not write")
            yield
        finally:
            await self._set_user(*RIGHTS)
            self._journal.observe("broker", "the target's user may write again")

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[Observation]:
        """Let the target's user in no more, and end the connections it has. Raises BrokenTestbed where that does not take hold."""
        await self._set_user("off")
        try:
            await self.cut()
            await self._check_shut_out()
            yield self._journal.observe("fault", "the broker refuses the service")
        finally:
            await self._set_user("on")
            self._journal.observe("fault", "the broker lets the service in again")

    async def cut(self) -> Observation:
        """End every connection of the target's user, as a broker does that restarts."""
        with blaming_the_testbed("end the target's connections"):
            ended = await self._client.execute_command("CLIENT", "KILL", "USER", self._user)
        return self._journal.observe(
            "fault", f"the broker ended {ended} connections of the service's", ended=ended
        )

    async def turned_away(
        self, count: int, until: Callable[[], bool] = lambda: False
    ) -> Observation:
        """Wait until the server has turned the target's user away this many times in all, or something else is so.

        What was seen then, or at the deadline.
        """
        deadline = time.monotonic() + timeouts.ARRIVAL_DEADLINE
        pauses = Pauses()
        while (
            (seen := await self.refusals()) < count and not until() and time.monotonic() < deadline
        ):
            await asyncio.sleep(pauses.next)
        return self._journal.observe(
            "broker", f"the broker has turned the service away {seen} times", refusals=seen
        )

    async def turned_away_for_good(self, before: int, until: Callable[[], bool]) -> Observation:
        """Wait until the target's user was turned away and tries no more for QUIET seconds, or something else is so."""
        seen = await self.turned_away(before + 1, until)
        while not until():
            await asyncio.sleep(timeouts.QUIET)
            count = seen.data["refusals"]
            if (seen := await self.turned_away(0)).data["refusals"] == count:
                break
        return seen

    async def refusals(self) -> int:
        """How many times the server has turned the target's user away so far, as its log of refusals has it."""
        with blaming_the_testbed("read its log of refusals"):
            log = await self._client.execute_command("ACL", "LOG")
        return sum(
            int(entry["count"])
            for entry in map(_as_mapping, log)
            if entry["reason"] == "auth" and entry["username"] == self._user
        )

    @asynccontextmanager
    async def stalled(self) -> AsyncIterator[Observation]:
        """Take every write and answer none, until the block ends. Raises BrokenTestbed where that does not take hold.

        Raises NoEvidence where the server is not ours to stall.
        """
        _ = self._user
        with blaming_the_testbed("pause its clients"):
            await self._client.execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
        try:
            with blaming_the_testbed("tell whether its clients are paused"):
                about = await self._client.info("clients")
            if not about.get("paused_timeout_milliseconds", 1):  # Redis before 7.2 does not tell
                raise BrokenTestbed("the clients of Redis were paused, and are not")
            yield self._journal.observe("fault", "the broker takes writes and does not answer")
        finally:
            with blaming_the_testbed("let its clients go on"):
                await self._client.execute_command("CLIENT", "UNPAUSE")
            self._journal.observe("fault", "the broker answers again")

    async def writes_waiting(self) -> Observation:
        """Wait until a write of the target's waits while the broker is stalled; what was seen then, or at the deadline."""
        deadline = time.monotonic() + timeouts.ARRIVAL_DEADLINE
        pauses = Pauses()
        while not (seen := await self._waiting_writes()) and time.monotonic() < deadline:
            await asyncio.sleep(pauses.next)
        commands = ", ".join(seen) or "no command"
        return self._journal.observe(
            "broker", f"{commands} of the service's waits for the broker", waiting=len(seen)
        )

    async def large_write_waiting(self, size: int) -> Observation:
        """Wait until a write of the target's waits that takes this many bytes, while the broker is stalled; what was seen then, or at the deadline."""
        deadline = time.monotonic() + timeouts.ARRIVAL_DEADLINE
        pauses = Pauses()
        while not (seen := await self._large_waiting(size)) and time.monotonic() < deadline:
            await asyncio.sleep(pauses.next)
        return self._journal.observe(
            "broker",
            f"{seen} writes of the service's that take {size} bytes wait for the broker",
            waiting=seen,
        )

    async def large_write_gone(self, size: int) -> None:
        """Wait until no such write waits any more, for the server has seen the end of its client; for ARRIVAL_DEADLINE at most."""
        deadline = time.monotonic() + timeouts.ARRIVAL_DEADLINE
        pauses = Pauses()
        while await self._large_waiting(size) and time.monotonic() < deadline:
            await asyncio.sleep(pauses.next)

    async def whereabouts(self, task_id: str) -> Observation:
        """Where a task is at one moment: in lists, in other keys (such as kombu's `unacked`), and whether it has its result."""
        with blaming_the_testbed("look for a message"):
            lists, others, done = await self._client.eval(
                _FIND, 0, task_id, f"celery-task-meta-{task_id}"
            )
        places = [key.decode("utf-8", "replace") for key in (*lists, *others)]
        text = f"task {task_id} is in {' and '.join(places) or 'no key'}, {'with' if done else 'without'} a result"
        return self._journal.observe(
            "whereabouts", text, waiting=bool(lists), kept=bool(places), done=bool(done)
        )

    async def moments(self, task_id: str) -> AsyncIterator[Observation]:
        """Look at a task again and again until it has its result, or until FIRST_RESULT_DEADLINE has passed."""
        deadline = time.monotonic() + timeouts.FIRST_RESULT_DEADLINE
        while time.monotonic() < deadline:
            seen = await self.whereabouts(task_id)
            yield seen
            if seen.data["done"]:
                return

    async def acknowledged(self, task_id: str) -> None:
        """Wait until the message of a task that is done is kept nowhere; one that stays is not waited for longer than a result."""
        deadline = time.monotonic() + timeouts.RESULT_DEADLINE
        pauses = Pauses()
        while (await self.whereabouts(task_id)).data["kept"] and time.monotonic() < deadline:
            await asyncio.sleep(pauses.next)

    async def remove(self, task_id: str) -> None:
        """Remove every message of a task, from lists and from what kombu keeps of those that were taken (`unacked`)."""
        with blaming_the_testbed("remove a message"):
            async for key in self._client.scan_iter(_type="list"):
                for raw in await self._client.lrange(key, 0, -1):
                    if task_id.encode() in raw:
                        await self._client.lrem(key, 0, raw)  # type: ignore[arg-type]
            async for key in self._client.scan_iter(_type="hash"):
                for name, raw in (await self._client.hgetall(key)).items():
                    if task_id.encode() in raw:
                        await self._client.hdel(key, name)

    async def time_to_live(self, task_id: str) -> Observation:
        """Record how long the result of a task is kept, in seconds; -1 is for ever, -2 is no such key."""
        with blaming_the_testbed("read a key's time to live"):
            seconds = await self._client.ttl(f"celery-task-meta-{task_id}")
        return self._journal.observe(
            "result", f"the result of task {task_id} has {seconds} s to live", seconds=seconds
        )

    @property
    def _user(self) -> str:
        """The target's user. Raises NoEvidence where it is not ours to change."""
        if self.place.user is None:
            raise NoEvidence(
                "the target's Redis user is not ours to restrict: start it on a `conformance testbed`, or let the suite start it"
            )
        return self.place.user

    async def _waiting_writes(self) -> list[str]:
        return [
            client["cmd"]
            for client in await self._waiting()
            if client["cmd"] not in _WAITING_FOR_MESSAGES
        ]

    async def _large_waiting(self, size: int) -> int:
        return sum(int(client.get("tot-mem", 0)) > size for client in await self._waiting())

    async def _waiting(self) -> list[dict[str, str]]:
        """The clients of the target's that wait for the answer to a command."""
        with blaming_the_testbed("list its clients"):
            clients = await self._client.client_list()
        return [
            client
            for client in clients
            if self.place.user in (None, client.get("user")) and "b" in client["flags"]
        ]

    async def _check_shut_out(self) -> None:
        """Ask the server, and do not try: what the server turns away is counted (`refusals`)."""
        with blaming_the_testbed("tell whether the target's user is shut out"):
            about: Any = await self._client.acl_getuser(self._user)
            left = [
                client
                for client in await self._client.client_list()
                if client.get("user") == self._user
            ]
        if "off" not in about["flags"] or left:
            raise BrokenTestbed("the target's Redis user was shut out, and is let in still")

    async def _set_user(self, *rules: str) -> None:
        with blaming_the_testbed("change the target's user"):
            await self._client.execute_command("ACL", "SETUSER", self._user, *rules)

    async def _check_refused(self) -> None:
        assert self.place.target_url
        async with redis.asyncio.Redis.from_url(self.place.target_url) as client:
            try:
                await client.lpush("conformance-check", "")
            except redis.exceptions.NoPermissionError:
                return
        raise BrokenTestbed("the target's Redis user was denied writes, and can write still")


@contextmanager
def blaming_the_testbed(work: str) -> Iterator[None]:
    """Whatever the server answers to the suite's own work is the testbed's trouble, never the target's."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokenTestbed(f"Redis did not let the suite {work}: {error}") from error


def _as_mapping(entry: Any) -> dict[str, Any]:
    """An entry of ACL LOG, whose names and values come in turn in RESP 2."""
    words = [
        word.decode("utf-8", "replace") if isinstance(word, bytes) else word
        for word in _flat(entry)
    ]
    return dict(zip(words[::2], words[1::2], strict=True))


def _flat(entry: Any) -> list[Any]:
    return (
        [word for pair in entry.items() for word in pair]
        if isinstance(entry, dict)
        else list(entry)
    )


def _message(raw: bytes | str) -> tuple[str | None, str | None, Any]:
    """The task id, content type and decoded arguments of a Celery message (protocol 2), each None where it is not that.

    Source: Celery's manual, "Message Protocol", version 2. Pickled bodies are not opened: they come from the target.
    """
    try:
        envelope = json.loads(raw)
        task_id, content_type = envelope["headers"]["id"], envelope["content-type"]
        arguments = None
        if content_type == "application/json":
            arguments = _arguments(envelope["body"], envelope["properties"].get("body_encoding"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, None, None
    return str(task_id), content_type, arguments


def _arguments(body: Any, encoding: str | None) -> Any:
    """The decoded body of a message, or None where it is compressed or otherwise not to be read."""
    try:
        return json.loads(base64.b64decode(body) if encoding == "base64" else body)
    except (ValueError, TypeError, RecursionError):
        return None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port or 6379}"))
