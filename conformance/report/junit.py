"""JUnit XML: a suite for each section, a case for each requirement.

Cases are named as the run's own --junitxml names them.
"""

from collections.abc import Sequence
from datetime import UTC
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.core.printing import escape_unprintable
from conformance.judging.causes import Consequence
from conformance.judging.result import RequirementResult, RunResult
from conformance.judging.verdict import Exit, Status
from conformance.report import joins
from conformance.spec.catalogue import Language

NEVER_JUDGED = "the run ended before this was judged"
SKIPPED = "skipped"
OUTCOMES = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "error",
    Status.NOT_APPLICABLE: SKIPPED,
    None: "error",
}
LABEL = 14  # columns


def render_junit(runs: Sequence[RunResult], language: Language) -> str:  # noqa: ARG001 - names of cases are the same in each
    """The document, in English: programs identify cases by their names."""
    (run,) = runs
    attributes = {"name": escape_unprintable(run.target), **_count_outcomes(run, run.results)}
    root = Element("testsuites", attributes)
    origins = joins.find_consequences(run)
    for title, results in joins.group_by_section(run, Language.EN):
        figures = _count_outcomes(run, results)
        suite = SubElement(
            root, "testsuite", {"name": title, "timestamp": _format_begin(run), **figures}
        )
        suite.set("skipped", str(sum(_choose_outcome(run, each) == SKIPPED for each in results)))
        suite.extend(_make_case(run, each, origins.get(each.id)) for each in results)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _count_outcomes(run: RunResult, results: Sequence[RequirementResult]) -> dict[str, str]:
    outcomes = [_choose_outcome(run, each) for each in results]
    return {
        "tests": str(len(results)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "time": _format_seconds(sum(each.seconds for each in results)),
    }


def _choose_outcome(run: RunResult, result: RequirementResult) -> str | None:
    """The element of a case that did not simply pass.

    Known failures are skipped. So is, in a run that passed, what could not be judged: that was
    allowed, or of a level that the run did not depend on.
    """
    is_allowed = result.status is Status.INCONCLUSIVE and run.exit_status is Exit.PASSED
    return SKIPPED if result.known or is_allowed else OUTCOMES.get(result.status)


def _make_case(
    run: RunResult, result: RequirementResult, consequence: Consequence | None
) -> Element:
    requirement = joins.describe_requirement(result, Language.EN)
    case = Element(
        "testcase",
        classname=f"spec.{requirement.document.removesuffix('.md')}",
        name=escape_unprintable(f"{result.id} {requirement.sentence}"),
        time=_format_seconds(result.seconds),
    )
    if outcome := _choose_outcome(run, result):
        status = result.status or "NOT_JUDGED"
        message = _choose_message(result)
        if consequence:
            message = f"follows from {consequence.cause}: {message}"
        SubElement(case, outcome, type=status, message=message).text = _write_details(
            result, consequence
        )
    elif result.finding:
        SubElement(case, "system-out").text = escape_unprintable(result.finding.got)
    return case


def _choose_message(result: RequirementResult) -> str:
    if result.known:
        return escape_unprintable(f"known: {result.known.reason}")
    return escape_unprintable(result.finding.got) if result.finding else NEVER_JUDGED


def _write_details(result: RequirementResult, consequence: Consequence | None) -> str:
    if (finding := result.finding) is None:
        return NEVER_JUDGED
    origin = joins.describe_origin(consequence, Language.EN) if consequence else ""
    silence = joins.describe_silence(finding, Language.EN)
    lines = [
        *([("follows from", origin)] if origin else []),
        ("expected", finding.expected),
        ("got", finding.got),
        *([("silent", silence)] if silence else []),
        *([("printed", finding.printed.summary)] if finding.printed else []),
        *(("evidence", reference.summary) for reference in finding.evidence),
        *(("reproduce", command) for command in finding.reproduce),
        *([] if origin else [("likely cause", finding.likely_cause)]),
    ]
    return "\n".join(escape_unprintable(f"{label:<{LABEL}}{text}") for label, text in lines)


def _format_begin(run: RunResult) -> str:
    """When the run began, in UTC without its offset, as readers of JUnit XML expect it."""
    return run.header.began.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
