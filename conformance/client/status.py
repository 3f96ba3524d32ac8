"""The status of an answer, asked for outside of the event loop, within one limit for all of it."""

import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import h11

from conformance.core.urls import find_port, make_tls_context

CHUNK = 65_536


class NothingListens(Exception):
    """No connection could be opened."""


class NotHttp(Exception):
    """What came back is not the head of an answer."""


def ask_for_status(
    url: str, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes, limit: float
) -> int:
    """Send a request and return the status of its answer, whose body is not read.

    `limit` seconds are for all of it: the connection, the request, and the head of the answer with
    whatever comes before it (RFC 9110, 15.2). Raises TimeoutError, NothingListens, NotHttp.
    """
    deadline = time.monotonic() + limit
    http = h11.Connection(h11.CLIENT)
    request = _encode_request(http, urlsplit(url).netloc, method, path, headers, body)
    with _connect(url, deadline) as connection:
        try:
            connection.settimeout(_find_left(deadline))
            connection.sendall(request)
            return _read_status(http, connection, deadline)
        except TimeoutError:
            raise
        except (OSError, h11.RemoteProtocolError) as error:
            raise NotHttp(str(error)) from error


def _encode_request(
    http: h11.Connection,
    host: str,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
) -> bytes:
    size = [("Content-Length", str(len(body)))] if body else []
    lines = [("Host", host), *headers, *size]
    events = (h11.Request(method=method, target=path, headers=lines), h11.Data(data=body))
    return b"".join(http.send(event) or b"" for event in (*events, h11.EndOfMessage()))


def _connect(url: str, deadline: float) -> socket.socket:
    address = (str(urlsplit(url).hostname), find_port(url))
    try:
        connection = socket.create_connection(address, timeout=_find_left(deadline))
        if context := make_tls_context(url):
            with connection:  # is emptied by what wraps it
                connection.settimeout(_find_left(deadline))
                return context.wrap_socket(connection, server_hostname=address[0])
    except TimeoutError:
        raise
    except OSError as error:
        raise NothingListens(str(error)) from error
    return connection


def _read_status(http: h11.Connection, connection: socket.socket, deadline: float) -> int:
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            connection.settimeout(_find_left(deadline))
            http.receive_data(connection.recv(CHUNK))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise NotHttp("the connection was closed before an answer came")


def _find_left(deadline: float) -> float:
    """The seconds that are left. Raises TimeoutError if none are."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left
