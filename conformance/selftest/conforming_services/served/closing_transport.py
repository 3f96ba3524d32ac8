"""A transport that speaks HTTP/1.0: a connection per request, closed after the answer."""

import asyncio
from collections.abc import AsyncIterator

import httpx


class Body(httpx.AsyncByteStream):
    """The body of an answer: as much as its head says, or all up to the end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int | None
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.left = length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what arrives. Raises httpx.TransportError."""
        while self.left is None or self.left > 0:
            try:
                part = await self.reader.read(65536 if self.left is None else self.left)
            except OSError as error:
                raise httpx.ReadError(str(error)) from error
            if not part and self.left is None:
                return
            if not part:
                raise httpx.RemoteProtocolError(f"{self.left} octets of the body are missing")
            self.left = None if self.left is None else self.left - len(part)
            yield part

    async def aclose(self) -> None:
        """Close the connection."""
        self.writer.close()


class ClosingTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request without a body, and read the head. Raises httpx.TransportError."""
        url = request.url
        try:
            reader, writer = await asyncio.open_connection(url.host, url.port)
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        try:
            headers = [(b"Host", url.netloc), (b"Accept", b"application/json")]
            lines = [b"GET %b HTTP/1.0" % url.raw_path, *(b"%b: %b" % each for each in headers)]
            writer.write(b"\r\n".join([*lines, b"", b""]))
            head = await reader.readuntil(b"\r\n\r\n")
            return make_response(head, reader, writer)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise httpx.RemoteProtocolError(f"no head: {error}") from error
        except BaseException:
            writer.close()
            raise


def make_response(
    head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> httpx.Response:
    """Make a response of a head, and of what the connection still brings. Raises ValueError."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    pairs = [line.partition(b":") for line in lines]
    headers = httpx.Headers([(name, value.strip()) for name, _, value in pairs])
    length = headers.get("Content-Length")
    body = Body(reader, writer, None if length is None else int(length))
    return httpx.Response(int(first.split(b" ")[1]), headers=headers, stream=body)
