"""Slots: a Postgres and a Redis that stay up, on which runs of the suite follow each other.

A run in a slot is forked from a process that has imported everything (support/fork_server.py).
"""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from conformance.report.record import read_lines
from conformance.selftest.support.suite import environment, interrupt_runs, run_suite, servers

T = TypeVar("T")
CORES = os.cpu_count() or 1
RUNS_AT_ONCE = min(16, 4 * CORES)  # most of them usually wait; each takes some 400 MB
WHOLE_RUNS_AT_ONCE = min(8, 2 * CORES)  # by the whole catalogue, which waits less
# In the self-tests, whose other files have runs too. Those that wait take turns with the others.
SELFTEST_RUNS_AT_ONCE = CORES + 1
# Seconds. One run on the tutorial's own code took more than 180, beside a dozen others on 2 cores.
RUN_DEADLINE = 300.0
END_DEADLINE = 30.0  # seconds from SIGTERM to the end of a run, which cleans up
# A search finds a fault for some seeds and not for others. Here it must find the same each time.
SEED = "--seed=2026"


@dataclass(frozen=True)
class SlotResult:
    """What a run came to: verdicts by requirement, as in the record, seconds, and its output."""

    verdicts: dict[str, dict[str, Any]]
    seconds: float
    printed: str
    status: int = 0  # the exit status

    def ids_with(self, status: str) -> set[str]:
        """Return the requirements with this status."""
        return {name for name, verdict in self.verdicts.items() if verdict["status"] == status}

    def describe_finding(self, requirement: str) -> str:
        """Return what was expected and what was found, in two lines."""
        finding = self.verdicts[requirement]["finding"] or {"expected": "", "got": ""}
        return f"{finding['expected']}\n{finding['got']}"


@dataclass(frozen=True)
class Slot:
    """A Postgres and a Redis that stay up, and a folder for the runs on them."""

    database_url: str
    redis_url: str
    folder: Path
    # Made by the main thread: pytest changes its own between tests, while other threads copy it.
    environment: Mapping[str, str]

    def judge(self, *arguments: str, stop_at_first: bool = False) -> SlotResult:
        """Run the suite with these options. A run that hangs is stopped so that it cleans up."""
        record, output = self.folder / "record.jsonl", self.folder / "output.txt"
        record.unlink(missing_ok=True)
        urls = [f"--database-url={self.database_url}", f"--redis-url={self.redis_url}"]
        more = ["--maxfail=1"] if stop_at_first else []
        argv = [*urls, SEED, f"--record={record}", *more, *arguments]
        status = run_suite(argv, output, self.environment, RUN_DEADLINE, END_DEADLINE)
        lines = read_lines(record)
        seconds = sum(line["seconds"] for line in lines if line["type"] == "footer")
        verdicts = {line["requirement"]: line for line in lines if line["type"] == "verdict"}
        return SlotResult(verdicts, seconds, output.read_text("utf-8", "replace"), status)


@contextmanager
def run_in_slots(count: int, works: Iterable[Callable[[Slot], T]]) -> Iterator[list[Future[T]]]:
    """Do works in `count` slots, one at a time in each; at the end, cancel those not started.

    Works are taken from both ends. Given the longest first, half of the slots take these, which
    mostly wait, and the others keep the cores busy meanwhile. The medium ones come last, so that
    no slot is busy alone for long.
    """
    waiting = deque((work, Future[T]()) for work in works)
    futures = [future for _, future in waiting]
    with (
        open_slots(min(count, len(waiting)) or 1) as slots,
        ThreadPoolExecutor(len(slots), thread_name_prefix="slot") as pool,
    ):
        for number, slot in enumerate(slots):
            pool.submit(_work_in, slot, waiting.pop if number % 2 else waiting.popleft)
        try:
            yield futures
        except BaseException:
            _cancel_all(futures)
            interrupt_runs()
            raise
        finally:
            _cancel_all(futures)


def _cancel_all(futures: Iterable[Future[T]]) -> None:
    for future in futures:
        future.cancel()


def _work_in(slot: Slot, take: Callable[[], tuple[Callable[[Slot], T], Future[T]]]) -> None:
    """Do what is waiting, until nothing is."""
    while True:
        try:
            work, future = take()
        except IndexError:
            return
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(slot))
        except BaseException as error:
            future.set_exception(error)


@contextmanager
def open_slots(count: int) -> Iterator[list[Slot]]:
    """Start slots, and stop them at the end. No run may have left a temporary file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)  # Postgres may run as another user
        slots = []
        for number in range(count):
            own = folder / str(number)
            own.mkdir(0o711)
            env = environment(own)
            stack.callback(expect_empty, Path(env["TMPDIR"]))
            slots.append(Slot(*stack.enter_context(servers(own)), own, env))
        yield slots


def expect_empty(folder: Path) -> None:
    """Fail if a run has left anything here."""
    left = sorted(str(path) for path in folder.rglob("*"))
    assert not left, left
