"""The causes on the page: each failure that follows from no other, with what follows from it."""

from collections.abc import Iterator

from conformance.judging.causes import Cause, Consequence, Link
from conformance.judging.result import Finding
from conformance.report.html.markup import (
    Content,
    Markup,
    Translator,
    definition_list,
    element,
    render_prose,
)
from conformance.report.html.requirement import RenderContext, find_sentence, render_verdict
from conformance.report.joins import describe_consequences, describe_silence
from conformance.report.translations import translate

LENGTH = 300  # characters of what was found


def render_causes(context: RenderContext) -> Markup | None:
    """The list, from the one to look at first. None without a failure."""
    say = context.say
    if not context.causes:
        return None
    heading = element("h2", say("What to look at first"), id="causes-heading")
    items = (element("li", _render_cause(context, cause)) for cause in context.causes)
    return element(
        "section",
        heading,
        element("ol", items),
        class_="causes",
        id=f"{context.prefix}causes",
        aria_labelledby="causes-heading",
    )


def _render_cause(context: RenderContext, cause: Cause) -> Iterator[Content]:
    say, result = context.say, cause.result
    known = f"{say('known')} · " if result.known else None
    name = element("a", result.id, href=f"#{context.prefix}{result.id}", class_="id")
    sentence = element("b", render_prose(find_sentence(context, result)))
    level = element("span", known, result.level, class_="level")
    yield element("p", render_verdict(result.status, say), " ", name, " ", sentence, " ", level)
    if result.finding:
        yield definition_list(_describe_finding(result.finding, say), class_="found")
    if cause.consequences:
        counts = describe_consequences(cause, say.language)
        count = element("summary", say("follow from it: {counts}", counts=counts))
        items = (element("li", _render_line(context, each)) for each in cause.consequences)
        yield element("details", count, element("ul", items))


def _describe_finding(finding: Finding, say: Translator) -> dict[str, Content]:
    """What was expected and found, and what the process said of it."""
    texts = {
        "expected": finding.expected,
        "got": finding.got,
        "silent": describe_silence(finding, say.language),
        "printed": finding.printed.summary if finding.printed else "",
    }
    return {say(label): say.cut(text, LENGTH) for label, text in texts.items() if text}


def _render_line(context: RenderContext, consequence: Consequence) -> Iterator[Content]:
    say, result = context.say, consequence.result
    yield render_verdict(result.status, say)
    yield element("a", result.id, href=f"#{context.prefix}{result.id}", class_="id")
    is_usual = consequence.link is Link.NEED
    link = None if is_usual else translate(consequence.link, say.language)
    sentence = render_prose(find_sentence(context, result))
    yield element("span", sentence, " ", element("i", link, class_="level") if link else None)
