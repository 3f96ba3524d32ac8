"""Diff: what became of each requirement from one record to another, and whether anything got worse. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record_reader import Judged, Report
from conformance.spec.catalogue import Language, Level

# What `worse` below computes.
WORSE = (
    "It got worse where a requirement fails that did not fail before, where one was judged and is not any more, "
    "or where a claim is lost; a MAY never makes it worse."
)


class Kind(StrEnum):
    """What became of a requirement, the most urgent first; of one that passes still, or is still not judged, nothing is said."""

    NEWLY_FAILING = "newly failing"
    NO_LONGER_JUDGED = "no longer judged"
    FAILING_DIFFERENTLY = "still failing differently"
    STILL_FAILING = "still failing"
    FIXED = "fixed"
    NEWLY_JUDGED = "newly judged"


WORSENING = (Kind.NEWLY_FAILING, Kind.NO_LONGER_JUDGED)
CLAIMS = (None, "core", "robust")


@dataclass(frozen=True)
class Change:
    """A requirement in both records; None in one that does not have it."""

    kind: Kind
    old: Judged | None
    new: Judged | None

    @property
    def judged(self) -> Judged:
        """The requirement as the newer record has it, or as the older one has what the newer did not come to."""
        told = [each for each in (self.new, self.old) if each]
        return next((each for each in told if each.status), told[0])


@dataclass(frozen=True)
class Diff:
    """What became of everything from an older record to a newer one."""

    old: Report
    new: Report
    changes: tuple[Change, ...]

    def of(self, kind: Kind) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind is kind]

    @property
    def lost_claim(self) -> bool:
        """Whether the newer record claims less."""
        return CLAIMS.index(self.new.claim) < CLAIMS.index(self.old.claim)

    @property
    def worse(self) -> bool:
        """Whether anything got worse, as WORSE says."""
        return self.lost_claim or any(change.kind in WORSENING for change in self.changes)


def compare(old: Report, new: Report) -> Diff:
    """Compare two records, requirement by requirement. A MAY is never judged, so nothing becomes of it."""
    names = [
        name
        for name in dict.fromkeys([*new.by_id, *old.by_id])
        if _level(old.by_id.get(name), new.by_id.get(name)) is not Level.MAY
    ]
    pairs = [(old.by_id.get(name), new.by_id.get(name)) for name in names]
    return Diff(old, new, tuple(Change(kind, *pair) for pair in pairs if (kind := _kind(*pair))))


def _kind(old: Judged | None, new: Judged | None) -> Kind | None:
    was, now = _failed(old), _failed(new)
    if was and now:
        return (
            Kind.STILL_FAILING
            if _fingerprint(old) == _fingerprint(new)
            else Kind.FAILING_DIFFERENTLY
        )
    if now:
        return Kind.NEWLY_FAILING
    if not _known(new):
        return Kind.NO_LONGER_JUDGED if _known(old) else None
    if not _known(old):
        return Kind.NEWLY_JUDGED
    return Kind.FIXED if was else None


def _level(*both: Judged | None) -> Level:
    return next((joins.of(each, Language.EN).level for each in reversed(both) if each), Level.MUST)


def _failed(judged: Judged | None) -> bool:
    return judged is not None and judged.status is Status.FAIL


def _known(judged: Judged | None) -> bool:
    return judged is not None and judged.status in (Status.PASS, Status.FAIL)


def _fingerprint(judged: Judged | None) -> str | None:
    return judged.found.fingerprint if judged and judged.found else None


def counted(changes: Sequence[Change]) -> dict[Kind, int]:
    """How many changes there are of each kind."""
    return {kind: sum(change.kind is kind for change in changes) for kind in Kind}
