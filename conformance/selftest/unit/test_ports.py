"""Ports: no two claims are of one port, in one process or in two, and none is of a busy port."""

import itertools
import shutil
import socket
import subprocess
import sys
import threading

from conformance.testbed.ports import LOOPBACK, PortClaims, claim_port

NEIGHBOUR = (
    "from conformance.testbed.ports import claim_port; print(claim_port(), flush=True); input()"
)


def count_from(port: int) -> PortClaims:
    """Claims that try this port first, then the next, and so on."""
    ports = itertools.count(port)
    return PortClaims(lambda: next(ports))


def test_a_port_is_claimed_once_in_a_process() -> None:
    first = count_from(claim_port() + 1)
    port = first.claim()
    second = count_from(port)
    assert second.claim() != port
    first.close()
    third = count_from(port)
    assert third.claim() == port
    second.close()
    third.close()


def test_a_port_that_another_process_has_claimed_is_free_when_that_ends() -> None:
    neighbour = subprocess.Popen(
        [sys.executable, "-c", NEIGHBOUR],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert neighbour.stdout
    port = int(neighbour.stdout.readline())
    meanwhile, afterwards = count_from(port), count_from(port)
    assert meanwhile.claim() != port
    neighbour.communicate("\n")
    assert afterwards.claim() == port
    meanwhile.close()
    afterwards.close()


def test_a_port_on_which_a_server_listens_is_not_claimed() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        claims = count_from(port)
        assert claims.claim() != port
        claims.close()


def test_a_server_can_listen_on_a_claimed_port() -> None:
    claims = PortClaims()
    with socket.create_server((LOOPBACK, claims.claim())) as server:
        assert server.getsockname()[0] == LOOPBACK
    claims.close()


def test_a_process_that_is_being_started_keeps_no_server_from_a_claimed_port() -> None:
    """It holds copies of the sockets of all threads until it executes its program."""
    is_over = threading.Event()
    program = str(shutil.which("true"))

    def start_processes() -> None:
        while not is_over.is_set():
            subprocess.Popen([program]).wait()

    threads = [threading.Thread(target=start_processes) for _ in range(3)]
    claims = PortClaims()
    for thread in threads:
        thread.start()
    try:
        for _ in range(1_000):
            socket.create_server((LOOPBACK, claims.claim())).close()
            claims.close()
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


CROWD = 40
COLLIDE = """
import random, socket, sys
from conformance.testbed.ports import LOOPBACK, PortClaims

first, token = int(sys.argv[1]), sys.argv[2].encode()
ports = range(first, first + 120)
claims = PortClaims(lambda: random.choice(ports))
for _ in range(2):
    port = claims.claim()
    print("claimed", flush=True)
    input()  # others claim meanwhile
    with socket.create_server((LOOPBACK, port)) as server:
        with socket.create_connection((LOOPBACK, port)) as asking:
            answering = server.accept()[0]
            answering.sendall(token)
            answering.close()
            assert asking.recv(100) == token
print("alone", flush=True)
input()
"""


def test_forty_processes_that_choose_from_few_ports_never_meet() -> None:
    first = claim_port() - 60
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", COLLIDE, str(first), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(CROWD)
    ]
    said = []
    for _ in range(3):
        for process in crowd:
            assert process.stdout
            said.append(process.stdout.readline())
        for process in crowd:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
    assert said == ["claimed\n"] * 2 * CROWD + ["alone\n"] * CROWD
    assert [process.wait() for process in crowd] == [0] * CROWD
    for process in crowd:
        process.communicate()
