"""Annotations: commands that a step prints so that GitHub shows them at the code and the job.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import re
from collections.abc import Iterator, Sequence

from conformance.core.printing import escape_unprintable
from conformance.judging.causes import Cause
from conformance.judging.result import RunResult
from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.translations import translate
from conformance.spec.catalogue import Language

SHOWN = 10  # errors of one step, and as many warnings; GitHub leaves out the rest
LONGEST = 2000  # characters of one message
# How a likely cause names a line of the target's code.
_PLACE = re.compile(r"^(?P<file>[^\s:]+\.py):(?P<line>\d+)\b")


def render_annotations(runs: Sequence[RunResult], language: Language) -> str:
    """Commands for what failed, could not be judged or is not applicable. Empty if nothing.

    Of each kind a MUST comes first, and a last command says how many more there are.
    """
    return "".join(f"{command}\n" for run in runs for command in _list_commands(run, language))


def _list_commands(run: RunResult, language: Language) -> Iterator[str]:
    if not run.is_complete:
        yield _write_command("error", run.target, joins.describe_claim(run, language))
    causes = joins.find_causes(run)
    folded = joins.find_consequences(run)
    errors = [Cause(each) for each in joins.select_status(run.results, Status.ERROR)]
    unjudged = joins.select_status(run.results, Status.INCONCLUSIVE)
    for kind, chosen in (
        ("error", [*causes, *errors]),
        ("warning", [Cause(each) for each in unjudged if each.id not in folded]),
    ):
        counting = [each for each in chosen if not each.result.known]
        yield from _annotate_causes(kind, sorted(counting, key=_is_lesser), language)
    excluded = joins.select_status(run.results, Status.NOT_APPLICABLE)
    for reason, group in joins.group_by_reason(excluded).items():
        title = f"{', '.join(each.id for each in group)} {Status.NOT_APPLICABLE.label}"
        yield _write_command("notice", title, reason)


def _is_lesser(cause: Cause) -> bool:
    return not any(map(joins.is_must, cause.all_results))


def _annotate_causes(kind: str, causes: Sequence[Cause], language: Language) -> Iterator[str]:
    shown = causes if len(causes) <= SHOWN else causes[: SHOWN - 1]
    for each in shown:
        yield _write_annotation(kind, each, language)
    if rest := causes[len(shown) :]:
        title = translate("{count} more", language).format(count=len(rest))
        yield _write_command(kind, title, ", ".join(each.result.id for each in rest))


def _write_annotation(kind: str, cause: Cause, language: Language) -> str:
    result = cause.result
    title = f"{result.id} {joins.describe_requirement(result, language).sentence}"
    if (finding := result.finding) is None:
        return _write_command(kind, title, str(result.status))
    labelled = {
        "expected": finding.expected,
        "got": finding.got,
        "silent": joins.describe_silence(finding, language),
        "printed": finding.printed.summary if finding.printed else "",
        "likely cause": joins.describe_likely_cause(result, language),
    }
    labelled["consequences"] = ", ".join(each.result.id for each in cause.consequences)
    optional = ("silent", "printed", "consequences")
    message = "\n".join(
        f"{translate(label, language)}: {text}"
        for label, text in labelled.items()
        if text or label not in optional
    )
    place = _PLACE.match(finding.likely_cause)
    return _write_command(kind, title, message, **(place.groupdict() if place else {}))


def _write_command(kind: str, title: str, message: str, **more: str) -> str:
    properties = ",".join(
        f"{name}={_escape_text(value, ':,')}" for name, value in {"title": title, **more}.items()
    )
    return f"::{kind} {properties}::{_escape_text(message[:LONGEST])}"


def _escape_text(text: str, also: str = "") -> str:
    """A text that cannot end a command, or begin another, and has no control characters."""
    text = "\n".join(escape_unprintable(line) for line in text.split("\n"))
    return "".join(f"%{ord(letter):02X}" if letter in "%\r\n" + also else letter for letter in text)
