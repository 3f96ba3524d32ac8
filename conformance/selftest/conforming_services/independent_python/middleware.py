"""Limits on the bodies of requests, so that no client can hold memory or a stop for long."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 4 * 1024 * 1024
SILENCE_SECONDS = 5.0


class BodyLimits:
    """Refuses a body that is too large, and one that stops on the way.

    What is raised here reaches the handlers of the application through whoever reads the body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body limited."""
        if scope["type"] == "http":
            receive = _limited(receive)
        await self._app(scope, receive, send)


def _limited(receive: Receive) -> Receive:
    size, complete = 0, False

    async def limited() -> Message:
        nonlocal size, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not arrive in time") from None
        size += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if size > LARGEST_BODY:
            raise HTTPException(413, "the body is too large")
        return message

    return limited
