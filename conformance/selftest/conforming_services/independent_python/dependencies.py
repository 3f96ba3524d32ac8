"""The gateways to what the service needs, and how endpoints get them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, TypedDict, cast

from fastapi import Depends, Request

from .database import ItemStore
from .queueing import CeleryQueue, TaskQueue
from .settings import Settings
from .upstream import Upstream


class Gateways(TypedDict):
    """What the lifespan opens, as the state of every request."""

    item_store: ItemStore
    upstream: Upstream
    task_queue: CeleryQueue


@asynccontextmanager
async def open_gateways(settings: Settings) -> AsyncIterator[Gateways]:
    """Open the gateways, and close them in the end. Only the database must be there."""
    async with AsyncExitStack() as stack:
        items = ItemStore(settings.database)
        stack.push_async_callback(items.close)
        upstream = Upstream(settings.upstream)
        stack.push_async_callback(upstream.close)
        tasks = CeleryQueue(settings.queue)
        stack.push_async_callback(tasks.close)
        await items.open()
        yield {"item_store": items, "upstream": upstream, "task_queue": tasks}


async def get_items(request: Request) -> ItemStore:
    """Give the table."""
    return cast(ItemStore, request.state.item_store)


async def get_upstream(request: Request) -> Upstream:
    """Give the upstream."""
    return cast(Upstream, request.state.upstream)


async def get_tasks(request: Request) -> TaskQueue:
    """Give the queue."""
    return cast(TaskQueue, request.state.task_queue)


async def common_parameters(q: str | None = None) -> dict[str, str | None]:
    """Take the parameters that listings share."""
    return {"q": q}


Items = Annotated[ItemStore, Depends(get_items)]
UpstreamGateway = Annotated[Upstream, Depends(get_upstream)]
Tasks = Annotated[TaskQueue, Depends(get_tasks)]
CommonParameters = Annotated[dict[str, str | None], Depends(common_parameters)]
