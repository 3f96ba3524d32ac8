"""Annotations: what GitHub shows beside the code and on the page of a job, as commands that a step prints for it.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import re
from collections.abc import Iterator, Sequence

from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record_reader import Judged, Report
from conformance.report.terminal import one_line
from conformance.report.translations import said
from conformance.spec.catalogue import Language, Level

SHOWN = 10  # errors of one step, and as many warnings; GitHub leaves out the rest
LONGEST = 2000  # characters of one message
_PLACE = re.compile(
    r"^(?P<file>[^\s:]+\.py):(?P<line>\d+)\b"
)  # how a finding names a line of the target's


def render(reports: Sequence[Report], language: Language) -> str:
    """A command for each failure, a MUST's first, and one that says how many more there are; nothing where nothing failed."""
    return "".join(f"{command}\n" for report in reports for command in _commands(report, language))


def _commands(report: Report, language: Language) -> Iterator[str]:
    if not report.is_complete:
        yield _command("error", report.target, report.sentence_in(language))
    for kind, statuses in (
        ("error", (Status.FAIL, Status.ERROR)),
        ("warning", (Status.INCONCLUSIVE,)),
    ):
        failed = [each for each in report.judged if each.status in statuses and not each.known]
        chosen = sorted(failed, key=lambda each: each.level is not Level.MUST)
        shown = chosen if len(chosen) <= SHOWN else chosen[: SHOWN - 1]
        for each in shown:
            yield _annotation(kind, each, language)
        if len(shown) < len(chosen):
            names = [each.id for each in chosen[len(shown) :]]
            yield _command(
                kind, said("{count} more", language).format(count=len(names)), ", ".join(names)
            )


def _annotation(kind: str, judged: Judged, language: Language) -> str:
    title = f"{judged.id} {joins.of(judged, language).sentence}"
    if judged.found is None:
        return _command(kind, title, str(judged.status))
    labelled = {
        "expected": judged.found.expected,
        "got": judged.found.got,
        "look at": judged.found.look_at,
    }
    place = _PLACE.match(judged.found.look_at)
    message = "\n".join(f"{said(label, language)}: {text}" for label, text in labelled.items())
    return _command(kind, title, message, **(place.groupdict() if place else {}))


def _command(kind: str, title: str, message: str, **more: str) -> str:
    properties = ",".join(
        f"{name}={_escaped(value, ':,')}" for name, value in {"title": title, **more}.items()
    )
    return f"::{kind} {properties}::{_escaped(message[:LONGEST])}"


def _escaped(text: str, also: str = "") -> str:
    """A text that cannot end a command, or begin another, and has no control characters."""
    text = "\n".join(one_line(line) for line in text.split("\n"))
    return "".join(f"%{ord(letter):02X}" if letter in "%\r\n" + also else letter for letter in text)
