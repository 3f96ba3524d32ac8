"""One run: it is opened, prepared for each probe, told of each outcome, and finished."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from conformance.config.options import Options
from conformance.core.errors import BrokenTestbed, NoEvidence, Violation
from conformance.core.evidence import Fact, Journal
from conformance.judging.verdict import Outcome
from conformance.report.terminal import Summary
from conformance.session.background import BackgroundScenarios, ScenariosInTurn
from conformance.session.environment import Environment
from conformance.session.opening import Opening
from conformance.session.probe import Probe, WorkerState
from conformance.session.recovery import Recovery, explain_unready
from conformance.session.resources import Resources
from conformance.session.results import Results, Subject
from conformance.session.submissions import Submissions
from conformance.spec.catalogue import Requirement
from conformance.target.capabilities import REMEDIES


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
        self.results = Results(options, catalogue, today)
        self.submissions = Submissions()
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
        self.results.note_fact(fact)
        self.submissions.note(fact)

    # Opening

    def open(self) -> None:
        """Make the run's folder, and open everything else in the background. Raises WrongUsage."""
        self._resources.open_folder()
        self.results.open_spool(self._resources.folder)
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
        self.results.write_header(self._subject)

    def _open(self, opening: Opening) -> OpenRun:
        try:
            services = opening.open_services()
            self.results.note_time("boot")
            self._expect_wanted()
            environment = opening.open_environment(*services)
            recovery = Recovery(environment)
            self._expect_wanted()
            lifecycle = self._begin_scenarios(opening, environment, recovery)
        except OSError as error:
            raise BrokenTestbed(f"the testbed could not be opened: {error}") from error
        self.results.note_time("ready")
        return OpenRun(environment, recovery, lifecycle)

    def _expect_wanted(self) -> None:
        if self._resources.is_closing:
            raise BrokenTestbed("the run was ended while it was opened")

    def _begin_scenarios(
        self, opening: Opening, environment: Environment, recovery: Recovery
    ) -> BackgroundScenarios | ScenariosInTurn:
        launch = environment.launch
        if not launch.capabilities.starts_copies:
            return ScenariosInTurn(launch, environment.database, recovery.restart)
        return BackgroundScenarios(
            launch,
            opening.services,
            self.results.selected,
            self._resources.copies,
            self._resources.scratch,
        )

    @property
    def opened(self) -> OpenRun:
        """What was opened. Raises what `wait_until_open` has noted in place of it."""
        assert self._future
        return self._future.result()

    @property
    def _is_open(self) -> bool:
        future = self._future
        return (
            future is not None
            and future.done()
            and not future.cancelled()
            and not (future.exception())
        )

    @property
    def _subject(self) -> Subject:
        if self._is_open:
            url: str | None = self.opened.recovery.target.url
        else:
            url = self._opening.url if self._opening else None
        return Subject(url, self._opening.described if self._opening else {})

    # Probing

    def prepare(self, probe: Probe) -> None:
        """See that everything is there that a probe needs. Raises why it is not."""
        if self._failure:
            self._raise_failure(self._failure, probe.requirement.id)
        opened = self.opened
        environment, recovery = opened.environment, opened.recovery
        recovery.expect_healed()
        recovery.check_usable(probe.requirement.id)
        check_channels(environment, probe.requirement)
        environment.client.begin_probe(probe.requirement.id)
        environment.worker.begin_probe(probe.requirement.id)
        if probe.worker or probe.injects_fault:
            opened.lifecycle.wait_for_submission()
        if probe.worker is WorkerState.RUNNING:
            environment.worker.start()
        elif probe.worker is WorkerState.STOPPED:
            environment.worker.stop()
        recovery.revive(probe.requirement.id)  # last, for the target may have ended meanwhile
        if probe.injects_fault:
            recovery.note_health()

    def _raise_failure(self, failure: Violation | BrokenTestbed, requirement: str) -> None:
        if isinstance(failure, Violation):
            raise explain_unready(failure, requirement)
        raise failure

    def report(self, outcome: Outcome) -> None:
        """Take what became of a probe, or of one of its phases."""
        self.results.add(outcome)

    def blame(self, requirement: Requirement, violation: Violation) -> Violation | NoEvidence:
        """What a violation comes to, as far as the target itself is to blame for it."""
        if not self._is_open:
            return violation
        return self.opened.recovery.blame(requirement.id, violation)

    def start_worker_ahead(self) -> None:
        """Start the worker before it is needed. What goes wrong is seen when it is needed."""
        if self._is_open and self.opened.environment.launch.capabilities.has_worker:
            with suppress(NoEvidence):
                self.opened.environment.worker.start()

    # Finishing

    def finish(self) -> Summary:
        """Judge, write the record's end, and return what a report says."""
        urls = self.opened.recovery.urls if self._is_open else ()
        summary = self.results.summarise(self._subject, urls)
        self.results.write_result(summary)
        return summary

    def close(self) -> None:
        """End every process, and remove every folder, role, user, row and key of the run."""
        if self._resources.is_closing:
            return
        began = time.monotonic()
        last = [self._leave_running] if self._is_open else []
        for trouble in self._resources.close(self._future, last):
            self.results.add_error(trouble)
        self.results.timings["stop"] = time.monotonic() - began

    def _leave_running(self) -> None:
        """See that what somebody else has started runs on after the suite."""
        with suppress(NoEvidence):
            self.opened.recovery.leave_running()
        if self.options.worker_container:
            with suppress(NoEvidence):
                self.opened.environment.worker.start()


def check_channels(environment: Environment, requirement: Requirement) -> None:
    """Raise NoEvidence where a requirement cannot be observed, with what to pass."""
    missing = [channel for channel in requirement.channels if channel not in environment.channels]
    if missing:
        raise NoEvidence("pass " + "; and ".join(REMEDIES[channel] for channel in missing))
