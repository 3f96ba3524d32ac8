"""A program is run to its end: what it prints has a size, and its time a limit."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conformance.testbed.bounded_run import ANSWER_LIMIT, PRINTED_LIMIT, Ended, run_bounded

LONG = 30.0  # seconds that nothing here takes


def run(program: str, limit: float = LONG) -> Ended:
    """Run a Python program."""
    return run_bounded(
        [sys.executable, "-c", f"import os, sys, time\n{program}"],
        env=os.environ,
        cwd=Path.cwd(),
        limit=limit,
    )


def test_an_answer_comes_back_with_the_exit_status_and_what_was_printed() -> None:
    ended = run("open(sys.argv[1], 'w').write('[1]'); print('x'); sys.exit('a\\nb')")
    assert ended == Ended(1, b"x\n", b"a\nb\n", b"[1]")
    assert ended.last_line == "b"
    assert not ended.has_long_answer


def test_a_program_that_says_nothing_has_ended_silently() -> None:
    ended = run("os._exit(0)")
    assert ended == Ended(0, b"", b"", b"")
    assert ended.last_line == "it ended silently"


def test_of_a_flood_the_last_is_kept() -> None:
    ended = run("for _ in range(50): print('x' * 2**18)\nprint('last')")
    assert len(ended.stdout) == PRINTED_LIMIT
    assert ended.stdout.endswith(b"x\nlast\n")


def test_an_answer_that_is_too_long_is_known_to_be() -> None:
    ended = run("open(sys.argv[1], 'wb').write(b'x' * 2**24)")
    assert len(ended.answer) == ANSWER_LIMIT + 1
    assert ended.has_long_answer


def test_a_child_that_keeps_the_pipes_is_not_waited_for() -> None:
    program = "pid = os.fork()\nif pid: print(pid)\nelse: time.sleep(600)"
    began = time.monotonic()
    ended = run(program)
    psutil.Process(int(ended.stdout)).kill()
    assert time.monotonic() - began < LONG


@pytest.mark.parametrize(
    "program", ["time.sleep(600)", "os.closerange(0, 100); time.sleep(600)", "while True: print(1)"]
)
def test_a_program_that_goes_on_is_killed_with_its_children(program: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    tell = f"os.fork(); open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\n"
    with pytest.raises(subprocess.TimeoutExpired):
        run(tell + program, limit=1.0)
    left = [psutil.Process(int(pid)) for pid in pids.read_text().split() if _runs(int(pid))]
    psutil.wait_procs(left, LONG)
    assert not any(each.is_running() for each in left)


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_program_that_cannot_be_run_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        run_bounded(["/no/such/program"], env={}, cwd=Path.cwd(), limit=LONG)
