"""The client: sends requests and records exchanges. It asserts nothing.

Nothing in a request shows that a conformance suite sends it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from conformance.client.received import Allowance, Received
from conformance.core import timeouts
from conformance.core.evidence import Exchange, FailureKind, Journal

Sent = Coroutine[Any, Any, Exchange]  # a request that is sent when this is awaited
JSON = "application/json"
METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
HEADERS = {"User-Agent": "curl/8.14.1", "Accept": "*/*"}  # as curl sends them


@dataclass(frozen=True)
class RequestSpec:
    """A request as it is to be sent: `path` is the request target, with its query, percent-encoded.

    `headers` are added to those that every request has, and replace them by name.
    """

    method: str
    path: str
    content: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def endpoint(self) -> str:
        """The method and the first segment of the path, such as `GET /items`."""
        return f"{self.method} " + "/".join(self.path.partition("?")[0].split("/")[:2])


class PendingRequest:
    """A request that was sent, whose answer nobody has waited for yet."""

    def __init__(self, client: "Client", spec: RequestSpec) -> None:
        self._client = client
        self._spec = spec
        self._timeout = asyncio.timeout(None)
        self._is_timed = asyncio.Event()  # from then on `_timeout` may be rescheduled
        self.task = asyncio.create_task(
            client.perform_exchange(spec, self._timeout, self._is_timed)
        )
        # A task that is cancelled before it runs never sets the event itself.
        self.task.add_done_callback(lambda _: self._is_timed.set())

    @property
    def is_done(self) -> bool:
        """Whether the answer came, or the connection was lost."""
        return self.task.done()

    async def wait_for_answer(self, seconds: float | None = None) -> Exchange:
        """Wait so many seconds from now, by default as long as for any request.

        Returns an exchange that timed out if no answer came. With a limit of its own, a wait has no
        influence on later ones. Raises CancelledError if the connection was dropped.
        """
        await self._is_timed.wait()
        is_waiting = not self.task.done()
        if is_waiting:
            limit = self._client.time_limit_for(self._spec) if seconds is None else seconds
            self._timeout.reschedule(asyncio.get_running_loop().time() + limit)
        exchange = await self.task
        if seconds is None and (is_waiting or exchange.answered):
            self._client.note_timeout(self._spec, exchange)
        return exchange

    async def drop_connection(self) -> None:
        """Close the connection without waiting for the answer."""
        self._client.has_left = True
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class InFlightRequests:
    """Sends requests and does not wait for their answers."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.pending: list[PendingRequest] = []

    def __call__(self, *paths: str) -> list[PendingRequest]:
        """GET each path, all at once."""
        return [self.send(RequestSpec("GET", path)) for path in paths]

    def post(self, path: str, data: Any) -> PendingRequest:
        """POST a JSON value."""
        return self.send(RequestSpec("POST", path, json.dumps(data).encode(), JSON))

    def send(self, spec: RequestSpec) -> PendingRequest:
        """Send any request."""
        self.pending.append(PendingRequest(self._client, spec))
        return self.pending[-1]


class Client:
    """Sends requests to one target, each on its own connection.

    So no answer depends on the connection of another. `url` is `http://host:port`.
    """

    def __init__(self, url: str, journal: Journal) -> None:
        self.url = url
        self._base = httpx.URL(url)
        self._journal = journal
        self._http = _make_transport(keep_alive=0)
        self._unresponsive: set[str] = set()  # endpoints that timed out and did not answer since
        self._timed_out: Exchange | None = None  # of the present requirement
        self._requirement = ""
        self._allowance = Allowance()
        self.has_lost_connection = False  # before a complete answer, since somebody reset this
        self.has_left = False  # whether it dropped a request since this was set to False

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    def switch_to(self, url: str) -> None:
        """Send to another address from now on, and forget what timed out at the former one."""
        self.url = url
        self._timed_out = None
        self._base = httpx.URL(url)

    def forget_timeouts(self) -> None:
        """Ask all endpoints again, for as long as any: what they stood on has changed."""
        self._timed_out = None
        self._unresponsive.clear()

    def begin_probe(self, requirement: str) -> None:
        """Begin a probe of a requirement.

        An answer that timed out decides its requirement: `send` sends nothing more for it.
        """
        self._allowance = Allowance()
        if requirement != self._requirement:
            self._requirement, self._timed_out = requirement, None

    async def get(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Exchange:
        """GET a request target, which is sent as it is written."""
        return await self.send(RequestSpec("GET", path, headers=headers))

    async def post(self, path: str, data: Any) -> Exchange:
        """POST a JSON value."""
        return await self.post_bytes(path, json.dumps(data).encode())

    async def post_bytes(
        self, path: str, content: bytes, content_type: str | None = JSON
    ) -> Exchange:
        """POST bytes as they are."""
        return await self.send(RequestSpec("POST", path, content, content_type))

    async def get_all(self, *paths: str) -> list[Exchange]:
        """GET several paths at once. Returns the exchanges in the order of the paths."""
        return await asyncio.gather(*(self.get(path) for path in paths))

    async def get_in_turn(self, paths: Iterable[str]) -> list[Exchange]:
        """GET one path after the other, on one connection as long as the target keeps it open."""
        async with _make_transport(keep_alive=1) as http:
            return [await self.send(RequestSpec("GET", path), http) for path in paths]

    @asynccontextmanager
    async def on_one_connection(self) -> AsyncIterator[Callable[[RequestSpec], Sent]]:
        """A way to send in turn, on one connection as long as the target keeps it open."""
        async with _make_transport(keep_alive=1) as http:
            yield lambda spec: self.send(spec, http)

    @asynccontextmanager
    async def idle(self, count: int) -> AsyncIterator[None]:
        """Keep so many connections open, each of which got an answer and sends nothing more."""
        async with _make_transport(keep_alive=count) as http:
            spec = RequestSpec("GET", "/async")
            await asyncio.gather(*(self.send(spec, http) for _ in range(count)))
            yield

    @asynccontextmanager
    async def in_flight(self) -> AsyncIterator[InFlightRequests]:
        """Yield an object that sends requests without waiting for their answers.

        When the block ends, also by an exception, the answers are waited for: a target that is
        stuck in a request must be done with it before the next probe begins. So whatever holds
        the requests (a lock, a stub that does not answer) must end inside the block.
        """
        sent = InFlightRequests(self)
        try:
            yield sent
        finally:
            answers = (request.wait_for_answer() for request in sent.pending)
            await asyncio.gather(*answers, return_exceptions=True)

    def time_limit_for(self, spec: RequestSpec) -> float:
        """Seconds that an answer may take: fewer for an unresponsive endpoint."""
        if spec.endpoint in self._unresponsive:
            return timeouts.DEADLINE_AFTER_A_MISSED_ONE
        return timeouts.ANSWER_DEADLINE

    async def send(
        self, spec: RequestSpec, http: httpx.AsyncHTTPTransport | None = None
    ) -> Exchange:
        """Send a request and wait for its answer.

        Returns an exchange that timed out if no answer came; later calls for the same requirement
        return that one without sending anything.
        """
        if self._timed_out:
            return self._timed_out
        limit = asyncio.timeout(self.time_limit_for(spec))
        exchange = await self.perform_exchange(spec, limit, asyncio.Event(), http)
        if self.note_timeout(spec, exchange):
            self._timed_out = exchange
        return exchange

    def note_timeout(self, spec: RequestSpec, exchange: Exchange) -> bool:
        """Remember whether an endpoint is unresponsive. Returns whether the exchange timed out."""
        if exchange.failure_kind is FailureKind.TIMED_OUT:
            self._unresponsive.add(spec.endpoint)
            return True
        self._unresponsive.discard(spec.endpoint)
        return False

    async def perform_exchange(
        self,
        spec: RequestSpec,
        limit: asyncio.Timeout,
        is_timed: asyncio.Event,
        http: httpx.AsyncHTTPTransport | None = None,
    ) -> Exchange:
        """Send one request and record what comes of it until `limit`.

        The limit may be rescheduled once `is_timed` is set. Raises CancelledError, after which the
        connection is closed and nothing is recorded.
        """
        began = self._journal.now()
        received = await self._receive(spec, limit, is_timed, http or self._http)
        exchange = self._journal.record(
            Exchange,
            at=began,
            method=spec.method,
            url=self.url,
            target=spec.path,
            sent=spec.content,
            sent_type=spec.content_type,
            sent_headers=spec.headers,
            status=received.status,
            headers=received.headers,
            body=received.body,
            failure=received.failure,
            failure_kind=received.failure_kind,
            ended=self._journal.now(),
        )
        self.has_lost_connection |= exchange.is_broken_off
        return exchange

    async def _receive(
        self,
        spec: RequestSpec,
        limit: asyncio.Timeout,
        is_timed: asyncio.Event,
        http: httpx.AsyncHTTPTransport,
    ) -> Received:
        received = Received()
        request = self._make_request(spec)
        began = asyncio.get_running_loop().time()
        try:
            async with limit:
                is_timed.set()
                response = await http.handle_async_request(request)
                received.read_head(response)
                try:
                    await received.read_body(response, self._allowance)
                finally:
                    await response.aclose()
        except TimeoutError:
            received.fail_by_timeout((limit.when() or began) - began)
        except httpx.HTTPError as error:
            received.fail_by_error(error)
        return received

    def _make_request(self, spec: RequestSpec) -> httpx.Request:
        content_type = {"Content-Type": spec.content_type} if spec.content_type else {}
        request = httpx.Request(
            spec.method,
            self._base,
            headers={**HEADERS, **content_type, **dict(spec.headers)},
            content=spec.content or None,
            extensions={"target": spec.path.encode("ascii")},  # sent as it is, and never parsed
        )
        if spec.method in METHODS_WITH_BODY and not spec.content:
            request.headers["Content-Length"] = "0"
        return request


def _make_transport(keep_alive: int) -> httpx.AsyncHTTPTransport:
    """Make a transport that keeps so many idle connections open.

    It is used without httpx's client: cookies are not kept, redirects are not followed, and the
    time limits are our own, because they must be movable. No certificate is verified.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=keep_alive)
    return httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)
