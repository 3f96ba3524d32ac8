"""How failures are answered: briefly, in JSON, and without what is inside."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from .failures import ServiceFailure

LONGEST_TEXT = 200

log = logging.getLogger("uvicorn.error")


async def answer_failure(_: Request, failure: Exception) -> JSONResponse:
    """Answer a failure of the database, the queue or the upstream."""
    assert isinstance(failure, ServiceFailure)
    log.warning("%s: %r", failure.detail, failure.__cause__)
    return JSONResponse({"detail": failure.detail}, failure.status_code)


async def answer_invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer an invalid request in FastAPI's shape, but without its input."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": [_told(each) for each in error.errors()]}, 422)


async def answer_unexpected(_request: Request, _error: Exception) -> JSONResponse:
    """Answer an error that nobody expected. The server logs it."""
    return JSONResponse({"detail": "the request could not be completed"}, 500)


def install(app: FastAPI) -> None:
    """Give the application its handlers."""
    app.add_exception_handler(ServiceFailure, answer_failure)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(Exception, answer_unexpected)


def _told(error: dict[str, Any]) -> dict[str, Any]:
    location = [part if isinstance(part, int) else _clean(part) for part in error["loc"]]
    return {"loc": location, "msg": _clean(error["msg"]), "type": error["type"]}


def _clean(text: str) -> str:
    """Make a text short, and fit for UTF-8."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
