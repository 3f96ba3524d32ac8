"""TCP ports on 127.0.0.1 for servers that get their port as a setting.

Most servers cannot be handed a socket, so a port is chosen first and bound later, by somebody
else. Between the two, nothing else may take it:

- An outgoing connection does not, since the port is below the ephemeral ones.
- Another process of the suite does not, since the port is claimed by a UDP socket of the same
  number. The system lets one process hold that, and takes it back when the process ends,
  however it ends. It does not hinder the server, since UDP and TCP ports are apart.
- A server that listens already has the port, which is seen by binding it for a moment.
"""

import asyncio
import atexit
import errno
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
MOST_TRIES = 1_000  # one of a port that is taken takes 7 µs
PORTS = range(10_240, 32_768)  # below the ephemeral ports of Linux, macOS and IANA


class PortClaims:
    """The ports that this process has claimed, until it ends or `close` is called."""

    def __init__(self, choose: Callable[[], int] = lambda: secrets.choice(PORTS)) -> None:
        self._choose = choose
        self._claims: list[socket.socket] = []

    def claim(self) -> int:
        """A port that nothing listens on, and that no process of the suite has claimed.

        Raises BrokenTestbed where all seem to be taken.
        """
        for _ in range(MOST_TRIES):
            port = self._choose()
            if (claim := _bind_port(socket.SOCK_DGRAM, port)) is None:
                continue
            if listener := _bind_port(socket.SOCK_STREAM, port):
                listener.close()
                self._claims.append(claim)
                return port
            claim.close()
        raise BrokenTestbed(f"of {MOST_TRIES} ports on {LOOPBACK} none was free")

    def close(self) -> None:
        """Give all claims back."""
        while self._claims:
            self._claims.pop().close()


_claims = PortClaims()  # of this process
atexit.register(_claims.close)


def claim_port() -> int:
    """A free port of 127.0.0.1 that stays this process's own until it ends."""
    return _claims.claim()


async def open_when_free(open_server: Callable[[], Awaitable[T]]) -> T:
    """Open a server on a port of ours on which one was closed just now. Raises OSError.

    A process that another thread starts right now has a copy of the closed listener, until it
    executes its program. On a busy machine that took long enough to be seen in 2 of 450 runs.
    """
    deadline = time.monotonic() + timeouts.BOOT_DEADLINE
    while True:
        try:
            return await open_server()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        await asyncio.sleep(timeouts.POLL_INTERVAL)


def _bind_port(kind: socket.SocketKind, port: int) -> socket.socket | None:
    """A socket that is bound to a port, or None if that is taken."""
    bound = socket.socket(socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        # A process that another thread is starting right now has a copy until it executes its
        # program. With this option, the copy does not keep a server from the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((LOOPBACK, port))
    except OSError:
        bound.close()
        return None
    return bound
