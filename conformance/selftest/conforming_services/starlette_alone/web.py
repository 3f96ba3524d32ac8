"""The web side: routes, their endpoints, and a lifespan that yields their state.

Below three dashes in an endpoint's docstring is its part of the OpenAPI document (Starlette's
SchemaGenerator).
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import asyncpg
import httpx
from celery import Celery
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.schemas import SchemaGenerator

from . import validation
from .caching import Caching


class Publisher(Celery):  # type: ignore[misc] # Celery ships no types
    """Publishes only. Without `backend`, Celery would find one in the environment."""

    backend_cls = "disabled://"


publisher = Publisher(
    "starlette_alone.web", broker=os.environ["CELERY_BROKER_URL"], set_as_current=False
)
publisher.conf.task_publish_retry = False
publisher.conf.broker_transport_options = {
    "socket_connect_timeout": 2,
    "socket_timeout": 6,
    "max_retries": 1,
}
publisher.conf.broker_connection_timeout = 2

schemas = SchemaGenerator(
    {"openapi": "3.1.0", "info": {"title": "Starlette alone", "version": "1.0"}}
)


def read_sync(_: Request) -> Response:
    """Answer from a thread.

    ---
    responses:
      200:
        description: A message
        content: {application/json: {schema: {type: object}}}
    """
    return JSONResponse({"message": "This is a synchronous endpoint"})


async def read_async(_: Request) -> Response:
    """Answer from the loop.

    ---
    responses:
      200:
        description: A message
        content: {application/json: {schema: {type: object}}}
    """
    return JSONResponse({"message": "This is an asynchronous endpoint"})


async def read_items(request: Request) -> Response:
    """Answer with what was asked for.

    ---
    parameters: [{name: q, in: query, required: false, schema: {type: [string, "null"]}}]
    responses:
      200:
        description: What was asked for
        content: {application/json: {schema: {type: object}}}
    """
    return JSONResponse({"q": request.query_params.get("q")})


async def read_item(request: Request) -> Response:
    """Answer with the row as Postgres itself writes it in JSON.

    ---
    parameters: [{name: item_id, in: path, required: true, schema: {type: integer}}]
    responses:
      200: {description: The item or null, content: {application/json: {schema: {type: object}}}}
      422: {description: No integer, content: {application/json: {schema: {type: object}}}}
    """
    item_id = validation.integer(request.path_params["item_id"], "path", "item_id")
    pool: asyncpg.Pool = request.state.pool
    row = None
    if item_id is not None:
        async with pool.acquire() as connection, connection.transaction(readonly=True):
            row = await connection.fetchval(
                "SELECT row_to_json(items)::text FROM items WHERE id = $1", item_id
            )
    return Response('{"item":' + (row or "null") + "}", media_type="application/json")


async def read_external_data(request: Request) -> Response:
    """Answer with the upstream's document.

    ---
    responses:
      200:
        description: The upstream's document
        content: {application/json: {schema: {}}}
    """
    http: httpx.AsyncHTTPTransport = request.state.http
    asked = httpx.Request("GET", os.environ["EXTERNAL_DATA_URL"])
    try:
        with anyio.fail_after(15):
            reply = await http.handle_async_request(asked)
            reply.request = asked
            await reply.aread()
        document = json.loads(reply.raise_for_status().content)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise HTTPException(504) from error
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise HTTPException(502) from error
    return JSONResponse(document)


async def process_data(request: Request) -> Response:
    """Queue the data by the task's name.

    ---
    requestBody:
      required: true
      content: {application/json: {schema: {type: object, additionalProperties: true}}}
    responses:
      200: {description: Queued, content: {application/json: {schema: {type: object}}}}
      422: {description: No object, content: {application/json: {schema: {type: object}}}}
    """
    data = await validation.json_object(request)
    limiter: anyio.CapacityLimiter = request.state.publishing
    try:
        result = await anyio.to_thread.run_sync(
            publisher.send_task, "data.process", (data,), limiter=limiter
        )
    except Exception as error:
        raise HTTPException(503, "no queue") from error
    return JSONResponse({"message": "Task submitted", "task_id": result.id})


async def failed(_: Request, error: Exception) -> Response:
    """Answer errors in JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def schema(request: Request) -> Response:
    """Answer with the OpenAPI document."""
    return JSONResponse(schemas.get_schema(routes=request.app.routes))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
    """Open what requests find in their state, and close it."""
    async with AsyncExitStack() as stack:
        pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=1, max_size=6, statement_cache_size=0, timeout=5
        )
        stack.push_async_callback(pool.close)
        # A transport alone keeps no cookies; read_external_data has a timeout for the whole call.
        transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))
        http = await stack.enter_async_context(transport)
        print("Starting up...", flush=True)
        yield {"pool": pool, "http": http, "publishing": anyio.CapacityLimiter(12)}
    print("Shutting down...", flush=True)


app = Starlette(
    routes=[
        Route("/sync", read_sync),
        Route("/async", read_async),
        Route("/items/", read_items),
        Route("/items/{item_id}", read_item),
        Route("/external-data", read_external_data),
        Route("/process-data/", process_data, methods=["POST"]),
        Route("/openapi.json", schema, include_in_schema=False),
    ],
    middleware=[Middleware(Caching)],
    exception_handlers={validation.Invalid: validation.answer, HTTPException: failed},
    lifespan=lifespan,
)
