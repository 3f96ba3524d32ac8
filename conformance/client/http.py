"""The client: requests out, exchanges back. It asserts nothing, and nothing in its requests tells who sends them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import httpx

from conformance.core import timeouts
from conformance.core.evidence import OVERDUE, Exchange, Journal

JSON = "application/json"
TAKING_A_BODY = ("POST", "PUT", "PATCH")
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment] # said once; else httpcore searches for it anew at each lock: a fifth of our CPU
HEADERS = {"User-Agent": "curl/8.14.1", "Accept": "*/*"}  # what half the world sends


@dataclass(frozen=True)
class Wanted:
    """A request as it is to go on the wire."""

    method: str
    path: str
    content: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # beside those that every request has

    @property
    def endpoint(self) -> str:
        """What it asks for, without its parameters."""
        return f"{self.method} " + "/".join(self.path.partition("?")[0].split("/")[:2])


class Pending:
    """A request that was sent and has not been waited for."""

    def __init__(self, client: "Client", wanted: "Wanted") -> None:
        self._client = client
        self._wanted = wanted
        self._timeout = asyncio.timeout(None)
        self._entered = asyncio.Event()
        self.task = asyncio.create_task(client.exchange(wanted, self._timeout, self._entered))
        self.task.add_done_callback(
            lambda _: self._entered.set()
        )  # also where it is cancelled before

    @property
    def ended(self) -> bool:
        """Whether the answer came, or the connection went."""
        return self.task.done()

    async def answer(self, deadline: float | None = None) -> Exchange:
        """Wait for the answer; an exchange without one if the deadline (by default that of any request) passes from now."""
        await self._entered.wait()
        if not self.task.done():
            seconds = self._client.deadline_of(self._wanted) if deadline is None else deadline
            self._timeout.reschedule(asyncio.get_running_loop().time() + seconds)
        exchange = await self.task
        if deadline is None:
            self._client.note(self._wanted, exchange)
        return exchange

    async def leave(self) -> None:
        """Drop the connection without waiting for the answer."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class InFlight:
    """Requests that are sent at once and not waited for."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.pending: list[Pending] = []

    def __call__(self, *paths: str) -> list[Pending]:
        """GET each path."""
        return [self.send(Wanted("GET", path)) for path in paths]

    def post(self, path: str, data: Any) -> Pending:
        """POST a JSON value."""
        return self.send(Wanted("POST", path, json.dumps(data).encode(), JSON))

    def send(self, wanted: Wanted) -> Pending:
        """Send any request."""
        self.pending.append(Pending(self._client, wanted))
        return self.pending[-1]


class Client:
    """Sends requests to one target, each on a connection of its own, so that no answer depends on another's connection."""

    def __init__(self, url: str, journal: Journal) -> None:
        self.url = url
        self._base = httpx.URL(url)
        self._journal = journal
        self._mute: set[str] = (
            set()
        )  # endpoints that have let a whole deadline pass, and have not answered since
        self._overdue: Exchange | None = None
        self._requirement = ""

    async def open(self) -> None:
        """Make ready to send."""
        self._http = _http(keep_alive=0)

    async def close(self) -> None:
        """Drop every connection."""
        await self._http.aclose()

    def turn_to(self, url: str) -> None:
        """Send to another address from now on: the target was started again, so what was overdue of the former decides no more."""
        self.url = url
        self._overdue = None
        self._base = httpx.URL(url)

    def begin_probe(self, requirement: str) -> None:
        """Begin a probe. An answer that is overdue decides its requirement, so nothing more is sent for that one."""
        if requirement != self._requirement:
            self._requirement, self._overdue = requirement, None

    async def get(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Exchange:
        """GET a request target, written as it goes on the wire."""
        return await self.send(Wanted("GET", path, headers=headers))

    async def post(self, path: str, data: Any) -> Exchange:
        """POST a JSON value."""
        return await self.post_bytes(path, json.dumps(data).encode())

    async def post_bytes(
        self, path: str, content: bytes, content_type: str | None = JSON
    ) -> Exchange:
        """POST bytes as they are."""
        return await self.send(Wanted("POST", path, content, content_type))

    async def all(self, *paths: str) -> list[Exchange]:
        """GET several at once; their exchanges in the order of the paths."""
        return await asyncio.gather(*(self.get(path) for path in paths))

    async def in_turn(self, paths: Iterable[str]) -> list[Exchange]:
        """GET one after the other, over one connection as far as the target keeps it open."""
        async with _http(keep_alive=1) as http:
            return [await self.send(Wanted("GET", path), http) for path in paths]

    @asynccontextmanager
    async def idle(self, count: int) -> AsyncIterator[None]:
        """Keep this many connections open, each of which had its answer and sends nothing more."""
        async with _http(keep_alive=count) as http:
            await asyncio.gather(*(self.send(Wanted("GET", "/async"), http) for _ in range(count)))
            yield

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[InFlight]:
        """Yield what sends requests at once and goes on without their answers.

        Their answers are waited for when the block ends, in an exception too, so whatever holds them belongs inside of it. A target
        that is stuck in one of them after the other has them behind it when the next probe begins.
        """
        sent = InFlight(self)
        try:
            yield sent
        finally:
            await asyncio.gather(
                *(request.answer() for request in sent.pending), return_exceptions=True
            )

    def deadline_of(self, wanted: Wanted) -> float:
        """How long an answer may take: shorter of an endpoint that is mute."""
        return (
            timeouts.DEADLINE_AFTER_A_MISSED_ONE
            if wanted.endpoint in self._mute
            else timeouts.ANSWER_DEADLINE
        )

    async def send(self, wanted: Wanted, http: httpx.AsyncHTTPTransport | None = None) -> Exchange:
        """Send a request and wait for its answer; an exchange without one if the deadline passes."""
        if self._overdue:
            return self._overdue
        exchange = await self.exchange(
            wanted, asyncio.timeout(self.deadline_of(wanted)), asyncio.Event(), http
        )
        if self.note(wanted, exchange):
            self._overdue = exchange
        return exchange

    def note(self, wanted: Wanted, exchange: Exchange) -> bool:
        """Keep in mind whether an endpoint is mute, and say so."""
        is_mute = exchange.failure is not None and exchange.failure.startswith(OVERDUE)
        (self._mute.add if is_mute else self._mute.discard)(wanted.endpoint)
        return is_mute

    async def exchange(
        self,
        wanted: Wanted,
        limit: asyncio.Timeout,
        entered: asyncio.Event,
        http: httpx.AsyncHTTPTransport | None = None,
    ) -> Exchange:
        """Send one request and record what comes of it until the limit, which may be moved; `entered` tells when it may."""
        began = self._journal.now()
        status, answered, body, failure = None, [], b"", None
        request = self._request(wanted)
        entering = asyncio.get_running_loop().time()
        try:
            async with limit:
                entered.set()
                response = await (http or self._http).handle_async_request(request)
                status, answered = response.status_code, response.headers.multi_items()
                try:
                    body, failure = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            waited = (limit.when() or entering) - entering
            failure = (
                f"{OVERDUE} {waited:.0f} s"
                if status is None
                else f"{OVERDUE} {waited:.0f} s: the body does not end"
            )
        except httpx.HTTPError as error:
            failure = (
                f"no answer: {_said(error)}"
                if status is None
                else f"the answer broke off: {_said(error)}"
            )
        return self._journal.record(
            Exchange,
            at=began,
            method=wanted.method,
            url=self.url,
            target=wanted.path,
            sent=wanted.content,
            sent_type=wanted.content_type,
            sent_headers=wanted.headers,
            status=status,
            headers=tuple((name.lower(), value) for name, value in answered),
            body=body,
            failure=failure,
            ended=self._journal.now(),
        )

    def _request(self, wanted: Wanted) -> httpx.Request:
        content_type = {"Content-Type": wanted.content_type} if wanted.content_type else {}
        url = self._base.copy_with(raw_path=wanted.path.encode("ascii"))
        headers = {**HEADERS, **content_type, **dict(wanted.headers)}
        request = httpx.Request(wanted.method, url, headers=headers, content=wanted.content or None)
        if wanted.method in TAKING_A_BODY and not wanted.content:
            request.headers["Content-Length"] = "0"
        return request


def _http(keep_alive: int) -> httpx.AsyncHTTPTransport:
    """What sends. There is no client around it: cookies and redirects are not followed, and deadlines are ours, so that they can be moved."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep_alive)
    return httpx.AsyncHTTPTransport(
        verify=False, trust_env=False, limits=limits
    )  # no TLS here, so no context for it


async def _read(response: httpx.Response) -> tuple[bytes, str | None]:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > timeouts.BODY_LIMIT:
            return b"".join(chunks), f"the body goes on after {timeouts.BODY_LIMIT // 2**20} MiB"
        chunks.append(chunk)
    return b"".join(chunks), None


def _said(error: Exception) -> str:
    return {
        "ConnectError": "the connection was refused",
        "ReadError": "the connection was reset",
        "RemoteProtocolError": "the connection was closed or carried no HTTP",
    }.get(type(error).__name__, str(error) or type(error).__name__)
