"""Requests that the upstream holds, and what their clients are sent meanwhile."""

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum

from conformance.core import timeouts
from conformance.core.evidence import UpstreamRequest


class HoldMode(Enum):
    """What a client is sent while its request is held."""

    TRICKLE = "a byte of the answer now and then, so that no timeout of the client ends it"
    TRICKLE_HEAD = "the same, but only the start: the answer is chosen when the request is released"
    SILENT = "nothing"
    TRUNCATED = "all of the answer except its last byte, and then nothing"


@dataclass
class Hold:
    """Requests that have arrived and are kept waiting, in the order in which they came."""

    mode: HoldMode = HoldMode.TRICKLE
    requests: list[UpstreamRequest] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: int = 0  # requests whose connection the target closed while they were held
    most: int = 0  # requests that were held at once
    latest: float | None = None  # when the latest arrived, by the monotonic clock

    def add_request(self, request: UpstreamRequest) -> None:
        """Hold another request."""
        self.requests.append(request)
        self.latest = time.monotonic()
        self.most = max(self.most, len(self.requests) - self.given_up)

    @property
    def arrived(self) -> int:
        """How many requests are held."""
        return len(self.requests)


async def wait_for_release(
    hold: Hold, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
) -> int | None:
    """Wait until a held request is released, and send parts of its answer as the mode asks.

    Returns how many bytes of `start` were sent by then, or None if the client has given up.
    """
    sent = len(start) if hold.mode is HoldMode.TRUNCATED else 0
    writer.write(start[:sent])
    tasks = [asyncio.create_task(hold.released.wait()), asyncio.create_task(reader.read(1))]
    try:
        while not (
            await asyncio.wait(
                tasks, timeout=timeouts.KEPT_AWAKE, return_when=asyncio.FIRST_COMPLETED
            )
        )[0]:
            if hold.mode is not HoldMode.SILENT and sent < len(start):
                writer.write(start[sent : sent + 1])
                sent += 1
        return sent if hold.released.is_set() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
