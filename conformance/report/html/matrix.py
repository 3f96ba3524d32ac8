"""The matrix: several records beside each other, with emphasis on the requirements whose verdicts differ."""

from collections.abc import Iterator, Sequence

from conformance.judging.verdict import Status
from conformance.report.html.chart import time
from conformance.report.html.markup import Content, Markup, element, prose
from conformance.report.html.requirement import NOT_JUDGED, Shown, entry, sentence, verdict
from conformance.report.html.summary import (
    LENGTH,
    ORDER,
    claim,
    counts,
    incomplete,
    sectioned,
    when,
)
from conformance.report.record_reader import Judged
from conformance.spec.catalogue import sections

NAME = 80  # characters of a target at the head of a column
SETTLED = (
    Status.PASS,
    Status.OBSERVED,
)  # those of which there is nothing more to read below the matrix


def comparison(shown: Sequence[Shown]) -> Markup:
    """The top of the page: what each record establishes."""
    say = shown[0].say
    return element(
        "header",
        element("p", say("Conformance report"), class_="kicker"),
        element("h1", say("{count} records compared", count=len(shown))),
        element(
            "ol",
            (element("li", _record(each, number)) for number, each in enumerate(shown, 1)),
            class_="records",
        ),
    )


def _record(shown: Shown, number: int) -> Iterator[Content]:
    report, say = shown.report, shown.say
    yield element(
        "h2",
        element(
            "a",
            element("b", f"{number} "),
            say.name(report.target, LENGTH),
            href=f"#record-{number}",
        ),
    )
    yield claim(report, say)
    yield counts(report, say)
    seconds = time(float(report.footer["seconds"])) if report.footer else say("cut short")
    seed = say("seed {seed}", seed=str(report.header["seed"]))
    yield element(
        "p", when(str(report.header["began"])), f" · {seconds} · {seed}", class_="colophon"
    )


def matrix(shown: Sequence[Shown]) -> Markup:
    """The table: a row for each requirement, a column for each record."""
    say = shown[0].say
    heads = (
        element(
            "th", element("b", f"{number}"), " ", say.name(each.report.target, NAME), scope="col"
        )
        for number, each in enumerate(shown, 1)
    )
    everything = _all(shown)
    different = sum(len(_statuses(shown, each.id)) > 1 for each in everything)
    caption = say(
        "{count} of {all} requirements differ; their rows are marked with ≠",
        count=different,
        all=len(everything),
    )
    bodies = (
        element(
            "tbody",
            element(
                "tr",
                element(
                    "th",
                    f"{number or ''} {title}".strip(),
                    scope="rowgroup",
                    colspan=len(shown) + 2,
                ),
            ),
            (_row(shown, each) for each in found),
            class_="group",
            id=f"section-{number}",
        )
        for number, title, found in sectioned(everything, sections(say.language), say)
    )
    first = (element("th", say(text), scope="col") for text in ("requirement", "level"))
    table = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", first, heads)),
        bodies,
    )
    return element(
        "div", table, class_="matrix", tabindex=0, role="region", aria_label=say("The matrix")
    )


def _all(shown: Sequence[Shown]) -> list[Judged]:
    """Every requirement of any record, once, in the order of the catalogue."""
    first: dict[str, Judged] = {}
    for each in shown:
        for judged in each.report.judged:
            first.setdefault(judged.id, judged)
    order = {name: number for number, name in enumerate(shown[0].known)}
    return sorted(first.values(), key=lambda judged: order.get(judged.id, len(order)))


def _statuses(shown: Sequence[Shown], name: str) -> list[Status | None]:
    """The verdicts that a requirement has in the records that asked for it, each once."""
    found = {each.report.by_id[name].status for each in shown if name in each.report.by_id}
    return [status for status in ORDER if status in found]


def _row(shown: Sequence[Shown], first: Judged) -> Markup:
    statuses = _statuses(shown, first.id)
    known = shown[0].known.get(first.id)
    level = known.level if known else first.level
    link = element("a", first.id, href=f"#{first.id}", class_="id")
    return element(
        "tr",
        element("th", link, " ", prose(sentence(shown[0], first)), scope="row"),
        element("td", level, class_="level"),
        (_cell(each, each.report.by_id.get(first.id)) for each in shown),
        class_="item",
        id=first.id,
        data_status="|".join(status or NOT_JUDGED for status in statuses),
        data_level=level,
        data_section=first.section,
        data_differs=len(statuses) > 1,
    )


def _cell(shown: Shown, judged: Judged | None) -> Markup:
    say = shown.say
    if judged is None:
        return element("td", element("span", say("not asked"), class_="none"))
    if judged.status in SETTLED or judged.status is None:
        return element("td", verdict(judged.status, say))
    return element(
        "td", element("a", verdict(judged.status, say), href=f"#{shown.prefix}{judged.id}")
    )


def remaining(shown: Shown, number: int) -> Markup:
    """What a record has that did not pass."""
    say = shown.say
    open_ends = [each for each in shown.report.judged if each.status not in SETTLED and each.status]
    return element(
        "section",
        element(
            "h2",
            element("b", f"{number} "),
            say.name(shown.report.target, LENGTH),
            id=f"record-{number}",
        ),
        incomplete(shown.report, say, f"incomplete-{number}"),
        (entry(shown, each) for each in open_ends)
        if open_ends
        else element("p", say("Nothing failed, and everything could be judged.")),
        class_="group",
        aria_labelledby=f"record-{number}",
    )
