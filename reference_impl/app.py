"""The application: routes and lifespan.

Everything that waits is awaited, or waits in a thread of its own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import anyio.to_thread
from celery.exceptions import CeleryError
from celery.result import denied_join_result
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from reference_impl import database, upstream
from reference_impl.settings import Settings
from reference_impl.tasks import background_task, why_it_cannot_be_queued

SUBMISSIONS_AT_ONCE = 20


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect before the first request, disconnect after the last."""
    settings = Settings.from_environment()
    print("Starting up...", flush=True)
    async with AsyncExitStack() as stack:
        app.state.items = await stack.enter_async_context(database.connected(settings.database_url))
        app.state.external_data = await stack.enter_async_context(
            upstream.client(settings.external_data_url)
        )
        # This process waits for no result, so it need not subscribe to one, which Celery would
        # try for 20 s without a backend.
        stack.enter_context(denied_join_result())
        # Publishing blocks its thread, so it gets threads of its own and never those of the plain
        # endpoints.
        app.state.submitters = anyio.CapacityLimiter(SUBMISSIONS_AT_ONCE)
        yield
        print("Shutting down...", flush=True)


app = FastAPI(title="Reference service", lifespan=lifespan)


@app.exception_handler(upstream.UpstreamError)
async def upstream_failed(_: Request, error: upstream.UpstreamError) -> JSONResponse:
    """Tell the caller that the trouble is behind us, and nothing of what is behind us."""
    return JSONResponse({"detail": str(error)}, status_code=error.status)


@app.exception_handler(RequestValidationError)
async def request_refused(_: Request, error: RequestValidationError) -> JSONResponse:
    """Say what is wrong, and do not repeat it: the parser takes values that JSON cannot carry."""
    told = ("type", "loc", "msg")
    detail = [{name: each[name] for name in told} for each in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)


@app.get("/sync")
def read_sync() -> dict[str, str]:
    """Answer from a plain function, which runs in a thread."""
    return {"message": "This is a synchronous endpoint"}


@app.get("/async")
async def read_async() -> dict[str, str]:
    """Answer from a coroutine, which runs on the event loop."""
    return {"message": "This is an asynchronous endpoint"}


async def common_parameters(q: str | None = None) -> dict[str, str | None]:
    """Collect the parameters that listings share."""
    return {"q": q}


@app.get("/items/")
async def read_items(
    commons: Annotated[dict[str, str | None], Depends(common_parameters)],
) -> dict[str, str | None]:
    """Answer with the shared parameters."""
    return commons


@app.get("/items/{item_id}")
async def read_item(item_id: int, request: Request) -> dict[str, dict[str, Any] | None]:
    """Answer with the item's row, or null."""
    return {"item": await request.app.state.items.find(item_id)}


@app.get("/external-data")
async def get_external_data(request: Request) -> Response:
    """Answer with the upstream's JSON."""
    return Response(await request.app.state.external_data.fetch(), media_type="application/json")


@app.post("/process-data/")
async def process_data(data: dict[str, Any], request: Request) -> dict[str, str]:
    """Queue the data and answer at once with the task's id."""
    if reason := why_it_cannot_be_queued(data):
        raise RequestValidationError([{"type": "value_error", "loc": ("body",), "msg": reason}])
    try:
        task = await anyio.to_thread.run_sync(
            background_task.delay, data, limiter=request.app.state.submitters
        )
    except (CeleryError, KombuError, RedisError, OSError) as error:
        raise HTTPException(503, "the task queue is not available") from error
    return {"message": "Task submitted", "task_id": task.id}
