"""Views of a diff: a short page for a terminal, Markdown, and data (diff.schema.json)."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from conformance.core.printing import escape_unprintable
from conformance.judging.result import RequirementResult, RunResult
from conformance.report import data, joins
from conformance.report.diff import Change, ChangeKind, Diff
from conformance.report.joins import describe_requirement
from conformance.report.markdown import (
    LIMIT,
    RESERVED,
    Piece,
    fit_pieces,
    write_failure,
    write_title,
)
from conformance.report.markup import quote_code, quote_inline
from conformance.report.translations import translate
from conformance.report.wrapping import pad_text
from conformance.spec.catalogue import Language

VERSION = 2
NOTHING = "Nothing of what was judged has changed."
# The kinds of which the newer failure is shown, and those of which the newer reason is.
WITH_FAILURE = (ChangeKind.NEWLY_FAILING, ChangeKind.FAILING_DIFFERENTLY)
WITH_REASON = (ChangeKind.NO_LONGER_JUDGED, ChangeKind.NOT_APPLICABLE)


def render_text(diff: Diff, language: Language) -> str:
    """The page for a terminal."""
    lines = [
        _describe_record("old", diff.old, language),
        _describe_record("new", diff.new, language),
    ]
    for kind in ChangeKind:
        if changes := diff.select(kind):
            lines += ["", f"{translate(kind, language)} ({len(changes)})"]
            lines += [
                escape_unprintable(line)
                for change in changes
                for line in _list_lines(change, diff, language)
            ]
    return "\n".join([*lines, "", summarize_diff(diff, language)]) + "\n"


def render_markdown(diff: Diff, language: Language) -> str:
    """The page for a comment."""
    head = f"## {translate('Conformance', language)}: {summarize_diff(diff, language)}\n\n"
    head += "".join(
        f"- {translate(name, language)}: {quote_code(run.target)},"
        f" {quote_inline(_describe_claim(run, language))}\n"
        for name, run in (("old", diff.old), ("new", diff.new))
    )
    page, shown = fit_pieces(_list_pieces(diff, language), LIMIT - RESERVED - len(head))
    left = len(diff.changes) - shown
    return head + page + (_say_left_out(diff, left, language) if left else "")


def render_json(diff: Diff, language: Language) -> str:
    """The data."""
    document = {
        "version": VERSION,
        "worse": diff.is_worse,
        "lost_claim": diff.has_lost_claim,
        "old": _encode_run(diff.old),
        "new": _encode_run(diff.new),
        "counts": diff.counts,
        "changes": [_encode_change(change, diff, language) for change in diff.changes],
    }
    return json.dumps(document, indent=1) + "\n"


FORMATS: dict[str, tuple[str, Callable[[Diff, Language], str]]] = {
    "markdown": ("the same in Markdown, for a comment", render_markdown),
    "json": ("the same as data (diff.schema.json)", render_json),
}


def summarize_diff(diff: Diff, language: Language) -> str:
    """Whether it got worse, and what changed, in a sentence."""
    parts = []
    if diff.has_lost_claim:
        new = diff.new.claim or translate("none", language)
        parts.append(f"{translate('a claim is lost', language)} ({diff.old.claim} → {new})")
    parts += [
        f"{count} {translate(kind, language)}" for kind, count in diff.counts.items() if count
    ]
    verdict = translate("worse" if diff.is_worse else "not worse", language)
    return f"{verdict}: {', '.join(parts) or translate(NOTHING, language)}"


def _say_left_out(diff: Diff, left: int, language: Language) -> str:
    command = quote_code(f"conformance diff {diff.old.path} {diff.new.path}")
    text = translate("{left} more are not shown here; {command} shows all of them.", language)
    return f"\n{text.format(left=left, command=command)}\n"


def _describe_record(name: str, run: RunResult, language: Language) -> str:
    began = run.header.began.isoformat()
    text = f"{run.target}, {began}: {_describe_claim(run, language)}"
    return pad_text(translate(name, language), 12) + escape_unprintable(text)


def _describe_claim(run: RunResult, language: Language) -> str:
    if not run.is_complete:
        return translate("incomplete", language)
    return translate(run.claim or "no claim", language)


def _list_lines(change: Change, diff: Diff, language: Language) -> Iterator[str]:
    requirement = describe_requirement(change.result, language)
    moved = f"{_label_status(change.old, language)} → {_label_status(change.new, language)}"
    yield f"  {requirement.id:<8}{requirement.level:<8}{requirement.sentence} ({moved})"
    if change.kind in WITH_FAILURE and (finding := change.result.finding):
        yield "  " + pad_text(translate("expected", language), 10) + finding.expected
        yield "  " + pad_text(translate("got", language), 10) + finding.got
        if origin := _describe_origin(change, diff, language):
            yield f"  {origin}"
    elif change.kind in WITH_REASON and change.new and change.new.finding:
        yield "  " + pad_text(translate("because", language), 10) + change.new.finding.got


def _describe_origin(change: Change, diff: Diff, language: Language) -> str:
    """What a newer failure follows from. Empty if it follows from no other."""
    consequence = joins.find_consequences(diff.new).get(change.result.id)
    if consequence is None:
        return ""
    return f"{translate('follows from', language)} {joins.describe_origin(consequence, language)}"


def _list_pieces(diff: Diff, language: Language) -> Iterator[Piece]:
    for kind in ChangeKind:
        changes = diff.select(kind)
        for number, change in enumerate(changes):
            heading = f"\n### {translate(kind, language)} ({len(changes)})\n\n"
            yield (heading if number == 0 else "") + _write_item(change, diff, language), 1


def _write_item(change: Change, diff: Diff, language: Language) -> str:
    if change.kind in WITH_FAILURE and (origin := _describe_origin(change, diff, language)):
        title = write_title(describe_requirement(change.result, language), language)
        return f"- {title} ({quote_inline(origin)})\n"
    if change.kind in WITH_FAILURE:
        return write_failure(change.result, language)
    moved = f"{_label_status(change.old, language)} → {_label_status(change.new, language)}"
    return f"- {write_title(describe_requirement(change.result, language), language)} ({moved})\n"


def _label_status(result: RequirementResult | None, language: Language) -> str:
    if result is None:
        return translate("not selected", language)
    return result.status.label if result.status else translate("not judged", language)


def _encode_run(run: RunResult) -> dict[str, Any]:
    return {**data.encode_about(run), "complete": run.is_complete, "claim": run.claim}


def _encode_change(change: Change, diff: Diff, language: Language) -> dict[str, Any]:
    requirement = describe_requirement(change.result, language)
    consequence = joins.find_consequences(diff.new).get(change.result.id)
    return {
        "id": requirement.id,
        "level": requirement.level,
        "sentence": requirement.sentence,
        "kind": change.kind,
        "follows_from": consequence and consequence.cause,
        "old": _encode_side(change.old),
        "new": _encode_side(change.new),
    }


def _encode_side(result: RequirementResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    finding = result.finding and data.encode_finding(result.finding)
    return {"status": result.status, "finding": finding}
