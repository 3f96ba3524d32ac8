"""Nothing is left behind: no process, folder, role, database, user or key, however a run ends."""

import asyncio
import inspect
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType, TracebackType

import asyncpg
import pytest
import redis

from conformance.config.paths import PROJECT
from conformance.pytest_plugin.interrupts import leave_out_frames_of_no_line
from conformance.selftest.support.suite import (
    PATIENCE,
    SERVICES,
    abandoned_memory,
    command,
    environment,
    expect_nothing_left,
    judge,
    left_behind,
    servers,
)

OPENS, PROBES = "while it opens", "while it probes"  # moments of a run


@pytest.mark.thorough
def test_after_success(place: Path) -> None:
    finished = judge(place)
    assert finished.status == 0, finished.output
    assert not left_behind(place)


def test_after_failure(place: Path) -> None:
    finished = judge(
        place, "--target-app", f"{SERVICES}:answers_async_alone", "--only", "DEP-1", "TASK-1"
    )
    assert finished.status == 1, finished.output
    assert not left_behind(place)


def has_come(moment: str, place: Path, output: Path) -> bool:
    """Whether a run has come so far: its folder is there, or two probes have passed."""
    return any((place / "scratch").glob("run-*")) if moment == OPENS else ".." in printed(output)


def come_to(moment: str, place: Path) -> "subprocess.Popen[bytes]":
    """A run that has come so far; what it prints goes to a file in the place."""
    output = place / "output.txt"
    with output.open("wb") as file:
        run = subprocess.Popen(
            command(),
            cwd=PROJECT,
            env=environment(place),
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
        )
    deadline = time.monotonic() + PATIENCE
    while (
        not has_come(moment, place, output) and run.poll() is None and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    return run


def printed(path: Path) -> str:
    """What a run has printed so far."""
    return path.read_text("utf-8", "replace") if path.exists() else ""


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, OPENS),
        (signal.SIGTERM, PROBES),
        (signal.SIGHUP, OPENS),
        pytest.param(signal.SIGINT, PROBES, marks=pytest.mark.thorough),
        pytest.param(signal.SIGTERM, OPENS, marks=pytest.mark.thorough),
        pytest.param(signal.SIGHUP, PROBES, marks=pytest.mark.thorough),
    ],
)
def test_after_an_interrupt(place: Path, number: signal.Signals, moment: str) -> None:
    run = come_to(moment, place)
    run.send_signal(number)
    assert run.wait(PATIENCE) == 2, printed(place / "output.txt")
    assert not left_behind(place)


def test_an_interrupt_may_come_where_there_is_no_line() -> None:
    def with_instructions_of_no_line() -> FrameType | None:
        try:
            return inspect.currentframe()
        except ValueError as error:
            raise TypeError from error

    frame = with_instructions_of_no_line()
    assert frame
    offset = next(start for start, _, line in frame.f_code.co_lines() if line is None)
    nowhere = TracebackType(None, frame, offset, -1)
    assert nowhere.tb_lineno is None
    excinfo = pytest.ExceptionInfo.from_exception(
        KeyboardInterrupt().with_traceback(TracebackType(nowhere, frame, 0, 1))
    )
    with pytest.raises(TypeError):
        excinfo.getrepr()
    leave_out_frames_of_no_line(excinfo)
    assert "KeyboardInterrupt" in str(excinfo.getrepr(funcargs=True))


@pytest.mark.parametrize("moment", [pytest.param(OPENS, marks=pytest.mark.thorough), PROBES])
def test_after_sigkill_which_the_guard_outlives(place: Path, moment: str) -> None:
    memory = abandoned_memory()
    run = come_to(moment, place)
    run.kill()
    run.wait()
    expect_nothing_left(place, memory)


def test_servers_of_the_self_tests_end_with_a_process_that_is_killed(place: Path) -> None:
    memory = abandoned_memory()
    folder = environment(place)["TMPDIR"] + "/servers"
    Path(folder).mkdir(0o711)
    script = (
        "import os, sys, pathlib; from conformance.selftest.support.suite import servers\n"
        "with servers(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, folder], cwd=PROJECT, check=False)
    assert killed.returncode == -signal.SIGKILL
    expect_nothing_left(place, memory)


@pytest.mark.thorough
def test_on_servers_of_somebody_elses(place: Path) -> None:
    with servers(place) as (database_url, redis_url):
        finished = judge(
            place,
            "--database-url",
            database_url,
            "--redis-url",
            redis_url,
            "--only",
            "DB",
            "TASK",
            "LIFE",
            "CONC-8",
            "CONC-9",
        )
        assert finished.status == 0, finished.output

        async def ours() -> list[str]:
            connection = await asyncpg.connect(database_url)
            query = (
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'conf%' UNION ALL"
                " SELECT datname FROM pg_database WHERE datname LIKE 'conf%'"
            )
            names = [row[0] for row in await connection.fetch(query)]
            await connection.close()
            return names

        assert not asyncio.run(ours())
        with redis.Redis.from_url(redis_url) as client:
            assert client.execute_command("ACL", "USERS") == [b"default"]
            assert client.dbsize() == 0
