"""The results of a run: what became of its probes, the verdicts, the record and the page."""

import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from conformance import __version__
from conformance.config.known_failures import Known
from conformance.config.options import Options
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Exchange, Fact, Observation
from conformance.judging.claim import claim
from conformance.judging.verdict import (
    Outcome,
    Status,
    Verdict,
    excused,
    exit_status,
    judge,
    with_known,
    wrong_entries,
)
from conformance.report import record_reader, views
from conformance.report.record import Record
from conformance.report.terminal import Summary
from conformance.scenarios.stateful import is_program
from conformance.spec.catalogue import Language, Requirement

LONGEST_CURL = 400  # characters of a command that a person pastes


@dataclass(frozen=True)
class Subject:
    """What the verdicts are about."""

    url: str | None
    services: Mapping[str, str]


class Results:
    """Collects outcomes and judges them."""

    def __init__(self, options: Options, catalogue: Mapping[str, Requirement], today: date) -> None:
        self._options = options
        self._catalogue = catalogue
        self._today = today  # by which known failures expire
        self._began = time.monotonic()
        self.selected = (
            [catalogue[name] for name in options.only] if options.only else list(catalogue.values())
        )
        self.collected: dict[str, list[str]] = {each.id: [] for each in self.selected}
        self.timings: dict[str, float] = {}
        self.record = Record(options.record)
        self._outcomes: list[Outcome] = []
        if options.html:
            views.reserve("html", options.html)

    def open_spool(self, folder: Path) -> None:
        """Have a record for the page where nobody wants a record."""
        if self._options.html and not self._options.record:
            spool = tempfile.TemporaryFile(  # noqa: SIM115 - Record closes it
                "w+", dir=folder, encoding="utf-8"
            )
            self.record = Record(None, spool)

    def add(self, outcome: Outcome) -> None:
        """Add what became of a probe; a later phase of the same probe replaces an earlier one."""
        self._outcomes.append(outcome)

    def add_error(self, text: str) -> None:
        """Make every requirement an ERROR: something of ours failed."""
        self._outcomes += [Outcome(name, text, Status.ERROR) for name in self.collected]

    def find_known(self, requirement: str) -> Known | None:
        """The entry that excuses the failure of a requirement, as far as its probes have run."""
        entries = self._options.known_failures
        listed = next((known for known in entries if known.id == requirement), None)
        failed = (
            outcome
            for outcome in self._outcomes
            if outcome.requirement == requirement and outcome.status is Status.FAIL
        )
        first = next(failed, None)
        return listed if first and excused(listed, first.finding, self._today) else None

    def note_time(self, part: str) -> None:
        """Note the seconds since the part before."""
        passed = time.monotonic() - self._began
        self.timings[part] = passed - sum(self.timings.values())

    def summarise(self, subject: Subject, urls: Collection[str]) -> Summary:
        """All that a report says."""
        known = self._options.known_failures
        judged = [judge(each, self.collected[each.id], self._outcomes) for each in self.selected]
        verdicts = with_known(judged, known, self._today)
        level = self._options.level
        lenient = self._options.allow_inconclusive
        wrong = list(wrong_entries(verdicts, known, self._today))
        return Summary(
            target=self._options.title,
            url=subject.url,
            services=subject.services,
            seed=self._options.seed,
            level=level,
            verdicts=[self._add_reproduction(verdict, urls) for verdict in verdicts],
            sentence=claim(verdicts, self._catalogue).sentence,
            wrong=wrong,
            status=exit_status(verdicts, level, allow_inconclusive=lenient, wrong=wrong),
            seconds=time.monotonic() - self._began,
            timings=self.timings,
        )

    def _add_reproduction(self, verdict: Verdict, urls: Collection[str]) -> Verdict:
        if verdict.finding is None or verdict.status is Status.INCONCLUSIVE:
            return verdict
        evidence = verdict.finding.evidence
        exchanges = [fact for fact in evidence if isinstance(fact, Exchange)]
        curl = [
            exchange.curl
            for exchange in exchanges
            if exchange.url in urls and len(exchange.curl) <= LONGEST_CURL
        ]
        programs = [
            fact.text for fact in evidence if isinstance(fact, Observation) and is_program(fact)
        ]
        command = self._options.reproduce(verdict.requirement.id, *programs[:1])
        more = curl if len(exchanges) == 1 and not programs else []
        finding = replace(verdict.finding, reproduce=(command, *more))
        return replace(verdict, finding=finding)

    def write_header(self, subject: Subject) -> None:
        """Write the first line of the record."""
        self.record.header(
            suite=__version__,
            began=datetime.now(UTC),
            target=self._options.title,
            url=subject.url,
            services=subject.services,
            seed=self._options.seed,
            level=self._options.level,
            requirements=[requirement.id for requirement in self.selected],
        )

    def write_result(self, summary: Summary) -> None:
        """Write the verdicts and the footer of the record."""
        for verdict in summary.verdicts:
            self.record.verdict(verdict)
        self.record.footer(
            claim(summary.verdicts, self._catalogue),
            summary.wrong,
            summary.status,
            summary.seconds,
            summary.timings,
        )

    def write_page(self) -> str | None:
        """Write the page, whole or as far as the run came; a line that says what came of it."""
        file = self._options.html
        if not file:
            return None
        try:
            report = record_reader.parsed(self._options.record or file, self.record.text())
            views.write([report], {"html": str(file)}, Language.EN)
        except (OSError, WrongUsage) as error:
            return f"the page of this run could not be written: {error}"
        return f"the page of this run is {file}"

    def note_fact(self, fact: Fact) -> None:
        """Write a line of evidence."""
        self.record.fact(fact)
