"""Repeatability: the same target judged again and again, and every verdict that was not always the same.

A run is of one of four kinds: of a target that is started for it, or of one that has served the runs before; alone, or beside as
many others as make both cores busy. Probes are taken in another order each time, and inputs drawn from another seed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from conformance.config import options
from conformance.config.options import FORMS, Options
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.judging.verdict import Exit
from conformance.report.record import read_lines
from conformance.spec.catalogue import catalogue
from conformance.target.capabilities import Capabilities
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target
from conformance.testbed import persistent

FRESH, REUSED = "a fresh target", "a re-used target"
STANDS = "It stands until"  # what a testbed prints last, to its standard error
AT_ONCE = 2 * (os.cpu_count() or 1)  # runs beside each other, so that every core is busy
STOP_PATIENCE = 30.0  # seconds for a testbed to clean up


@dataclass(frozen=True)
class Kind:
    """Under what circumstances a run is made."""

    target: str
    loaded: bool

    @property
    def name(self) -> str:
        """The kind in words."""
        return f"{self.target}, {'beside other runs' if self.loaded else 'alone'}"


KINDS = (
    Kind(FRESH, loaded=False),
    Kind(FRESH, loaded=True),
    Kind(REUSED, loaded=False),
    Kind(REUSED, loaded=True),
)
# The kinds of runs 0 to 9, 10 to 19 and so on: four of five beside others, where a verdict differs sooner and a run takes half as long.
CYCLE = (*KINDS, *(3 * (Kind(FRESH, loaded=True), Kind(REUSED, loaded=True))))


@dataclass(frozen=True)
class Ended:
    """One run that has ended: its verdicts by requirement, as the record has them."""

    number: int
    kind: Kind
    claim: str
    seconds: float
    verdicts: Mapping[str, Mapping[str, Any]]


@dataclass
class Series:
    """All runs so far."""

    runs: list[Ended] = field(default_factory=list)

    def differing(self) -> Iterator[tuple[str, str, list[Ended]]]:
        """Each requirement and kind of target whose verdicts were not all the same, with the runs of the rarer verdicts."""
        for target in (FRESH, REUSED):
            runs = [run for run in self.runs if run.kind.target == target]
            for name in sorted({name for run in runs for name in run.verdicts}):
                statuses = Counter(_status(run, name) for run in runs)
                usual = statuses.most_common(1)[0][0]
                if odd := [run for run in runs if _status(run, name) != usual]:
                    yield name, target, odd

    def figures(self) -> dict[str, Any]:
        """The series in numbers, for `--json`."""
        kinds = Counter(run.kind.name for run in self.runs)
        seconds = {
            kind.name: [run.seconds for run in self.runs if run.kind == kind] for kind in KINDS
        }
        return {
            "runs": len(self.runs),
            "kinds": dict(kinds),
            "seconds": {
                kind: round(sum(each) / len(each), 1) for kind, each in seconds.items() if each
            },
            "verdicts": sum(len(run.verdicts) for run in self.runs),
            "flips": [
                {
                    "requirement": name,
                    "target": target,
                    "runs": [[run.number, run.kind.name, _status(run, name)] for run in odd],
                }
                for name, target, odd in self.differing()
            ],
        }


Suite = Callable[
    [Sequence[str]], tuple[int, str]
]  # one run with these options: its exit status, and what it said


@contextmanager
def started() -> Iterator[Suite]:
    """The suite as its users start it."""

    def run(options: Sequence[str]) -> tuple[int, str]:
        argv = [sys.executable, "-m", "conformance.cli.main", "run", *options]
        done = subprocess.run(
            argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        return done.returncode, done.stderr

    yield run


def main(
    count: int,
    at_once: int,
    figures: Path | None,
    arguments: Sequence[str],
    suite: Callable[[], AbstractContextManager[Suite]] = started,
) -> int:
    """Make the runs, a line each, then what differed: 0 nothing, 1 something, 2 interrupted, 3 a run without verdicts.

    `suite` gives what makes one run at a time; there is one for each of those beside each other.
    """
    series = Series()
    try:
        with suppress(KeyboardInterrupt):  # what was seen until then is told
            _make(series, count, at_once, _read(min(count, at_once), arguments), arguments, suite)
    except WrongUsage as error:
        print(f"conformance verify: {error}", file=sys.stderr)
        if (
            not series.runs
        ):  # else it was well at first, and a signal may have ended what a run stands on
            return Exit.WRONG_USAGE
    except NotReady as failure:
        print(
            f"conformance verify: the target that is to be re-used did not become ready: {failure.got}",
            file=sys.stderr,
        )
        return Exit.FAILED
    found = list(series.differing())
    for name, target, odd in found:
        print(f"\n{name} was not always the same for {target}:")
        for run in odd:
            finding = run.verdicts[name]["finding"] if name in run.verdicts else None
            print(
                f"  run {run.number} ({run.kind.name}): {_status(run, name)}"
                + (f", got {finding['got']}" if finding else "")
            )
    verdicts = sum(len(run.verdicts) for run in series.runs)
    print(
        f"\n{len(series.runs)} runs, {verdicts} verdicts: {len(found) or 'none'} of {len(catalogue())} requirements had a verdict that differed"
    )
    if figures:
        figures.write_text(json.dumps(series.figures(), indent=1) + "\n", "utf-8")
    if silent := [run for run in series.runs if not run.verdicts]:
        print(
            f"{len(silent)} runs ended without verdicts, the first of them run {silent[0].number}: they are evidence of nothing"
        )
        return Exit.ERROR
    if len(series.runs) < count:
        return Exit.INTERRUPTED
    return Exit.FAILED if found else Exit.PASSED


def _read(fewest: int, arguments: Sequence[str]) -> Options:
    """The options of the runs, as far as the target is concerned. Raises WrongUsage."""
    if fewest < 1:
        raise WrongUsage(f"N and --at-once want a number of runs from 1 on; {fewest} is none")
    known = {flag.name for flag in options.FLAGS}
    words = [
        part
        for word in arguments
        for part in (word.split("=", 1) if word.startswith("--") else [word])
    ]
    given = {name: value for name, value in pairwise(words) if name in known}
    for name in ("--seed", "--record", "--testbed"):
        if name in words:
            raise WrongUsage(f"{name} is what each run has of its own; leave it out")
    return options.read(given, (), Path.cwd(), catalogue())


def _make(
    series: Series,
    count: int,
    at_once: int,
    chosen: Options,
    arguments: Sequence[str],
    suite: Callable[[], AbstractContextManager[Suite]],
) -> None:
    """Make the runs: those that are alone last."""
    kinds = [kind for kind in CYCLE if not chosen.target_url or kind == Kind(REUSED, loaded=False)]
    if chosen.target_image:
        kinds = [kind for kind in kinds if kind.target == FRESH]
    plan = [(number, kinds[number % len(kinds)]) for number in range(count)]
    alone = [each for each in plan if not each[1].loaded]
    with ExitStack() as stack:
        lanes = [
            stack.enter_context(_lane(chosen, arguments, stack.enter_context(suite())))
            for _ in range(at_once if len(plan) > len(alone) else 1)
        ]
        free = list(lanes)
        lock = threading.Lock()
        interrupted = threading.Event()

        def take(each: tuple[int, Kind]) -> None:
            with lock:
                lane = free.pop()
            ended = lane(*each)
            with lock:
                free.append(lane)
                if not interrupted.is_set():  # by what has interrupted the run too
                    _note(series, ended, count)

        with ThreadPoolExecutor(len(lanes)) as pool:
            begun = [pool.submit(take, each) for each in plan if each[1].loaded]
            try:
                for future in begun:
                    future.result()
            except BaseException:
                interrupted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for number, kind in alone:
            _note(series, lanes[0](number, kind), count)


def _note(series: Series, ended: Ended, count: int) -> None:
    series.runs.append(ended)
    print(
        f"{len(series.runs)}/{count}  run {ended.number}, {ended.kind.name}: {ended.claim} ({ended.seconds:.1f} s)",
        flush=True,
    )


@contextmanager
def _lane(
    chosen: Options, arguments: Sequence[str], suite: Suite
) -> Iterator[Callable[[int, Kind], Ended]]:
    """What makes one run at a time; its re-used target is started when the first run wants it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        reused: list[str] = []

        def run(number: int, kind: Kind) -> Ended:
            own: Iterable[str] = arguments
            if kind.target == REUSED and not chosen.target_url:
                reused[:] = reused or stack.enter_context(_standing(chosen, folder))
                own = [*reused, *_without_target(arguments)]
            return _run(suite, number, kind, folder / "record.jsonl", own)

        yield run


def _run(suite: Suite, number: int, kind: Kind, record: Path, arguments: Iterable[str]) -> Ended:
    """One run, in a process of its own. Raises WrongUsage, and KeyboardInterrupt where it was interrupted, as the series is then."""
    record.unlink(missing_ok=True)
    status, said = suite([f"--record={record}", f"--seed={number}", "--shuffle", *arguments])
    if status in (Exit.INTERRUPTED, -signal.SIGINT):  # in order, or before it could take a signal
        raise KeyboardInterrupt
    if status == Exit.WRONG_USAGE:
        raise WrongUsage(said.strip().removeprefix("ERROR: "))
    lines = read_lines(record)
    verdicts = {line["requirement"]: line for line in lines if line["type"] == "verdict"}
    footer: dict[str, Any] = next(
        (line for line in lines if line["type"] == "footer"), {"claim": None, "seconds": 0.0}
    )
    claim = str(footer["claim"] or f"no claim, exit status {status}")
    return Ended(number, kind, claim, float(footer["seconds"]), verdicts)


@contextmanager
def _standing(chosen: Options, folder: Path) -> Iterator[list[str]]:
    """A testbed and a target on it that outlive a run; the options of a run on them. Raises WrongUsage, NotReady."""
    with (
        testbed(folder, chosen.services) as (state, variables),
        served(chosen, variables, folder) as target,
    ):
        workers = {"--worker-app": chosen.worker_app, "--worker-command": chosen.worker_command}
        own = {
            "--target-url": target.url,
            "--testbed": str(state),
            "--target-dir": str(chosen.directory),
            **workers,
        }
        yield [word for name, value in own.items() if value for word in (name, value)]


@contextmanager
def testbed(folder: Path, services: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A testbed that stands: its file, and the environment of a target on it. Raises WrongUsage."""
    state = folder / "testbed.json"
    argv = [
        sys.executable,
        "-m",
        "conformance.cli.main",
        "testbed",
        "--format",
        "dotenv",
        "--state",
        str(state),
        "--services",
        services,
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith(STANDS):
                break
        else:
            raise WrongUsage(said.strip())
        place = persistent.read(state)
        yield state, persistent.contract(place.postgres, place.redis, place.upstream_url)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_PATIENCE)


@contextmanager
def served(chosen: Options, variables: Mapping[str, str], folder: Path) -> Iterator[Target]:
    """A target that runs until the block ends. Raises WrongUsage, NotReady."""
    launch = Launch(chosen, Capabilities.of(chosen), variables, folder, Journal(), lambda _: None)
    target = Target.start_copy(launch)
    try:
        target.wait_until_ready()
        yield target
    finally:
        target.process.kill()


def _without_target(arguments: Sequence[str]) -> list[str]:
    """The options of a run but for those that say how its target and worker are started."""
    starting = (*FORMS, "--worker-app", "--worker-command", "--target-dir", "--services")
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in starting:
            next(words, None)
        elif not word.startswith(tuple(f"{name}=" for name in starting)):
            kept.append(word)
    return kept


def _status(run: Ended, name: str) -> str:
    return str(run.verdicts[name]["status"]) if name in run.verdicts else "no verdict"
