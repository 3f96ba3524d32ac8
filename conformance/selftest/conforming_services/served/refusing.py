"""The same application, which refuses at SIGTERM what still waits for the upstream or the queue.

It asks its upstream by HTTP/1.0.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .app import create_app
from .closing_transport import ClosingTransport

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

WAITING = ("/external-data", "/process-data/")
REFUSAL = json.dumps({"detail": "the service is going down, try again"}).encode()

served = create_app(transport=ClosingTransport())
waiting: set[asyncio.Future[None]] = set()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Serve, but for a request that is in flight when the service is asked to stop."""
    if scope["type"] == "lifespan":
        refuse_at_sigterm()
    if scope.get("path") not in WAITING:
        return await served(scope, receive, send)
    answer: list[Message] = []

    async def keep(message: Message) -> None:
        answer.append(message)

    request = asyncio.ensure_future(served(scope, receive, keep))
    waiting.add(request)
    await asyncio.wait({request})
    waiting.discard(request)
    for message in make_refusal() if request.cancelled() else answer:
        await send(message)
    return None if request.cancelled() else request.result()


def refuse_at_sigterm() -> None:
    """Cancel what waits before the server does what it does at the signal."""
    stop: Any = signal.getsignal(signal.SIGTERM)

    def refuse() -> None:
        for request in waiting:
            request.cancel()
        stop(signal.SIGTERM, None)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, refuse)


def make_refusal() -> list[Message]:
    """Make a 503 that says what to do."""
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
    headers.append((b"content-length", str(len(REFUSAL)).encode()))
    return [
        {"type": "http.response.start", "status": 503, "headers": headers},
        {"type": "http.response.body", "body": REFUSAL},
    ]
