"""The upstream: a stub HTTP server that answers as it is told, holds what it is told to hold, and records; it never judges."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeVar

import h11

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal, Observation, UpstreamRequest
from conformance.core.polling import Pauses
from conformance.testbed.embedded import free_port

T = TypeVar("T")
TARGET = "/posts?userId=1&tag=a%20b&tag=c"  # the request target of the configured URL; its query has an order and an escape worth keeping
LOOPBACK = ("127.0.0.1",)
START = b"HTTP/1.1 "  # of every answer


def url(port: int) -> str:
    """The URL that a target is given of an upstream on this port."""
    return f"http://127.0.0.1:{port}{TARGET}"


@dataclass(frozen=True)
class Reply:
    """What the stub sends for one request."""

    status: int = 200
    body: bytes = b"[]"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    cut: int | None = (
        None  # close after this many bytes of the body; 0 sends the head only, -1 nothing at all
    )

    def encoded(self, *, keep_alive: bool = False) -> bytes:
        """The bytes on the wire."""
        if self.cut == -1:
            return b""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body[: self.cut]


def document(value: Any) -> Reply:
    """A 200 with a JSON document."""
    return Reply(body=json.dumps(value, ensure_ascii=False).encode())


def compressed(reply: Reply) -> Reply:
    """The same reply under gzip."""
    return replace(
        reply,
        body=gzip.compress(reply.body),
        headers=(*reply.headers, ("Content-Encoding", "gzip")),
    )


class Manner(Enum):
    """What a request hears while it is held."""

    AWAKE = "a byte of its answer now and then, so that no client's timeout ends it"
    UNDECIDED = "the same as far as START, for its answer is the one that is told when it is let go"
    SILENT = "nothing"
    BEGUN = "all of its answer but the last byte, and then nothing"


@dataclass
class Hold:
    """Requests that have arrived and are kept waiting, in the order in which they came."""

    manner: Manner = Manner.AWAKE
    requests: list[UpstreamRequest] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: int = 0  # requests whose connection was closed by the target while they were held
    most: int = 0  # that were held at once
    latest: float | None = None  # when the latest arrived, by the monotonic clock

    def add(self, request: UpstreamRequest) -> None:
        """Hold a request more."""
        self.requests.append(request)
        self.latest = time.monotonic()
        self.most = max(self.most, len(self.requests) - self.given_up)

    @property
    def arrived(self) -> int:
        """How many requests are held."""
        return len(self.requests)


class Upstream:
    """The stub, listening on loopback in a thread of its own, so that it answers whatever the suite is doing."""

    def __init__(
        self, journal: Journal, port: int | None = None, addresses: Sequence[str] = LOOPBACK
    ) -> None:
        self._journal = journal
        self._wanted_port = port
        self._addresses = addresses
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="upstream stub", daemon=True
        )
        self._reply = document([])
        self._script: deque[Reply] = deque()
        self._hold: Hold | None = None
        self._missed = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._keep_alive = False
        self._idle: set[asyncio.StreamWriter] = set()  # kept alive, between two requests
        self._count = 0  # connections so far
        self.requests: list[UpstreamRequest] = []
        self.port = 0

    def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        self._thread.start()
        self._call(
            self._listen(self._wanted_port or (free_port() if len(self._addresses) > 1 else 0))
        )

    def stop(self) -> None:
        """Close every connection and the thread."""
        if not self._thread.is_alive():
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The URL that the target is given."""
        return url(self.port)

    # What probes tell it

    @contextmanager
    def answering(self, *replies: Reply) -> Iterator[None]:
        """Answer with these replies in turn, and with the last one from then on."""
        before = self._reply
        self._script = deque(replies[:-1])
        self._reply = replies[-1]
        try:
            yield
        finally:
            self._script.clear()
            self._reply = before

    @asynccontextmanager
    async def holding(self, manner: Manner = Manner.AWAKE) -> AsyncIterator[Hold]:
        """Keep every request that arrives waiting until the block ends, or `release` was called. Blocks may be nested."""
        outer, hold = self._hold, Hold(manner)
        self._hold = hold
        try:
            yield hold
        finally:
            self.release(hold)
            self._hold = outer

    def release(self, hold: Hold) -> None:
        """Let the held requests go; what arrives from now on is answered at once."""
        self._hold = None
        self._loop.call_soon_threadsafe(hold.released.set)

    async def arrived(self, hold: Hold, count: int) -> int:
        """Wait until this many requests are held at once; how many were when that is so, or one was given up, or no more came in time."""
        patience = (
            timeouts.DEADLINE_AFTER_A_MISSED_ONE if self._missed else timeouts.ARRIVAL_DEADLINE
        )
        first = time.monotonic() + (
            0.0 if self._missed else (count - hold.most) * timeouts.ARRIVAL_OF_EACH
        )
        pauses = Pauses()
        while hold.most < count and not hold.given_up:
            if time.monotonic() > max(first, hold.latest or first) + patience:
                break
            await asyncio.sleep(pauses.next)
        self._missed = hold.most < count
        return hold.most

    @contextmanager
    def keeping_alive(self) -> Iterator[None]:
        """Keep connections open after an answer, as most servers do; those that are idle when the block ends are closed."""
        self._keep_alive = True
        try:
            yield
        finally:
            self._keep_alive = False
            self.close_idle()

    def close_idle(self) -> Observation:
        """Close the connections that are idle, and say nothing else: a FIN goes out on each."""
        closed = self._call(self._close_idle())
        return self._journal.observe(
            "fault", f"the upstream closed {closed} idle connections", closed=closed
        )

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse every new connection: nothing listens on the port. Raises BrokenTestbed where that is not so."""
        self._call(self._close())
        try:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    raise BrokenTestbed(
                        f"the upstream stub was closed, and something still listens on port {self.port}"
                    )
            yield
        finally:
            self._call(self._listen(self.port))

    # What happens in its thread

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeouts.BOOT_DEADLINE)

    async def _listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._accept, self._addresses, port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close_idle(self) -> int:
        idle, self._idle = self._idle, set()
        for writer in idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in idle), return_exceptions=True)
        return len(idle)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        self._count += 1
        number = self._count
        try:
            with suppress(OSError, h11.RemoteProtocolError):
                while await self._serve(number, reader, writer):
                    self._idle.add(writer)
        finally:
            self._idle.discard(writer)
            self._connections.discard(task)
            writer.close()

    async def _serve(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read one request, record it, hold it if told to, and answer; whether the connection is kept for another."""
        if (request := await self._read(reader, writer)) is None:
            return False
        seen = self._journal.record(
            UpstreamRequest,
            method=request.method.decode("latin-1"),
            target=request.target.decode("latin-1"),
            headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers
            ),
            connection=number,
        )
        self.requests.append(seen)
        hold = self._hold
        answer = None if hold and hold.manner is Manner.UNDECIDED else self._next_answer()
        sent: int | None = 0
        if hold:
            hold.add(seen)
            sent = await _released(hold, reader, writer, answer.encoded[:-1] if answer else START)
        if hold and sent is None:
            hold.given_up += 1
            return False
        answer = answer or self._next_answer()
        writer.write(answer.encoded[sent:])
        await writer.drain()
        return answer.keeps_alive

    def _next_answer(self) -> "_Answer":
        reply = self._script.popleft() if self._script else self._reply
        return _Answer(
            reply.encoded(keep_alive=self._keep_alive), self._keep_alive and reply.cut is None
        )

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> h11.Request | None:
        """One request with its body; None where the connection ends before there is one."""
        parser = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if not (data := await reader.read(65536)):
                    return None
                self._idle.discard(writer)
                parser.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                return request
            elif not isinstance(event, h11.Data):
                return None


@dataclass(frozen=True)
class _Answer:
    """What one request is sent, and whether its connection is kept for another."""

    encoded: bytes
    keeps_alive: bool


async def _released(
    hold: Hold, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
) -> int | None:
    """Wait until the held requests are let go: how many bytes of this start this one was sent by then, or None if its connection went."""
    sent = len(start) if hold.manner is Manner.BEGUN else 0
    writer.write(start[:sent])
    tasks = [asyncio.create_task(hold.released.wait()), asyncio.create_task(reader.read(1))]
    try:
        while not (
            await asyncio.wait(
                tasks, timeout=timeouts.KEPT_AWAKE, return_when=asyncio.FIRST_COMPLETED
            )
        )[0]:
            if hold.manner is not Manner.SILENT and sent < len(start):
                writer.write(start[sent : sent + 1])
                sent += 1
        return sent if hold.released.is_set() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
