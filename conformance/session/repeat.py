"""Repeatability: the same target judged again and again, and each verdict that changed.

A run is of one of four kinds. Its target is started for it, or has served earlier runs. It is the
only run, or one of as many as keep all cores busy. Each run has its own order of probes and its
own seed.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance.config.definitions import TARGET_FORMS, Name, write_arguments
from conformance.config.options import Options, read_options
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.core.signals import SIGNALS
from conformance.core.testbed_settings import TestbedSettings
from conformance.judging.verdict import Exit
from conformance.report.record import read_lines
from conformance.spec.catalogue import catalogue
from conformance.target.capabilities import Capabilities
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target
from conformance.testbed import testbed_formats, testbed_state

FRESH, REUSED = "a fresh target", "a re-used target"
AT_ONCE = 2 * (os.cpu_count() or 1)  # parallel runs, so that every core is busy
STOP_TIMEOUT = 30.0  # seconds for a testbed to clean up
COMMAND = (sys.executable, "-P", "-m", "conformance")
OF_EACH_RUN = (Name.SEED, Name.RECORD, Name.TESTBED, Name.SHUFFLE, Name.HTML)
STARTING = (  # options that say how a target and its worker are started, and on what
    *TARGET_FORMS,
    Name.TARGET_DIR,
    Name.TARGET_PYTHON,
    Name.WORKER_APP,
    Name.WORKER_COMMAND,
    Name.SERVICES,
    Name.POSTGRES_IMAGE,
    Name.REDIS_IMAGE,
    Name.DATABASE_URL,
    Name.REDIS_URL,
    Name.UPSTREAM_PORT,
)
Given = Mapping[str, Any]  # values of a command line, by the name of the option


@dataclass(frozen=True)
class Kind:
    """Under what circumstances a run is made."""

    target: str
    loaded: bool

    @property
    def name(self) -> str:
        """The kind in words."""
        return f"{self.target}, {'next to other runs' if self.loaded else 'alone'}"


KINDS = (
    Kind(FRESH, loaded=False),
    Kind(FRESH, loaded=True),
    Kind(REUSED, loaded=False),
    Kind(REUSED, loaded=True),
)
# The kinds of runs 0 to 9, 10 to 19 and so on. Four of five are parallel: there a verdict changes
# sooner, and a run takes half as long.
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
        """Each requirement and kind of target whose verdicts differ, with the rarer runs."""
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


class Suite(Protocol):
    """What makes one run at a time."""

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Make a run with these options. Return its exit status and its standard error."""

    def interrupt(self) -> None:
        """Ask the run under way to end, and make none after it. Any thread may call this."""


MakeSuite = Callable[[], AbstractContextManager[Suite]]


class CommandSuite:
    """The suite as its users start it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_interrupted = False

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Make a run. Raises KeyboardInterrupt after an interrupt."""
        with self._lock:
            if self._is_interrupted:
                raise KeyboardInterrupt
            self._process = subprocess.Popen(
                [*COMMAND, "run", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        _, errors = self._process.communicate()
        return self._process.returncode, errors

    def interrupt(self) -> None:
        """Send SIGTERM to the run, which cleans up."""
        with self._lock:
            self._is_interrupted = True
            if self._process:
                self._process.send_signal(signal.SIGTERM)


@contextmanager
def make_suite() -> Iterator[Suite]:
    """Yield the suite as its users start it."""
    yield CommandSuite()


def main(
    count: int,
    at_once: int,
    figures: Path | None,
    given: Given,
    more: Sequence[str] = (),
    suite: MakeSuite = make_suite,
) -> int:
    """Make the runs, a line each, then print which verdicts changed; the exit status.

    `given` are the options of each run, and `more` is for pytest. `suite` makes one run at a
    time; there is one for each of the parallel runs. The status is 0 if no verdict changed, 1 if
    one did, 2 if the series was interrupted, 3 if a run had no verdicts.
    """
    series = Series()
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt):  # what was seen until then is printed
            chosen = _read_options(min(count, at_once), given)
            _make_runs(series, count, at_once, Plan(chosen, given, more), suite)
    except WrongUsage as error:
        print(f"conformance repeat: {error}", file=sys.stderr)
        # If a run has ended well, a signal may have ended what this one needs.
        if not series.runs:
            return Exit.WRONG_USAGE
    except NotReady as failure:
        print(
            f"conformance repeat: the target for several runs did not become ready: {failure.got}",
            file=sys.stderr,
        )
        return Exit.FAILED
    if figures:
        figures.write_text(json.dumps(series.figures(), indent=1) + "\n", "utf-8")
    return _print_result(series, count)


def _print_result(series: Series, count: int) -> int:
    """Print which verdicts changed; the exit status."""
    differing = list(series.differing())
    for name, target, odd in differing:
        print(f"\n{name} was not always the same for {target}:")
        for run in odd:
            print(f"  run {run.number} ({run.kind.name}): {_describe(run, name)}")
    verdicts = sum(len(run.verdicts) for run in series.runs)
    print(
        f"\n{len(series.runs)} runs, {verdicts} verdicts: {len(differing) or 'none'} of "
        f"{len(catalogue())} requirements had a verdict that differed"
    )
    if silent := [run for run in series.runs if not run.verdicts]:
        print(
            f"{len(silent)} runs ended without verdicts, the first of them run "
            f"{silent[0].number}: they are evidence of nothing"
        )
        return Exit.ERROR
    if len(series.runs) < count:
        return Exit.INTERRUPTED
    return Exit.FAILED if differing else Exit.PASSED


def _describe(run: Ended, name: str) -> str:
    finding = run.verdicts[name]["finding"] if name in run.verdicts else None
    return _status(run, name) + (f", got {finding['got']}" if finding else "")


def _read_options(fewest: int, given: Given) -> Options:
    """The options of the runs, as far as the target is concerned. Raises WrongUsage."""
    if fewest < 1:
        raise WrongUsage(f"N and --at-once must be at least 1, not {fewest}")
    for name in OF_EACH_RUN:
        if name in given:
            raise WrongUsage(f"each run has its own {name}; leave it out")
    return read_options(given, Path.cwd(), catalogue())


@dataclass(frozen=True)
class Plan:
    """What each run is given."""

    options: Options
    given: Given
    more: Sequence[str]

    def write_arguments(self) -> list[str]:
        """The arguments of a run that starts its own target."""
        return [*write_arguments(self.given), *self.more]

    def write_arguments_for(self, target: Given) -> list[str]:
        """The arguments of a run on this target, which runs already."""
        kept = {name: value for name, value in self.given.items() if name not in STARTING}
        return [*write_arguments(kept | dict(target)), *self.more]


def _make_runs(series: Series, count: int, at_once: int, plan: Plan, suite: MakeSuite) -> None:
    """Make the runs, the parallel ones first."""
    kinds = _choose_kinds(plan.options)
    runs = [(number, kinds[number % len(kinds)]) for number in range(count)]
    alone = [each for each in runs if not each[1].loaded]
    with ExitStack() as stack:
        suites = [
            stack.enter_context(suite()) for _ in range(at_once if len(runs) > len(alone) else 1)
        ]
        lanes = [stack.enter_context(_open_lane(plan, each)) for each in suites]
        free = list(lanes)
        lock = threading.Lock()
        interrupted = threading.Event()

        def take(each: tuple[int, Kind]) -> None:
            with lock:
                lane = free.pop()
            ended = lane(*each)
            with lock:
                free.append(lane)
                if not interrupted.is_set():  # the same interrupt has ended the run
                    _note(series, ended, count)

        with ThreadPoolExecutor(len(lanes)) as pool:
            begun = [pool.submit(take, each) for each in runs if each[1].loaded]
            try:
                for future in begun:
                    future.result()
            except BaseException:
                interrupted.set()
                pool.shutdown(wait=False, cancel_futures=True)
                for each in suites:
                    each.interrupt()
                raise
        for number, kind in alone:
            _note(series, lanes[0](number, kind), count)


def _choose_kinds(options: Options) -> list[Kind]:
    if options.target.url:
        return [Kind(REUSED, loaded=False)]
    if options.target.image or options.isolation.untrusted:  # are started by a run alone
        return [kind for kind in CYCLE if kind.target == FRESH]
    return list(CYCLE)


def _note(series: Series, ended: Ended, count: int) -> None:
    series.runs.append(ended)
    print(
        f"{len(series.runs)}/{count}  run {ended.number}, {ended.kind.name}: {ended.claim} "
        f"({ended.seconds:.1f} s)",
        flush=True,
    )


@contextmanager
def _open_lane(plan: Plan, suite: Suite) -> Iterator[Callable[[int, Kind], Ended]]:
    """What makes one run at a time. The first run that re-uses a target starts that target."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)
        reused: list[str] = []

        def run(number: int, kind: Kind) -> Ended:
            arguments = plan.write_arguments()
            if kind.target == REUSED and not plan.options.target.url:
                if not reused:
                    target = stack.enter_context(_start_target(plan.options, folder))
                    reused.extend(plan.write_arguments_for(target))
                arguments = reused
            return _run(suite, number, kind, folder / "record.jsonl", arguments)

        yield run


def _run(suite: Suite, number: int, kind: Kind, record: Path, arguments: Sequence[str]) -> Ended:
    """One run, in a process of its own. Raises WrongUsage, and KeyboardInterrupt."""
    record.unlink(missing_ok=True)
    status, errors = suite.run([f"--record={record}", f"--seed={number}", "--shuffle", *arguments])
    if status in (Exit.INTERRUPTED, -signal.SIGINT):  # the latter before it handles signals
        raise KeyboardInterrupt
    if status == Exit.WRONG_USAGE:
        raise WrongUsage(errors.strip().removeprefix("ERROR: "))
    lines = read_lines(record)
    verdicts = {line["requirement"]: line for line in lines if line["type"] == "verdict"}
    footer: dict[str, Any] = next(
        (line for line in lines if line["type"] == "footer"), {"claim": None, "seconds": 0.0}
    )
    claim = str(footer["claim"] or f"no claim, exit status {status}")
    return Ended(number, kind, claim, float(footer["seconds"]), verdicts)


@contextmanager
def _start_target(chosen: Options, folder: Path) -> Iterator[Given]:
    """A testbed and a target on it that outlive a run; the options of a run on them.

    Raises WrongUsage, NotReady.
    """
    with (
        testbed(folder, chosen.testbed) as (state, variables),
        served(chosen, variables, folder) as target,
    ):
        yield {
            Name.TARGET_URL: target.url,
            Name.TESTBED: str(state),
            Name.TARGET_DIR: str(chosen.target.directory),
            Name.TARGET_PYTHON: chosen.target.python,
            Name.WORKER_APP: chosen.worker.app,
            Name.WORKER_COMMAND: chosen.worker.command,
        }


@contextmanager
def testbed(folder: Path, settings: TestbedSettings) -> Iterator[tuple[Path, dict[str, str]]]:
    """A persistent testbed: its file, and the environment of a target on it. Raises WrongUsage."""
    state = folder / "testbed.json"
    argv = [
        *COMMAND,
        "testbed",
        "--format=dotenv",
        f"--state={state}",
        *write_arguments(
            {
                Name.SERVICES: settings.services,
                Name.POSTGRES_IMAGE: settings.postgres_image,
                Name.REDIS_IMAGE: settings.redis_image,
                Name.DATABASE_URL: settings.database_url,
                Name.REDIS_URL: settings.redis_url,
            }
        ),
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stderr
        if not process.stdout.readline():  # it prints the environment after it wrote the file
            raise WrongUsage(process.stderr.read().strip().removeprefix("conformance testbed: "))
        place = testbed_state.read_state(state)
        yield state, testbed_formats.make_variables(place)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_TIMEOUT)


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


def _status(run: Ended, name: str) -> str:
    return str(run.verdicts[name]["status"]) if name in run.verdicts else "no verdict"
