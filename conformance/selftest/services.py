"""Small services for the suite's own tests that are no miniatures: they do not start, are none, or hang."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from fastapi import FastAPI

number = 5


def plain(word: str) -> str:
    """Be no application."""
    return word


@asynccontextmanager
async def _fails(_: FastAPI) -> AsyncIterator[None]:
    raise RuntimeError("no licence key")
    yield


fails_to_start = FastAPI(lifespan=_fails)


blocks = FastAPI()


@blocks.get("/sync")
async def _blocks_too() -> dict[str, str]:
    return {"message": "This is another message"}


@blocks.get("/async")
async def _answers() -> dict[str, str]:
    return {"message": "This is an asynchronous endpoint"}


@blocks.get("/external-data")
async def _blocks() -> Any:
    return httpx.get(os.environ["EXTERNAL_DATA_URL"]).json()  # noqa: ASYNC210 - that is the fault


async def hangs(scope: dict[str, Any], _receive: Any, _send: Any) -> None:
    """Take every request and never answer."""
    if scope["type"] == "http":
        await anyio.sleep_forever()


async def answers_async_alone(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer `/async` and hang on everything else."""
    if scope["type"] != "http":
        return
    if scope["path"] != "/async":
        await anyio.sleep_forever()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"message": "This is an asynchronous endpoint"}'})
