"""Who listens on a port: a target's family, somebody else, or nobody that is shown."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from conformance.core.errors import BrokenTestbed, PortTaken
from conformance.core.evidence import Journal
from conformance.target import server
from conformance.target.server import NotReady, Target, try_ports
from conformance.testbed.listeners import find_stranger
from conformance.testbed.ports import claim_port
from conformance.testbed.processes import Process

MARK = "the folder of a run"
SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
with http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as served:
    print("listens", flush=True)
    served.serve_forever()
"""


@contextmanager
def listening(port: int, **variables: str) -> Iterator[psutil.Process]:
    """A process that listens on a port and answers each request."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(port)],
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
    )
    assert process.stdout
    process.stdout.readline()
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.communicate()


def test_the_process_of_somebody_else_is_found() -> None:
    port = claim_port()
    with listening(port) as process:
        assert find_stranger(port, [], MARK) == process
        assert find_stranger(port, [process], MARK) is None


def test_a_process_with_the_mark_belongs_to_the_family_whoever_is_its_parent() -> None:
    port = claim_port()
    with listening(port, TMPDIR=MARK):
        assert find_stranger(port, [], MARK) is None


def test_a_port_on_which_nobody_listens_has_no_stranger() -> None:
    assert find_stranger(claim_port(), [], MARK) is None


def make_launch() -> Any:
    """What a target is started with: the server above."""

    def start(name: str, port: int, _: object) -> Process:
        argv = [sys.executable, "-c", SERVE, str(port)]
        return Process(name, argv, Journal(), env={**os.environ, "TMPDIR": MARK}, cwd=Path.cwd())

    return SimpleNamespace(
        start_server=start,
        variables={"TMPDIR": MARK},
        options=SimpleNamespace(target=SimpleNamespace(directory=Path.cwd(), command="x")),
        capabilities=SimpleNamespace(runs_in_container=False, starts_target=True),
    )


def test_a_target_whose_port_a_neighbour_has_gets_another_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken, free = claim_port(), claim_port()
    ports = iter([taken, taken, free])
    monkeypatch.setattr(server, "claim_port", lambda: next(ports))
    started: list[Target] = []

    def start() -> int:
        started.append(Target.start_copy(make_launch()))
        return started[-1].wait_until_ready()

    with listening(taken):
        assert try_ports(start) == 200
    assert [each.port for each in started] == [taken, taken, free]
    assert [each.is_alive for each in started] == [False, False, True]
    started[-1].kill()


def test_a_target_that_never_gets_a_port_of_its_own_is_nobodys_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = claim_port()
    monkeypatch.setattr(server, "claim_port", lambda: taken)

    def start() -> int:
        return Target.start_copy(make_launch()).wait_until_ready()

    with (
        listening(taken) as process,
        pytest.raises(PortTaken, match=rf"port {taken}, .* process {process.pid} \("),
    ):
        try_ports(start)
    assert issubclass(PortTaken, BrokenTestbed)
    assert not issubclass(PortTaken, NotReady)
