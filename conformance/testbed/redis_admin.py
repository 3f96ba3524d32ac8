"""What an administrator does on a Redis server: make, repair and remove a target's user."""

import secrets
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.testbed.celery_messages import read_message

PREFIX = "conformance_"  # of every user that the suite makes
CHECK_TIMEOUT = 5.0  # seconds for each step of the first contact with a server that was given
RESULT_PREFIX = "celery-task-meta-"  # of the key of a result; the task's id follows

# The target's user may do all that Celery does, and nothing to the server itself.
RIGHTS = ("~*", "&*", "+@all", "-@admin", "-flushall", "-flushdb", "-swapdb")
BROKER_VARIABLES = ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")  # of the contract


@dataclass(frozen=True)
class BrokerAccess:
    """A logical database, and the credentials of the suite and of the target.

    `target_dsn` and `user` are None where somebody else has started the target, with
    credentials of its own.
    """

    admin_url: str
    target_dsn: str | None
    user: str | None


def read_version(admin_url: str) -> str:
    """Ask for the server's name and version, such as "Valkey 9.1.2"."""
    with as_broken_testbed("read its version"), redis.Redis.from_url(admin_url) as client:
        about: dict[str, Any] = client.info("server")
    if "valkey_version" in about:
        return f"Valkey {about['valkey_version']}"
    return f"Redis {about['redis_version']}"


def check_rights(admin_url: str, *, empty: bool) -> None:
    """See that a server that was given has all that the suite needs. Raises WrongUsage.

    With `empty`, the logical database must be empty, and users can be made.
    """
    shown_url = _without_password(admin_url)
    try:
        _check_server(admin_url, empty=empty)
    except redis.exceptions.NoPermissionError as error:
        raise WrongUsage(
            "the user of --redis-url must have the rights to make a user for the target "
            f"(ACL SETUSER) and to read every key: {error}"
        ) from error
    except redis.exceptions.ResponseError as error:
        raise WrongUsage(
            "--redis-url must be the URL of a server with users (ACL, Redis 6 or newer) "
            f"that accepts its credentials; {shown_url} answers: {error}"
        ) from error
    except redis.RedisError as error:
        raise WrongUsage(
            "--redis-url must be the URL of a Redis server that answers; "
            f"{shown_url} does not: {error}"
        ) from error


def create_user(admin_url: str) -> BrokerAccess:
    """Make a user for the target. Raises BrokenTestbed."""
    name, password = PREFIX + secrets.token_hex(6), secrets.token_hex(12)
    with as_broken_testbed("make a user"), redis.Redis.from_url(admin_url) as client:
        client.execute_command("ACL", "SETUSER", name, "on", f">{password}", *RIGHTS)
    parts = urlsplit(admin_url)
    netloc = f"{name}:{password}@{parts.hostname}:{parts.port or 6379}"
    target_dsn = urlunsplit(parts._replace(netloc=netloc, path=parts.path or "/0"))
    return BrokerAccess(admin_url, target_dsn, name)


def drop_user(access: BrokerAccess) -> None:
    """Remove a target's user, and all keys: there were none before. Raises BrokenTestbed."""
    with as_broken_testbed("remove a user"), redis.Redis.from_url(access.admin_url) as client:
        client.execute_command("ACL", "DELUSER", access.user)
        client.flushdb()


def remove_tasks(access: BrokerAccess, task_ids: set[str]) -> None:
    """Remove the messages and results of some tasks, and nothing else. Raises BrokenTestbed."""
    with as_broken_testbed("remove tasks"), redis.Redis.from_url(access.admin_url) as client:
        for task_id in task_ids:
            client.delete(RESULT_PREFIX + task_id)
        for key in client.scan_iter(_type="list"):
            for raw in client.lrange(key, 0, -1):
                if read_message(raw).task_id in task_ids:
                    client.execute_command("LREM", key, 1, raw)
        _remove_unacknowledged(client, task_ids)


def discard_backlog(
    access: BrokerAccess, keep: Set[str | None], only: Set[str] | None = None
) -> None:
    """Remove the messages that wait in lists, but those of the tasks to keep.

    With `only`, no others than those of these tasks are removed. Raises BrokenTestbed.
    """
    with as_broken_testbed("remove messages"), redis.Redis.from_url(access.admin_url) as client:
        for key in client.scan_iter(_type="list"):
            for raw in client.lrange(key, 0, -1):
                task_id = read_message(raw).task_id
                if task_id not in keep and (only is None or task_id in only):
                    client.execute_command("LREM", key, 1, raw)


def has_connections(access: BrokerAccess) -> bool:
    """Whether the target's user has a connection. Raises BrokenTestbed."""
    with as_broken_testbed("list its clients"), redis.Redis.from_url(access.admin_url) as client:
        return any(each.get("user") == access.user for each in client.client_list())


def end_script(access: BrokerAccess) -> str | None:
    """End a script that keeps the server from answering, if the target has run it.

    Returns what is known of it in a sentence, or None if there is none, or it may be somebody
    else's: on a server of which the target has no user of its own. While a script runs, the server
    takes a login and the order to end it, and nothing else.
    """
    if access.user is None:
        return None
    parts = urlsplit(access.admin_url)
    any_database = urlunsplit(parts._replace(path=""))  # SELECT would not be taken
    with redis.Redis.from_url(any_database, socket_timeout=CHECK_TIMEOUT) as client:
        try:
            client.execute_command("SCRIPT", "KILL")
        except redis.RedisError as error:
            if not str(error).startswith("UNKILLABLE"):
                return None
            return "a script of the service's keeps it busy, and cannot be ended: it has written"
    return "a script of the service's kept it busy for more than 5 s, until it was ended"


def repair_broker(access: BrokerAccess) -> None:
    """Undo every fault that a killed run may have left, and remove messages and results.

    The keys by which Celery binds its queues stay. Raises BrokenTestbed.
    """
    with (
        as_broken_testbed("undo the faults of an earlier run"),
        redis.Redis.from_url(access.admin_url) as client,
    ):
        client.execute_command("CLIENT", "UNPAUSE")
        client.execute_command("ACL", "SETUSER", access.user, "on", *RIGHTS)
        if left := [key for key in client.scan_iter() if b"_kombu.binding." not in key]:
            client.delete(*left)


@contextmanager
def as_broken_testbed(work: str) -> Iterator[None]:
    """Raise BrokenTestbed if the server fails at the suite's own work: no fault of the target's."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise BrokenTestbed(f"Redis did not let the suite {work}: {error}") from error


def _check_server(admin_url: str, *, empty: bool) -> None:
    with redis.Redis.from_url(
        admin_url, socket_connect_timeout=CHECK_TIMEOUT, socket_timeout=CHECK_TIMEOUT
    ) as client:
        size = client.dbsize()
        if empty and size:
            raise WrongUsage(
                "the logical database of --redis-url must be empty, so that no data of yours is "
                f"touched; {_without_password(admin_url)} holds {size} keys"
            )
        if empty:
            client.acl_list()


def _remove_unacknowledged(client: redis.Redis, task_ids: set[str]) -> None:
    """Remove what kombu keeps of messages that a killed worker had taken.

    That is the hash `unacked`, and its index, which has the same names.
    """
    for key in client.scan_iter(_type="hash"):
        for name, raw in client.hgetall(key).items():
            if any(task_id.encode() in raw for task_id in task_ids):
                client.hdel(key, name)
                client.zrem(key + b"_index", name)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port or 6379}"))
