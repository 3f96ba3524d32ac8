"""A server that the suite has started, wherever it runs, and the wait for its first answer."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import asyncpg
import redis

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.polling import block_until


class Server(Protocol):
    """A Postgres or a Redis of the run's own."""

    @property
    def url(self) -> str:
        """The administrator's URL."""

    def wait_until_ready(self) -> None:
        """Wait until it answers. Raises BrokenTestbed."""

    def read_status(self) -> int | None:
        """The exit status, or None while it runs."""

    def read_last_lines(self) -> list[str]:
        """What it printed last."""

    def stop(self) -> None:
        """Stop it at once. Its data is thrown away."""


def wait_for_postgres(server: Server) -> None:
    """Wait until a query is answered. Raises BrokenTestbed."""

    async def connect() -> None:
        connection = await asyncpg.connect(server.url, timeout=timeouts.BOOT_DEADLINE, ssl=False)
        await connection.close()

    not_yet = (OSError, asyncpg.PostgresError)
    _wait_for_answer("postgres", server, lambda: asyncio.run(connect()), not_yet)


def wait_for_redis(server: Server) -> None:
    """Wait until the server answers. Raises BrokenTestbed."""
    with redis.Redis.from_url(server.url) as client:
        _wait_for_answer("redis", server, client.ping, (redis.RedisError,))


def _wait_for_answer(
    name: str,
    server: Server,
    ask: Callable[[], object],
    not_yet: tuple[type[Exception], ...],
) -> None:
    def try_once() -> Exception | None:
        try:
            ask()
        except not_yet as error:
            return error
        return None

    error = block_until(
        try_once,
        timeouts.BOOT_DEADLINE,
        lambda error: error is None or server.read_status() is not None,
    )
    if error:
        last_lines = " / ".join(server.read_last_lines())
        raise BrokenTestbed(
            f"the suite's own {name} does not answer ({error}); its last lines: {last_lines}"
        ) from error
