"""The results of a run: outcomes of probes as they come, its record, and its result at the end."""

import resource
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from conformance import __version__
from conformance.config.options import Options
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Fact
from conformance.judging.claim import make_claim
from conformance.judging.judge import Outcome, exit_status, judge_requirement
from conformance.judging.known_failures import (
    find_wrong_entries,
    is_excused,
    mark_known_failures,
)
from conformance.judging.result import (
    Evidence,
    Finding,
    KnownFailure,
    RequirementResult,
    RunFooter,
    RunHeader,
    RunResult,
)
from conformance.judging.verdict import Status
from conformance.report import views
from conformance.report.record import RecordWriter
from conformance.session.findings import FindingMaker
from conformance.session.testimony import Testimony
from conformance.spec.catalogue import Language, Level, Requirement

WITHOUT_REPRODUCTION = (Status.INCONCLUSIVE, Status.NOT_APPLICABLE)
EVIDENCE_SHOWN = 200_000  # pieces that a page can be made of; usual are some thousand
Span = tuple[float, float]  # seconds since the run began


class Results:
    """Collects what became of each probe, records it, and judges at the end.

    `list_target_urls` returns the addresses that the target has had so far. The constructor raises
    WrongUsage for a file that cannot be written.
    """

    def __init__(
        self,
        options: Options,
        catalogue: Mapping[str, Requirement],
        today: date,
        list_target_urls: Callable[[], Collection[str]],
        testimony: Testimony | None = None,
    ) -> None:
        self._options = options
        self._catalogue = catalogue
        self._today = today  # by which known failures expire
        self._findings = FindingMaker(options, list_target_urls, testimony or Testimony())
        self._record = RecordWriter(options.output.record)
        if options.output.html:
            views.reserve_file("html", options.output.html)
        self._evidence: list[Evidence] = []  # for the page alone
        self.selected = (
            [catalogue[name] for name in options.selection.only]
            if options.selection.only
            else list(catalogue.values())
        )
        self._probes: dict[str, list[str]] = {each.id: [] for each in self.selected}
        self._outcomes: list[Outcome] = []
        self._began = time.monotonic()
        self._header: RunHeader | None = None
        self._footer: RunFooter | None = None
        self._results: tuple[RequirementResult, ...] = ()
        self.timings: dict[str, float] = {}  # seconds of boot, ready and stop

    # Collecting

    def is_selected(self, requirement: str) -> bool:
        """Whether the run judges this requirement."""
        return requirement in self._probes

    def expect_probe(self, requirement: str, probe: str) -> None:
        """Expect an outcome of this probe of a requirement, if the run judges that."""
        if self.is_selected(requirement):
            self._probes[requirement].append(probe)

    def end_phase(self, name: str) -> None:
        """Note how long a phase took: the time since the run began that no other phase took."""
        self.timings[name] = time.monotonic() - self._began - sum(self.timings.values())

    def add_evidence(self, fact: Fact) -> None:
        """Record what was seen."""
        self._record.write_evidence(fact)
        if self._options.output.html and len(self._evidence) < EVIDENCE_SHOWN:
            self._evidence.append(Evidence.of(fact))

    def add_pass(self, requirement: Requirement, probe: str, span: Span) -> None:
        """Note that a probe passed."""
        self._add_outcome(requirement, probe, Status.PASS, None, span)

    def add_observations(
        self,
        requirement: Requirement,
        probe: str,
        span: Span,
        observations: Sequence[tuple[str, Sequence[Fact]]],
    ) -> Status:
        """Note what a probe of a MAY observed. Having observed nothing is an ERROR."""
        status, finding = (
            Status.OBSERVED,
            self._findings.from_observations(requirement, observations),
        )
        if not observations:
            status = Status.ERROR
            finding = Finding(
                "the probe to say what it observed",
                "nothing",
                likely_cause="the suite, not the target; please report it",
            )
        self._add_outcome(requirement, probe, status, finding, span)
        return status

    def add_failure(
        self, requirement: Requirement, probe: str, span: Span, error: BaseException
    ) -> tuple[Status, Finding]:
        """Note what a probe raised; its status, and the finding.

        It replaces what a probe came to earlier: a teardown that breaks is an ERROR.
        """
        status, finding = self._findings.from_error(requirement, error)
        if requirement.level is Level.MAY and status is Status.FAIL:
            status = Status.OBSERVED
        self._add_outcome(requirement, probe, status, finding, span)
        return status, finding

    def add_broken_cleanup(self, trouble: str) -> None:
        """Make the whole run an ERROR: something of it could not be cleaned up."""
        self._outcomes += [Outcome(name, trouble, Status.ERROR) for name in self._probes]

    def find_known_failure(self, requirement: Requirement) -> KnownFailure | None:
        """The entry because of which the failure of a requirement does not count, so far."""
        entry = next(
            (each for each in self._options.selection.known_failures if each.id == requirement.id),
            None,
        )
        first = next(
            (
                outcome
                for outcome in self._outcomes
                if outcome.requirement == requirement.id and outcome.status is Status.FAIL
            ),
            None,
        )
        return entry if first and is_excused(entry, first.finding, self._today) else None

    def _add_outcome(
        self,
        requirement: Requirement,
        probe: str,
        status: Status,
        finding: Finding | None,
        span: Span,
    ) -> None:
        seconds = span[1] - span[0]
        self._outcomes.append(Outcome(requirement.id, probe, status, finding, seconds, span))

    # Recording

    def begin_record(self, url: str | None, services: Mapping[str, str]) -> None:
        """Write what runs on what, as soon as it is known. `url` is None if no target started."""
        self._header = RunHeader(
            suite=__version__,
            began=datetime.now(UTC),
            target=self._options.target.title,
            url=url,
            services=dict(services),
            seed=self._options.selection.seed,
            level=self._options.selection.level,
            requirements=tuple(self._probes),
        )
        self._record.write_header(self._header)

    def finish(self) -> RunResult:
        """Judge each selected requirement, and record the verdicts and what they establish."""
        judged = [
            self._add_reproduction(
                judge_requirement(requirement, self._probes[requirement.id], self._outcomes)
            )
            for requirement in self.selected
        ]
        self._results = tuple(
            mark_known_failures(judged, self._options.selection.known_failures, self._today)
        )
        self._footer = self._make_footer()
        for result in self._results:
            self._record.write_result(result)
        self._record.write_footer(self._footer)
        return self.result

    @property
    def result(self) -> RunResult:
        """The result: until `finish` that of a run that was interrupted."""
        assert self._header, "begin_record comes first"
        return RunResult(
            self._header,
            self._results or tuple(RequirementResult.of(each, None) for each in self.selected),
            self._footer,
            tuple(self._evidence),
            self._options.output.record,
        )

    def write_page(self) -> str | None:
        """Write the HTML page, whole or as far as the run came. Says in a line how that ended.

        None if no page is wanted.
        """
        file = self._options.output.html
        if not file:
            return None
        try:
            views.write_views([self.result], {"html": str(file)}, Language.EN)
        except WrongUsage as error:
            return f"the HTML page of this run could not be written: {error}"
        return f"the HTML page of this run is {file}"

    def close(self) -> None:
        """Close the record."""
        self._record.close()

    def _add_reproduction(self, result: RequirementResult) -> RequirementResult:
        """A result of which nothing more than its requirement can be said to be run again."""
        finding = result.finding
        if finding is None or finding.reproduce or result.status in WITHOUT_REPRODUCTION:
            return result
        command = self._options.reproduce(result.id)
        return replace(result, finding=replace(finding, reproduce=(command,)))

    def _make_footer(self) -> RunFooter:
        options, results = self._options, self._results
        wrong = tuple(find_wrong_entries(results, options.selection.known_failures, self._today))
        claim = make_claim(results, self._catalogue)
        return RunFooter(
            claim=claim.name,
            sentence=claim.sentence,
            exceptions=claim.exceptions,
            claim_with_exceptions=claim.name_with_exceptions,
            wrong_entries=wrong,
            exit_status=exit_status(
                results,
                options.selection.level,
                allow_inconclusive=options.selection.allow_inconclusive,
                wrong_entries=wrong,
            ),
            seconds=round(time.monotonic() - self._began, 3),
            timings={name: round(seconds, 3) for name, seconds in self.timings.items()},
            memory_mb=_peak_memory_kb() // 1024,
        )


def _peak_memory_kb() -> int:
    """The peak of our own process.

    On Linux `ru_maxrss` would include the process that started us (getrusage(2)).
    """
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    unit = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
