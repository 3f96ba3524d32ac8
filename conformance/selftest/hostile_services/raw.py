"""Hostile programs that speak to sockets: `python -m … NAME` serves at HOST and PORT."""

import os
import socket
import sys
import threading
import time
from contextlib import suppress

from conformance.selftest.hostile_services.table import hostile_program

UNREADY = ("LIFE-10", "DEP-1", "DB-1")
NOTHING_SEEN = ("DEP-1", "DB-1")


@hostile_program(
    only=UNREADY, fails=("LIFE-10",), because="no answer comes back", unseen=NOTHING_SEEN
)
def trickles_its_head(connection: socket.socket, _: bytes) -> None:
    """A byte of the head now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(1)


@hostile_program(
    only=UNREADY, fails=("LIFE-10",), because="no answer comes back", unseen=NOTHING_SEEN
)
def announces_an_answer_for_ever(connection: socket.socket, _: bytes) -> None:
    """An informational answer after the other."""
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@hostile_program(
    only=UNREADY, fails=("LIFE-10",), because="no answer within 20 s", unseen=NOTHING_SEEN
)
def sends_a_head_without_end(connection: socket.socket, _: bytes) -> None:
    """A head of gigabytes, as fast as it is read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"x: " + b"x" * 60_000 + b"\r\n")


@hostile_program(
    only=("LIFE-10", "END-2", "DEP-1", "DEP-8", "DB-12"),
    fails=("DEP-1", "DEP-8", "DB-12"),
    because="no complete answer within 5 s",
    unseen=(),
)
def answers_once_and_trickles_the_rest(connection: socket.socket, request: bytes) -> None:
    """Ready and healthy by `/async` alone: every other head trickles."""
    if not request.startswith(b"GET /async "):
        trickles_its_head(connection, request)
    body = b'{"message": "This is an asynchronous endpoint"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)


def serve(name: str) -> None:
    """Serve each connection in a thread."""
    behave = globals()[name]

    def serve_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, connection.recv(65_536))

    address = (os.environ["HOST"], int(os.environ["PORT"]))
    with socket.create_server(address, reuse_port=False) as listener:
        while True:
            threading.Thread(target=serve_one, args=listener.accept()[:1], daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1])
