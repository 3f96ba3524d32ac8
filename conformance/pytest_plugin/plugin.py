"""The plugin: the hooks of a session that runs probes. Loaded by the root conftest and the CLI."""

import sys
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import hypothesis
import pytest
from _pytest.junitxml import xml_key
from hypothesis.configuration import set_hypothesis_home_dir

from conformance.config.paths import PROBES
from conformance.core import preload
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.core.printing import escape_unprintable
from conformance.judging.result import RunResult
from conformance.judging.verdict import Status
from conformance.pytest_plugin import fixtures, progress
from conformance.pytest_plugin.examples import set_examples
from conformance.pytest_plugin.interrupts import Interrupts, leave_out_frames_of_no_line
from conformance.pytest_plugin.keys import MARKERS, OBSERVED, RUN, STARTED
from conformance.pytest_plugin.options import (
    check_settings_file,
    has_probes,
    pytest_addoption,
    pytest_load_initial_conftests,
    read_pytest_options,
)
from conformance.pytest_plugin.ordering import (
    describe_probe,
    find_requirement,
    is_last_without_worker,
    order_probes,
    shuffle_probes,
)
from conformance.pytest_plugin.outcomes import find_violation
from conformance.report.terminal import KNOWN, summarize_run
from conformance.session.probe import Probe, WorkerState
from conformance.session.run import Run
from conformance.spec.catalogue import Requirement, catalogue

__all__ = ["pytest_addoption", "pytest_load_initial_conftests"]  # hooks of this plugin as well

LETTERS = {
    Status.PASS: ".",
    Status.FAIL: "F",
    KNOWN: "f",
    Status.INCONCLUSIVE: "?",
    Status.ERROR: "E",
    Status.OBSERVED: "o",
    Status.NOT_APPLICABLE: "n",
}
COLOURS = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.INCONCLUSIVE: "yellow",
    Status.ERROR: "red",
    Status.OBSERVED: "cyan",
    Status.NOT_APPLICABLE: "blue",
}


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    check_settings_file(config)  # again, for a plugin that a conftest has loaded
    if not has_probes(config):
        return
    preload.settle_imports()
    set_examples()
    try:
        run = Run(read_pytest_options(config), catalogue(), datetime.now(UTC).date())
    except WrongUsage as error:
        raise pytest.UsageError(str(error)) from None
    config.option.tbstyle = "native"  # a traceback is printed for a defect of our own alone
    config.stash[RUN] = run
    config.pluginmanager.register(fixtures, "conformance-fixtures")
    config.pluginmanager.register(RunHooks(run), "conformance-run")
    if progress.is_wanted(config, sys.stdout):
        config.pluginmanager.register(progress.Progress(run), "conformance-progress")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse probes that were collected without a run: those of another checkout, or copies."""
    strangers = [item for item in items if item.get_closest_marker("requirement")]
    if strangers and RUN not in config.stash and not config.option.collectonly:
        raise pytest.UsageError(
            f"{strangers[0].path} is no probe of the installed suite, which is {PROBES}; "
            "install the checkout that you run in"
        )


class RunHooks:
    """The hooks of a session that runs probes. They call the run, and judge nothing themselves."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._interrupts = Interrupts()
        self._opened = False
        self._result: RunResult | None = None
        self._page: str | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._interrupts.note_signals(session)
        try:
            self.run.open()
        except WrongUsage as error:
            raise pytest.UsageError(str(error)) from None
        # Hypothesis keeps tables of characters somewhere.
        set_hypothesis_home_dir(self.run.folder / "hypothesis")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """For speed alone: make no items of probes that are not selected."""
        marks = getattr(obj, "pytestmark", ())
        names = {mark.args[0] for mark in marks if mark.name == "requirement"}
        is_wanted = names - self.run.catalogue.keys() or any(
            map(self.run.results.is_selected, names)
        )
        return [] if names and not is_wanted else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        selected = [item for item in items if self._collect(item)]
        if dropped := [item for item in items if item not in selected]:
            config.hook.pytest_deselected(items=dropped)
        seed = self.run.options.selection.seed
        if self.run.options.selection.shuffle:
            ordered = shuffle_probes(order_probes(selected, self.run.catalogue), seed)
        else:
            ordered = order_probes(selected, self.run.catalogue)
        items[:] = ordered
        for item in items:
            function = getattr(item, "obj", None)
            if function and hypothesis.is_hypothesis_test(function):
                hypothesis.seed(seed)(function)

    def _collect(self, item: pytest.Item) -> bool:
        """Note a probe that is to be run."""
        name = find_requirement(item)
        if name is None:
            return False
        if name not in self.run.catalogue:
            lack = "which the specification does not have"
            raise pytest.UsageError(f"{item.nodeid} checks {name}, {lack}")
        self.run.results.expect_probe(name, item.nodeid)
        return self.run.results.is_selected(name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        try:
            self.run.wait_until_open(self._interrupts.raise_noted)
        except WrongUsage as error:
            raise pytest.UsageError(str(error)) from None
        self._opened = True
        self._interrupts.raise_at_once()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        item.stash[STARTED] = self.run.journal.now()
        self.run.prepare(describe_probe(item, self.run.catalogue))

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Start the worker early, once the last probe is done that needs it stopped for now."""
        probe = describe_probe(item, self.run.catalogue)
        stopped = probe.worker is WorkerState.STOPPED
        if stopped and is_last_without_worker(item.session.items, nextitem):
            self.run.start_worker_ahead()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        probe = describe_probe(item, self.run.catalogue)
        _name_case(item, probe.requirement)
        if call.excinfo is None:
            is_call = call.when == "call"
            status = self._report_pass(item, probe) if is_call else Status.PASS
            report.status = status  # type: ignore[attr-defined]
            return report
        error = find_violation(call.excinfo.value)
        if not isinstance(error, KeyboardInterrupt | pytest.exit.Exception):
            self._report_error(item, report, probe, error)
        return report

    def _report_pass(self, item: pytest.Item, probe: Probe) -> Status:
        results, requirement, span = self.run.results, probe.requirement, self._span(item)
        if OBSERVED in item.stash:
            observations = item.stash[OBSERVED]
            return results.add_observations(requirement, item.nodeid, span, observations)
        results.add_pass(requirement, item.nodeid, span)
        return Status.PASS

    def _report_error(
        self, item: pytest.Item, report: pytest.TestReport, probe: Probe, error: BaseException
    ) -> None:
        requirement = probe.requirement
        status, finding = self.run.report_error(probe, self._span(item), error)
        report.status = status  # type: ignore[attr-defined]
        if status is not Status.ERROR or isinstance(error, BrokenTestbed):
            title = f"{requirement.id} {status.label}: {requirement.sentence}"
            lines = (title, f"expected  {finding.expected}", f"got       {finding.got}")
            report.longrepr = "\n".join(map(escape_unprintable, lines))
        is_allowed = status is Status.INCONCLUSIVE and self.run.options.selection.allow_inconclusive
        if is_allowed or status is Status.NOT_APPLICABLE:
            _leave_out(report, item, f"{status.label}: {finding.got}")
        is_failed = status is Status.FAIL
        known = self.run.results.find_known_failure(requirement) if is_failed else None
        if known:
            report.status = KNOWN  # type: ignore[attr-defined]
            _leave_out(report, item, f"{KNOWN}: {known.reason}")

    def _span(self, item: pytest.Item) -> tuple[float, float]:
        """When a probe began, and the time now."""
        ended = self.run.journal.now()
        return item.stash.get(STARTED, ended), ended

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        leave_out_frames_of_no_line(excinfo)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._close()
        cut_short = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
        if self._opened and exitstatus not in cut_short:
            self._result = self.run.finish()
            session.exitstatus = self._result.exit_status
        if self._opened:
            self._page = self.run.results.write_page()

    def pytest_unconfigure(self) -> None:
        self._close()  # a session that ends while it starts is never finished
        self.run.results.close()

    def _close(self) -> None:
        self._interrupts.ignore_signals()
        self.run.close()
        self._interrupts.restore_handlers()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        status = getattr(report, "status", None)
        passed = status in (Status.PASS, Status.OBSERVED)
        if status is None or (report.when != "call" and passed):
            return None
        if passed:
            return "passed", LETTERS[status], status
        own_defect = status is Status.ERROR and not isinstance(report.longrepr, str)
        label = getattr(status, "label", status)
        return "error" if own_defect else label, LETTERS[status], label

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        if self._result:
            terminalreporter.section("conformance", sep="=")
            for line in summarize_run(self._result):
                colour = {COLOURS[line.tone]: True} if line.tone else {}
                terminalreporter.write_line(line.text, **colour)
        if self._page:
            terminalreporter.write_line(self._page)


def _leave_out(report: pytest.TestReport, item: pytest.Item, reason: str) -> None:
    """Let pytest, and so its JUnit report, count a probe as skipped, for it does not count."""
    report.outcome = "skipped"
    report.longrepr = (str(item.path), 0, escape_unprintable(reason))


def _name_case(item: pytest.Item, requirement: Requirement) -> None:
    """Name the probe's case in a JUnit report by its requirement."""
    if xml := item.config.stash.get(xml_key, None):
        reporter = xml.node_reporter(item.nodeid)
        classname = f"spec.{requirement.document.removesuffix('.md')}"
        reporter.add_attribute("classname", classname)
        detail = item.name.partition("[")[2].removesuffix("]")
        parameters = f" [{detail}]" if detail else ""
        reporter.add_attribute("name", f"{requirement.id} {requirement.sentence}{parameters}")
