"""The suite, run as a user runs it: in a process of its own, with its own temporary folder, which must be empty afterwards.

`judge` has its runs forked from a process that has imported everything (warm.py); `command` is what starts one from nothing.
"""

import atexit
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from conformance.evidence import Journal
from conformance.report.record import lines_of
from conformance.selftest.warm import Starter
from conformance.testbed import embedded

SERVICES = "conformance.selftest.services"
GUARD_PATIENCE = 20.0  # seconds from a SIGKILL to an empty place; the longest of 8, two at a time, took 1.4
PATIENCE = 200.0  # seconds for one run; the longest allowed is 180
END_PATIENCE = 30.0  # seconds for its end after that


@dataclass(frozen=True)
class Finished:
    """What a run left: its exit status, what it printed, and the lines of its record."""

    status: int
    output: str
    record: list[dict[str, Any]]

    @property
    def verdicts(self) -> dict[str, str]:
        """The status of each requirement."""
        return {line["requirement"]: line["status"] for line in self.record if line["type"] == "verdict"}

    def ids(self, status: str) -> set[str]:
        """The requirements with this verdict."""
        return {name for name, verdict in self.verdicts.items() if verdict == status}


def command(*arguments: str) -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-m", "pytest", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """An environment in which everything temporary goes to a folder of the test's."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o711)
    return {**os.environ, "TMPDIR": str(scratch), "COLUMNS": "100"}


def judge(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Finished:
    """Run the suite to its end."""
    record, output = folder / "record.jsonl", folder / "output.txt"
    status = starter().run([f"--record={record}", *arguments], output, {**environment(folder), **(env or {})}, PATIENCE, END_PATIENCE)
    return Finished(status, output.read_text("utf-8", "replace"), lines_of(record))


@cache
def starter() -> Starter:
    """What forks the runs of this process's tests."""
    started = Starter()
    atexit.register(started.close)
    return started


def left_behind(folder: Path) -> list[str]:
    """What a run with this folder left there: files, and processes that were started with it in their environment."""
    scratch = folder / "scratch"
    found = [str(path) for path in scratch.iterdir()]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and str(scratch) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


def expect_nothing_left(folder: Path) -> None:
    """The guard of a run that was killed cleans up after it, within GUARD_PATIENCE."""
    deadline = time.monotonic() + GUARD_PATIENCE
    while (left := left_behind(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, left


@contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """A Postgres and a Redis that somebody else runs: their administrators' URLs."""
    journal = Journal()
    postgres = embedded.Postgres(folder, journal)
    redis = embedded.Redis(folder, journal)
    try:
        postgres.ready()
        redis.ready()
        yield postgres.url, redis.url
    finally:
        postgres.stop()
        redis.stop()
