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
        return hashlib.sha256(_CHANGING.sub("#", f"{self.expected}\n{self.got}").encode("utf-8", "backslashreplace")).hexdigest()[:8]


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
class Claim:
    """What a run establishes: the name of the claim, or None, and why in one sentence."""

    name: str | None
    sentence: str


def required(verdicts: Iterable[Verdict], level: Level) -> list[Verdict]:
    """The verdicts that a run at this level depends on."""
    levels = (Level.MUST,) if level is Level.MUST else (Level.MUST, Level.SHOULD)
    return [verdict for verdict in verdicts if verdict.requirement.level in levels]


def claim(verdicts: Sequence[Verdict], catalogue: Mapping[str, Requirement]) -> Claim:
    """The highest claim that the verdicts establish; a run that leaves out a MUST establishes none, one without the SHOULDs no more than core."""
    musts, shoulds = (
        [name for name, requirement in catalogue.items() if requirement.level is level] for level in (Level.MUST, Level.SHOULD)
    )
    if any(verdict.status is Status.ERROR for verdict in verdicts):
        return Claim(None, "no claim: the suite or its testbed failed, so this run says nothing")
    statuses = {verdict.requirement.id: verdict.status for verdict in verdicts}
    if not statuses.keys() >= set(musts):
        return Claim(None, f"no claim: {len(statuses)} of {len(catalogue)} requirements were selected")
    if missed := _missed(statuses, musts):
        return Claim(None, f"core is not established: of {len(musts)} MUST {missed}")
    core = f"core is established: all {len(musts)} MUST passed"
    if not shoulds or not statuses.keys() >= set(shoulds):
        return Claim("core", core)
    if missed := _missed(statuses, shoulds):
        return Claim("core", f"{core}; robust is not: of {len(shoulds)} SHOULD {missed}")
    return Claim("robust", f"{core}; robust is established: all {len(shoulds)} SHOULD passed")


def _missed(statuses: Mapping[str, Status], names: Sequence[str]) -> str:
    """How many of them failed, and how many could not be judged; empty where neither is so."""
    kinds = (("failed", Status.FAIL), ("could not be judged", Status.INCONCLUSIVE))
    found = ((what, [name for name in names if statuses[name] is status]) for what, status in kinds)
    return " and ".join(f"{_counted(missed)} {what}" for what, missed in found if missed)


def _counted(names: Sequence[str]) -> str:
    listed = ", ".join(names[:5])
    return f"{len(names)} ({listed}{', …' if len(names) > 5 else ''})"


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
