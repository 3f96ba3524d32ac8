"""What the upstream answers: replies, and the URL at which a target fetches them."""

import gzip
import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

# The request target of the configured URL. The order of its query and its escape must be kept.
TARGET = "/posts?userId=1&tag=a%20b&tag=c"
STATUS_LINE_START = b"HTTP/1.1 "  # of every answer


def make_url(port: int) -> str:
    """The URL that a target is given for an upstream on this port."""
    return f"http://127.0.0.1:{port}{TARGET}"


@dataclass(frozen=True)
class Reply:
    """What the stub sends for one request."""

    status: int = 200
    body: bytes = b"[]"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    # Close after this many bytes of the body. 0 sends only the head, and -1 nothing at all.
    cut: int | None = None
    chunk: int | None = None  # send the body in chunks of so many bytes
    is_reset: bool = False  # end the connection by RST

    def encode(self, *, keep_alive: bool = False, may_chunk: bool = True) -> bytes:
        """The bytes on the wire. Unless chunks may be sent, the body has a length."""
        if self.cut == -1:
            return b""
        chunk = self.chunk if may_chunk else None
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if chunk:
            lines.append("Transfer-Encoding: chunked")
        elif self.status != HTTPStatus.NO_CONTENT:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
        body = encode_chunks(self.body, chunk) if chunk else self.body
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body[: self.cut]


def encode_chunks(body: bytes, size: int) -> bytes:
    """A body in chunks of so many bytes, as RFC 9112, 7.1 has them."""
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


def make_reply(value: Any) -> Reply:
    """A 200 with a JSON document as its body."""
    return Reply(body=json.dumps(value, ensure_ascii=False).encode())


def compress_reply(reply: Reply) -> Reply:
    """The same reply under gzip."""
    return replace(
        reply,
        body=gzip.compress(reply.body),
        headers=(*reply.headers, ("Content-Encoding", "gzip")),
    )
