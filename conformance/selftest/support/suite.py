"""The suite, run as a user runs it: in a process and with a temporary folder of its own.

`judge` forks its runs from a process that has imported everything (fork_server.py). `command`
is the command line of a run that starts from nothing.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import psutil

from conformance.core.evidence import Journal
from conformance.report.record import read_lines
from conformance.selftest.support.fork_server import ForkedProcess, fork_suite
from conformance.testbed.embedded import EmbeddedPostgres, EmbeddedRedis
from conformance.testbed.guard import Guard
from conformance.testbed.process_table import is_running

SERVICES = "conformance.selftest.support.services"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of Linux's in memory
ROOM = 4 * 2**30  # bytes; a run takes some 100 MB
END_OF_ONE = "-----END CERTIFICATE-----\n"
GUARD_PATIENCE = (
    20.0  # seconds from a SIGKILL to an empty place; the longest of 8, two at a time, took 1.4
)
PATIENCE = 260.0  # seconds for one run; the longest allowed is 240
END_PATIENCE = 30.0  # seconds for its end after that
_under_way: set[ForkedProcess] = set()


@dataclass(frozen=True)
class Finished:
    """What a run left: its exit status, what it printed, and the lines of its record."""

    status: int
    output: str
    record: list[dict[str, Any]]

    @property
    def verdicts(self) -> dict[str, str]:
        """The status of each requirement."""
        return {
            line["requirement"]: line["status"] for line in self.record if line["type"] == "verdict"
        }

    def ids(self, status: str) -> set[str]:
        """The requirements with this verdict."""
        return {name for name, verdict in self.verdicts.items() if verdict == status}


def work_in_memory() -> None:
    """Make temporary folders in memory, where that has room and TMPDIR does not say otherwise.

    A database is made there in 0.08 s, on disk in 0.21 s.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir():
        return
    about = os.statvfs(MEMORY)
    if (
        about.f_bavail * about.f_frsize > ROOM and not about.f_flag & os.ST_NOEXEC
    ):  # its binaries may have to be copied there
        tempfile.tempdir = str(MEMORY)


def command(*arguments: str) -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-P", "-m", "conformance", "run", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """An environment in which everything temporary goes to a folder of the test's.

    Nothing there speaks TLS. Each client of httpx would load all authorities of certifi, in 38 ms
    of CPU. Here it loads one, in 4 ms.
    """
    scratch, authority = folder / "scratch", folder / "authority.pem"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o711)
    authority.write_text(
        Path(certifi.where()).read_text("utf-8").partition(END_OF_ONE)[0] + END_OF_ONE, "utf-8"
    )
    return {**os.environ, "TMPDIR": str(scratch), "SSL_CERT_FILE": str(authority), "COLUMNS": "100"}


def judge(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Finished:
    """Run the suite to its end."""
    record, output = folder / "record.jsonl", folder / "output.txt"
    status = run_suite(
        [f"--record={record}", *arguments],
        output,
        {**environment(folder), **(env or {})},
        PATIENCE,
        END_PATIENCE,
    )
    return Finished(status, output.read_text("utf-8", "replace"), read_lines(record))


def run_suite(
    arguments: Sequence[str],
    output: Path,
    env: Mapping[str, str],
    deadline: float,
    end_deadline: float,
) -> int:
    """Run the suite to its end and return its exit status.

    After `deadline` seconds it is asked to stop, and `end_deadline` seconds later it is killed.
    """
    process = fork_suite(arguments, env, output)
    _under_way.add(process)
    try:
        for seconds, number in ((deadline, signal.SIGTERM), (end_deadline, signal.SIGKILL)):
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        return process.wait()
    finally:
        _under_way.discard(process)


def interrupt_runs() -> None:
    """Ask every run that `run_suite` waits for, in any thread, to end in order."""
    for process in tuple(_under_way):
        process.send_signal(signal.SIGTERM)


def left_behind(folder: Path) -> list[str]:
    """Return the files that a run left in this folder, and processes that still name it."""
    scratch = folder / "scratch"
    found = [str(path) for path in scratch.iterdir()]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and str(scratch) in " ".join(
                [*process.cmdline(), *process.environ().values()]
            ):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


def expect_usage(finished: Finished, sentence: str, folder: Path) -> None:
    """Fail unless the run ended with this sentence and status 4, and left nothing."""
    errors = [
        line.removeprefix("ERROR: ")
        for line in finished.output.splitlines()
        if line.startswith("ERROR: ")
    ]
    assert len(errors) == 1, finished.output
    assert re.fullmatch(sentence, errors[0]), errors[0]
    assert finished.status == 4
    assert "Traceback" not in finished.output
    assert not left_behind(folder)


def abandoned_memory() -> set[str]:
    """Return the segments of System V's shared memory that nothing uses, whose maker has ended.

    Postgres makes one. Only Linux lists them, elsewhere there are none.
    """
    table = Path("/proc/sysvipc/shm")
    rows = (
        [line.split() for line in table.read_text("utf-8").splitlines()] if table.exists() else [[]]
    )
    segments = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    return {
        each["shmid"]
        for each in segments
        if each["nattch"] == "0" and not _is_running(int(each["cpid"]))
    }


def _is_running(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return is_running(psutil.Process(pid))
    return False


def expect_nothing_left(folder: Path, memory: Set[str]) -> None:
    """Fail unless the guard of a killed run cleans up within GUARD_PATIENCE.

    `memory` had been abandoned before the run.
    """
    deadline = time.monotonic() + GUARD_PATIENCE
    while (
        left := [*left_behind(folder), *(abandoned_memory() - memory)]
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, left


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """A Postgres and a Redis that somebody else runs: their administrators' URLs.

    If this process is killed, they end too, and the folder is removed.
    """
    journal = Journal()
    with ExitStack() as stack:
        stack.callback(Guard(folder).dismiss)
        postgres = EmbeddedPostgres(folder, journal)
        stack.callback(postgres.stop)
        redis = EmbeddedRedis(folder, journal)
        stack.callback(redis.stop)
        postgres.wait_until_ready()
        redis.wait_until_ready()
        yield postgres.url, redis.url
