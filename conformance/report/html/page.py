"""The page: a document that needs nothing else and lets nothing else in, of one record or of several beside each other."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from conformance.report.html.markup import Content, Markup, Say, element
from conformance.report.html.matrix import comparison, matrix, remaining
from conformance.report.html.requirement import NOT_JUDGED, Shown, entry
from conformance.report.html.summary import (
    ORDER,
    heading,
    incomplete,
    passed,
    sectioned,
    verdict_map,
)
from conformance.report.record_reader import Report
from conformance.spec.catalogue import Language, Level, catalogue, sections

FACTS = 2400  # of all timelines of a page together, so that it stays small
ROOMS = (60, 48, 36, 24, 12)  # facts of one timeline
TITLE = 120  # characters


def render(reports: Sequence[Report], language: Language) -> str:
    """The page."""
    say = Say(language)
    return _single(_shown(reports, say)[0]) if len(reports) == 1 else _several(_shown(reports, say))


def _shown(reports: Sequence[Report], say: Say) -> list[Shown]:
    prefixes = (
        [""] if len(reports) == 1 else [f"{number}-" for number in range(1, len(reports) + 1)]
    )
    known, room = catalogue(say.language), _room(reports)
    return [
        Shown(report, known, say, room, prefix)
        for report, prefix in zip(reports, prefixes, strict=True)
    ]


def _room(reports: Iterable[Report]) -> int:
    """How many facts a timeline may have, so that those of the whole page are not too many."""
    seen = [
        len(report.timeline(judged, ROOMS[0])) for report in reports for judged in report.judged
    ]
    return next(
        (room for room in ROOMS if sum(min(room, each) for each in seen) <= FACTS), ROOMS[-1]
    )


def _single(shown: Shown) -> str:
    report, say = shown.report, shown.say
    groups = (
        element(
            "section",
            element(
                "h2",
                f"{number or ''} {title}".strip(),
                element("span", passed(judged, say), class_="of"),
                id=f"section-{number}",
            ),
            (entry(shown, each) for each in judged),
            class_="group",
            aria_labelledby=f"section-{number}",
        )
        for number, title, judged in sectioned(report.judged, sections(say.language), say)
    )
    body = (
        heading(report, say),
        verdict_map(shown, sections(say.language)),
        element(
            "main",
            incomplete(report, say),
            _filter([shown], say),
            groups,
            _nothing(say),
            id="requirements",
        ),
    )
    return _document(f"{report.claim or say('no claim')} · {report.target}", body, say)


def _several(shown: Sequence[Shown]) -> str:
    say = shown[0].say
    main = element(
        "main",
        _filter(shown, say, compares=True),
        matrix(shown),
        _nothing(say),
        (remaining(each, number) for number, each in enumerate(shown, 1)),
        id="requirements",
    )
    return _document(
        say("{count} records compared", count=len(shown)), (comparison(shown), main), say
    )


def _document(title: str, body: Content, say: Say) -> str:
    style, script = _own("page.css"), _own("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", title[:TITLE]),
        element("style", Markup(style)),
    )
    skip = element("a", say("Skip to the requirements"), href="#requirements", class_="skip")
    page = element("body", skip, body, _footer(say), element("script", Markup(script)))
    return f"<!DOCTYPE html>\n{element('html', head, page, lang=_tag(say.language))}\n"


def _tag(language: Language) -> str:
    return {Language.EN: "en", Language.ZH: "zh-Hans"}[language]


@cache
def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _filter(shown: Sequence[Shown], say: Say, *, compares: bool = False) -> Markup:
    """The form by which a reader looks for some of the requirements; it comes to life with the script."""
    statuses = [status for status in ORDER if any(each.report.counts[status] for each in shown)]
    used = {each.section for one in shown for each in one.report.judged}
    options = [element("option", say("all sections"), value="")]
    options += [
        element("option", f"{each.number} {each.title}", value=each.number)
        for each in sections(say.language)
        if each.number in used
    ]
    return element(
        "form",
        element(
            "input",
            type="search",
            name="words",
            placeholder=say("Search"),
            aria_label=say("Search the requirements"),
            autocomplete="off",
        ),
        _choices(
            say("verdict"),
            "status",
            [(status or NOT_JUDGED, status or say(NOT_JUDGED)) for status in statuses],
        ),
        _choices(say("level"), "level", [(level, level) for level in Level]),
        element("select", options, name="section", aria_label=say("section")),
        element(
            "label",
            element("input", type="checkbox", name="differs"),
            say("only what differs"),
            class_="choice",
        )
        if compares
        else None,
        element("button", say("Clear"), type="button", id="clear"),
        element("button", say("Open all"), type="button", id="open", data_other=say("Close all")),
        element("output", data_text=say("{shown} of {all} shown", shown="{shown}", all="{all}")),
        id="filter",
        role="search",
        aria_label=say("Filter"),
        hidden=True,
    )


def _choices(legend: str, name: str, choices: Iterable[tuple[str, str]]) -> Markup:
    boxes = (
        element(
            "label",
            element("input", type="checkbox", name=name, value=value),
            text,
            class_="choice",
            data_is=value,
        )
        for value, text in choices
    )
    return element("fieldset", element("legend", legend), boxes)


def _nothing(say: Say) -> Markup:
    return element(
        "p",
        say("Nothing here is like that. Clear the filter to see everything again."),
        id="nothing",
        hidden=True,
    )


def _footer(say: Say) -> Markup:
    keys = (
        ("/", say("search")),
        ("j k", say("next, previous")),
        ("n", say("next failure")),
        ("Enter", say("open or close")),
    )
    box = element(
        "label",
        element("input", type="checkbox", id="keys", checked=True),
        say("Keys of one letter"),
    )
    return element(
        "footer",
        element(
            "p",
            box,
            ((" · ", element("kbd", key), " ", what) for key, what in keys),
            class_="keys",
            hidden=True,
        ),
        element(
            "p",
            say("Made from the record of a run, and from nothing else."),
            " ",
            say("Its verdicts are the run's; this page judges nothing."),
        ),
        element("p", say("copied"), id="copied", role="status", hidden=True),
    )
