"""JUnit XML from a record: a suite for each section, a case for each requirement, named as the run's own --junitxml names them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.judging.verdict import Exit, Status
from conformance.report import joins
from conformance.report.record_reader import Judged, Report
from conformance.report.terminal import one_line
from conformance.spec.catalogue import Language

NEVER_JUDGED = "the run ended before this was judged"
OUTCOMES = {
    Status.FAIL: "failure",
    Status.ERROR: "error",
    Status.INCONCLUSIVE: "error",
    None: "error",
}
ACCEPTED = "skipped"  # a known failure; and what could not be judged in a run that passed: allowed, or of a level that it did not depend on


def render(reports: Sequence[Report], language: Language) -> str:  # noqa: ARG001 - names of cases are the same in each
    """The document, in English: programs tell cases by their names."""
    (report,) = reports
    root = Element(
        "testsuites", {"name": one_line(report.target), **_figures(report, report.judged)}
    )
    for title, judged in joins.by_section(report, Language.EN):
        suite = SubElement(
            root,
            "testsuite",
            {"name": title, "timestamp": _began(report), **_figures(report, judged)},
        )
        suite.set("skipped", str(sum(_outcome(report, each) == ACCEPTED for each in judged)))
        suite.extend(_case(report, each) for each in judged)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _figures(report: Report, judged: Sequence[Judged]) -> dict[str, str]:
    outcomes = [_outcome(report, each) for each in judged]
    counts = {name: str(outcomes.count(name.removesuffix("s"))) for name in ("failures", "errors")}
    return {
        "tests": str(len(judged)),
        **counts,
        "time": _seconds(sum(each.seconds for each in judged)),
    }


def _outcome(report: Report, judged: Judged) -> str | None:
    passed = report.footer is not None and report.footer["exit_status"] == Exit.PASSED
    accepted = judged.known is not None or (judged.status is Status.INCONCLUSIVE and passed)
    return ACCEPTED if accepted else OUTCOMES.get(judged.status)


def _case(report: Report, judged: Judged) -> Element:
    requirement, found = joins.of(judged, Language.EN), judged.found
    place = f"spec.{requirement.document.removesuffix('.md')}"
    case = Element(
        "testcase",
        classname=place,
        name=one_line(f"{judged.id} {requirement.sentence}"),
        time=_seconds(judged.seconds),
    )
    if outcome := _outcome(report, judged):
        message = one_line(found.got) if found else NEVER_JUDGED
        message = one_line(f"known: {judged.known.reason}") if judged.known else message
        SubElement(
            case, outcome, type=str(judged.status or "NOT_JUDGED"), message=message
        ).text = _told(judged)
    elif found:
        SubElement(case, "system-out").text = one_line(found.got)
    return case


def _told(judged: Judged) -> str:
    if (found := judged.found) is None:
        return NEVER_JUDGED
    lines = [f"expected  {found.expected}", f"got       {found.got}"]
    lines += [f"evidence  {text}" for text in found.summaries]
    lines += [f"reproduce {text}" for text in found.reproduce]
    return "\n".join(one_line(line) for line in [*lines, f"look at   {found.look_at}"])


def _began(report: Report) -> str:
    """When the run began, in UTC without its offset, as readers of JUnit XML want it."""
    return (
        datetime.fromisoformat(report.header["began"])
        .astimezone(UTC)
        .replace(tzinfo=None)
        .isoformat(timespec="seconds")
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
