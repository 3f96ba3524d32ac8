"""The application and its endpoints."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Body, Depends, FastAPI, Query, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from .resources import External, Items, Queue, Resources


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the resources."""
    async with Resources() as app.state.resources:
        print("Starting up...", flush=True)
        try:
            yield
        finally:
            print("Shutting down...", flush=True)


app = FastAPI(lifespan=lifespan)


@app.exception_handler(RequestValidationError)
async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Answer what is wrong; the input is shown as Python writes it."""
    detail = [{**each, "input": ascii(each.get("input"))} for each in error.errors()]
    return JSONResponse(jsonable_encoder({"detail": detail}), 422)


class Commons:
    """The parameters of listings; an instance is the dependency."""

    async def __call__(
        self, q: str | None = Query(None, description="what to look for")
    ) -> "Commons.Values":
        """Collect them."""
        return self.Values(q=q)

    class Values(dict[str, str | None]):
        """What was asked for."""


@app.get("/sync")
def sync() -> dict[str, str]:
    """Answer from a thread."""
    return {"message": "This is a synchronous endpoint"}


@app.get("/async")
async def asynchronous() -> dict[str, str]:
    """Answer from the loop."""
    return {"message": "This is an asynchronous endpoint"}


@app.get("/items/{item_id}", response_model=None)
async def item(item_id: int, items: Items = Depends()) -> dict[str, Any]:
    """Answer with a row."""
    return {"item": await items.get(item_id)}


@app.get("/items/", response_model=None)
async def listing(commons: Commons.Values = Depends(Commons())) -> dict[str, str | None]:
    """Answer with what was asked for."""
    return commons


@app.get(
    "/external-data",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}},
)
async def external(upstream: External = Depends()) -> Response:
    """Answer with the upstream's document."""
    return Response(await upstream.document(), media_type="application/json")


@app.post("/process-data/")
async def process(data: dict[str, Any] = Body(...), queue: Queue = Depends()) -> dict[str, str]:
    """Queue the data."""
    return {"message": "Task submitted", "task_id": await queue.put(data)}
