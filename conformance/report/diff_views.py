"""Views of a diff: a short page for a terminal, Markdown, and data for programs (diff.schema.json)."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from conformance.report import data, joins
from conformance.report.diff import Change, Diff, Kind, counted
from conformance.report.markdown import LIMIT, RESERVED, Piece, failure, fitting, title
from conformance.report.markup import code, shown
from conformance.report.record_reader import Judged, Report
from conformance.report.terminal import one_line, padded
from conformance.report.translations import said
from conformance.spec.catalogue import Language

VERSION = 1
NOTHING = "Nothing of what was judged has changed."
SHOWING = (
    Kind.NEWLY_FAILING,
    Kind.FAILING_DIFFERENTLY,
)  # the kinds of which the newer failure is shown


def text(diff: Diff, language: Language) -> str:
    """The page for a terminal."""
    lines = [_about("old", diff.old, language), _about("new", diff.new, language)]
    for kind in Kind:
        if changes := diff.of(kind):
            lines += ["", f"{said(kind, language)} ({len(changes)})"]
            lines += [one_line(line) for change in changes for line in _lines(change, language)]
    return "\n".join([*lines, "", outcome(diff, language)]) + "\n"


def markdown(diff: Diff, language: Language) -> str:
    """The page for a comment."""
    head = f"## {said('Conformance', language)}: {outcome(diff, language)}\n\n"
    head += "".join(
        f"- {said(name, language)}: {code(report.target)}, {shown(_standing(report, language))}\n"
        for name, report in (("old", diff.old), ("new", diff.new))
    )
    page, told = fitting(_pieces(diff, language), LIMIT - RESERVED - len(head))
    command = code(f"conformance diff {diff.old.path} {diff.new.path}")
    cut = said(
        "{left} more are left out here, for want of room; {command} shows them all.", language
    )
    left = len(diff.changes) - told
    return head + page + (f"\n{cut.format(left=left, command=command)}\n" if left else "")


def document(diff: Diff, language: Language) -> str:
    """The data."""
    whole = {
        "version": VERSION,
        "worse": diff.worse,
        "lost_claim": diff.lost_claim,
        "old": _record(diff.old),
        "new": _record(diff.new),
        "counts": counted(diff.changes),
        "changes": [_change(change, language) for change in diff.changes],
    }
    return json.dumps(whole, indent=1) + "\n"


FORMS: dict[str, tuple[str, Callable[[Diff, Language], str]]] = {
    "markdown": ("the same in Markdown, for a comment", markdown),
    "json": ("the same as data (diff.schema.json)", document),
}


def outcome(diff: Diff, language: Language) -> str:
    """Whether anything got worse, and what changed, in a sentence."""
    counts = [
        f"{count} {said(kind, language)}" for kind, count in counted(diff.changes).items() if count
    ]
    lost = (
        [
            f"{said('a claim is lost', language)} ({diff.old.claim} → {diff.new.claim or said('none', language)})"
        ]
        if diff.lost_claim
        else []
    )
    return f"{said('worse' if diff.worse else 'not worse', language)}: {', '.join([*lost, *counts]) or said(NOTHING, language)}"


def _about(name: str, report: Report, language: Language) -> str:
    return padded(said(name, language), 12) + one_line(
        f"{report.target}, {report.header['began']}: {_standing(report, language)}"
    )


def _standing(report: Report, language: Language) -> str:
    if not report.is_complete:
        return said("incomplete", language)
    return said(report.claim or "no claim", language)


def _lines(change: Change, language: Language) -> Iterator[str]:
    requirement = joins.of(change.judged, language)
    moved = f"{_status(change.old, language)} → {_status(change.new, language)}"
    yield f"  {requirement.id:<8}{requirement.level:<8}{requirement.sentence} ({moved})"
    if change.kind in SHOWING and (found := change.judged.found):
        yield "  " + padded(said("expected", language), 10) + found.expected
        yield "  " + padded(said("got", language), 10) + found.got
    elif change.kind is Kind.NO_LONGER_JUDGED and change.new and change.new.found:
        yield "  " + padded(said("because", language), 10) + change.new.found.got


def _pieces(diff: Diff, language: Language) -> Iterator[Piece]:
    for kind in Kind:
        for number, change in enumerate(changes := diff.of(kind)):
            heading = f"\n### {said(kind, language)} ({len(changes)})\n\n" if number == 0 else ""
            moved = f"{_status(change.old, language)} → {_status(change.new, language)}"
            item = f"- {title(joins.of(change.judged, language), language)} ({moved})\n"
            yield heading + (failure(change.judged, language) if kind in SHOWING else item), 1


def _status(judged: Judged | None, language: Language) -> str:
    if judged is None:
        return said("not selected", language)
    return str(judged.status or said("not judged", language))


def _record(report: Report) -> dict[str, Any]:
    return {
        "file": str(report.path),
        **data.header(report),
        "complete": report.is_complete,
        "claim": report.claim,
    }


def _change(change: Change, language: Language) -> dict[str, Any]:
    requirement = joins.of(change.judged, language)
    about = {
        "id": requirement.id,
        "level": requirement.level,
        "sentence": requirement.sentence,
        "kind": change.kind,
    }
    return {**about, "old": _side(change.old), "new": _side(change.new)}


def _side(judged: Judged | None) -> dict[str, Any] | None:
    return (
        {"status": judged.status, "finding": judged.found and data.finding(judged.found)}
        if judged
        else None
    )
