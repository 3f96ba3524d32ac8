"""Verdicts: from what became of the probes to one verdict per requirement, a claim, and an exit status. Pure functions."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum, StrEnum

from conformance.config.known_failures import Known
from conformance.core.evidence import Fact
from conformance.spec.catalogue import Level, Requirement


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
        return hashlib.sha256(
            _CHANGING.sub("#", f"{self.expected}\n{self.got}").encode("utf-8", "backslashreplace")
        ).hexdigest()[:8]


@dataclass(frozen=True)
class Outcome:
    """What became of one probe of a requirement; a probe that never ended has no outcome."""

    requirement: str
    probe: str
    status: Status
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = (
        None  # when it began and ended, in seconds since the run began
    )


@dataclass(frozen=True)
class Verdict:
    """The verdict on one requirement, with the first finding that decided it."""

    requirement: Requirement
    status: Status
    probes: int
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = None  # of the probe that decided
    known: Known | None = None  # the entry by which a FAIL does not count

    @property
    def counts_as_failed(self) -> bool:
        """Whether it is a failure that nobody has listed."""
        return self.status is Status.FAIL and self.known is None


# What a finding has of one run alone: identities of tasks, ids and ports, times and counts of digits that no status has.
_CHANGING = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{4,}\b|\b\d+\.\d+\b")


def judge(
    requirement: Requirement, collected: Sequence[str], outcomes: Iterable[Outcome]
) -> Verdict:
    """Judge a requirement by the probes that were collected for it.

    A violation is one, whatever else passed or never ran; no evidence is not a pass; a lost probe is an ERROR.
    """
    by_probe = {
        outcome.probe: outcome for outcome in outcomes if outcome.requirement == requirement.id
    }
    seconds = sum(outcome.seconds for outcome in by_probe.values())

    def first(status: Status) -> Verdict | None:
        having = (outcome for outcome in by_probe.values() if outcome.status is status)
        return next(
            (
                Verdict(requirement, status, len(collected), outcome.finding, seconds, outcome.span)
                for outcome in having
            ),
            None,
        )

    if decided := first(Status.ERROR) or first(Status.FAIL):
        return decided
    if not collected:
        return _lost(requirement, 0, seconds, "no probe of this requirement was collected")
    if unreported := [probe for probe in collected if probe not in by_probe]:
        return _lost(
            requirement,
            len(collected),
            seconds,
            f"{unreported[0]} was collected and never reported an outcome",
        )
    if stray := [probe for probe in by_probe if probe not in collected]:
        return _lost(
            requirement,
            len(collected),
            seconds,
            f"{stray[0]} reported an outcome and was never collected",
        )
    if unseen := first(Status.INCONCLUSIVE):
        return unseen
    if requirement.level is Level.MAY:
        return Verdict(
            requirement, Status.OBSERVED, len(collected), _together(by_probe.values()), seconds
        )
    return Verdict(requirement, Status.PASS, len(collected), None, seconds)


def observed(texts: Iterable[str], evidence: Iterable[Fact]) -> Finding:
    """What was seen of a MAY."""
    return Finding("nothing: it is observed, not judged", "; ".join(texts), tuple(evidence))


def _together(outcomes: Iterable[Outcome]) -> Finding:
    findings = [outcome.finding for outcome in outcomes if outcome.finding]
    return observed(
        (finding.got for finding in findings),
        (fact for finding in findings for fact in finding.evidence),
    )


def _lost(requirement: Requirement, probes: int, seconds: float, what: str) -> Verdict:
    finding = Finding(
        "every probe of the requirement to run and report",
        what,
        look_at="how the run was selected or ended",
    )
    return Verdict(requirement, Status.ERROR, probes, finding, seconds)


# Known failures


class Mistake(StrEnum):
    """In what way an entry of the known failures is wrong."""

    STALE = "stale"
    EXPIRED = "expired"
    CHANGED = "changed"


@dataclass(frozen=True)
class WrongEntry:
    """An entry of the known failures that the run has shown to be wrong, and what to do about it in a sentence."""

    requirement: str
    mistake: Mistake
    sentence: str


def excused(known: Known | None, finding: Finding | None, today: date) -> bool:
    """Whether an entry speaks of this failure, today."""
    return (
        known is not None
        and not known.has_expired(today)
        and known.means(finding.fingerprint if finding else None)
    )


def with_known(verdicts: Iterable[Verdict], listed: Iterable[Known], today: date) -> list[Verdict]:
    """The verdicts, of which each that fails as it is listed has its entry."""
    by_id = {known.id: known for known in listed}
    return [
        replace(verdict, known=_entry_of(verdict, by_id.get(verdict.requirement.id), today))
        for verdict in verdicts
    ]


def _entry_of(verdict: Verdict, listed: Known | None, today: date) -> Known | None:
    return (
        listed
        if verdict.status is Status.FAIL and excused(listed, verdict.finding, today)
        else None
    )


def wrong_entries(
    verdicts: Iterable[Verdict], listed: Iterable[Known], today: date
) -> Iterator[WrongEntry]:
    """The entries that are wrong, as far as their requirements were judged."""
    by_id = {known.id: known for known in listed}
    for verdict in verdicts:
        name = verdict.requirement.id
        if (known := by_id.get(name)) and (wrong := _mistake(known, verdict, today)):
            yield WrongEntry(name, wrong[0], f"{name} is listed as a known failure{wrong[1]}")


def _mistake(known: Known, verdict: Verdict, today: date) -> tuple[Mistake, str] | None:
    if verdict.status is Status.PASS:
        return Mistake.STALE, " and passed: take the entry out"
    if known.has_expired(today):
        return (
            Mistake.EXPIRED,
            f" until {known.expires}, which has passed: mend it, or give the entry another date",
        )
    if verdict.status is Status.FAIL and not excused(known, verdict.finding, today):
        now = verdict.finding.fingerprint if verdict.finding else "none"
        return (
            Mistake.CHANGED,
            f" with the fingerprint {known.fingerprint}, and has {now}: see what else fails, and give the entry that",
        )
    return None


# What a run comes to


def required(verdicts: Iterable[Verdict], level: Level) -> list[Verdict]:
    """The verdicts that a run at this level depends on."""
    levels = (Level.MUST,) if level is Level.MUST else (Level.MUST, Level.SHOULD)
    return [verdict for verdict in verdicts if verdict.requirement.level in levels]


def exit_status(
    verdicts: Iterable[Verdict],
    level: Level,
    *,
    allow_inconclusive: bool = False,
    wrong: Collection[WrongEntry] = (),
) -> Exit:
    """The exit status, derived from the verdicts alone; a failure that is known does not count, a list of them that is wrong does."""
    verdicts = list(verdicts)
    needed = required(verdicts, level)
    if any(verdict.status is Status.ERROR for verdict in verdicts):
        return Exit.ERROR
    if wrong or any(verdict.counts_as_failed for verdict in needed):
        return Exit.FAILED
    unseen = any(verdict.status is Status.INCONCLUSIVE for verdict in needed)
    if (unseen and not allow_inconclusive) or not needed:
        return Exit.NOT_ESTABLISHED
    return Exit.PASSED
