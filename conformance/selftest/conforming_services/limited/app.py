"""Two services that do what they can with little, and let the rest wait for its turn."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
from fastapi import Request
from fastapi.responses import Response

from conformance.selftest.faulty_services.service import Row, Service

OUTBOUND_AT_ONCE = 64


class Queueing(Service):
    """Two connections, sixty-four calls, four submissions at once. The others wait."""

    pool_sizes = (2, 2)
    limits = httpx.Limits(max_connections=OUTBOUND_AT_ONCE, max_keepalive_connections=0)

    async def connect(self) -> None:
        """Open what is kept, and publish in fewer threads."""
        await super().connect()
        self.submitters = ThreadPoolExecutor(4)


class GivingUp(Service):
    """Looks every 50 ms whether a client is there, and gives up the work of one that has left.

    A read that was ended by the server is made once more.
    """

    async def read_item(self, item_id: int, request: Request) -> Any:  # type: ignore[override]
        """Answer with a row as long as somebody waits for it."""
        return await _for_client(request, super().read_item(item_id))

    async def external_data(self, request: Request) -> Any:  # type: ignore[override]
        """Answer with the document as long as somebody waits for it."""
        return await _for_client(request, super().external_data())

    async def find(self, item_id: int) -> Row | None:
        """Read a row, once more where an administrator ended the query or its session."""
        try:
            return await super().find(item_id)
        except (asyncpg.QueryCanceledError, asyncpg.PostgresConnectionError):
            return await super().find(item_id)


async def _for_client(request: Request, work: Coroutine[Any, Any, Any]) -> Any:
    """Do the work until its client has left."""
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait([task], timeout=0.05))[0]:
        if await request.is_disconnected():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return Response(status_code=499)
    return task.result()


queueing = Queueing()
giving_up = GivingUp()
