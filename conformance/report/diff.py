"""Diff: what changed for each requirement between two results, and whether it got worse."""

from dataclasses import dataclass
from enum import StrEnum

from conformance.judging.result import RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report.record_reader import CLAIMS
from conformance.spec.catalogue import Level

# What `Diff.is_worse` computes.
WORSE = (
    "It got worse if a requirement fails that did not fail before, if one was judged and is not"
    " any more, or if a claim is lost. A MAY never makes it worse, nor does a requirement that"
    " is not applicable."
)


class ChangeKind(StrEnum):
    """What changed for a requirement, the most urgent first.

    A requirement that still passes, or is still not judged, has not changed.
    """

    NEWLY_FAILING = "newly failing"
    NO_LONGER_JUDGED = "no longer judged"
    FAILING_DIFFERENTLY = "still failing differently"
    STILL_FAILING = "still failing"
    NOT_APPLICABLE = "now not applicable"
    FIXED = "fixed"
    NEWLY_JUDGED = "newly judged"


WORSENING = (ChangeKind.NEWLY_FAILING, ChangeKind.NO_LONGER_JUDGED)


@dataclass(frozen=True)
class Change:
    """What changed for a requirement. A result is None if its run did not select it."""

    kind: ChangeKind
    old: RequirementResult | None
    new: RequirementResult | None

    @property
    def result(self) -> RequirementResult:
        """The newer result, or the older one if the newer run did not judge it."""
        results = [each for each in (self.new, self.old) if each]
        return next((each for each in results if each.status), results[0])


@dataclass(frozen=True)
class Diff:
    """What changed from an older result to a newer one."""

    old: RunResult
    new: RunResult
    changes: tuple[Change, ...]

    def select(self, kind: ChangeKind) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind is kind]

    @property
    def counts(self) -> dict[ChangeKind, int]:
        """How many changes there are of each kind."""
        return {kind: len(self.select(kind)) for kind in ChangeKind}

    @property
    def has_lost_claim(self) -> bool:
        """Whether the newer run claims less."""
        return CLAIMS.index(self.new.claim) < CLAIMS.index(self.old.claim)

    @property
    def is_worse(self) -> bool:
        """Whether it got worse, as WORSE says."""
        return self.has_lost_claim or any(change.kind in WORSENING for change in self.changes)


def compare_runs(old: RunResult, new: RunResult) -> Diff:
    """Compare two results, requirement by requirement. A MAY is left out: it is never judged."""
    names = dict.fromkeys([*new.by_id, *old.by_id])
    pairs = [(old.by_id.get(name), new.by_id.get(name)) for name in names]
    changes = (
        Change(kind, *pair)
        for pair in pairs
        if _find_level(*pair) is not Level.MAY and (kind := _find_kind(*pair))
    )
    return Diff(old, new, tuple(changes))


def _find_kind(old: RequirementResult | None, new: RequirementResult | None) -> ChangeKind | None:
    before, now = _get_status(old), _get_status(new)
    if now is Status.FAIL:
        return _find_failing_kind(old, new)
    if now is Status.NOT_APPLICABLE:
        return None if before is now or old is None else ChangeKind.NOT_APPLICABLE
    if now is not Status.PASS:
        return ChangeKind.NO_LONGER_JUDGED if before in (Status.PASS, Status.FAIL) else None
    if before is Status.FAIL:
        return ChangeKind.FIXED
    return None if before is Status.PASS else ChangeKind.NEWLY_JUDGED


def _find_failing_kind(old: RequirementResult | None, new: RequirementResult | None) -> ChangeKind:
    if _get_status(old) is not Status.FAIL:
        return ChangeKind.NEWLY_FAILING
    is_the_same = _get_fingerprint(old) == _get_fingerprint(new)
    return ChangeKind.STILL_FAILING if is_the_same else ChangeKind.FAILING_DIFFERENTLY


def _find_level(*results: RequirementResult | None) -> Level:
    return next(each.level for each in reversed(results) if each)


def _get_status(result: RequirementResult | None) -> Status | None:
    return result.status if result else None


def _get_fingerprint(result: RequirementResult | None) -> str | None:
    return result.finding.fingerprint if result and result.finding else None
