"""The upstream: a stub HTTP server that answers, holds and records requests. It never judges.

It runs in a thread of its own, so that it answers whatever the suite is doing.
"""

import asyncio
import math
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import h11

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.core.evidence import Journal, UpstreamRequest
from conformance.core.observations import ClosedConnections
from conformance.core.polling import block_until, wait_until
from conformance.testbed.ports import LOOPBACK, claim_port
from conformance.testbed.process_table import describe_listener
from conformance.testbed.upstream_hold import (
    ENDLESS,
    ENDLESS_HTTP_1_0,
    Hold,
    HoldMode,
    send_without_end,
    wait_for_release,
)
from conformance.testbed.upstream_replies import (
    STATUS_LINE_START,
    Reply,
    make_reply,
    make_url,
)

T = TypeVar("T")
LOCAL_ADDRESSES = (LOOPBACK,)
BACKLOG = 1024  # connections that wait to be accepted

# What the stub takes of a flood. The suite itself causes at most 110 calls at once, and some
# thousand in a run. Where descriptors are 1024, others need some too.
MOST_CONNECTIONS = 400
MOST_REQUESTS = 20_000
MOST_HEADS = 8 * 2**20  # bytes of all heads that are kept; usual are some hundred thousand


class Upstream:
    """The stub, which listens on loopback."""

    def __init__(
        self, journal: Journal, port: int | None = None, addresses: Sequence[str] = LOCAL_ADDRESSES
    ) -> None:
        self._journal = journal
        self._wanted_port = port
        self._addresses = addresses
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="upstream stub", daemon=True
        )
        self._script = deque([make_reply([])])  # replies in turn; the last one stays
        self._hold: Hold | None = None
        self._timed_out = False
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._keep_alive = False
        self._idle: set[asyncio.StreamWriter] = set()  # kept alive, between two requests
        self._count = 0  # connections so far
        self._heads = 0  # bytes of all that are kept
        self._is_flooded = False
        self._reserved: list[socket.socket] = []  # keeps the port while nothing listens
        self._trouble = ""  # why it cannot be used any more
        self.requests: list[UpstreamRequest] = []
        self.port = 0

    def start(self) -> None:
        """Listen. Raises WrongUsage if the port that the caller gave is taken."""
        self._thread.start()
        try:
            self.port = self._wanted_port or claim_port()
            if sys.platform == "linux":  # elsewhere a port cannot be bound twice
                self._reserved = [_reserve_port(each, self.port) for each in self._addresses]
            self._run_in_loop(self._open_server(self.port))
        except OSError as error:
            if self._wanted_port is None:
                raise
            raise WrongUsage(
                f"--upstream-port must be a free port; {self._wanted_port} is taken "
                f"({error.strerror})"
            ) from error

    def stop(self) -> None:
        """Close every connection and the thread."""
        if not self._thread.is_alive():
            return
        self._run_in_loop(self._close_server())
        for reserved in self._reserved:
            reserved.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The URL that the target is given."""
        return make_url(self.port)

    # What probes ask of it

    @contextmanager
    def answering(self, *replies: Reply) -> Iterator[None]:
        """Answer with these replies in turn, and then always with the last one."""
        self._check_usable()
        before, self._script = self._script, deque(replies)
        try:
            yield
        finally:
            self._script = before

    @asynccontextmanager
    async def holding(self, mode: HoldMode = HoldMode.TRICKLE) -> AsyncIterator[Hold]:
        """Hold every request that arrives, until the block ends or `release` is called.

        Blocks may be nested.
        """
        self._check_usable()
        outer, hold = self._hold, Hold(mode)
        self._hold = hold
        try:
            yield hold
        finally:
            self.release(hold)
            self._hold = outer

    def release(self, hold: Hold) -> None:
        """Answer the held requests, and from now on every request at once."""
        self._hold = None
        self._loop.call_soon_threadsafe(hold.released.set)

    async def wait_for_requests(self, hold: Hold, count: int) -> int:
        """Wait until this many requests are held at once. Returns how many were, at most.

        Ends earlier if a client gives up, or if no further request arrives within
        ARRIVAL_DEADLINE of the one before (less after a wait that timed out).
        """
        limit, allowance = timeouts.ARRIVAL_DEADLINE, timeouts.ARRIVAL_OF_EACH
        if self._timed_out:
            limit, allowance = timeouts.DEADLINE_AFTER_A_MISSED_ONE, 0.0
        first = time.monotonic() + (count - hold.most) * allowance

        async def is_over() -> bool:
            is_late = time.monotonic() > max(first, hold.latest or first) + limit
            return hold.most >= count or hold.given_up > 0 or is_late

        await wait_until(is_over, math.inf)
        self._timed_out = hold.most < count
        return hold.most

    @contextmanager
    def keeping_alive(self) -> Iterator[None]:
        """Keep connections open after an answer, as most servers do.

        Those that are idle when the block ends are closed.
        """
        self._check_usable()
        self._keep_alive = True
        try:
            yield
        finally:
            self._keep_alive = False
            self.close_idle()

    def close_idle(self) -> ClosedConnections:
        """Close the connections that are idle. A FIN goes out on each, and nothing else."""
        closed = self._run_in_loop(self._close_idle())
        text = f"the upstream closed {closed} idle connections"
        return self._journal.record(ClosedConnections, text=text, closed=closed)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse every new connection: nothing listens on the port.

        Raises BrokenTestbed if the fault has no effect.
        """
        self._check_usable()
        self._run_in_loop(self._close_server())
        try:
            # A process that another thread starts right now has a copy of the listener, until it
            # executes its program.
            if block_until(self._is_taken, timeouts.BOOT_DEADLINE, lambda taken: not taken):
                who = describe_listener(self.port) or "nobody who can be seen"
                raise BrokenTestbed(
                    f"the upstream stub was closed, and {who} still listens on port {self.port}"
                )
            yield
        finally:
            self._reopen()

    def _is_taken(self) -> bool:
        """Whether somebody takes connections on the port."""
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    def _reopen(self) -> None:
        """Listen again. Raises BrokenTestbed where somebody else has the port for good."""

        def open_server() -> OSError | None:
            try:
                self._run_in_loop(self._open_server(self.port))
            except OSError as error:
                return error
            return None

        if error := block_until(open_server, timeouts.BOOT_DEADLINE, lambda error: error is None):
            who = describe_listener(self.port) or "nobody who can be seen"
            self._trouble = (
                f"the upstream stub cannot have port {self.port} again ({error.strerror}), which"
                f" {who} has"
            )
            raise BrokenTestbed(self._trouble) from error

    def _check_usable(self) -> None:
        """Raise BrokenTestbed where the stub has lost its port: no fault of the target's."""
        if self._trouble:
            raise BrokenTestbed(self._trouble)

    # What happens in its thread

    def _run_in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeouts.BOOT_DEADLINE)

    async def _open_server(self, port: int) -> None:
        self._server = await asyncio.start_server(
            self._handle_connection, self._addresses, port, backlog=BACKLOG
        )

    async def _close_idle(self) -> int:
        idle, self._idle = self._idle, set()
        for writer in idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in idle), return_exceptions=True)
        return len(idle)

    async def _close_server(self) -> None:
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    async def _handle_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        if len(self._connections) >= MOST_CONNECTIONS:
            self._note_flood(f"more than {MOST_CONNECTIONS} connections at once")
            writer.close()
            return
        self._connections.add(task)
        self._count += 1
        number = self._count
        try:
            with suppress(OSError, h11.RemoteProtocolError):
                while await self._handle_request(number, reader, writer):
                    self._idle.add(writer)
        finally:
            self._idle.discard(writer)
            self._connections.discard(task)
            writer.close()

    async def _handle_request(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read, record, perhaps hold, and answer one request.

        Returns whether the connection is kept for another.
        """
        request = await self._read_request(reader, writer)
        if request is None or not self._has_room(request):
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
        is_1_0 = request.http_version == b"1.0"
        if hold and hold.mode in ENDLESS:
            hold.add_request(seen)
            answers = ENDLESS_HTTP_1_0 if is_1_0 else ENDLESS
            await send_without_end(hold, reader, writer, answers[hold.mode])
            return False
        is_chosen_later = hold is not None and hold.mode is HoldMode.TRICKLE_HEAD
        answer = None if is_chosen_later else self._next_answer(is_1_0=is_1_0)
        sent: int | None = 0
        if hold:
            hold.add_request(seen)
            sent = await wait_for_release(
                hold, reader, writer, answer.encoded[:-1] if answer else STATUS_LINE_START
            )
        if hold and sent is None:
            hold.given_up += 1
            return False
        answer = answer or self._next_answer(is_1_0=is_1_0)
        writer.write(answer.encoded[sent:])
        await writer.drain()
        if answer.is_reset:
            now = struct.pack("ii", 1, 0)  # closing it then sends RST (man 7 socket, SO_LINGER)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        return answer.keeps_alive

    def _has_room(self, request: h11.Request) -> bool:
        """Whether the request can be kept beside all before it."""
        self._heads += sum(len(name) + len(value) for name, value in request.headers)
        self._heads += len(request.target)
        if len(self.requests) < MOST_REQUESTS and self._heads < MOST_HEADS:
            return True
        self._note_flood(
            f"more than {MOST_REQUESTS} requests, or {MOST_HEADS // 2**20} MB of heads"
        )
        return False

    def _note_flood(self, what: str) -> None:
        """Record, once, that not everything is taken any more."""
        if not self._is_flooded:
            self._is_flooded = True
            self._journal.observe("upstream", f"the upstream takes no further call: {what}")

    def _next_answer(self, *, is_1_0: bool) -> "_Answer":
        reply = self._script.popleft() if len(self._script) > 1 else self._script[0]
        keep_alive = self._keep_alive and not is_1_0
        return _Answer(
            reply.encode(keep_alive=keep_alive, may_chunk=not is_1_0),
            keep_alive and reply.cut is None,
            reply.is_reset,
        )

    async def _read_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> h11.Request | None:
        """Read one request with its body. Returns None if the connection ends before that."""
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
    """The bytes that one request is sent, and what becomes of its connection."""

    encoded: bytes
    keeps_alive: bool  # for another request
    is_reset: bool = False


def _reserve_port(address: str, port: int) -> socket.socket:
    """A socket that keeps a port from others, and lets a listener of ours have it. Raises OSError.

    It never listens, so that a connection is refused while no listener is there.
    """
    reserved = socket.socket()
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((address, port))
    except OSError:
        reserved.close()
        raise
    return reserved
