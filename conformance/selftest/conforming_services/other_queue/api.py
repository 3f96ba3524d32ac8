"""The application."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import loads
from typing import Annotated, Any

import httpx
from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from .publishing import NoQueueError, Publisher, is_harmless

ONE = text("SELECT * FROM items WHERE id = :item_id")

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
    isolation_level="AUTOCOMMIT",
    pool_size=16,
    max_overflow=0,
    pool_pre_ping=True,
    connect_args={"prepare_threshold": None, "connect_timeout": 5},
)
publisher = Publisher()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect, and disconnect."""
    async with engine.connect():
        print("Starting up...", flush=True)
    try:
        yield
    finally:
        await engine.dispose()
        print("Shutting down...", flush=True)


app = FastAPI(lifespan=lifespan)


async def connection() -> AsyncIterator[AsyncConnection]:
    """Take a connection for a request."""
    async with engine.connect() as taken:
        yield taken


async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Make a client for a request."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(20), verify=False) as made:  # noqa: S501 - the upstream is plain HTTP, and certificates take long to load
        yield made


async def q(q: str | None = None) -> str | None:
    """Take `q` from the query."""
    return q


@app.exception_handler(SQLAlchemyError)
async def no_database(*_: object) -> JSONResponse:
    """Say no more than that."""
    return JSONResponse({"detail": "database unavailable"}, 503)


@app.exception_handler(RequestValidationError)
async def malformed(_: object, error: RequestValidationError) -> JSONResponse:
    """Name the places and the faults."""
    faults = [{"type": e["type"], "loc": e["loc"], "msg": e["msg"]} for e in error.errors()]
    return JSONResponse({"detail": faults}, 422)


@app.get("/sync")
def plain() -> dict[str, str]:
    """Answer from a thread."""
    return {"message": "This is a synchronous endpoint"}


@app.get("/async")
async def awaited() -> dict[str, str]:
    """Answer from the loop."""
    return {"message": "This is an asynchronous endpoint"}


@app.get("/items/")
async def items(asked: Annotated[str | None, Depends(q)]) -> dict[str, str | None]:
    """Answer with what was asked for."""
    return {"q": asked}


@app.get("/items/{item_id}")
async def item(
    item_id: int, taken: Annotated[AsyncConnection, Depends(connection)]
) -> dict[str, dict[str, Any] | None]:
    """Answer with a row."""
    if not -0x80000000 <= item_id <= 0x7FFFFFFF:
        return {"item": None}
    row = (await taken.execute(ONE, {"item_id": item_id})).mappings().one_or_none()
    return {"item": None if row is None else {**row}}


@app.get("/external-data")
async def external(http: Annotated[httpx.AsyncClient, Depends(client)]) -> Any:
    """Answer with the upstream's document."""
    try:
        got = http.get(os.environ["EXTERNAL_DATA_URL"])
        answer = (await asyncio.wait_for(got, 20)).raise_for_status()
        return JSONResponse(loads(answer.text))
    except (TimeoutError, httpx.TimeoutException):
        raise HTTPException(504, "upstream timeout") from None
    except (httpx.HTTPError, ValueError, RecursionError):
        raise HTTPException(502, "bad upstream") from None


@app.post("/process-data/")
async def process(payload: Annotated[dict[str, Any], Body()]) -> dict[str, str]:
    """Queue the payload."""
    if not is_harmless(payload):
        raise RequestValidationError(
            [{"type": "unqueueable", "loc": ["body"], "msg": "The queue cannot carry this"}]
        )
    try:
        return {"message": "Task submitted", "task_id": await publisher(payload)}
    except NoQueueError:
        raise HTTPException(503, "queue unavailable") from None
