"""Redis: the target's user, the messages in its lists, the results on its backend, and the faults of a broker."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
import redis.asyncio

from conformance.core.errors import BrokenTestbed, WrongUsage

# The target's user may do all that Celery does, and nothing to the server itself.
RIGHTS = ("~*", "&*", "+@all", "-@admin", "-flushall", "-flushdb", "-swapdb")

_WAITING_FOR_MESSAGES = ("brpop", "blpop", "blmove", "brpoplpush", "bzmpop", "blmpop")


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
                if message_in(raw)[0] in task_ids:
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


@contextmanager
def blaming_the_testbed(work: str) -> Iterator[None]:
    """Whatever the server answers to the suite's own work is the testbed's trouble, never the target's."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokenTestbed(f"Redis did not let the suite {work}: {error}") from error


def message_in(raw: bytes | str) -> tuple[str | None, str | None, Any]:
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
