"""The web application: `uvicorn independent_python.api:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from . import errors
from .dependencies import Gateways, open_gateways
from .middleware import BodyLimits
from .routes import ROUTERS
from .settings import Settings


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[Gateways]:
    """Connect before the first request, disconnect after the last one."""
    print("Starting up...", flush=True)
    async with open_gateways(Settings.from_environment()) as gateways:
        yield gateways
        print("Shutting down...", flush=True)


def create_app() -> FastAPI:
    """Put the application together."""
    application = FastAPI(title="The asynchronous service", version="1.0.0", lifespan=lifespan)
    application.add_middleware(BodyLimits)
    errors.install(application)
    for router in ROUTERS:
        application.include_router(router)
    return application


app = create_app()
