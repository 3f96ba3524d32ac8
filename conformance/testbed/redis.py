"""Redis: the target's user, the messages in its lists, the results on its backend, and the faults of a broker."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio
from celery import Celery
from kombu.exceptions import KombuError

from conformance import allowances
from conformance.errors import BrokenTestbed, WrongUsage
from conformance.evidence import Journal, Observation, QueuedMessage
from spec.model import shown

# The target's user may do all that Celery does, and nothing to the server itself.
RIGHTS = ("~*", "&*", "+@all", "-@admin", "-flushall", "-flushdb", "-swapdb")


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
    return f"Valkey {about['valkey_version']}" if "valkey_version" in about else f"Redis {about['redis_version']}"


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
        raise WrongUsage(f"--redis-url wants a Redis server that answers; {shown_url} does not: {error}") from error


def create(admin_url: str) -> Place:
    """Make a user for the target."""
    name, password = "conformance_" + secrets.token_hex(6), secrets.token_hex(12)
    with blaming_the_testbed("make a user"), redis.Redis.from_url(admin_url) as client:
        client.execute_command("ACL", "SETUSER", name, "on", f">{password}", *RIGHTS)
    parts = urlsplit(admin_url)
    target_url = urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port or 6379}", path=parts.path or "/0"))
    return Place(admin_url, target_url, name)


def drop(place: Place, task_ids: set[str]) -> None:
    """Remove the user and what the run left: all keys of a database that was empty, else those of our own tasks."""
    with blaming_the_testbed("remove our keys"), redis.Redis.from_url(place.admin_url) as client:
        if place.user:
            client.execute_command("ACL", "DELUSER", place.user)
            client.flushdb()
            return
        for task_id in task_ids:
            client.delete(f"celery-task-meta-{task_id}")
        for key in client.scan_iter(_type="list"):
            for raw in client.lrange(key, 0, -1):
                if _message(raw)[0] in task_ids:
                    client.execute_command("LREM", key, 1, raw)


class Broker:
    """The suite's own session on one place."""

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place = place
        self._journal = journal
        self._backend = Celery("conformance", backend=place.admin_url, broker=place.admin_url, set_as_current=False)

    async def open(self) -> None:
        """Connect."""
        self._client = redis.asyncio.Redis.from_url(self.place.admin_url)

    async def close(self) -> None:
        """Disconnect."""
        await self._client.aclose()
        self._backend.backend.client.close()

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
        while True:
            state, value = await asyncio.to_thread(self._outcome, task_id)
            if state in ("SUCCESS", "FAILURE", "REVOKED", "UNREADABLE") or time.monotonic() > until:
                return value, self._journal.observe("result", f"task {task_id} is {state}: {shown(value)}", state=state)
            await asyncio.sleep(allowances.POLL_INTERVAL)

    def _outcome(self, task_id: str) -> tuple[str, Any]:
        """What `celery.result.AsyncResult` says of a task, its state and its value read at once."""
        with blaming_the_testbed("read a result"):
            try:
                meta = self._backend.backend.get_task_meta(task_id, cache=False)
            except (KombuError, ValueError, RecursionError) as error:
                return "UNREADABLE", str(error)
            return str(meta["status"]), meta["result"]

    async def consumers(self) -> int:
        """How many clients wait for a message now (BRPOP and its like)."""
        with blaming_the_testbed("list its clients"):
            clients = await self._client.client_list()
        return sum(client.get("cmd", "") in ("brpop", "blpop", "blmove", "brpoplpush", "bzmpop", "blmpop") for client in clients)

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

    async def _set_user(self, *rules: str) -> None:
        with blaming_the_testbed("change the target's user"):
            await self._client.execute_command("ACL", "SETUSER", self.place.user, *rules)

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
