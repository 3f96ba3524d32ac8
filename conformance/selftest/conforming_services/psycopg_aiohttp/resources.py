"""What is opened once, and the classes by which endpoints use it."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, Self

import aiohttp
from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from kombu.utils.json import dumps, loads
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool
from yarl import URL

from .jobs import complete

INT4 = range(-(2**31), 2**31)
DEEPEST = 150

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


class Resources:
    """A pool, an HTTP session and some threads."""

    def __init__(self) -> None:
        self.pool: Pool = AsyncConnectionPool(
            os.environ["DATABASE_URL"],
            connection_class=AsyncConnection[DictRow],
            open=False,
            min_size=2,
            max_size=20,
            timeout=2,
            check=AsyncConnectionPool.check_connection,
            # A statement that is prepared fails once the table has another column.
            kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None},
        )
        self.threads = ThreadPoolExecutor(32, thread_name_prefix="publish")

    async def __aenter__(self) -> Self:
        """Open what has to be opened, and wait until it is."""
        await self.pool.open(wait=True, timeout=8)
        timeout = aiohttp.ClientTimeout(total=12, sock_connect=3)
        self.http = aiohttp.ClientSession(
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it in the opposite order."""
        await self.http.close()
        await self.pool.close()
        self.threads.shutdown()


class Items:
    """The table, for one request."""

    def __init__(self, request: Request) -> None:
        self.pool: Pool = request.app.state.resources.pool

    async def get(self, item_id: int) -> DictRow | None:
        """Return the row, or None."""
        if item_id not in INT4:
            return None
        async with self.pool.connection() as connection:
            cursor = await connection.execute("SELECT * FROM items WHERE id = %s", [item_id])
            return await cursor.fetchone()


class External:
    """The upstream, for one request."""

    url = URL(os.environ["EXTERNAL_DATA_URL"], encoded=True)

    def __init__(self, request: Request) -> None:
        self.http: aiohttp.ClientSession = request.app.state.resources.http

    async def document(self) -> bytes:
        """Return the upstream's JSON, to the byte."""
        try:
            async with self.http.get(self.url, raise_for_status=True) as response:
                content = await response.read()
            json.loads(content.decode("utf-8"), parse_constant=self._refuse)
        except TimeoutError as error:
            raise HTTPException(504, "the upstream is too slow") from error
        except (aiohttp.ClientError, ValueError, RecursionError) as error:
            raise HTTPException(502, "the upstream is of no use") from error
        return content

    @staticmethod
    def _refuse(constant: str) -> NoReturn:
        raise ValueError(constant)


class Queue:
    """The queue, for one request."""

    def __init__(self, request: Request) -> None:
        self.threads: ThreadPoolExecutor = request.app.state.resources.threads

    async def put(self, data: dict[str, Any]) -> str:
        """Publish the data in a thread; return the task's id."""
        self._check(data)
        publish = partial(complete.apply_async, kwargs={"data": data}, retry=False)
        try:
            result = await asyncio.get_running_loop().run_in_executor(self.threads, publish)
        except Exception as error:
            raise HTTPException(503, "the queue is not there") from error
        return str(result)

    @staticmethod
    def _check(data: dict[str, Any]) -> None:
        """Fail unless the serializer gives back what it got, not too deep for the worker."""
        try:
            text = dumps(data)
            survives = loads(text) == data and _depth(text) <= DEEPEST
        except Exception:  # the decoder knows types of its own, each with its own errors
            survives = False
        if not survives:
            raise RequestValidationError(
                [
                    {
                        "loc": ("body",),
                        "msg": "the queue cannot carry this",
                        "type": "value_error.unqueueable",
                    }
                ]
            )


def _depth(text: str) -> int:
    """How many brackets are open at once, those in strings not counted."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest
