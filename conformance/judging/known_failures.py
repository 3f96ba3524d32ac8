"""Known failures against verdicts: which failures are listed, and which entries are wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from conformance.judging.result import (
    Finding,
    KnownFailure,
    Mistake,
    RequirementResult,
    WrongEntry,
)
from conformance.judging.verdict import Status


def is_excused(entry: KnownFailure | None, finding: Finding | None, today: date) -> bool:
    """Whether an entry is about this failure, and holds today."""
    return (
        entry is not None
        and not entry.has_expired(today)
        and entry.is_about(finding.fingerprint if finding else None)
    )


def mark_known_failures(
    results: Iterable[RequirementResult], entries: Iterable[KnownFailure], today: date
) -> list[RequirementResult]:
    """The results, in which each failure that is listed has its entry."""
    by_id = {entry.id: entry for entry in entries}
    return [
        replace(result, known=_find_entry(result, by_id.get(result.id), today))
        for result in results
    ]


def _find_entry(
    result: RequirementResult, entry: KnownFailure | None, today: date
) -> KnownFailure | None:
    is_known = result.status is Status.FAIL and is_excused(entry, result.finding, today)
    return entry if is_known else None


def find_wrong_entries(
    results: Iterable[RequirementResult], entries: Iterable[KnownFailure], today: date
) -> Iterator[WrongEntry]:
    """The entries that are wrong, as far as their requirements were judged.

    An entry of a requirement that is not applicable, or could not be judged, may be right: a run
    on another form of the same target may show the failure. Only its date is checked.
    """
    by_id = {entry.id: entry for entry in entries}
    for result in results:
        if (entry := by_id.get(result.id)) and (wrong := _find_mistake(entry, result, today)):
            sentence = f"{result.id} is listed as a known failure{wrong[1]}"
            yield WrongEntry(result.id, wrong[0], sentence)


def _find_mistake(
    entry: KnownFailure, result: RequirementResult, today: date
) -> tuple[Mistake, str] | None:
    if result.status is Status.PASS:
        return Mistake.STALE, " and passed: remove the entry"
    if entry.has_expired(today):
        return (
            Mistake.EXPIRED,
            f" until {entry.expires}, which has passed: fix it, or give the entry another date",
        )
    if result.status is Status.FAIL and not is_excused(entry, result.finding, today):
        fingerprint = result.finding.fingerprint if result.finding else "none"
        return (
            Mistake.CHANGED,
            (
                f" with the fingerprint {entry.fingerprint}, but has {fingerprint}:"
                " see what else fails, and put that into the entry"
            ),
        )
    return None
