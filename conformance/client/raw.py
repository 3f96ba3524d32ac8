"""A connection on which a probe sends bytes as it likes: in parts, or several requests at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import h11

from conformance.client.http import HEADERS, RequestSpec
from conformance.core import timeouts
from conformance.core.evidence import Exchange, FailureKind, Journal
from conformance.core.urls import find_port, make_tls_context

_AT_ONCE = 65536  # bytes that are read


def encode_request(spec: RequestSpec, url: str) -> bytes:
    """The bytes of a request. Its body has a length, or is chunked where its headers say so."""
    headers = {"Host": urlsplit(url).netloc, **HEADERS}
    if spec.content_type:
        headers["Content-Type"] = spec.content_type
    headers |= dict(spec.headers)
    if spec.content and "Transfer-Encoding" not in headers:
        headers["Content-Length"] = str(len(spec.content))
    lines = [f"{spec.method} {spec.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + spec.content


class RawConnection:
    """A connection to the target. Answers are read in the order of the requests."""

    def __init__(
        self,
        url: str,
        journal: Journal,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._url = url
        self._journal = journal
        self._reader = reader
        self._writer = writer
        self._rest = b""  # that came after the last answer

    async def send(self, content: bytes) -> None:
        """Send bytes. What becomes of a connection that is closed shows in the answer."""
        self._writer.write(content)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeouts.ANSWER_DEADLINE):
                await self._writer.drain()

    async def read_answer(self, spec: RequestSpec) -> Exchange:
        """Read the next answer, which is to this request, and record both."""
        began = self._journal.now()
        answer = _Answer(spec.method)
        try:
            async with asyncio.timeout(timeouts.ANSWER_DEADLINE):
                answer.take(self._rest)
                while not answer.is_over:
                    data = await self._reader.read(_AT_ONCE)
                    answer.take(data) if data else answer.end()
        except TimeoutError:
            answer.failure_kind = FailureKind.TIMED_OUT
            answer.failure = f"no complete answer within {timeouts.ANSWER_DEADLINE:.0f} s"
        except OSError:
            answer.failure_kind, answer.failure = FailureKind.RESET, "the connection was reset"
        self._rest = answer.rest
        return self._journal.record(
            Exchange,
            at=began,
            method=spec.method,
            url=self._url,
            target=spec.path,
            sent=spec.content,
            sent_type=spec.content_type,
            sent_headers=spec.headers,
            status=answer.status,
            headers=answer.headers,
            body=bytes(answer.body),
            failure=answer.failure,
            failure_kind=answer.failure_kind,
            ended=self._journal.now(),
        )


@asynccontextmanager
async def connect(url: str, journal: Journal) -> AsyncIterator[RawConnection]:
    """A connection that is closed at the end of the block. Raises OSError, TimeoutError."""
    async with asyncio.timeout(timeouts.ANSWER_DEADLINE):
        reader, writer = await asyncio.open_connection(
            urlsplit(url).hostname, find_port(url), ssl=make_tls_context(url)
        )
    try:
        yield RawConnection(url, journal, reader, writer)
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeouts.HANG_UP_DEADLINE):
                await writer.wait_closed()


class _Answer:
    """What h11 has read of one answer so far."""

    def __init__(self, method: str) -> None:
        self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "target")]))
        self._parser.send(h11.EndOfMessage())
        self.is_over = False
        self.status: int | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.body = bytearray()
        self.failure: str | None = None
        self.failure_kind: FailureKind | None = None

    @property
    def rest(self) -> bytes:
        """What came after its end."""
        return self._parser.trailing_data[0]

    def take(self, data: bytes) -> None:
        """Read bytes that came."""
        if data:
            self._read(data)

    def end(self) -> None:
        """The target has closed the connection."""
        self._read(b"")

    def _read(self, data: bytes) -> None:
        try:
            self._parser.receive_data(data)
            while not self.is_over:
                event = self._parser.next_event()
                if event is h11.NEED_DATA:
                    return
                self._note(event)
        except h11.RemoteProtocolError:
            self._fail(FailureKind.CLOSED_OR_NOT_HTTP)

    def _note(self, event: object) -> None:
        if isinstance(event, h11.Response):
            self.status = event.status_code
            self.headers = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in event.headers
            )
        elif isinstance(event, h11.Data):
            self.body += event.data
            if len(self.body) > timeouts.BODY_LIMIT:
                self._fail(FailureKind.TOO_LARGE)
        elif isinstance(event, h11.EndOfMessage):
            self.is_over = True
        elif not isinstance(event, h11.InformationalResponse):
            self._fail(FailureKind.CLOSED_OR_NOT_HTTP)

    def _fail(self, kind: FailureKind) -> None:
        self.is_over = True
        self.failure_kind = kind
        self.failure = (
            f"the body goes on after {timeouts.BODY_LIMIT // 2**20} MiB"
            if kind is FailureKind.TOO_LARGE
            else "the connection was closed or carried no HTTP"
        )
