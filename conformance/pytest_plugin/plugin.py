"""The pytest plugin: hooks and the few fixtures; nothing else. Loaded by the root conftest and by `conformance run`."""

import random
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
from _pytest.junitxml import xml_key
from hypothesis import Phase
from hypothesis.configuration import set_hypothesis_home_dir

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, Violation, WrongUsage
from conformance.core.evidence import Fact
from conformance.judging.verdict import Finding, Outcome, Status, observed
from conformance.pytest_plugin import progress
from conformance.pytest_plugin.interrupts import Interrupts, leave_out_frames_of_no_line
from conformance.pytest_plugin.options import (
    check_settings_file,
    has_probes,
    pytest_addoption,
    pytest_load_initial_conftests,
    read_pytest_options,
)
from conformance.report.terminal import KNOWN, Summary, page
from conformance.scenarios import lifecycle
from conformance.session.run import READINESS, Run
from conformance.spec.catalogue import Level, Requirement, catalogue
from conformance.target.server import Target
from conformance.target.worker import Worker
from conformance.testbed import postgres, redis
from conformance.testbed.upstream import Upstream

__all__ = ["pytest_addoption", "pytest_load_initial_conftests"]  # hooks of this plugin as well

RUN = pytest.StashKey[Run]()
STARTED = pytest.StashKey[float]()

# For speed alone: probes that want no worker run early, in stage 1, and those that want one in stage 5, so that it starts
# beside others. TASK-13 starts it twice; while TASK-12 waits for it to find its broker, the lives go on; TASK-14 kills it, so
# that an outage of the broker after it costs no reconnection.
LOOKING_ELSEWHERE_TOO = {"DB-9", "TASK-2", "TASK-5", "TASK-7", "CONC-9", "TASK-10"}
LIVED = (
    frozenset[str]().union(*(kind.looked_at_by for kind in lifecycle.LIVES)) - LOOKING_ELSEWHERE_TOO
)
STAGES = {
    "TASK-12": 3,
    "TASK-13": 6,
    "TASK-14": 7,
    "CONC-9": 8,
    "TASK-10": 8,
    **dict.fromkeys(LIVED, 9),
    READINESS: 10,
}

LATE = 8  # when no worker runs any more

SEEN = pytest.StashKey[list[tuple[str, tuple[Fact, ...]]]]()
LETTERS = {
    Status.PASS: ".",
    Status.FAIL: "F",
    KNOWN: "f",
    Status.INCONCLUSIVE: "?",
    Status.ERROR: "E",
    Status.OBSERVED: "o",
}
COLOURS = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.INCONCLUSIVE: "yellow",
    Status.ERROR: "red",
    Status.OBSERVED: "cyan",
}


# Configuration


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "requirement(id): the requirement of the specification that a probe checks"
    )
    config.addinivalue_line(
        "markers", "worker(state): whether the worker is 'running' or 'stopped' while a probe runs"
    )
    config.addinivalue_line("markers", "late: the probe looks at what comes after much else")
    config.addinivalue_line(
        "markers",
        "disturbs: the probe holds a fault that a target may not recover from; then it is started anew",
    )
    check_settings_file(config)  # again, for a plugin that a conftest has loaded
    if not has_probes(config):
        return
    set_examples()
    try:
        run = Run(read_pytest_options(config), catalogue(), datetime.now(UTC).date())
    except WrongUsage as error:
        raise pytest.UsageError(str(error)) from None
    config.option.tbstyle = "native"  # a traceback is printed for a defect of our own alone
    config.stash[RUN] = run
    config.pluginmanager.register(RunHooks(run), "conformance-run")
    if progress.is_wanted(config, sys.stdout):
        config.pluginmanager.register(progress.Progress(run), "conformance-progress")


def set_examples() -> None:
    """Say how properties are tried. It must be said before the probes are imported, for each takes what is said by then."""
    phases = [Phase.explicit, Phase.generate, Phase.shrink]
    hypothesis.settings.register_profile(
        "probe",
        deadline=None,
        database=None,
        max_examples=timeouts.EXAMPLES,
        phases=phases,
        print_blob=False,
        report_multiple_bugs=False,
    )
    hypothesis.settings.load_profile("probe")


class RunHooks:
    """The hooks of a session that runs probes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._interrupts = Interrupts()
        self._opened = False
        self._summary: Summary | None = None
        self._page: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._interrupts.note(session)
        try:
            self.run.begin()
        except WrongUsage as error:
            raise pytest.UsageError(str(error)) from None
        set_hypothesis_home_dir(
            self.run.folder / "hypothesis"
        )  # it keeps tables of characters somewhere

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """For speed alone: make no items of probes that are not selected."""
        names = {
            mark.args[0] for mark in getattr(obj, "pytestmark", ()) if mark.name == "requirement"
        }
        return (
            [] if names and names <= self.run.catalogue.keys() - self.run.collected.keys() else None
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        probes = [item for item in items if item.get_closest_marker("requirement")]
        for item in probes:
            name = item.get_closest_marker("requirement").args[0]  # type: ignore[union-attr]
            if name not in self.run.catalogue:
                raise pytest.UsageError(
                    f"{item.nodeid} checks {name}, which the specification does not have"
                )
            if name in self.run.collected:
                self.run.collected[name].append(item.nodeid)
        chosen = [item for item in probes if _requirement(self.run, item) in self.run.selected]
        if dropped := [item for item in items if item not in chosen]:
            config.hook.pytest_deselected(items=dropped)
        items[:] = sorted(chosen, key=lambda item: _order(self.run, item))
        if self.run.options.selection.shuffle:
            items[:] = _shuffled(items, self.run.options.selection.seed)
        for item in items:
            if getattr(item, "obj", None) and hypothesis.is_hypothesis_test(item.obj):  # type: ignore[attr-defined]
                hypothesis.seed(self.run.options.selection.seed)(item.obj)  # type: ignore[attr-defined]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        try:
            self.run.opened(self._interrupts.check)
        except WrongUsage as error:
            raise pytest.UsageError(str(error)) from None
        self._opened = True
        self._interrupts.raise_at_once()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        item.stash[STARTED] = self.run.journal.now()
        disturbs = item.get_closest_marker("disturbs") is not None
        self.run.prepare(_requirement(self.run, item), _worker(item), disturbs=disturbs)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Once the last probe for now that wants no worker is done, let one that others want start beside the next ones."""
        if _worker(item) != "stopped" or nextitem is None or _worker(nextitem) == "stopped":
            return
        later = item.session.items[item.session.items.index(nextitem) :]
        if next(filter(None, map(_worker, later)), None) == "running":
            self.run.start_worker_ahead()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        requirement = _requirement(self.run, item)
        _name_case(item, requirement)
        if call.excinfo is None:
            status, finding = _passed(item) if call.when == "call" else (Status.PASS, None)
            if call.when == "call":
                self._note(item, requirement, status, finding)
            report.status = status  # type: ignore[attr-defined]
            return report
        error = _violation_in(call.excinfo.value)
        if isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
            return report
        status, finding = _found(
            self.run.blame(requirement, error) if isinstance(error, Violation) else error
        )
        if requirement.level is Level.MAY and status is Status.FAIL:
            status = Status.OBSERVED
        # A later phase's outcome replaces an earlier one of the same probe: a teardown that breaks is an ERROR.
        self._note(item, requirement, status, finding)
        report.status = status  # type: ignore[attr-defined]
        if status is not Status.ERROR or isinstance(error, BrokenTestbed):
            report.longrepr = f"{requirement.id} {status}: {requirement.sentence}\nexpected  {finding.expected}\ngot       {finding.got}"
        if status is Status.INCONCLUSIVE and self.run.options.selection.allow_inconclusive:
            _leave_out(report, item, f"INCONCLUSIVE: {finding.got}")
        if status is Status.FAIL and (known := self.run.known(requirement)):
            report.status = KNOWN  # type: ignore[attr-defined]
            _leave_out(report, item, f"{KNOWN}: {known.reason}")
        return report

    def _note(
        self, item: pytest.Item, requirement: Requirement, status: Status, finding: Finding | None
    ) -> None:
        ended = self.run.journal.now()
        began = item.stash.get(STARTED, ended)
        self.run.outcomes.append(
            Outcome(requirement.id, item.nodeid, status, finding, ended - began, (began, ended))
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        leave_out_frames_of_no_line(excinfo)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._close()
        if self._opened and exitstatus not in (
            pytest.ExitCode.INTERRUPTED,
            pytest.ExitCode.USAGE_ERROR,
        ):
            self._summary = self.run.summary()
            self.run.write_result(self._summary)
            session.exitstatus = self._summary.status
        if self._opened:
            self._page = self.run.write_page()

    def pytest_unconfigure(self) -> None:
        self._close()  # a session that ends while it starts is never finished
        self.run.record.close()

    def _close(self) -> None:
        self._interrupts.ignore()
        self.run.close()
        self._interrupts.restore()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        status = getattr(report, "status", None)
        if status is None or (report.when != "call" and status in (Status.PASS, Status.OBSERVED)):
            return None
        if status in (Status.PASS, Status.OBSERVED):
            return "passed", LETTERS[status], status
        own_defect = status is Status.ERROR and not isinstance(report.longrepr, str)
        return "error" if own_defect else str(status), LETTERS[status], str(status)

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        if self._summary:
            terminalreporter.section("conformance", sep="=")
            for line in page(self._summary):
                terminalreporter.write_line(
                    line.text, **({COLOURS[line.tone]: True} if line.tone else {})
                )
        if self._page:
            terminalreporter.write_line(self._page)


def _requirement(run: Run, item: pytest.Item) -> Requirement:
    marker = item.get_closest_marker("requirement")
    assert marker
    return run.catalogue[marker.args[0]]


def _worker(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("worker")
    return marker.args[0] if marker else None


def _order(run: Run, item: pytest.Item) -> tuple[int, bool]:
    """For speed alone: the stage of a probe, and whether it disturbs the target, which comes last of each."""
    requirement = _requirement(run, item)
    if item.get_closest_marker("late"):
        return LATE, False
    stage = (
        STAGES.get(requirement.id)
        or {"stopped": 1, "running": 5, None: 0 if requirement.section in (1, 2) else 4}[
            _worker(item)
        ]
    )
    return stage, item.get_closest_marker("disturbs") is not None


def _shuffled(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """Probes in an order that is drawn, but for the worker, whose every start costs seconds: twice it is stopped, and twice it runs."""
    drawn = random.Random(seed)  # noqa: S311 - an order, no secret
    phases = {"stopped": (0, 2), "running": (1, 3), None: (0, 1, 2, 3)}
    return sorted(
        drawn.sample(items, len(items)), key=lambda item: drawn.choice(phases[_worker(item)])
    )


def _passed(item: pytest.Item) -> tuple[Status, Finding | None]:
    """A pass; or what was seen, where the probe says what it observed, which it may not forget to."""
    if SEEN not in item.stash:
        return Status.PASS, None
    if not (seen := item.stash[SEEN]):
        return Status.ERROR, Finding(
            "the probe to say what it observed",
            "nothing",
            look_at="the suite, not the target; please report it",
        )
    return Status.OBSERVED, observed(
        (text for text, _ in seen), (fact for _, evidence in seen for fact in evidence)
    )


def _violation_in(error: BaseException) -> BaseException:
    """The violation that Hypothesis saw and could not bring about again, which it reports in a group; else the error itself."""
    if isinstance(error, BaseExceptionGroup) and (seen := error.subgroup(Violation)):
        return next(each for each in _leaves(seen) if isinstance(each, Violation))
    return error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        yield from _leaves(each) if isinstance(each, BaseExceptionGroup) else (each,)


def _found(error: BaseException) -> tuple[Status, Finding]:
    if isinstance(error, Violation):
        return Status.FAIL, Finding(error.expected, error.got, error.evidence, error.look_at)
    if isinstance(error, NoEvidence):
        return Status.INCONCLUSIVE, Finding("evidence", str(error))
    where = "the testbed" if isinstance(error, BrokenTestbed) else "the suite"
    return Status.ERROR, Finding(
        f"{where} to work",
        f"{type(error).__name__}: {error}".split("\n")[0],
        look_at=f"{where}, not the target; please report it",
    )


def _leave_out(report: pytest.TestReport, item: pytest.Item, reason: str) -> None:
    """Let pytest, and so its JUnit report, count a probe as skipped, for it does not count."""
    report.outcome = "skipped"
    report.longrepr = (str(item.path), 0, reason)


def _name_case(item: pytest.Item, requirement: Requirement) -> None:
    """Name the probe's case in a JUnit report by its requirement."""
    if xml := item.config.stash.get(xml_key, None):
        reporter = xml.node_reporter(item.nodeid)
        reporter.add_attribute("classname", f"spec.{requirement.document.removesuffix('.md')}")
        detail = item.name.partition("[")[2].removesuffix("]")
        reporter.add_attribute(
            "name", f"{requirement.id} {requirement.sentence}" + (f" [{detail}]" if detail else "")
        )


# Fixtures: each hands over an object


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """The run."""
    return request.config.stash[RUN]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def connections(run: Run) -> AsyncIterator[None]:
    """The suite's own connections, which belong to the event loop of the probes."""
    ours = [part for part in (run.client, run.database, run.queue) if part]
    for part in ours:
        await part.open()
    yield
    for part in ours:
        await part.close()


@pytest.fixture(scope="session")
def client(run: Run, connections: None) -> Client:
    """Sends requests to the target."""
    return run.client


@pytest.fixture
def target(run: Run) -> Target:
    """The running target."""
    return run.target


@pytest.fixture(scope="session")
def items(run: Run, connections: None) -> postgres.Database | None:
    """The table, seen from the server."""
    return run.database


@pytest.fixture(scope="session")
def queue(run: Run, connections: None) -> redis.Broker | None:
    """The broker and result backend, seen from the server."""
    return run.queue


@pytest.fixture(scope="session")
def upstream(run: Run) -> Upstream | None:
    """The server that the target fetches from."""
    return run.upstream


@pytest.fixture(scope="session")
def worker(run: Run) -> Worker:
    """The implementation's worker."""
    return run.worker


@pytest.fixture
def observe(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Reports what was seen of a MAY: a text and its evidence."""
    seen = request.node.stash[SEEN] = []
    return lambda text, *evidence: seen.append((text, evidence))
