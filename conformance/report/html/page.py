"""The page: a document that needs nothing else and lets nothing else in, of one run or several."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from conformance.judging.result import RunResult
from conformance.report.html.causes import render_causes
from conformance.report.html.markup import Content, Markup, Translator, element
from conformance.report.html.matrix import render_comparison, render_matrix, render_remaining
from conformance.report.html.requirement import (
    NOT_JUDGED,
    RenderContext,
    label_status,
    render_entry,
)
from conformance.report.html.summary import (
    ORDER,
    count_passed,
    group_results,
    render_heading,
    render_incomplete,
    render_map,
)
from conformance.spec.catalogue import Language, Level, catalogue, sections

EVENTS = 2400  # of all timelines of a page together, so that it stays small
ROOMS = (60, 48, 36, 24, 12)  # events of one timeline
TITLE = 120  # characters


def render_html(runs: Sequence[RunResult], language: Language) -> str:
    """The page."""
    contexts = _make_contexts(runs, Translator(language))
    return _render_single(contexts[0]) if len(contexts) == 1 else _render_several(contexts)


def _make_contexts(runs: Sequence[RunResult], say: Translator) -> list[RenderContext]:
    known, room = catalogue(say.language), _choose_room(runs)
    return [
        RenderContext(run, known, say, room, "" if len(runs) == 1 else f"{number}-")
        for number, run in enumerate(runs, 1)
    ]


def _choose_room(runs: Iterable[RunResult]) -> int:
    """How many events a timeline may have, so that those of the whole page are not too many."""
    counts = [len(run.select_evidence(each, ROOMS[0])) for run in runs for each in run.results]
    return next(
        (room for room in ROOMS if sum(min(room, count) for count in counts) <= EVENTS), ROOMS[-1]
    )


def _render_single(context: RenderContext) -> str:
    run, say = context.run, context.say
    main = element(
        "main",
        render_incomplete(run, say),
        _render_filter([context], say),
        _render_sections(context),
        _render_no_match(say),
        id="requirements",
    )
    map_of_verdicts = render_map(context, sections(say.language))
    body = (render_heading(run, say), render_causes(context), map_of_verdicts, main)
    return _write_document(f"{run.claim or say('no claim')} · {run.target}", body, say)


def _render_sections(context: RenderContext) -> Iterator[Markup]:
    say = context.say
    grouped = group_results(context.run.results, sections(say.language), say)
    for number, title, results in grouped:
        name = f"section-{number}"
        passed = element("span", count_passed(results, say), class_="of")
        yield element(
            "section",
            element("h2", f"{number or ''} {title}".strip(), passed, id=name),
            (render_entry(context, each) for each in results),
            class_="group",
            aria_labelledby=name,
        )


def _render_several(contexts: Sequence[RenderContext]) -> str:
    say = contexts[0].say
    main = element(
        "main",
        _render_filter(contexts, say, compares=True),
        render_matrix(contexts),
        _render_no_match(say),
        (render_remaining(context, number) for number, context in enumerate(contexts, 1)),
        id="requirements",
    )
    title = say("{count} records compared", count=len(contexts))
    return _write_document(title, (render_comparison(contexts), main), say)


def _write_document(title: str, body: Content, say: Translator) -> str:
    style, script = _read_own("page.css"), _read_own("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash_source(style)}; script-src {_hash_source(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
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
    page = element("body", skip, body, _render_footer(say), element("script", Markup(script)))
    return f"<!DOCTYPE html>\n{element('html', head, page, lang=_find_tag(say.language))}\n"


def _find_tag(language: Language) -> str:
    return {Language.EN: "en", Language.ZH: "zh-Hans"}[language]


@cache
def _read_own(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _render_filter(
    contexts: Sequence[RenderContext], say: Translator, *, compares: bool = False
) -> Markup:
    """The form by which a reader looks for some of the requirements. The script makes it work."""
    statuses = [
        (status or NOT_JUDGED, label_status(status, say))
        for status in ORDER
        if any(context.run.counts[status] for context in contexts)
    ]
    words = element(
        "input",
        type="search",
        name="words",
        placeholder=say("Search"),
        aria_label=say("Search the requirements"),
        autocomplete="off",
    )
    differs = element(
        "label",
        element("input", type="checkbox", name="differs"),
        say("only what differs"),
        class_="choice",
    )
    return element(
        "form",
        words,
        _render_choices(say("verdict"), "status", statuses),
        _render_choices(say("level"), "level", [(level, level) for level in Level]),
        _render_section_choice(contexts, say),
        differs if compares else None,
        element("button", say("Clear"), type="button", id="clear"),
        element("button", say("Open all"), type="button", id="open", data_other=say("Close all")),
        element("output", data_text=say("{shown} of {all} shown", shown="{shown}", all="{all}")),
        id="filter",
        role="search",
        aria_label=say("Filter"),
        hidden=True,
    )


def _render_section_choice(contexts: Sequence[RenderContext], say: Translator) -> Markup:
    used = {each.section for context in contexts for each in context.run.results}
    options = [element("option", say("all sections"), value="")]
    options += [
        element("option", f"{each.number} {each.title}", value=each.number)
        for each in sections(say.language)
        if each.number in used
    ]
    return element("select", options, name="section", aria_label=say("section"))


def _render_choices(legend: str, name: str, choices: Iterable[tuple[str, str]]) -> Markup:
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


def _render_no_match(say: Translator) -> Markup:
    text = say("Nothing matches. Clear the filter to see everything again.")
    return element("p", text, id="nothing", hidden=True)


def _render_footer(say: Translator) -> Markup:
    keys = (
        ("/", say("search")),
        ("j k", say("next, previous")),
        ("n", say("next failure")),
        ("Enter", say("open or close")),
    )
    box = element(
        "label",
        element("input", type="checkbox", id="keys", checked=True),
        say("Single-key shortcuts"),
    )
    shortcuts = ((" · ", element("kbd", key), " ", what) for key, what in keys)
    origin = say("This page shows the result of a run. It judges nothing itself.")
    return element(
        "footer",
        element("p", box, shortcuts, class_="keys", hidden=True),
        element("p", origin),
        element("p", say("copied"), id="copied", role="status", hidden=True),
    )
