"""The client: requests out, exchanges back. It asserts nothing, and nothing in its requests tells who sends them."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from conformance import allowances
from conformance.evidence import OVERDUE, Exchange, Journal

JSON = "application/json"
HEADERS = {"User-Agent": "curl/8.14.1", "Accept": "*/*"}  # what half the world sends


class Pending:
    """A request that was sent and has not been waited for."""

    def __init__(self, client: "Client", method: str, path: str, content: bytes, content_type: str | None) -> None:
        self._timeout = asyncio.timeout(None)
        self._entered = asyncio.Event()
        self.task = asyncio.create_task(client.exchange(method, path, content, content_type, self._timeout, self._entered))

    @property
    def ended(self) -> bool:
        """Whether the answer came, or the connection went."""
        return self.task.done()

    async def answer(self, deadline: float = allowances.ANSWER_DEADLINE) -> Exchange:
        """Wait for the answer; an exchange without one if the deadline passes from now."""
        await self._entered.wait()
        if not self.task.done():
            self._timeout.reschedule(asyncio.get_running_loop().time() + deadline)
        return await self.task

    def leave(self) -> None:
        """Drop the connection without waiting for the answer."""
        self.task.cancel()


class Client:
    """Sends requests to one target, each on a connection of its own, so that no answer depends on another's connection."""

    def __init__(self, url: str, journal: Journal) -> None:
        self.url = url
        self._base = httpx.URL(url)
        self._journal = journal
        self._mute: Counter[str] = Counter()
        self._overdue: Exchange | None = None
        self._requirement = ""

    async def open(self) -> None:
        """Make ready to send."""
        self._http = _http(keep_alive=0)

    async def close(self) -> None:
        """Drop every connection."""
        await self._http.aclose()

    def turn_to(self, url: str) -> None:
        """Send to another address from now on: the target was started again."""
        self.url = url
        self._base = httpx.URL(url)

    def begin_probe(self, requirement: str) -> None:
        """Begin a probe. An answer that is overdue decides its requirement, so nothing more is sent for that one."""
        if requirement != self._requirement:
            self._requirement, self._overdue = requirement, None

    async def get(self, path: str) -> Exchange:
        """GET a request target, written as it goes on the wire."""
        return await self._in_time("GET", path, b"", None)

    async def post(self, path: str, data: Any) -> Exchange:
        """POST a JSON value."""
        return await self.post_bytes(path, json.dumps(data).encode())

    async def post_bytes(self, path: str, content: bytes, content_type: str | None = JSON) -> Exchange:
        """POST bytes as they are."""
        return await self._in_time("POST", path, content, content_type)

    async def all(self, *paths: str) -> list[Exchange]:
        """GET several at once; their exchanges in the order of the paths."""
        return await asyncio.gather(*(self.get(path) for path in paths))

    async def in_turn(self, paths: Iterable[str]) -> list[Exchange]:
        """GET one after the other, over one connection as far as the target keeps it open."""
        async with _http(keep_alive=1) as http:
            return [await self._in_time("GET", path, b"", None, http) for path in paths]

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[Callable[..., list[Pending]]]:
        """Yield a function that sends GETs at once and goes on without their answers.

        Their answers are waited for when the block ends, so whatever holds them belongs inside of it; then those that are
        still without one are dropped.
        """
        pending: list[Pending] = []

        def send(*paths: str) -> list[Pending]:
            sent = [Pending(self, "GET", path, b"", None) for path in paths]
            pending.extend(sent)
            return sent

        deadline = allowances.DEADLINE_AFTER_A_MISSED_ONE  # where the block was left by an exception
        try:
            yield send
            deadline = allowances.ANSWER_DEADLINE
        finally:
            tasks = [request.task for request in pending]
            if tasks:
                await asyncio.wait(tasks, timeout=deadline)
            for request in pending:
                request.leave()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_time(
        self,
        method: str,
        path: str,
        content: bytes,
        content_type: str | None,
        http: httpx.AsyncClient | None = None,
    ) -> Exchange:
        if self._overdue:
            return self._overdue
        endpoint = _endpoint(method, path)
        deadline = allowances.DEADLINE_AFTER_A_MISSED_ONE if self._mute[endpoint] else allowances.ANSWER_DEADLINE
        exchange = await self.exchange(method, path, content, content_type, asyncio.timeout(deadline), asyncio.Event(), http)
        self._mute[endpoint] = int(exchange.failure is not None and exchange.failure.startswith(OVERDUE))
        if self._mute[endpoint]:
            self._overdue = exchange
        return exchange

    async def exchange(
        self,
        method: str,
        path: str,
        content: bytes,
        content_type: str | None,
        limit: asyncio.Timeout,
        entered: asyncio.Event,
        http: httpx.AsyncClient | None = None,
    ) -> Exchange:
        """Send one request and record what comes of it until the limit, which may be moved; `entered` tells when it may."""
        began = self._journal.now()
        status, answered, body, failure = None, [], b"", None
        all_headers = {**HEADERS, **({"Content-Type": content_type} if content_type else {})}
        request = httpx.Request(method, self._base.copy_with(raw_path=path.encode("ascii")), headers=all_headers, content=content or None)
        if method == "POST" and not content:
            request.headers["Content-Length"] = "0"
        entering = asyncio.get_running_loop().time()
        try:
            async with limit:
                entered.set()
                response = await (http or self._http).send(request, stream=True)
                status, answered = response.status_code, response.headers.multi_items()
                try:
                    body, failure = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            waited = (limit.when() or entering) - entering
            failure = f"{OVERDUE} {waited:.0f} s" if status is None else f"{OVERDUE} {waited:.0f} s: the body does not end"
        except httpx.HTTPError as error:
            failure = f"no answer: {_said(error)}" if status is None else f"the answer broke off: {_said(error)}"
        return self._journal.record(
            Exchange,
            at=began,
            method=method,
            url=self.url,
            target=path,
            sent=content,
            sent_type=content_type,
            status=status,
            headers=tuple((name.lower(), value) for name, value in answered),
            body=body,
            failure=failure,
            ended=self._journal.now(),
        )


def _http(keep_alive: int) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep_alive)
    transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)  # no TLS here, so no context for it
    # Deadlines are ours, so that they can be moved.
    return httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None), trust_env=False)


async def _read(response: httpx.Response) -> tuple[bytes, str | None]:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > allowances.BODY_LIMIT:
            return b"".join(chunks), f"the body goes on after {allowances.BODY_LIMIT // 2**20} MiB"
        chunks.append(chunk)
    return b"".join(chunks), None


def _endpoint(method: str, path: str) -> str:
    return f"{method} " + "/".join(path.partition("?")[0].split("/")[:2])


def _said(error: Exception) -> str:
    return {
        "ConnectError": "the connection was refused",
        "ReadError": "the connection was reset",
        "RemoteProtocolError": "the connection was closed or carried no HTTP",
    }.get(type(error).__name__, str(error) or type(error).__name__)
