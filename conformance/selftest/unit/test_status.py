"""Asking for a status: one limit for all of it, whatever comes back and however slowly."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from conformance.client.http import HEADERS
from conformance.client.status import NothingListens, NotHttp, ask_for_status
from conformance.testbed.ports import LOOPBACK, claim_port

LIMIT = 0.3  # seconds
PATIENCE = 5.0


@contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does this on its only connection."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection, suppress(OSError):
                connection.settimeout(PATIENCE)
                connection.recv(65_536)
                behave(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        thread.join()


def ask(url: str) -> int:
    return ask_for_status(url, "GET", "/async", HEADERS.items(), b"", LIMIT)


def test_a_status_is_told_before_the_body_comes() -> None:
    with serving(lambda line: line.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n")) as url:
        assert ask(url) == 503


def test_what_comes_before_the_answer_is_passed_over() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3
    with serving(lambda line: line.sendall(hints + b"HTTP/1.1 204 No\r\n\r\n")) as url:
        assert ask(url) == 204


def announce_for_ever(line: socket.socket) -> None:
    while True:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def trickle_a_head(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        line.sendall(b"x")
        time.sleep(LIMIT / 20)


def say_nothing(line: socket.socket) -> None:
    line.recv(1)


@pytest.mark.parametrize("behave", [announce_for_ever, trickle_a_head, say_nothing])
def test_the_limit_is_for_all_of_it(behave: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with serving(behave) as url, pytest.raises(TimeoutError):
        ask(url)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\n", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\n" * 9999],
)
def test_what_is_no_head_of_an_answer_is_no_http(sent: bytes) -> None:
    with serving(lambda line: line.sendall(sent)) as url, pytest.raises(NotHttp):
        ask(url)


def test_a_port_on_which_nothing_listens_is_told_apart() -> None:
    with pytest.raises(NothingListens):
        ask(f"http://{LOOPBACK}:{claim_port()}")
