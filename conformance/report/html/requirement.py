"""A requirement on the page: a line with its verdict that opens to all that is known of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from conformance.judging.causes import Cause, Consequence, map_consequences
from conformance.judging.result import Finding, RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report.html.chart import draw_chart, format_duration
from conformance.report.html.markup import (
    Content,
    Markup,
    Translator,
    definition_list,
    element,
    render_prose,
)
from conformance.report.html.timeline import build_timeline
from conformance.report.joins import describe_silence, find_causes, has_usual_cause
from conformance.report.translations import translate
from conformance.spec.catalogue import FOLDER, Requirement, folder

SIDE = 1500  # characters of what was expected, and of what was got
SUMMARY = 400  # of a line of evidence
SUMMARIES = 12  # lines of evidence
COMMAND = 4000  # characters of a line to reproduce
NOT_JUDGED = "not judged"
WITHOUT_FAILURE = (Status.INCONCLUSIVE, Status.OBSERVED, Status.NOT_APPLICABLE)


@dataclass(frozen=True)
class RenderContext:
    """How a run's requirements are shown: in which words, with which ids, how many events each."""

    run: RunResult
    known: Mapping[str, Requirement]
    say: Translator
    room: int  # events of one timeline
    prefix: str = ""  # of ids

    @cached_property
    def causes(self) -> list[Cause]:
        """The failures of the run under their causes."""
        return find_causes(self.run)

    @cached_property
    def consequences(self) -> dict[str, Consequence]:
        """What follows from another failure, by id."""
        return map_consequences(self.causes)


def render_entry(context: RenderContext, result: RequirementResult) -> Markup:
    """The requirement."""
    known = f"{context.say('known')} · " if result.known else None
    consequence = context.consequences.get(result.id)
    origin = f"← {consequence.cause} · " if consequence else None
    summary = element(
        "summary",
        render_verdict(result.status, context.say),
        element("span", result.id, class_="id"),
        element("h3", render_prose(find_sentence(context, result))),
        element("span", known, origin, result.level, class_="level"),
    )
    return element(
        "details",
        summary,
        element("div", _render_details(context, result), class_="opened"),
        class_="item",
        id=context.prefix + result.id,
        data_status=result.status or NOT_JUDGED,
        data_level=result.level,
        data_section=result.section,
    )


def render_verdict(status: Status | None, say: Translator) -> Markup:
    """A verdict as a word with its sign."""
    return element(
        "span", label_status(status, say), class_="verdict", data_is=status or NOT_JUDGED
    )


def label_status(status: Status | None, say: Translator) -> str:
    """The word of a verdict."""
    return status.label if status else say(NOT_JUDGED)


def find_sentence(context: RenderContext, result: RequirementResult) -> str:
    """The requirement in a sentence: this catalogue's, or the run's if this one has none."""
    known = context.known.get(result.id)
    return known.sentence if known else result.sentence


def _render_details(context: RenderContext, result: RequirementResult) -> Iterator[Content]:
    say, requirement = context.say, context.known.get(result.id)
    if requirement:
        yield [
            element("p", render_prose(paragraph), class_="text")
            for paragraph in requirement.text.split("\n\n")
        ]
    consequence = context.consequences.get(result.id)
    if result.finding:
        yield _render_finding(context, result, result.finding)
        if not result.lacks_channel:
            timeline = build_timeline(context.run, result, context.room)
            yield draw_chart(timeline, say) if timeline else None
        yield _render_commands(result.finding, say)
        if not consequence:
            yield _render_advice(result, result.finding, requirement, say)
    if requirement:
        is_shown = has_usual_cause(result) and result.status not in WITHOUT_FAILURE
        usual = None if is_shown or consequence else render_prose(requirement.usual_cause)
        notes = {
            say("why it matters"): render_prose(requirement.why),
            say("usual cause of failing"): usual,
        }
        yield definition_list(notes, class_="notes")
    yield element("p", _render_colophon(context, result, requirement), class_="colophon")


def _render_finding(context: RenderContext, result: RequirementResult, finding: Finding) -> Markup:
    say = context.say
    got: Content = say.cut(finding.got, SIDE)
    parts: dict[str, Content] = {}
    if consequence := context.consequences.get(result.id):
        parts[say("follows from")] = _render_origin(context, consequence)
    match result.status:
        case Status.OBSERVED:
            parts[say("observed")] = _render_texts(finding.observations, SIDE, say)
        case Status.INCONCLUSIVE | Status.NOT_APPLICABLE:
            parts[say("to judge") if finding.missing else say("because")] = got
        case _:
            parts[say("expected")] = say.cut(finding.expected, SIDE)
            parts[say("got")] = got
    silence, printed = describe_silence(finding, say.language), finding.printed
    parts[say("silent")] = say.cut(silence, SUMMARY) if silence else None
    parts[say("printed")] = say.cut(printed.summary, SUMMARY) if printed else None
    parts[say("known")] = _render_known(result, say)
    summaries = [reference.summary for reference in finding.evidence]
    parts[say("evidence")] = _render_texts(summaries, SUMMARY, say) if summaries else None
    return definition_list(parts, class_="found")


def _render_origin(context: RenderContext, consequence: Consequence) -> Content:
    """What a result follows from, and why."""
    name = consequence.cause
    link = element("a", name, href=f"#{context.prefix}{name}")
    return [link, ": ", translate(consequence.link, context.say.language)]


def _render_texts(texts: tuple[str, ...] | list[str], length: int, say: Translator) -> Markup:
    """The first of some texts, each cut, and how many more there are."""
    items = [element("li", say.cut(each, length)) for each in texts[:SUMMARIES]]
    if more := len(texts) - len(items):
        items.append(element("li", say("and {count} more", count=more), class_="cut"))
    return element("ul", items)


def _render_known(result: RequirementResult, say: Translator) -> Content:
    """Why a failure does not count, in the words of the target's owner."""
    if result.known is None:
        return None
    until = say(" (until {day})", day=result.known.expires) if result.known.expires else ""
    return [say.cut(result.known.reason, SIDE), until]


def _render_commands(finding: Finding, say: Translator) -> Content:
    """Commands to run again.

    What is copied is what is seen: a character that a terminal would act on stays an escape.
    """
    if not finding.reproduce:
        return None
    button = element("button", say("Copy"), type="button", class_="copy", hidden=True)
    lines = [
        element(
            "div", element("pre", element("code", say.cut(each, COMMAND))), button, class_="command"
        )
        for each in finding.reproduce
    ]
    return definition_list({say("reproduce"): lines}, class_="notes")


def _render_advice(
    result: RequirementResult, finding: Finding, requirement: Requirement | None, say: Translator
) -> Content:
    """Where to look, and how to fix it."""
    if result.status in WITHOUT_FAILURE:
        return None
    is_usual = requirement is not None and has_usual_cause(result)
    cause: Content = (
        render_prose(requirement.usual_cause)
        if requirement and is_usual
        else say.cut(finding.likely_cause, SIDE)
    )
    fix = render_prose(requirement.mend) if requirement else None
    return definition_list({say("likely cause"): cause, say("how to fix"): fix}, class_="notes")


def _render_colophon(
    context: RenderContext, result: RequirementResult, requirement: Requirement | None
) -> Iterator[Content]:
    say = context.say
    parts: list[Content] = [
        element("a", f"#{result.id}", href=f"#{context.prefix}{result.id}"),
    ]
    if requirement:
        channels = ", ".join(map(say, requirement.channels))
        place = folder(say.language).relative_to(FOLDER.parent)
        parts += [
            requirement.source,
            say("observed through {channels}", channels=channels),
            f"{place}/{requirement.document}:{requirement.line}",
        ]
    if result.status:
        duration = format_duration(result.seconds)
        parts.append(say("probes: {count}, {time}", count=result.probes, time=duration))
    if result.finding and result.status is Status.FAIL:
        parts.append(say("fingerprint {digits}", digits=result.finding.fingerprint))
    for number, part in enumerate(parts):
        yield [" · " if number else None, part]
