"""Findings: what a probe raised or observed, as a report shows it, and how to see it again."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from conformance.config.options import Options
from conformance.core.errors import BrokenTestbed, NoEvidence, NotApplicable, Violation
from conformance.core.evidence import Exchange, Fact, Observation
from conformance.judging.result import EvidenceReference, Finding
from conformance.judging.verdict import Status
from conformance.scenarios.stateful import is_program
from conformance.session.testimony import Testimony
from conformance.spec.catalogue import Requirement

LONGEST_CURL = 400  # characters of a command that a person pastes
NOT_APPLICABLE = "nothing: it is not applicable"


class FindingMaker:
    """Makes the findings of one run.

    `list_target_urls` returns the addresses that the target has had so far. Copies of it have
    others, and nobody could send a request to those again.
    """

    def __init__(
        self,
        options: Options,
        list_target_urls: Callable[[], Collection[str]],
        testimony: Testimony,
    ) -> None:
        self._options = options
        self._list_target_urls = list_target_urls
        self._testimony = testimony

    def from_observations(
        self, requirement: Requirement, observations: Sequence[tuple[str, Sequence[Fact]]]
    ) -> Finding:
        """What a probe of a MAY observed: texts, each with its evidence."""
        facts = [fact for _, evidence in observations for fact in evidence]
        return Finding.of_observations(
            (text for text, _ in observations),
            map(EvidenceReference.to, facts),
            self._list_commands(requirement, facts),
        )

    def from_error(self, requirement: Requirement, error: BaseException) -> tuple[Status, Finding]:
        """The status of a probe that raised this, and the finding."""
        if isinstance(error, Violation):
            return Status.FAIL, self._from_violation(requirement, error)
        if isinstance(error, NoEvidence):
            return Status.INCONCLUSIVE, self._add_testimony(
                Finding("evidence", str(error), missing=error.missing), error.evidence
            )
        if isinstance(error, NotApplicable):
            return Status.NOT_APPLICABLE, Finding(NOT_APPLICABLE, str(error))
        broken = "the testbed" if isinstance(error, BrokenTestbed) else "the suite"
        return Status.ERROR, Finding(
            f"{broken} to work",
            f"{type(error).__name__}: {error}".split("\n")[0],
            likely_cause=f"{broken}, not the target; please report it",
        )

    def _from_violation(self, requirement: Requirement, error: Violation) -> Finding:
        finding = Finding(
            error.expected,
            error.got,
            likely_cause=error.likely_cause or "",
            reproduce=self._list_commands(requirement, error.evidence),
        )
        return self._add_testimony(finding, error.evidence)

    def _add_testimony(self, finding: Finding, evidence: Sequence[Fact]) -> Finding:
        """A finding with its evidence, and with what the target said or did not say meanwhile."""
        exchange = next((fact for fact in evidence if isinstance(fact, Exchange)), None)
        words = self._testimony.find_last_words(exchange) if exchange else None
        return replace(
            finding,
            evidence=tuple(map(EvidenceReference.to, evidence)),
            printed=EvidenceReference.to(words) if words else None,
            silence=self._testimony.find_silence(exchange) if exchange else None,
        )

    def _list_commands(self, requirement: Requirement, evidence: Sequence[Fact]) -> tuple[str, ...]:
        """Commands that show a finding again: a run, then its only request to the target, if any.

        A finding of the stateful scenario is shown again by its program.
        """
        programs = [
            fact.text for fact in evidence if isinstance(fact, Observation) and is_program(fact)
        ]
        if programs:
            return (self._options.reproduce(requirement.id, programs[0]),)
        commands = [exchange.curl for exchange in self._find_repeatable(evidence)]
        return (self._options.reproduce(requirement.id), *commands)

    def _find_repeatable(self, evidence: Iterable[Fact]) -> list[Exchange]:
        """The only exchange of some evidence, if its request can be sent again by hand."""
        exchanges = [fact for fact in evidence if isinstance(fact, Exchange)]
        return [
            exchange
            for exchange in exchanges
            if len(exchanges) == 1
            and exchange.url in self._list_target_urls()
            and len(exchange.curl) <= LONGEST_CURL
        ]
