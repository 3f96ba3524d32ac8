"""A port that leads to a Postgres server, and at which a restart of that server can be played.

So that a copy of the target meets a restart, and nobody else who uses the server does.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from conformance.core.evidence import Journal, Observation
from conformance.testbed.ports import claim_port, open_when_free

CHUNK = 65_536  # bytes
LONGEST_STARTUP = 10_000  # bytes of a message that a server reads (MAX_STARTUP_PACKET_LENGTH)
SSL_REQUEST, GSS_REQUEST = 80_877_103, 80_877_104  # codes of the protocol
SHUT_DOWN = ("57P01", "terminating connection due to administrator command")
STARTING_UP = ("57P03", "the database system is starting up")


def make_fatal_error(code: str, message: str) -> bytes:
    """An ErrorResponse that ends a session.

    Source: PostgreSQL's manual, "Message Formats".
    """
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": message}
    body = b"".join(f"{name}{text}\0".encode() for name, text in fields.items()) + b"\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


class DatabaseRelay:
    """Leads connections to the server of a URL, as long as no restart is played."""

    def __init__(self, url: str, journal: Journal, addresses: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._server_address = str(parts.hostname), parts.port or 5432
        self._journal = journal
        self._addresses = addresses
        self._listener: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._is_starting_up = False
        self.port = claim_port()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen as long as the block lasts."""
        await self._listen()
        try:
            yield
        finally:
            await self._close(farewell=b"")

    @asynccontextmanager
    async def server_gone(self) -> AsyncIterator[Observation]:
        """End every session as an administrator's restart does. Nothing listens then.

        After that the server starts up: it takes connections, and says that it is not ready. That
        lasts until `finish_startup` is called.
        """
        await self._close(farewell=make_fatal_error(*SHUT_DOWN))
        try:
            yield self._journal.observe("fault", "the database ends all sessions and is gone")
        finally:
            self._is_starting_up = True
            await self._listen()
            self._journal.observe("fault", "the database starts up, and takes no session yet")

    def finish_startup(self) -> Observation:
        """Lead connections to the server again."""
        self._is_starting_up = False
        return self._journal.observe("fault", "the database takes sessions again")

    async def _listen(self) -> None:
        self._listener = await open_when_free(
            lambda: asyncio.start_server(self._serve, self._addresses, self.port)
        )

    async def _close(self, farewell: bytes) -> None:
        if self._listener:
            self._listener.close()
        for client in self._clients:
            client.write(farewell)
            client.close()
        for client in list(self._clients):
            with suppress(OSError):
                await client.wait_closed()
        self._clients.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            if self._is_starting_up:
                await _refuse(reader, writer)
            else:
                await self._lead_on(reader, writer)
        self._clients.discard(writer)
        writer.close()

    async def _lead_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server_address)
        try:
            both = asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))
            await both
        finally:
            to_server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends, and then the end."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a startup message as a server does that is starting up."""
    while True:
        length, code = struct.unpack("!II", await reader.readexactly(8))
        if not 8 <= length <= LONGEST_STARTUP:
            return
        await reader.readexactly(length - 8)
        if code not in (SSL_REQUEST, GSS_REQUEST):
            break
        writer.write(b"N")
    writer.write(make_fatal_error(*STARTING_UP))
    await writer.drain()
