"""The endpoints."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from .dependencies import CommonParameters, Items, Tasks, UpstreamGateway
from .models import ItemAnswer, Message, Parameters, Problem, Submitted, TaskData

UNAVAILABLE: dict[str, Any] = {"model": Problem, "description": "It failed, or took too long"}
MALFORMED: dict[str, Any] = {"model": Problem, "description": "The body cannot be read"}

plain = APIRouter(tags=["plain"])
items = APIRouter(prefix="/items", tags=["items"])
external = APIRouter(tags=["external"])
tasks = APIRouter(tags=["tasks"])


@plain.get("/sync")
def read_sync() -> Message:
    """Answer from a plain function."""
    return Message(message="This is a synchronous endpoint")


@plain.get("/async")
async def read_async() -> Message:
    """Answer from a coroutine function."""
    return Message(message="This is an asynchronous endpoint")


@items.get("/", response_model=Parameters)
async def read_items(parameters: CommonParameters) -> dict[str, str | None]:
    """Answer the shared parameters."""
    return parameters


@items.get("/{item_id}", response_model=ItemAnswer, responses={503: UNAVAILABLE})
async def read_item(item_id: int, store: Items) -> Response:
    """Answer one row of the table, or null."""
    return _json('{"item":' + (await store.read(item_id) or "null") + "}")


@external.get(
    "/external-data",
    response_model=Any,
    responses={502: UNAVAILABLE, 503: UNAVAILABLE, 504: UNAVAILABLE},
)
async def get_external_data(upstream: UpstreamGateway) -> Response:
    """Answer the upstream's document."""
    return _json(await upstream.fetch())


@tasks.post("/process-data/", responses={400: MALFORMED, 503: UNAVAILABLE})
async def process_data(data: TaskData, queue: Tasks) -> Submitted:
    """Queue a task and answer its id."""
    return Submitted(task_id=await queue.submit(data))


def _json(text: str) -> Response:
    """Answer a text that is JSON already."""
    return Response(text, media_type="application/json")


ROUTERS = (plain, items, external, tasks)
