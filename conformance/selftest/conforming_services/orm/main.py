"""The application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypedDict

import httpx
from fastapi import FastAPI
from sqlalchemy import text

from .models import engine
from .routers import greetings, items, outside


class State(TypedDict):
    """What requests find in their state."""

    http: httpx.AsyncClient


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    """Prove the database, and dispose of the engine in the end."""
    print("Starting up...")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    async with httpx.AsyncClient(
        timeout=10,
        limits=httpx.Limits(max_connections=None),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    ) as http:
        yield {"http": http}
    print("Shutting down...")
    await engine.dispose()


app = FastAPI(title="Items, by an ORM", lifespan=lifespan)
for router in (greetings, items, outside):
    app.include_router(router)
