"""Verdicts: from what became of the probes to one verdict per requirement, a claim, and an exit status. Pure functions."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from conformance.evidence import Fact
from spec.catalogue import Level, Requirement


class Status(StrEnum):
    """What is known of a requirement."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"
    OBSERVED = "OBSERVED"  # of a MAY, which is never judged


class Exit(IntEnum):
    """The exit statuses of a run."""

    PASSED = 0
    FAILED = 1
    INTERRUPTED = 2
    ERROR = 3
    WRONG_USAGE = 4
    NOT_ESTABLISHED = 6


@dataclass(frozen=True)
class Finding:
    """What a probe found that was not a pass: a violation's two sides, or in `got` why there is no evidence or what broke."""

    expected: str
    got: str
    evidence: tuple[Fact, ...] = ()
    look_at: str | None = None
    reproduce: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that are the same for the same defect: what differs from run to run is left out of both sides."""
        return hashlib.sha256(_CHANGING.sub("#", f"{self.expected}\n{self.got}").encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Outcome:
    """What became of one probe of a requirement; a probe that never ended has no outcome."""

    requirement: str
    probe: str
    status: Status
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = None  # when it began and ended, in seconds since the run began


@dataclass(frozen=True)
class Verdict:
    """The verdict on one requirement, with the first finding that decided it."""

    requirement: Requirement
    status: Status
    probes: int
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = None  # of the probe that decided


# What a finding has of one run alone: identities of tasks, ids and ports, times and counts of digits that no status has.
_CHANGING = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{4,}\b|\b\d+\.\d+\b")

# Of several outcomes the first in this order decides: a violation is one whatever else passed.
_DECIDING = (Status.FAIL, Status.INCONCLUSIVE)


def judge(requirement: Requirement, collected: Sequence[str], outcomes: Iterable[Outcome]) -> Verdict:
    """Judge a requirement by the probes that were collected for it. No evidence is not a pass, a lost probe is an ERROR."""
    by_probe = {outcome.probe: outcome for outcome in outcomes if outcome.requirement == requirement.id}
    seconds = sum(outcome.seconds for outcome in by_probe.values())
    for outcome in by_probe.values():
        if outcome.status is Status.ERROR:
            return Verdict(requirement, Status.ERROR, len(collected), outcome.finding, seconds, outcome.span)
    if not collected:
        return _lost(requirement, 0, seconds, "no probe of this requirement was collected")
    if unreported := [probe for probe in collected if probe not in by_probe]:
        return _lost(requirement, len(collected), seconds, f"{unreported[0]} was collected and never reported an outcome")
    if stray := [probe for probe in by_probe if probe not in collected]:
        return _lost(requirement, len(collected), seconds, f"{stray[0]} reported an outcome and was never collected")
    for status in _DECIDING:
        for outcome in by_probe.values():
            if outcome.status is status:
                return Verdict(requirement, status, len(collected), outcome.finding, seconds, outcome.span)
    if requirement.level is Level.MAY:
        return Verdict(requirement, Status.OBSERVED, len(collected), _together(by_probe.values()), seconds)
    return Verdict(requirement, Status.PASS, len(collected), None, seconds)


def observed(texts: Iterable[str], evidence: Iterable[Fact]) -> Finding:
    """What was seen of a MAY."""
    return Finding("nothing: it is observed, not judged", "; ".join(texts), tuple(evidence))


def _together(outcomes: Iterable[Outcome]) -> Finding:
    findings = [outcome.finding for outcome in outcomes if outcome.finding]
    return observed((finding.got for finding in findings), (fact for finding in findings for fact in finding.evidence))


def _lost(requirement: Requirement, probes: int, seconds: float, what: str) -> Verdict:
    finding = Finding("every probe of the requirement to run and report", what, look_at="how the run was selected or ended")
    return Verdict(requirement, Status.ERROR, probes, finding, seconds)


@dataclass(frozen=True)
class Tally:
    """How many requirements of a level there are, and which of them did not pass."""

    level: Level
    total: int
    failed: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all of them did."""
        return not self.failed and not self.unjudged


@dataclass(frozen=True)
class Phrases:
    """What the sentence of a claim is made of, in one language: in English, where nothing else is said."""

    broken: str = "no claim: the suite or its testbed failed, so this run says nothing"
    partial: str = "no claim: {selected} of {known} requirements were selected"
    established: str = "{claim} is established: all {total} {level} passed"
    no_core: str = "core is not established: of {total} {level} {missed}"
    no_robust: str = "robust is not: of {total} {level} {missed}"
    failed: str = "{count} ({names}) failed"
    unjudged: str = "{count} ({names}) could not be judged"
    together: str = " and "
    then: str = "; "
    comma: str = ", "
    more: str = ", …"


ENGLISH = Phrases()
LISTED = 5  # names that a claim lists before it says "…"


@dataclass(frozen=True)
class Claim:
    """What a run establishes. Without a tally of the MUSTs nothing: it broke, or not all were selected; one of the SHOULDs may lack."""

    selected: int
    known: int
    broken: bool = False
    musts: Tally | None = None
    shoulds: Tally | None = None

    @property
    def name(self) -> str | None:
        """`core`, `robust` or None."""
        if self.musts is None or not self.musts.passed:
            return None
        return "robust" if self.shoulds and self.shoulds.passed else "core"

    @property
    def sentence(self) -> str:
        """The claim and why, in one English sentence."""
        return self.said(ENGLISH)

    def said(self, phrases: Phrases) -> str:
        """The claim and why, in one sentence of these phrases."""
        if self.broken:
            return phrases.broken
        if self.musts is None:
            return phrases.partial.format(selected=self.selected, known=self.known)
        if not self.musts.passed:
            return _said(phrases, phrases.no_core, self.musts)
        core = phrases.established.format(claim="core", total=self.musts.total, level=self.musts.level)
        if self.shoulds is None:
            return core
        robust = phrases.established.format(claim="robust", total=self.shoulds.total, level=self.shoulds.level)
        return core + phrases.then + (robust if self.shoulds.passed else _said(phrases, phrases.no_robust, self.shoulds))


def _said(phrases: Phrases, template: str, tally: Tally) -> str:
    """How many of a level failed, and how many could not be judged."""
    kinds = ((phrases.failed, tally.failed), (phrases.unjudged, tally.unjudged))
    missed = phrases.together.join(kind.format(count=len(names), names=_listed(phrases, names)) for kind, names in kinds if names)
    return template.format(total=tally.total, level=tally.level, missed=missed)


def _listed(phrases: Phrases, names: Sequence[str]) -> str:
    return phrases.comma.join(names[:LISTED]) + (phrases.more if len(names) > LISTED else "")


def required(verdicts: Iterable[Verdict], level: Level) -> list[Verdict]:
    """The verdicts that a run at this level depends on."""
    levels = (Level.MUST,) if level is Level.MUST else (Level.MUST, Level.SHOULD)
    return [verdict for verdict in verdicts if verdict.requirement.level in levels]


def claim(verdicts: Sequence[Verdict], catalogue: Mapping[str, Requirement]) -> Claim:
    """The highest claim that the verdicts establish; a run that leaves out a MUST establishes none, one without the SHOULDs no more than core."""
    return claimed({verdict.requirement.id: verdict.status for verdict in verdicts}, catalogue)


def claimed(statuses: Mapping[str, Status], catalogue: Mapping[str, Requirement]) -> Claim:
    """The same of statuses by id, as a record has them."""
    if Status.ERROR in statuses.values():
        return Claim(len(statuses), len(catalogue), broken=True)
    musts, shoulds = (_tally(level, statuses, catalogue) for level in (Level.MUST, Level.SHOULD))
    return Claim(len(statuses), len(catalogue), musts=musts, shoulds=shoulds if shoulds and shoulds.total else None)


def _tally(level: Level, statuses: Mapping[str, Status], catalogue: Mapping[str, Requirement]) -> Tally | None:
    """The tally of a level; None where not all of it was selected."""
    names = [name for name, requirement in catalogue.items() if requirement.level is level]
    if not statuses.keys() >= set(names):
        return None
    failed, unjudged = (tuple(name for name in names if statuses[name] is status) for status in (Status.FAIL, Status.INCONCLUSIVE))
    return Tally(level, len(names), failed, unjudged)


def exit_status(verdicts: Iterable[Verdict], level: Level, *, allow_inconclusive: bool = False) -> Exit:
    """The exit status, derived from the verdicts alone."""
    verdicts = list(verdicts)
    statuses = {verdict.status for verdict in required(verdicts, level)}
    if any(verdict.status is Status.ERROR for verdict in verdicts):
        return Exit.ERROR
    if Status.FAIL in statuses:
        return Exit.FAILED
    if (Status.INCONCLUSIVE in statuses and not allow_inconclusive) or not statuses:
        return Exit.NOT_ESTABLISHED
    return Exit.PASSED
