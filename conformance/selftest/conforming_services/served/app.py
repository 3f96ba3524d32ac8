"""The factory, and what it makes for servers that want an application."""

import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, RootModel

from . import queue
from .services import Services, Unavailable, opened

log = logging.getLogger("served")


def reply(document: Any, status: int = 200) -> Response:
    """Make an answer in JSON, of what the standard library can write."""
    return Response(
        json.dumps(document, default=lambda value: value.isoformat()),
        status,
        media_type="application/json",
    )


def bearable(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data if the queue can carry them. Raises ValueError."""
    todo: list[tuple[Any, int]] = [(data, 0)]
    for value, depth in todo:
        if depth > 90:
            raise ValueError("too deep")
        if isinstance(value, dict):
            if value.keys() == {"__type__", "__value__"}:
                raise ValueError("__type__ and __value__ have a meaning of their own")
            todo.extend((child, depth + 1) for child in value.values())
        elif isinstance(value, list):
            todo.extend((child, depth + 1) for child in value)
    return data


class Data(RootModel[Annotated[dict[str, Any], AfterValidator(bearable)]]):
    """An object that the queue can carry."""


class Message(BaseModel):
    """For the OpenAPI document."""

    message: str


def services(request: Request) -> Services:
    """Hand over what the lifespan opened."""
    found: Services = request.state.services
    return found


Needed = Annotated[Services, Depends(services)]


def read_sync() -> Response:
    """Answer from a thread."""
    return reply({"message": "This is a synchronous endpoint"})


async def read_async() -> Response:
    """Answer from the loop."""
    return reply({"message": "This is an asynchronous endpoint"})


async def commons(q: str | None = None) -> dict[str, str | None]:
    """Collect the parameters of a listing."""
    return {"q": q}


async def read_items(parameters: Annotated[dict[str, str | None], Depends(commons)]) -> Response:
    """Answer with what was asked for."""
    return reply(parameters)


async def read_item(item_id: int, needed: Needed) -> Response:
    """Answer with a row; what is no Postgres integer is no item's id."""
    return reply({"item": await needed.find(item_id) if -(2**31) <= item_id < 2**31 else None})


async def external_data(needed: Needed) -> Response:
    """Answer with the upstream's document."""
    return Response(await needed.fetch(), media_type="application/json")


async def process_data(data: Data, needed: Needed) -> Response:
    """Queue the data."""
    return reply({"message": "Task submitted", "task_id": await needed.publish(data.root)})


async def unavailable(_: Request, error: Exception) -> Response:
    """Answer for what is behind us."""
    return reply({"detail": str(error)}, getattr(error, "status", 500))


async def refused(_: Request, error: RequestValidationError) -> Response:
    """Answer what is wrong with a request, without what was sent."""
    detail = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
    return reply({"detail": detail}, 422)


def create_app(
    environment: Mapping[str, str] = os.environ,
    transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Make an application on an environment, which asks its upstream by a transport."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        log.info("Starting up...")
        async with opened(
            environment["DATABASE_URL"],
            environment["EXTERNAL_DATA_URL"],
            queue.celery,
            transport,
        ) as found:
            yield {"services": found}
        log.info("Shutting down...")

    if not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stderr))
        log.setLevel(logging.INFO)
    handlers: dict[int | type[Exception], Any] = {
        Unavailable: unavailable,
        RequestValidationError: refused,
    }
    app = FastAPI(title="Served", lifespan=lifespan, exception_handlers=handlers)
    app.add_api_route("/sync", read_sync, methods=["GET"], responses={200: {"model": Message}})
    app.add_api_route("/async", read_async, methods=["GET"], responses={200: {"model": Message}})
    app.add_api_route("/items/", read_items, methods=["GET"])
    app.add_api_route("/items/{item_id}", read_item, methods=["GET"])
    app.add_api_route("/external-data", external_data, methods=["GET"])
    app.add_api_route("/process-data/", process_data, methods=["POST"])
    app.mount("/", FastAPI(openapi_url=None))  # for pages to come; it takes all that is left
    return app


app = create_app()
