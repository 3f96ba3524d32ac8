"""One run: opened, prepared for each probe, given each outcome, and finished."""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from conformance.cage import machine
from conformance.cage.network import enter_own_network
from conformance.cage.submission import check_folder
from conformance.client.task_ids import find_task_id
from conformance.config.options import Options
from conformance.core.errors import BrokenTestbed, NoEvidence, NotApplicable, Violation
from conformance.core.evidence import Fact, Journal, LogLine
from conformance.judging.result import Finding, RunResult
from conformance.judging.verdict import Status
from conformance.session.background import BackgroundScenarios, ScenariosInTurn
from conformance.session.controls import find_culprit
from conformance.session.environment import Environment
from conformance.session.opening import Opening
from conformance.session.probe import Probe, WorkerState
from conformance.session.recovery import Recovery, raise_failure
from conformance.session.resources import Resources
from conformance.session.results import Results, Span
from conformance.session.submissions import Submissions
from conformance.session.testimony import Testimony
from conformance.spec.catalogue import Channel, Requirement
from conformance.target.capabilities import NO_SOURCE, REMEDIES
from conformance.testbed import redis_admin


@dataclass(frozen=True)
class OpenRun:
    """What there is once the target answers."""

    environment: Environment
    recovery: Recovery
    lifecycle: BackgroundScenarios | ScenariosInTurn


class Run:
    """The parts of a run, put together. pytest's plugin calls it, and nothing else."""

    def __init__(self, options: Options, catalogue: Mapping[str, Requirement], today: date) -> None:
        """A run that has not begun. Raises WrongUsage where a file cannot be written."""
        self.options = options
        self.catalogue = catalogue
        self._testimony = Testimony(self._list_target_urls, self._read_target_output)
        self.results = Results(options, catalogue, today, self._list_target_urls, self._testimony)
        self.submissions = Submissions(lambda url: url in self._list_target_urls())
        self.journal = Journal(self._note_fact)
        self._resources = Resources()
        self._opening: Opening | None = None
        self._future: Future[OpenRun] | None = None
        self._failure: Violation | BrokenTestbed | None = None  # why it could not be opened

    @property
    def folder(self) -> Path:
        """The run's folder, which is removed in the end."""
        return self._resources.folder

    def _note_fact(self, fact: Fact) -> None:
        self.results.add_evidence(fact)
        self.submissions.note(fact)
        self._testimony.note(fact)

    # Opening

    def open(self) -> None:
        """Make the run's folder, and open everything else in the background. Raises WrongUsage."""
        isolation = self.options.isolation
        if isolation.untrusted:
            is_others = isolation.caged and os.geteuid() == 0
            check_folder(self.options.target.directory, for_another_user=is_others)
        if isolation.caged:
            machine.check_machine()
            enter_own_network()  # before any thread is started
        self._resources.open_folder()
        self._opening = Opening(self.options, self.journal, self._resources, self.submissions)
        self._future = self._resources.pool.submit(self._open, self._opening)

    def wait_until_open(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until the target answers. `check` may raise meanwhile.

        Raises WrongUsage. Any other failure becomes verdicts.
        """
        assert self._future
        while not wait([self._future], timeout=0.05).done:
            check()
        try:
            self._future.result()
        except (Violation, BrokenTestbed) as failure:
            self._failure = failure
        described = self._opening.described if self._opening else {}
        self.results.begin_record(self._target_url, described)

    def _open(self, opening: Opening) -> OpenRun:
        try:
            services = opening.open_services()
            self.results.end_phase("boot")
            self._expect_wanted()
            environment = opening.open_environment(*services)
            recovery = Recovery(environment)
            self._expect_wanted()
            lifecycle = self._begin_scenarios(opening, environment, recovery)
        except OSError as error:
            raise BrokenTestbed(f"the testbed could not be opened: {error}") from error
        self.results.end_phase("ready")
        return OpenRun(environment, recovery, lifecycle)

    def _expect_wanted(self) -> None:
        if self._resources.is_closing:
            raise BrokenTestbed("the run was ended while it was opened")

    def _begin_scenarios(
        self, opening: Opening, environment: Environment, recovery: Recovery
    ) -> BackgroundScenarios | ScenariosInTurn:
        launch = environment.launch
        if not launch.capabilities.starts_target:
            return ScenariosInTurn(launch, environment.database, recovery.restart)
        return BackgroundScenarios(
            launch,
            opening.services,
            self.results.selected,
            self._resources.copies,
        )

    @property
    def opened(self) -> OpenRun:
        """What was opened. Raises why it could not be."""
        assert self._future
        return self._future.result()

    @property
    def _is_open(self) -> bool:
        future = self._future
        return (
            future is not None
            and future.done()
            and not future.cancelled()
            and future.exception() is None
        )

    @property
    def _target_url(self) -> str | None:
        if self._is_open:
            return self.opened.recovery.target.url
        return self._opening.url if self._opening else None

    def _list_target_urls(self) -> Collection[str]:
        """The addresses that the target has had so far."""
        return self.opened.recovery.urls if self._is_open else ()

    def _read_target_output(self) -> Sequence[LogLine]:
        """What the target's process has printed, as far as it is seen."""
        with suppress(NoEvidence):
            return self.opened.recovery.target.process.read_output() if self._is_open else ()
        return ()

    # Probing

    def prepare(self, probe: Probe) -> None:
        """See that everything is there that a probe needs. Raises why it is not."""
        raise_failure(self._failure, probe.requirement.id)
        opened = self.opened
        environment, recovery = opened.environment, opened.recovery
        self._testimony.requirement = probe.requirement.id
        self._testimony.is_in_doubt |= environment.client.has_left
        environment.client.has_left = False
        recovery.expect_healed()
        recovery.expect_unharmed(self._testimony)
        recovery.check_usable(probe.requirement.id)
        check_channels(environment, probe.requirement)
        environment.client.begin_probe(probe.requirement.id)
        environment.worker.begin_probe(probe.requirement.id)
        if probe.worker or probe.injects_fault:
            opened.lifecycle.wait_for_submission()
        if probe.worker is WorkerState.RUNNING:
            self._start_worker()
        elif probe.worker is WorkerState.STOPPED:
            environment.worker.stop()
        recovery.revive(probe.requirement.id)  # last, for the target may have ended meanwhile
        if probe.injects_fault:
            recovery.note_health()

    def report_error(
        self, probe: Probe, span: Span, error: BaseException
    ) -> tuple[Status, Finding]:
        """Take what a probe, or one of its phases, raised. The status of that, and the finding."""
        if isinstance(error, BrokenTestbed) and self._is_open:
            broker = self.opened.environment.broker
            error = find_culprit(error, broker, self.journal) or error
        if isinstance(error, Violation) and self._is_open:
            error = self.opened.recovery.blame(probe.requirement.id, error)
        self._testimony.is_in_doubt = True
        return self.results.add_failure(probe.requirement, probe.name, span, error)

    def start_worker_ahead(self) -> None:
        """Start the worker before it is needed. What goes wrong is seen when it is needed."""
        if self._is_open and self.opened.environment.launch.capabilities.has_worker:
            with suppress(NoEvidence, BrokenTestbed):
                self._start_worker()

    def _start_worker(self) -> None:
        """See that a worker runs, and that it has no work left of earlier probes.

        A worker whose tasks take their time would not come to those of the next probe for long.
        The task that a lifecycle scenario has submitted stays.
        """
        environment = self.opened.environment
        if broker := environment.broker:
            submission = self.opened.lifecycle.wait_for_submission()
            keep = {find_task_id(submission)} if submission else set[str | None]()
            only = self.submissions.keys() if broker.is_shared else None
            redis_admin.discard_backlog(broker.access, keep, only)
        environment.worker.start()

    # Finishing

    def finish(self) -> RunResult:
        """Judge, write the record's end, and return the result."""
        return self.results.finish()

    def close(self) -> None:
        """End every process, and remove every folder, role, user, row and key of the run."""
        if self._resources.is_closing:
            return
        began = time.monotonic()
        last = [self._leave_running] if self._is_open else []
        for trouble in self._resources.close(self._future, last):
            self.results.add_broken_cleanup(trouble)
        self.results.timings["stop"] = time.monotonic() - began

    def _leave_running(self) -> None:
        """See that what somebody else has started runs on after the suite."""
        with suppress(NoEvidence):
            self.opened.recovery.leave_running()
        if self.options.worker.container:
            with suppress(NoEvidence):
                self.opened.environment.worker.start()


def check_channels(environment: Environment, requirement: Requirement) -> None:
    """Check that a requirement can be observed.

    Raises NotApplicable if the target does not have what it is about, and NoEvidence, with the
    options that would help, if this run cannot observe it.
    """
    missing = [channel for channel in requirement.channels if channel not in environment.channels]
    if Channel.SOURCE in missing:
        raise NotApplicable(NO_SOURCE)
    if missing:
        advice = "; and ".join(REMEDIES[channel] for channel in missing)
        raise NoEvidence(f"pass {advice}", missing)
