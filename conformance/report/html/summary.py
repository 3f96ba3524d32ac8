"""The top of the page: what a run established, on what, and a map of its verdicts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from conformance.judging.result import Evidence, RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report.html.chart import format_duration
from conformance.report.html.markup import (
    Content,
    Markup,
    Translator,
    definition_list,
    element,
)
from conformance.report.html.requirement import (
    NOT_JUDGED,
    RenderContext,
    find_sentence,
    label_status,
    render_verdict,
)
from conformance.report.joins import describe_claim
from conformance.spec.catalogue import Level, Section

# What a reader has to see first comes first.
ORDER = (
    Status.FAIL,
    Status.ERROR,
    Status.INCONCLUSIVE,
    None,
    Status.PASS,
    Status.OBSERVED,
    Status.NOT_APPLICABLE,
)
UNCOUNTED = (Status.OBSERVED, Status.NOT_APPLICABLE)  # neither passed nor missed
SERVICES = ("postgres", "redis", "upstream", "containers")
LENGTH = 400  # characters of a text of the run's
LAST = 12  # events of a run that was interrupted


def render_heading(run: RunResult, say: Translator) -> Markup:
    """The top of a page on one run."""
    return element(
        "header",
        element("p", say("Conformance report"), class_="kicker"),
        element("h1", say.name(run.target, LENGTH)),
        render_claim(run, say),
        render_counts(run, say),
        definition_list(_describe_run(run, say), class_="about"),
    )


def render_claim(run: RunResult, say: Translator) -> Markup:
    """The claim, and why in a sentence."""
    name = run.claim or say("no claim")
    sentence = describe_claim(run, say.language)
    reason = sentence.removeprefix(f"{name}: ").removeprefix(f"{name}：")
    return element(
        "p",
        element("strong", name),
        " ",
        element("span", say.cut(reason, LENGTH)),
        class_="claim",
        data_claim=run.claim or "none",
    )


def render_counts(run: RunResult, say: Translator) -> Markup:
    """How many requirements have each verdict."""
    counts = run.counts
    items = (
        element("li", element("b", str(counts[status])), render_verdict(status, say))
        for status in ORDER
        if counts[status]
    )
    return element("ul", items, class_="counts")


def _describe_run(run: RunResult, say: Translator) -> dict[str, Content]:
    """What ran, on what, when and for how long."""
    header, footer = run.header, run.footer
    every = "every MUST" if header.level is Level.MUST else "every MUST and SHOULD"
    interrupted = say("none, the run was interrupted")
    return {
        say("target"): say.cut(header.url or run.target, LENGTH),
        say("services"): _render_services(run, say),
        say("seed"): element("code", str(header.seed)),
        say("began"): render_date(header.began),
        say("duration"): format_duration(run.seconds),
        say("required"): say(every),
        say("exit status"): str(int(footer.exit_status)) if footer else interrupted,
        say("known failures"): _render_wrong_entries(run, say),
        say("suite"): say.cut(header.suite, LENGTH),
    }


def _render_services(run: RunResult, say: Translator) -> Content:
    services = run.header.services
    first = [name for name in SERVICES if name in services]
    names = [*first, *(name for name in services if name not in SERVICES)]
    if not names:
        return say("none")
    items = (element("li", say.cut(f"{name}: {services[name]}", LENGTH)) for name in names)
    return element("ul", items)


def _render_wrong_entries(run: RunResult, say: Translator) -> Content:
    """What is wrong with the list of known failures."""
    if not run.wrong_entries:
        return None
    items = (element("li", say.cut(entry.sentence, LENGTH)) for entry in run.wrong_entries)
    return element("ul", items)


def render_date(moment: datetime) -> Markup:
    """A date for a person."""
    return element("time", moment.strftime("%Y-%m-%d %H:%M %Z"), datetime=moment.isoformat())


def render_incomplete(run: RunResult, say: Translator, name: str = "incomplete") -> Content:
    """A notice on a run that was interrupted, with its last events. None for any other."""
    if run.is_complete:
        return None
    last = run.evidence[-LAST:]
    text = (
        "The run ended before it had judged {count} of its {all} requirements. It claims nothing."
    )
    return element(
        "section",
        element("h2", say("This record is incomplete"), id=name),
        element("p", say(text, count=run.counts[None], all=len(run.results))),
        element("p", say("Its last events:")) if last else None,
        element("ol", (_render_event(each, say) for each in last), class_="facts")
        if last
        else None,
        class_="incomplete",
        aria_labelledby=name,
    )


def _render_event(evidence: Evidence, say: Translator) -> Markup:
    return element(
        "li",
        element("time", f"{evidence.at:.2f} s"),
        element("span", say.cut(evidence.reference.summary, LENGTH)),
    )


def group_results(
    results: Iterable[RequirementResult], known: Sequence[Section], say: Translator
) -> Iterator[tuple[int, str, list[RequirementResult]]]:
    """Results by section, with its number and title. Last those of no section."""
    results = list(results)
    titles = [(section.number, section.title) for section in known]
    for number, title in [*titles, (0, say("not in this specification"))]:
        if group := [each for each in results if each.section == number]:
            yield number, title, group


def count_passed(results: Sequence[RequirementResult], say: Translator) -> str:
    """How many of those that are judged passed. Empty if none is."""
    if all(each.status is None for each in results):
        return say(NOT_JUDGED)
    counted = [each for each in results if each.status not in UNCOUNTED]
    passed = sum(each.status is Status.PASS for each in counted)
    return say("{passed} of {all} passed", passed=passed, all=len(counted)) if counted else ""


def render_map(context: RenderContext, known: Sequence[Section]) -> Markup:
    """Every requirement as a small sign that leads to it, a row for each section."""
    say = context.say
    rows = (
        element(
            "li",
            element("a", f"{number or ''} {title}".strip(), href=f"#section-{number}"),
            element("span", count_passed(results, say), class_="of"),
            element("ul", (element("li", _render_sign(context, each)) for each in results)),
        )
        for number, title, results in group_results(context.run.results, known, say)
    )
    return element(
        "nav", element("ol", rows), class_="map", aria_label=say("Requirements by section")
    )


def _render_sign(context: RenderContext, result: RequirementResult) -> Markup:
    label = label_status(result.status, context.say)
    return element(
        "a",
        result.id.split("-")[-1],
        href=f"#{result.id}",
        data_is=result.status or NOT_JUDGED,
        aria_label=f"{result.id} {label}",
        title=f"{result.id} {label}: {find_sentence(context, result)}",
    )
