"""The summary: what a run established, on what, and a map of its verdicts by which a reader finds the way."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from conformance.judging.verdict import Status
from conformance.report.html.chart import time
from conformance.report.html.markup import Content, Markup, Say, element, facts
from conformance.report.html.requirement import NOT_JUDGED, Shown, sentence, verdict
from conformance.report.html.timeline import told
from conformance.report.record_reader import Judged, Line, Report
from conformance.spec.catalogue import Section

ORDER = (
    Status.FAIL,
    Status.ERROR,
    Status.INCONCLUSIVE,
    None,
    Status.PASS,
    Status.OBSERVED,
)  # what needs a reader first
SERVICES = ("postgres", "redis", "upstream", "containers")
LENGTH = 400  # characters of what the run was told or says of itself
LAST = 12  # facts of a run that was cut short


def heading(report: Report, say: Say) -> Markup:
    """The top of a page on one record."""
    return element(
        "header",
        element("p", say("Conformance report"), class_="kicker"),
        element("h1", say.name(report.target, LENGTH)),
        claim(report, say),
        counts(report, say),
        facts(about(report, say), class_="about"),
    )


def claim(report: Report, say: Say) -> Markup:
    """The claim, and why in the run's own sentence."""
    name = report.claim or say("no claim")
    own = report.sentence_in(say.language).removeprefix(f"{name}: ").removeprefix(f"{name}：")
    return element(
        "p",
        element("strong", name),
        " ",
        element("span", say.cut(own, LENGTH)),
        class_="claim",
        data_claim=report.claim or "none",
    )


def counts(report: Report, say: Say) -> Markup:
    """How many requirements have each verdict."""
    found = report.counts
    each = (
        element("li", element("b", str(found[status])), verdict(status, say))
        for status in ORDER
        if found[status]
    )
    return element("ul", each, class_="counts")


def about(report: Report, say: Say) -> dict[str, Content]:
    """What ran, on what, when and for how long."""
    header, footer = report.header, report.footer
    services = dict(header["services"])
    names = [
        *(name for name in SERVICES if name in services),
        *(name for name in services if name not in SERVICES),
    ]
    return {
        say("target"): say.cut(str(header.get("url") or report.target), LENGTH),
        say("services"): element(
            "ul", (element("li", say.cut(f"{name}: {services[name]}", LENGTH)) for name in names)
        )
        if names
        else say("none"),
        say("seed"): element("code", str(header["seed"])),
        say("began"): when(str(header["began"])),
        say("duration"): time(report.seconds),
        say("required"): say("every MUST")
        if header["level"] == "MUST"
        else say("every MUST and SHOULD"),
        say("exit status"): str(footer["exit_status"]) if footer else say("none, it was cut short"),
        say("known failures"): _wrong(report, say),
        say("suite"): say.cut(str(header["suite"]), LENGTH),
    }


def _wrong(report: Report, say: Say) -> Content:
    """What is wrong with the list of known failures."""
    entries = report.wrong_entries
    return (
        element("ul", (element("li", say.cut(str(each["sentence"]), LENGTH)) for each in entries))
        if entries
        else None
    )


def when(text: str) -> Markup:
    """A date for a person; a text that is none as it is."""
    try:
        return element(
            "time", datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z"), datetime=text
        )
    except ValueError:
        return element("span", text[:LENGTH])


def incomplete(report: Report, say: Say, name: str = "incomplete") -> Content:
    """Of a run that was cut short: that it was, and what it saw last."""
    if report.is_complete:
        return None
    missing = report.counts[None]
    lines = report.evidence[-LAST:]
    return element(
        "section",
        element("h2", say("This record is incomplete"), id=name),
        element(
            "p",
            say(
                "The run ended before it had judged {count} of its {all} requirements, so it claims nothing.",
                count=missing,
                all=len(report.judged),
            ),
        ),
        element("p", say("It saw last:")) if lines else None,
        element("ol", (_last(line, say) for line in lines), class_="facts") if lines else None,
        class_="incomplete",
        aria_labelledby=name,
    )


def _last(line: Line, say: Say) -> Markup:
    return element(
        "li",
        element("time", f"{float(line['at']):.2f} s"),
        element("span", say.cut(told(line), LENGTH)),
    )


def sectioned(
    judged: Iterable[Judged], known: Sequence[Section], say: Say
) -> Iterator[tuple[int, str, list[Judged]]]:
    """Requirements by section, with its number and title; at the end those that this specification does not have."""
    judged = list(judged)
    titles = [(section.number, section.title) for section in known]
    for number, title in [*titles, (0, say("not of this specification"))]:
        if found := [each for each in judged if each.section == number]:
            yield number, title, found


def passed(judged: Sequence[Judged], say: Say) -> str:
    """How many of those that are judged passed."""
    if all(each.status is None for each in judged):
        return say(NOT_JUDGED)
    judged = [each for each in judged if each.status is not Status.OBSERVED]
    good = sum(each.status is Status.PASS for each in judged)
    return say("{passed} of {all} passed", passed=good, all=len(judged)) if judged else ""


def verdict_map(shown: Shown, known: Sequence[Section]) -> Markup:
    """Every requirement as a small sign that leads to it, a row for each section."""
    say = shown.say
    rows = (
        element(
            "li",
            element("a", f"{number or ''} {title}".strip(), href=f"#section-{number}"),
            element("span", passed(judged, say), class_="of"),
            element("ul", (element("li", _sign(shown, each)) for each in judged)),
        )
        for number, title, judged in sectioned(shown.report.judged, known, say)
    )
    return element(
        "nav", element("ol", rows), class_="map", aria_label=say("Requirements by section")
    )


def _sign(shown: Shown, judged: Judged) -> Markup:
    status = judged.status or shown.say(NOT_JUDGED)
    return element(
        "a",
        judged.id.split("-")[-1],
        href=f"#{judged.id}",
        data_is=judged.status or NOT_JUDGED,
        aria_label=f"{judged.id} {status}",
        title=f"{judged.id} {status}: {sentence(shown, judged)}",
    )
