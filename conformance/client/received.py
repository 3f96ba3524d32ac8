"""What is received of an answer: its head and its body, each decoded once and within limits."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from conformance.core import timeouts
from conformance.core.evidence import FailureKind

# httpx's errors of a connection, and what they mean. It raises RemoteProtocolError both where the
# connection is closed early and where the bytes are not HTTP.
CONNECTION_ERRORS: dict[type[Exception], tuple[FailureKind, str]] = {
    httpx.ConnectError: (FailureKind.REFUSED, "the connection was refused"),
    httpx.ReadError: (FailureKind.RESET, "the connection was reset"),
    httpx.RemoteProtocolError: (
        FailureKind.CLOSED_OR_NOT_HTTP,
        "the connection was closed or carried no HTTP",
    ),
}
WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Allowance:
    """How many bytes of bodies may still be received, by all who share it."""

    def __init__(self, size: int = timeouts.BODIES_LIMIT) -> None:
        self.left = size


@dataclass
class Received:
    """What was received of one answer so far, and why it is not complete."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    failure: str | None = None
    failure_kind: FailureKind | None = None

    def read_head(self, response: httpx.Response) -> None:
        """Take over the status and the headers, their names in lower case."""
        self.status = response.status_code
        self.headers = tuple(
            (_decode_header(name).lower(), _decode_header(value))
            for name, value in response.headers.raw
        )

    async def read_body(self, response: httpx.Response, allowance: Allowance) -> None:
        """Read the body to its end, or to BODY_LIMIT bytes, or as far as is allowed."""
        chunks: list[bytes] = []
        size = 0
        try:
            unpacker = _Unpacker(self.headers)
            async for packed in response.aiter_raw():
                for chunk in unpacker.unpack(packed):
                    size += len(chunk)
                    allowance.left -= len(chunk)
                    if size > timeouts.BODY_LIMIT or allowance.left < 0:
                        return self._fail_by_size(size)
                    chunks.append(chunk)
        except (ValueError, zlib.error) as error:
            self.failure_kind = FailureKind.UNREADABLE
            self.failure = f"its answer could not be read: {error}"
        finally:
            self.body = b"".join(chunks)

    def _fail_by_size(self, size: int) -> None:
        self.failure_kind = FailureKind.TOO_LARGE
        if size > timeouts.BODY_LIMIT:
            self.failure = f"the body goes on after {timeouts.BODY_LIMIT // 2**20} MiB"
        else:
            most = timeouts.BODIES_LIMIT // 2**20
            self.failure = f"the bodies of this probe's answers take more than {most} MiB"

    def fail_by_timeout(self, seconds: float) -> None:
        """Note that the answer was not complete after so many seconds."""
        self.failure_kind = FailureKind.TIMED_OUT
        self.failure = f"no complete answer within {seconds:.0f} s"
        if self.status is not None:
            self.failure += ": the body does not end"

    def fail_by_error(self, error: httpx.HTTPError) -> None:
        """Note that the connection failed."""
        reason = (FailureKind.OTHER, str(error) or type(error).__name__)
        self.failure_kind, text = CONNECTION_ERRORS.get(type(error), reason)
        self.failure = f"{'no answer' if self.status is None else 'the answer broke off'}: {text}"


class _Unpacker:
    """Undoes the content coding of a body, a piece of bounded size at a time.

    Raises ValueError for a coding that the suite cannot undo. None was asked for. A body that was
    coded twice can unpack to a million times its size.
    """

    PIECE = 64 * 1024

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        values = [value for name, value in headers if name == "content-encoding"]
        words = [word.strip().lower() for value in values for word in value.split(",")]
        codings = [word for word in words if word not in ("", "identity")]
        if len(codings) > 1 or any(coding not in WINDOWS for coding in codings):
            raise ValueError(f"its content coding is {', '.join(codings)}, and none was asked for")
        self._is_deflate = codings == ["deflate"]
        self._inflater = zlib.decompressobj(WINDOWS[codings[0]]) if codings else None

    def unpack(self, packed: bytes) -> Iterator[bytes]:
        """The next pieces of the body. Raises zlib.error."""
        if self._inflater is None:
            yield packed
            return
        piece = self._unpack_first(packed)
        yield piece
        while len(piece) == self.PIECE or self._inflater.unconsumed_tail:
            piece = self._inflater.decompress(self._inflater.unconsumed_tail, self.PIECE)
            yield piece

    def _unpack_first(self, packed: bytes) -> bytes:
        """Some servers send `deflate` without the head that RFC 9110, 8.4.1.2, asks for."""
        assert self._inflater
        try:
            return self._inflater.decompress(packed, self.PIECE)
        except zlib.error:
            if not self._is_deflate:
                raise
            self._is_deflate = False
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._inflater.decompress(packed, self.PIECE)


def _decode_header(raw: bytes) -> str:
    """A header's text: in UTF-8 as most say it, else as it always was (RFC 9110, 5.5)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
