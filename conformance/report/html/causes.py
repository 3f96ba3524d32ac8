"""The causes on the page: each failure that follows from no other, with what follows from it."""

from collections.abc import Iterator

from conformance.judging.causes import Cause, Consequence
from conformance.report.html.markup import Content, Markup, element, render_prose
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
    if finding := result.finding:
        printed = finding.printed.summary if finding.printed else ""
        for text in filter(None, (finding.got, describe_silence(finding, say.language), printed)):
            yield element("p", say.cut(text, LENGTH), class_="got")
    if cause.consequences:
        count = element("summary", describe_consequences(cause, say.language))
        items = (element("li", _render_line(context, each)) for each in cause.consequences)
        yield element("details", count, element("ul", items))


def _render_line(context: RenderContext, consequence: Consequence) -> Iterator[Content]:
    say, result = context.say, consequence.result
    yield render_verdict(result.status, say)
    yield element("a", result.id, href=f"#{context.prefix}{result.id}", class_="id")
    link = element("i", translate(consequence.link, say.language), class_="level")
    yield element("span", render_prose(find_sentence(context, result)), " ", link)
