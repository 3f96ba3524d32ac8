"""The kill matrix: every miniature judged by the suite, on servers that stay up, by runs forked from processes that are warm.

A miniature is judged by what it must fail, by those MUSTs of its own section that are cheap to look at, and by one such of every other
section. Cheap is what neither tries many examples nor makes many calls at once nor takes further copies of the target nor a worker.
`whole` judges it by the whole catalogue.
"""

import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from conformance.report.record import read_lines
from conformance.scenarios.lifecycle.catalogue import SCENARIOS
from conformance.selftest.faulty_services.table import Miniature
from conformance.selftest.support.suite import environment, servers
from conformance.selftest.support.warm import Starter
from conformance.spec.catalogue import Level, catalogue


class Named(Protocol):
    """What has a row in the figures."""

    @property
    def name(self) -> str:
        """Its name in the figures."""


T = TypeVar("T")
N = TypeVar("N", bound=Named)
CORES = os.cpu_count() or 1
RUNS_AT_ONCE = min(16, 4 * CORES)  # most of them usually wait for something; each takes some 400 MB
WHOLE_RUNS_AT_ONCE = min(8, 2 * CORES)  # by the whole catalogue, which waits less
RUN_DEADLINE = 300.0  # seconds; one on the document's own code had not ended after 180, beside a dozen others on 2 cores
END_DEADLINE = 30.0  # seconds from SIGTERM to the end of a run, which cleans up
SEED = "--seed=2026"  # a search finds what is there for some seeds and not for others; here it must be the same each time
# MUSTs that take 0.13 to 2 s of the reference, on 2 quiet cores, or a worker; the others that take no copy of it take 0.03 in the mean
LONG = {
    "CONC-1",
    "CONC-2",
    "CONC-3",
    "CONC-4",
    "END-4",
    "DB-3",
    "DB-5",
    "UP-2",
    "UP-4",
    "TASK-5",
    "TASK-6",
    "DEP-2",
}


@dataclass(frozen=True)
class Judged:
    """What a run came to: its verdicts by requirement, as the record has them, its seconds, and all that it printed."""

    verdicts: dict[str, dict[str, Any]]
    seconds: float
    printed: str

    def having(self, status: str) -> set[str]:
        """The requirements with this status."""
        return {name for name, verdict in self.verdicts.items() if verdict["status"] == status}

    def finding(self, requirement: str) -> str:
        """What was expected and what was got, in two lines."""
        finding = self.verdicts[requirement]["finding"] or {"expected": "", "got": ""}
        return f"{finding['expected']}\n{finding['got']}"


@dataclass(frozen=True)
class Bed:
    """A Postgres and a Redis that stay up, and what starts the runs on them."""

    database_url: str
    redis_url: str
    starter: Starter
    place: Path
    environment: Mapping[
        str, str
    ]  # made by the main thread: pytest changes its own between two tests, and copying it then may fail

    def judge(self, *arguments: str, stop_at_first: bool = False) -> Judged:
        """Run the suite, as its users do. A run that hangs is ended in a way that lets it clean up."""
        record, output = self.place / "record.jsonl", self.place / "output.txt"
        record.unlink(missing_ok=True)
        urls = [f"--database-url={self.database_url}", f"--redis-url={self.redis_url}"]
        more = ["--maxfail=1"] if stop_at_first else []
        argv = [*urls, SEED, f"--record={record}", *more, *arguments]
        self.starter.run(argv, output, self.environment, RUN_DEADLINE, END_DEADLINE)
        lines = read_lines(record)
        seconds = sum(line["seconds"] for line in lines if line["type"] == "footer")
        verdicts = {line["requirement"]: line for line in lines if line["type"] == "verdict"}
        return Judged(verdicts, seconds, output.read_text("utf-8", "replace"))


@contextmanager
def begun(count: int, works: Iterable[Callable[[Bed], T]]) -> Iterator[list[Future[T]]]:
    """Work that is being done on beds, a piece at a time on each, from both ends; in the end what was not begun is left.

    Given those first that take longest, half of the beds do these, which mostly wait, and the others what keeps the cores busy meanwhile.
    The middling ones come last, so that no bed is long alone in the end.
    """
    waiting = deque((work, Future[T]()) for work in works)
    futures = [future for _, future in waiting]
    with (
        made(min(count, len(waiting)) or 1) as beds,
        ThreadPoolExecutor(len(beds), thread_name_prefix="bed") as pool,
    ):
        for number, bed in enumerate(beds):
            pool.submit(_serve, bed, waiting.pop if number % 2 else waiting.popleft)
        try:
            yield futures
        finally:
            for future in futures:
                future.cancel()


def _serve(bed: Bed, take: Callable[[], tuple[Callable[[Bed], T], Future[T]]]) -> None:
    """Do what is waiting, until nothing is."""
    while True:
        try:
            work, future = take()
        except IndexError:
            return
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(work(bed))
        except BaseException as error:
            future.set_exception(error)


@contextmanager
def made(count: int) -> Iterator[list[Bed]]:
    """Beds, made and removed. In the end no run has left a temporary file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)  # Postgres may run as another user
        beds = []
        for number in range(count):
            place = folder / str(number)
            place.mkdir(0o711)
            env = environment(place)
            stack.callback(expect_empty, Path(env["TMPDIR"]))
            urls = stack.enter_context(servers(place))
            beds.append(Bed(*urls, stack.enter_context(closing(Starter())), place, env))
        yield beds


def expect_empty(folder: Path) -> None:
    """No run has left anything here."""
    left = sorted(str(path) for path in folder.rglob("*"))
    assert not left, left


@cache
def cheap() -> Mapping[int, Sequence[str]]:
    """The MUSTs that are cheap to look at, by section."""
    long = LONG | {name for scenario in SCENARIOS for name in scenario.requirements}
    musts = [
        requirement
        for requirement in catalogue().values()
        if requirement.level is Level.MUST and requirement.id not in long
    ]
    return {
        section: [must.id for must in musts if must.section == section]
        for section in sorted({must.section for must in musts})
    }


def judged_by(miniature: Miniature, *, whole: bool) -> list[str]:
    """The requirements that a miniature is judged by."""
    if whole or not miniature.must_fail:
        return list(catalogue())
    own = {catalogue()[name].section for name in miniature.must_fail}
    beside = {
        name
        for section, names in cheap().items()
        for name in (names if section in own else names[:1])
    }
    chosen = {*miniature.must_fail, *miniature.after, *beside}
    return [name for name in catalogue() if name in chosen]


def longest_first(rows: Iterable[N], seconds: Mapping[str, float]) -> list[N]:
    """Those first that took longest when the figures were made, as `begun` wants them."""
    return sorted(rows, key=lambda each: seconds.get(each.name, float("inf")), reverse=True)


def judge(miniature: Miniature, bed: Bed, *, whole: bool) -> Judged:
    """What the suite says of a miniature."""
    target = (f"--target-app={miniature.target_app}", f"--worker-app={miniature.worker_app}")
    return bed.judge(*target, "--only", *judged_by(miniature, whole=whole))


def inexact(miniature: Miniature, judged: Judged, *, whole: bool) -> list[str]:
    """In what the verdicts differ from the table: nothing, where the row is exact."""
    wanted = set(judged_by(miniature, whole=whole))
    if judged.verdicts.keys() != wanted:
        return [f"not every requirement was judged:\n{judged.printed}"]
    failed = judged.having("FAIL")
    wrong = [
        *miniature.differs(wanted, failed, judged.having("INCONCLUSIVE")),
        *((name, "is an ERROR") for name in judged.having("ERROR")),
    ]
    said = [f"{name} {what}: {judged.finding(name)}" for name, what in wrong]
    another = [
        name
        for name in miniature.must_fail[:1]
        if name in failed and not _has_reason(miniature, judged.finding(name))
    ]
    return said + [
        f"{name} fails for another reason than {miniature.because!r}: {judged.finding(name)}"
        for name in another
    ]


def _has_reason(miniature: Miniature, finding: str) -> bool:
    return bool(re.search(miniature.because, finding, re.DOTALL | re.MULTILINE))
