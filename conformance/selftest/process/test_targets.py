"""Targets in their forms: a URL alone, a URL with a testbed, a command, the tutorial's code."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import redis

from conformance.config.paths import PROJECT
from conformance.core import timeouts
from conformance.selftest.support.suite import environment, judge, left_behind, servers
from conformance.selftest.support.targets import (
    DOCUMENT,
    WORKER,
    ids_needing,
    ids_of_level,
    wait_until_answering,
)
from conformance.spec.catalogue import Level
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import TABLE
from conformance.testbed.stack_dump import STACK_SIGNAL

# Seen only by restricting the target's role in the database or its Redis user.
RESTRICTING = {
    "CONC-8",
    "CONC-11",
    "DEP-8",
    "HTTP-7",
    "TASK-9",
    "TASK-11",
    "TASK-12",
    "TASK-13",
    *(f"DB-{number}" for number in (4, 11, 12, 13, 14, 15, 17, 18)),
}


@dataclass(frozen=True)
class Standing:
    """A service that somebody else started, and what it stands on."""

    url: str
    database_url: str
    redis_url: str
    upstream_port: int


@pytest.fixture(scope="module")
def standing(shared_place: Path) -> Iterator[Standing]:
    async def make_table(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(TABLE)
        await connection.close()

    with servers(shared_place) as (database_url, redis_url):
        asyncio.run(make_table(database_url))
        port, upstream_port = claim_port(), claim_port()
        external = f"http://127.0.0.1:{upstream_port}/posts?userId=1&tag=a%20b&tag=c"
        env = {
            **environment(shared_place),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "EXTERNAL_DATA_URL": external,
        }
        argv = [sys.executable, "-m", "uvicorn", "--port", str(port), "reference_impl.app:app"]
        service = subprocess.Popen(
            argv, cwd=PROJECT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield Standing(
                wait_until_answering(f"http://127.0.0.1:{port}"),
                database_url,
                redis_url,
                upstream_port,
            )
        finally:
            service.terminate()
            service.wait()


def test_a_url_alone_is_judged_by_what_http_can_tell(place: Path, standing: Standing) -> None:
    finished = judge(place, "--target-url", standing.url)
    unseen = ids_needing("postgres", "redis", "upstream", "process", "copy", "worker")
    assert finished.ids("INCONCLUSIVE") == unseen
    assert finished.ids("NOT_APPLICABLE") == ids_needing("source")
    assert finished.ids("PASS") == ids_needing("http") - unseen - ids_of_level(Level.MAY)
    assert finished.ids("OBSERVED") == ids_of_level(Level.MAY) - unseen
    assert finished.status == 6
    assert (
        "to judge      pass --testbed FILE of a `conformance testbed`, or --database-url with"
        in finished.output
    )
    some = ("--target-url", standing.url, "--only", "END-1", "UP-1", "--allow-inconclusive")
    assert judge(place, *some).status == 0


@pytest.mark.thorough
def test_a_url_with_everything_is_judged_but_for_the_process(
    place: Path, standing: Standing
) -> None:
    given = (
        "--database-url",
        standing.database_url,
        "--redis-url",
        standing.redis_url,
        "--upstream-port",
        str(standing.upstream_port),
    )
    with redis.Redis.from_url(standing.redis_url) as client:
        client.flushdb()
        client.set("precious", "1")
        finished = judge(place, "--target-url", standing.url, *given, "--worker-app", WORKER)
        assert finished.ids("FAIL") | finished.ids("ERROR") == set()
        assert finished.ids("INCONCLUSIVE") == ids_needing("process", "copy") | RESTRICTING
        # Of ours nothing is left. Celery's own keys, bindings of its queues, are the service's.
        assert [key for key in client.scan_iter() if not key.startswith(b"_kombu.binding")] == [
            b"precious"
        ]

    assert asyncio.run(count_rows(standing.database_url)) == 0


async def count_rows(url: str) -> int:
    connection = await asyncpg.connect(url)
    rows = int(await connection.fetchval("SELECT count(*) FROM items"))
    await connection.close()
    return rows


@pytest.mark.thorough
def test_lifecycle_scenarios_leave_no_row_in_somebody_elses_database(
    place: Path, standing: Standing
) -> None:
    port, pid, script = claim_port(), place / "pid", place / "restart"
    served = f"{sys.executable} -m uvicorn --port {port} reference_impl.app:app"
    script.write_text(f"#!/bin/sh\ncd {PROJECT}\n{served} > /dev/null 2>&1 &\necho $! > {pid}\n")
    script.chmod(0o755)
    variables = {
        "DATABASE_URL": standing.database_url,
        "REDIS_URL": standing.redis_url,
        "EXTERNAL_DATA_URL": f"http://127.0.0.1:{standing.upstream_port}/posts",
    }
    subprocess.run([script], env={**os.environ, **variables}, check=True)
    url = wait_until_answering(f"http://127.0.0.1:{port}")
    given = ("--database-url", standing.database_url, "--restart-command", str(script))
    try:
        finished = judge(place, "--target-url", url, *given, "--only", "LIFE-4", env=variables)
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)
    assert finished.ids("INCONCLUSIVE") == {"LIFE-4"}, finished.output  # it wants the role's rights
    assert asyncio.run(count_rows(standing.database_url)) == 0


def test_a_command_is_judged_like_an_app_and_its_blocking_line_named(place: Path) -> None:
    program = place / "service.py"
    program.write_text(
        "import os, uvicorn\nfrom fastapi import FastAPI\nfrom urllib.request import urlopen\n"
        'app = FastAPI()\n@app.get("/async")\nasync def read():\n'
        '    return {"message": "This is an asynchronous endpoint"}\n'
        '@app.get("/external-data")\nasync def fetch():\n'
        '    return urlopen(os.environ["EXTERNAL_DATA_URL"]).read()\n'
        'uvicorn.run(app, port=int(os.environ["PORT"]))\n'
    )
    finished = judge(
        place,
        "--target-command",
        f"{sys.executable} {program}",
        f"--target-dir={place}",
        "--only",
        "END-2",
        "CONC-3",
    )
    assert finished.verdicts == {"END-2": "PASS", "CONC-3": "FAIL"}
    assert f"likely cause  {program}:10, which blocks the event loop" in finished.output
    assert finished.status == 1
    assert not left_behind(place)


@pytest.mark.thorough
def test_the_page_says_why_the_documents_own_code_misses_what_it_misses(place: Path) -> None:
    target = (
        "--target-app",
        "document.main:app",
        f"--target-dir={DOCUMENT}",
        "--worker-app",
        "document.celery:celery_app",
    )
    page = judge(place, *target, "--only", "CONC-8").output
    assert re.search(
        r"CONC-8 .*FAIL.*likely cause +\S+main\.py:\d+, which blocks the event loop"
        r".*how to fix +Publish in a thread",
        page,
        re.DOTALL,
    )


def test_nothing_in_a_request_tells_who_sends_it(place: Path) -> None:
    program = place / "listener.py"
    program.write_text(
        "import os, socket\n"
        "server = socket.create_server((os.environ['HOST'], int(os.environ['PORT'])))\n"
        "while True:\n    client, _ = server.accept()\n    print(client.recv(4096), flush=True)\n"
        "    client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n'\n"
        "                   b'Connection: close\\r\\n\\r\\n{}')\n    client.close()\n"
    )
    finished = judge(place, "--target-command", f"{sys.executable} {program}", "--only", "DEP-1")
    sent = {
        line["text"]
        for line in finished.record
        if line.get("kind") == "log_line" and "GET /" in line["text"]
    }
    heads = {re.sub(r"127.0.0.1:\d+", "HOST", re.sub(r"GET \S+", "GET", head)) for head in sent}
    assert len(sent) == 2
    assert len(heads) == 1, heads  # readiness and probes send the same
    assert not re.search("pytest|conformance|hypothesis|httpx|python", heads.pop(), re.IGNORECASE)


@pytest.mark.thorough
def test_a_flood_of_output_ends_and_is_kept_in_part(place: Path) -> None:
    quiet = (
        timeouts.READY_DEADLINE - 4.0
    )  # seconds; the flood takes both cores, and what matters of it is that it goes on at the end
    noise = f"sh -c 'sleep {quiet}; exec yes nothing but noise'"
    finished = judge(place, "--target-command", noise, "--only", "LIFE-10")
    assert finished.verdicts == {"LIFE-10": "FAIL"}
    lines = [
        line["number"]
        for line in finished.record
        if line.get("kind") == "log_line" and line["process"] == "server"
    ]
    assert len(lines) == 2 * timeouts.LINES_KEPT < max(lines)
    assert finished.status == 1
    assert not left_behind(place)


def test_the_stack_signal_is_the_one_that_targets_listen_to() -> None:
    code = (
        "import sitecustomize\n"
        "caught = open('/proc/self/status').read().split('SigCgt:')[1].split()[0]\n"
        "print([number for number in range(1, 65) if int(caught, 16) >> (number - 1) & 1])"
    )
    stacks = PROJECT / "conformance" / "injected"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(stacks)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(int(STACK_SIGNAL)) in done.stdout


@pytest.mark.thorough
def test_a_worker_that_cannot_be_started_leaves_all_else_to_be_judged(place: Path) -> None:
    finished = judge(
        place,
        *("--target-app", "reference_impl.app:app", "--worker-command", "/no/such/worker"),
        *("--only", "TASK-7", "TASK-12", "DB-14", "LIFE-10"),
    )
    assert finished.ids("PASS") == {"DB-14", "LIFE-10"}, finished.output
    assert finished.ids("INCONCLUSIVE") == {"TASK-7", "TASK-12"}
    assert "/no/such/worker cannot be started: No such file or directory" in finished.output
