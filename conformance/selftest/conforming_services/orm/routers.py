"""The endpoints, by what they stand on."""

import asyncio
import json
from typing import Annotated, Any

import httpx
from celery.exceptions import CeleryError
from fastapi import APIRouter, Depends, HTTPException, Path, Request, status
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from .models import Item, Session
from .schemas import ItemEnvelope, ItemOut, Listing, Message, Submission
from .settings import settings
from .tasks import complete

greetings = APIRouter(tags=["greetings"])
items = APIRouter(prefix="/items", tags=["items"])
outside = APIRouter(tags=["outside"])
publishing = asyncio.Semaphore(10)

ItemId = Annotated[int, Path(ge=-(2**31), le=2**31 - 1, description="a Postgres integer")]


@greetings.get("/sync", response_model=Message)
def get_sync() -> Message:
    """Greet from a thread."""
    return Message(message="This is a synchronous endpoint")


@greetings.get("/async", response_model=Message)
async def get_async() -> Message:
    """Greet from the loop."""
    return Message(message="This is an asynchronous endpoint")


async def listing(q: str | None = None) -> Listing:
    """Collect what a listing was asked for."""
    return Listing(q=q)


@items.get("/", response_model=Listing)
async def list_items(asked: Annotated[Listing, Depends(listing)]) -> Listing:
    """Answer with what was asked for."""
    return asked


@items.get("/{item_id}", response_model=ItemEnvelope)
async def get_item(item_id: ItemId, session: Session) -> ItemEnvelope:
    """Look an item up by its primary key."""
    found = await session.get(Item, item_id)
    return ItemEnvelope(item=ItemOut.model_validate(found) if found else None)


@outside.get("/external-data")
async def get_external_data(request: Request) -> Any:
    """Fetch the document and answer with it."""
    http: httpx.AsyncClient = request.state.http
    try:
        async with asyncio.timeout(settings.upstream_seconds):
            response = await http.get(settings.external_data_url)
        response.raise_for_status()
        return json.loads(response.content)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise HTTPException(status.HTTP_504_GATEWAY_TIMEOUT, "upstream timed out") from error
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, "upstream failed") from error


@outside.post("/process-data/", response_model=Submission)
async def process_data(data: dict[str, Any]) -> Submission:
    """Publish in a thread, ten at a time."""
    try:
        async with publishing:
            result = await asyncio.to_thread(complete.delay, data)
    except (
        CeleryError,
        KombuError,
        RedisError,
        OSError,
        RuntimeError,
    ) as error:  # a RuntimeError is a result store that is away
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "queue unavailable") from error
    return Submission(task_id=result.id)
