"""What the application stands on, behind plain functions that are closed over what they need."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from typing import Any

import asyncpg
import httpx
from celery import Celery

from .queue import NAME

Row = dict[str, Any]


class NoCookies(CookieJar):
    """Keeps no cookie, for the client serves every caller."""

    def set_cookie(self, *_: object) -> None:
        """Forget it."""


class Unavailable(Exception):
    """Something behind us is of no use; its status is what the caller is told."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


@dataclass(frozen=True)
class Services:
    """Three functions."""

    find: Callable[[int], Awaitable[Row | None]]
    fetch: Callable[[], Awaitable[bytes]]
    publish: Callable[[dict[str, Any]], Awaitable[str]]


@asynccontextmanager
async def opened(
    database_url: str,
    external_data_url: str,
    celery: Celery,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[Services]:
    """Open what they need, and close it."""
    pool = await asyncpg.create_pool(
        database_url, min_size=2, max_size=5, command_timeout=60, max_inactive_connection_lifetime=0
    )
    http = httpx.AsyncClient(
        timeout=httpx.Timeout(8, pool=None),
        limits=httpx.Limits(max_connections=500),
        cookies=NoCookies(),
        transport=transport,
    )
    turns = asyncio.BoundedSemaphore(6)

    async def find(item_id: int) -> Row | None:
        async with pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT items.* FROM items WHERE items.id = $1 LIMIT 1", item_id
            )
        return dict(rows[0]) if rows else None

    async def fetch() -> bytes:
        try:
            async with asyncio.timeout(12), http.stream("GET", external_data_url) as response:
                if response.status_code != 200:
                    raise Unavailable(502, f"upstream said {response.status_code}")
                body = b"".join([part async for part in response.aiter_bytes()])
            json.loads(body.decode("utf-8"))
        except (TimeoutError, httpx.TransportError) as error:
            raise Unavailable(504, "upstream did not answer") from error
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise Unavailable(502, "upstream is broken") from error
        return body

    async def publish(data: dict[str, Any]) -> str:
        async with turns:
            try:
                result = await asyncio.to_thread(celery.tasks[NAME].apply_async, args=[data])
            except Exception as error:
                raise Unavailable(503, "queue is away") from error
        return str(result.task_id)

    try:
        yield Services(find, fetch, publish)
    finally:
        await http.aclose()
        await pool.close()
