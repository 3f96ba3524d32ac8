"""Requests that the upstream holds, and what their clients are sent meanwhile."""

import asyncio
import time
from collections.abc import Callable, Mapping
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
    HEAD_ALONE = "the head of an answer, and then nothing"
    HALF_A_CHUNK = "the first half of a chunk, and then nothing"
    DRIPPING_HEAD = "a head that becomes longer by a byte now and then"
    DRIPPING_BODY = "a body that becomes longer by a byte now and then"
    INTERIM = "an interim answer (1xx) now and then"
    GIGABYTES = "a body of 4 GiB, slowly"


@dataclass(frozen=True)
class EndlessAnswer:
    """An answer that is begun and never ends. What has come of its body is JSON at any time."""

    start: bytes
    more: bytes = b""  # sent again and again
    pause: float = timeouts.KEPT_AWAKE


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDLESS: Mapping[HoldMode, EndlessAnswer] = {
    HoldMode.HEAD_ALONE: EndlessAnswer(_HEAD + b"Content-Length: 2\r\n\r\n"),
    HoldMode.HALF_A_CHUNK: EndlessAnswer(
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n[]      "
    ),
    HoldMode.DRIPPING_HEAD: EndlessAnswer(_HEAD + b"Warning: ", b"."),
    HoldMode.DRIPPING_BODY: EndlessAnswer(_HEAD + b"Content-Length: 100000\r\n\r\n[]", b" "),
    HoldMode.INTERIM: EndlessAnswer(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    HoldMode.GIGABYTES: EndlessAnswer(
        _HEAD + b"Content-Length: %d\r\n\r\n[]" % 2**32, b" " * 2**16, timeouts.SLOW_CHUNK
    ),
}
# A client of HTTP/1.0 is sent no chunks (RFC 9112, 6.1) and no interim answers (RFC 9110, 15.2).
ENDLESS_HTTP_1_0: Mapping[HoldMode, EndlessAnswer] = {
    **ENDLESS,
    HoldMode.HALF_A_CHUNK: EndlessAnswer(_HEAD + b"Content-Length: 16\r\n\r\n[]      "),
    HoldMode.INTERIM: EndlessAnswer(b""),
}


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

    def send_a_byte() -> None:
        nonlocal sent
        if hold.mode is not HoldMode.SILENT and sent < len(start):
            writer.write(start[sent : sent + 1])
            sent += 1

    is_released = await _repeat_until_over(hold, reader, timeouts.KEPT_AWAKE, send_a_byte)
    return sent if is_released else None


async def send_without_end(
    hold: Hold, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: EndlessAnswer
) -> None:
    """Send an answer that never ends, until its request is released or its client gives up.

    Nothing more is written to a client that does not read what it was sent.
    """
    writer.write(answer.start)

    def send_more() -> None:
        if not writer.transport.get_write_buffer_size():
            writer.write(answer.more)

    if not await _repeat_until_over(hold, reader, answer.pause, send_more):
        hold.given_up += 1


async def _repeat_until_over(
    hold: Hold, reader: asyncio.StreamReader, pause: float, act: Callable[[], None]
) -> bool:
    """Act after each pause until the hold is released, or the client closes its connection.

    Returns whether it was released.
    """
    tasks = [asyncio.create_task(hold.released.wait()), asyncio.create_task(reader.read(1))]
    try:
        while not (await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED))[
            0
        ]:
            act()
        return hold.released.is_set()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
