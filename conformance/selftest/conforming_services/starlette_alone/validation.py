"""Validation by hand, with answers in FastAPI's shape."""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

LOWEST, HIGHEST = -(2**31), 2**31 - 1
LEVELS = 64


class Invalid(Exception):
    """A part of a request that is not valid: where it is, what is wrong, and of which kind."""

    def __init__(self, kind: str, loc: list[str | int], msg: str) -> None:
        super().__init__(msg)
        self.error = {"type": kind, "loc": loc, "msg": msg}


async def answer(_: Request, error: Exception) -> JSONResponse:
    """Answer 422."""
    assert isinstance(error, Invalid)
    return JSONResponse({"detail": [error.error]}, status_code=422)


def integer(text: str, *loc: str) -> int | None:
    """Read an integer, or None where it is beyond what an id can be. Raises Invalid."""
    if not re.fullmatch(r"-?[0-9]+", text, re.ASCII):
        raise Invalid(
            "int_parsing",
            list(loc),
            "Input should be a valid integer, unable to parse string as an integer",
        )
    if (
        len(text) > len(str(LOWEST)) + 20
    ):  # leading zeros are allowed, a thousand digits are not worth to be read
        return None
    return number if LOWEST <= (number := int(text)) <= HIGHEST else None


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that is a JSON object and can be queued. Raises Invalid."""
    body = await request.body()
    if not body:
        raise Invalid("missing", ["body"], "Field required")
    try:
        data = json.loads(body.decode("utf-8"), object_hook=_plain)
    except (ValueError, RecursionError) as error:
        raise Invalid("json_invalid", ["body"], "JSON decode error") from error
    if not isinstance(data, dict):
        raise Invalid("dict_type", ["body"], "Input should be a valid dictionary")
    _bounded(data, LEVELS)
    return data


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    if set(members) == {"__type__", "__value__"}:
        raise Invalid("value_error", ["body"], "Names of the queue's own notation are not data")
    return members


def _bounded(value: Any, levels: int) -> None:
    if levels == 0:
        raise Invalid("value_error", ["body"], f"Input should have at most {LEVELS} levels")
    for child in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _bounded(child, levels - 1)
