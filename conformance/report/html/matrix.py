"""The matrix: several runs side by side, with emphasis on the requirements that differ."""

from collections.abc import Iterator, Sequence

from conformance.judging.result import RequirementResult
from conformance.judging.verdict import Status
from conformance.report.html.chart import format_duration
from conformance.report.html.markup import Content, Markup, element, render_prose
from conformance.report.html.requirement import (
    NOT_JUDGED,
    RenderContext,
    find_sentence,
    render_entry,
    render_verdict,
)
from conformance.report.html.summary import (
    LENGTH,
    ORDER,
    group_results,
    render_claim,
    render_counts,
    render_date,
    render_incomplete,
)
from conformance.spec.catalogue import sections

NAME = 80  # characters of a target at the head of a column
# Those of which there is nothing more to read below the matrix.
SETTLED = (Status.PASS, Status.OBSERVED)


def render_comparison(contexts: Sequence[RenderContext]) -> Markup:
    """The top of the page: what each run establishes."""
    say = contexts[0].say
    items = (
        element("li", _describe_run(context, number)) for number, context in enumerate(contexts, 1)
    )
    return element(
        "header",
        element("p", say("Conformance report"), class_="kicker"),
        element("h1", say("{count} records compared", count=len(contexts))),
        element("ol", items, class_="records"),
    )


def _describe_run(context: RenderContext, number: int) -> Iterator[Content]:
    run, say = context.run, context.say
    link = element(
        "a",
        element("b", f"{number} "),
        say.name(run.target, LENGTH),
        href=f"#record-{number}",
    )
    yield element("h2", link)
    yield render_claim(run, say)
    yield render_counts(run, say)
    duration = format_duration(run.footer.seconds) if run.footer else say("interrupted")
    seed = say("seed {seed}", seed=str(run.header.seed))
    yield element("p", render_date(run.header.began), f" · {duration} · {seed}", class_="colophon")


def render_matrix(contexts: Sequence[RenderContext]) -> Markup:
    """The table: a row for each requirement, a column for each run."""
    say = contexts[0].say
    results = _list_results(contexts)
    different = sum(len(_list_statuses(contexts, each.id)) > 1 for each in results)
    caption = say(
        "{count} of {all} requirements differ; their rows are marked with ≠",
        count=different,
        all=len(results),
    )
    table = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", _render_column_heads(contexts))),
        _render_row_groups(contexts, results),
    )
    return element(
        "div", table, class_="matrix", tabindex=0, role="region", aria_label=say("The matrix")
    )


def _render_column_heads(contexts: Sequence[RenderContext]) -> Iterator[Markup]:
    say = contexts[0].say
    for text in ("requirement", "level"):
        yield element("th", say(text), scope="col")
    for number, context in enumerate(contexts, 1):
        name = say.name(context.run.target, NAME)
        yield element("th", element("b", f"{number}"), " ", name, scope="col")


def _render_row_groups(
    contexts: Sequence[RenderContext], results: Sequence[RequirementResult]
) -> Iterator[Markup]:
    say = contexts[0].say
    for number, title, group in group_results(results, sections(say.language), say):
        head = element(
            "th", f"{number or ''} {title}".strip(), scope="rowgroup", colspan=len(contexts) + 2
        )
        yield element(
            "tbody",
            element("tr", head),
            (_render_row(contexts, each) for each in group),
            class_="group",
            id=f"section-{number}",
        )


def _list_results(contexts: Sequence[RenderContext]) -> list[RequirementResult]:
    """Every requirement of any run, once, in the order of the catalogue."""
    first: dict[str, RequirementResult] = {}
    for context in contexts:
        for each in context.run.results:
            first.setdefault(each.id, each)
    order = {name: number for number, name in enumerate(contexts[0].known)}
    return sorted(first.values(), key=lambda each: order.get(each.id, len(order)))


def _list_statuses(contexts: Sequence[RenderContext], name: str) -> list[Status | None]:
    """The verdicts that a requirement has in the runs that selected it, each once."""
    results = [context.run.by_id.get(name) for context in contexts]
    found = {each.status for each in results if each}
    return [status for status in ORDER if status in found]


def _render_row(contexts: Sequence[RenderContext], first: RequirementResult) -> Markup:
    statuses = _list_statuses(contexts, first.id)
    known = contexts[0].known.get(first.id)
    level = known.level if known else first.level
    link = element("a", first.id, href=f"#{first.id}", class_="id")
    sentence = render_prose(find_sentence(contexts[0], first))
    return element(
        "tr",
        element("th", link, " ", sentence, scope="row"),
        element("td", level, class_="level"),
        (_render_cell(context, context.run.by_id.get(first.id)) for context in contexts),
        class_="item",
        id=first.id,
        data_status="|".join(status or NOT_JUDGED for status in statuses),
        data_level=level,
        data_section=first.section,
        data_differs=len(statuses) > 1,
    )


def _render_cell(context: RenderContext, result: RequirementResult | None) -> Markup:
    if result is None:
        return element("td", element("span", context.say("not selected"), class_="none"))
    verdict = render_verdict(result.status, context.say)
    if result.status in SETTLED or result.status is None:
        return element("td", verdict)
    return element("td", element("a", verdict, href=f"#{context.prefix}{result.id}"))


def render_remaining(context: RenderContext, number: int) -> Markup:
    """The requirements of a run that did not pass."""
    run, say = context.run, context.say
    remaining = [each for each in run.results if each.status not in SETTLED and each.status]
    name = say.name(run.target, LENGTH)
    return element(
        "section",
        element("h2", element("b", f"{number} "), name, id=f"record-{number}"),
        render_incomplete(run, say, f"incomplete-{number}"),
        (render_entry(context, each) for each in remaining)
        if remaining
        else element("p", say("Nothing failed, and everything could be judged.")),
        class_="group",
        aria_labelledby=f"record-{number}",
    )
