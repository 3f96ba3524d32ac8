"""Markdown: a page for a pull request's comment or a step's summary, cut if it would not fit."""

from collections.abc import Iterable, Iterator, Sequence

from conformance.judging.causes import Cause
from conformance.judging.result import RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.joins import describe_consequences
from conformance.report.markup import (
    quote_block,
    quote_cell,
    quote_code,
    quote_html,
    quote_inline,
    shorten_list,
)
from conformance.report.terminal import KNOWN, SERVICES, label_lines, shorten_found
from conformance.report.translations import translate
from conformance.spec.catalogue import Language, Requirement

# Characters of a comment on GitHub. A step's summary may have 1 MiB.
LIMIT = 65_536
RESERVED = 1_500  # of them, for what says that something is left out and where to see it
COLUMNS = (*Status, None)

# A part of a page, which is shown whole or left out, and how many requirements or runs it shows.
Piece = tuple[str, int]


def render_markdown(runs: Sequence[RunResult], language: Language) -> str:
    """The page."""
    page = _compare_runs(runs, language) if len(runs) > 1 else ""
    for shown, run in enumerate(runs):
        one = _write_run(run, language, (LIMIT - RESERVED - len(page)) // (len(runs) - shown))
        if len(page) + len(one) > LIMIT - RESERVED:
            return page + _say_left_out_runs(len(runs) - shown, language)
        page += one
    return page


def fit_pieces(pieces: Iterable[Piece], room: int) -> tuple[str, int]:
    """As many pieces from the first as there is room for, and how many they show."""
    text, shown = "", 0
    for piece, count in pieces:
        if len(text) + len(piece) > room:
            break
        text, shown = text + piece, shown + count
    return text, shown


def write_title(requirement: Requirement, language: Language) -> str:
    """A requirement in a sentence of Markdown. What the specification does not say is code."""
    is_ours = _is_ours(requirement, language)
    sentence = requirement.sentence if is_ours else quote_code(requirement.sentence)
    return f"**{quote_inline(requirement.id)}** {requirement.level} {sentence}"


def write_failure(result: RequirementResult, language: Language, cause: Cause | None = None) -> str:
    """A requirement that failed, folded, with what was expected and seen inside.

    With `cause`, what follows from it stands there too.
    """
    requirement = joins.describe_requirement(result, language)
    parts = [f"<details>{_write_summary(requirement, language)}"]
    if result.known:
        known = translate("known", language)
        parts.append(f"**{known}** {quote_inline(result.known.reason)}")
    if result.finding:
        parts.append(_write_finding(result, language))
        if reproduce := result.finding.reproduce:
            parts.append(quote_block(*shorten_list(reproduce), language="sh"))
    advice = {"why": requirement.why, "how to fix": requirement.mend}
    parts += [f"**{translate(label, language)}** {text}" for label, text in advice.items() if text]
    if cause and cause.consequences:
        parts.append(_write_consequences(cause, language))
    return "\n\n".join([*parts, "</details>"]) + "\n\n"


def _write_consequences(cause: Cause, language: Language) -> str:
    """What follows from a failure, an item each."""
    label, counts = translate("consequences", language), describe_consequences(cause, language)
    lines = [f"**{label}** {counts}", ""]
    for each in cause.consequences:
        title = write_title(joins.describe_requirement(each.result, language), language)
        got = quote_inline(shorten_found(each.result.finding.got)) if each.result.finding else ""
        lines.append(f"- {title}: {got}" if got else f"- {title}")
    return "\n".join(lines)


def _write_summary(requirement: Requirement, language: Language) -> str:
    is_ours = _is_ours(requirement, language)
    name, sentence = (
        quote_html(text if is_ours else "`" + text.replace("`", "'") + "`")
        for text in (requirement.id, requirement.sentence)
    )
    level, source = requirement.level, requirement.source
    return f"<summary><b>{name}</b> {level} {sentence} <i>{source}</i></summary>"


def _is_ours(requirement: Requirement, language: Language) -> bool:
    spec = joins.find_requirement(requirement.id, language)
    return spec is not None and requirement.sentence == spec.sentence


def _write_finding(result: RequirementResult, language: Language) -> str:
    finding = result.finding
    assert finding
    silence = joins.describe_silence(finding, language)
    labelled = {
        "expected": [finding.expected],
        "got": [finding.got],
        "silent": [silence] if silence else [],
        "printed": [finding.printed.summary] if finding.printed else [],
        "evidence": [reference.summary for reference in finding.evidence],
        "likely cause": [joins.describe_likely_cause(result, language)],
    }
    lines = (
        line.text
        for label, texts in labelled.items()
        for line in label_lines(translate(label, language), *shorten_list(texts))
    )
    return quote_block(*lines)


def _write_run(run: RunResult, language: Language, room: int) -> str:
    head = _write_head(run, language)
    foot = _write_foot(run, language)
    text, shown = fit_pieces(_list_pieces(run, language), room - RESERVED - len(head) - len(foot))
    left = sum(each.status not in (Status.PASS, None) for each in run.results) - shown
    return head + text + (_say_left_out(run, left, language) if left else "") + foot


def _write_head(run: RunResult, language: Language) -> str:
    claim = translate(f"{run.claim} is established" if run.claim else "no claim", language)
    sentence = quote_inline(joins.describe_claim(run, language))
    parts = [
        f"## {translate('Conformance', language)}: {claim}",
        f"{quote_code(run.target)}: {sentence}",
        _write_counts(run, language),
    ]
    return "\n\n".join(parts) + "\n\n"


def _write_counts(run: RunResult, language: Language) -> str:
    columns = [status for status in COLUMNS if run.counts[status]]
    names = [status.label if status else translate("not judged", language) for status in columns]
    lines = [
        f"| {translate('section', language)} | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for heading, results in joins.group_by_section(run, language):
        counts = [sum(each.status is status for each in results) for status in columns]
        lines.append(f"| {heading} | {' | '.join(str(count or '') for count in counts)} |")
    return "\n".join(lines)


def _list_pieces(run: RunResult, language: Language) -> Iterator[Piece]:
    """What is said of single requirements, the most urgent first."""
    causes = joins.find_causes(run)
    errors = [Cause(each) for each in joins.select_status(run.results, Status.ERROR)]
    for name, group in (
        (Status.FAIL.label, [each for each in causes if not each.result.known]),
        (Status.ERROR.label, errors),
        (KNOWN, [each for each in causes if each.result.known]),
    ):
        results = [each for cause in group for each in cause.all_results]
        for number, cause in enumerate(group):
            text = write_failure(cause.result, language, cause)
            yield _write_heading(name, results, number) + text, len(cause.all_results)
    folded = {each.id for cause in causes for each in cause.all_results}
    for status in (Status.INCONCLUSIVE, Status.NOT_APPLICABLE):
        rest = [each for each in joins.select_status(run.results, status) if each.id not in folded]
        yield from _list_reasons(rest, status)
    observed = joins.select_status(run.results, Status.OBSERVED)
    for number, each in enumerate(observed):
        heading = _write_heading(Status.OBSERVED.label, observed, number)
        yield f"{heading}- {_write_observation(each, language)}\n", 1


def _write_heading(name: str, group: Sequence[RequirementResult], number: int = 0) -> str:
    """The heading of a group, before its first member."""
    return f"### {name} ({len(group)})\n\n" if number == 0 else ""


def _write_observation(result: RequirementResult, language: Language) -> str:
    requirement = write_title(joins.describe_requirement(result, language), language)
    return f"{requirement}: {quote_inline(result.finding.got) if result.finding else ''}"


def _list_reasons(results: Sequence[RequirementResult], status: Status) -> Iterator[Piece]:
    """Requirements without a verdict, those with the same reason together."""
    for number, (reason, group) in enumerate(joins.group_by_reason(results).items()):
        names = ", ".join(quote_inline(each.id) for each in group)
        heading = _write_heading(status.label, results, number)
        yield f"{heading}- {quote_inline(reason)}: {names}\n", len(group)
    yield "\n" if results else "", 0


def _say_left_out(run: RunResult, left: int, language: Language) -> str:
    text = translate("{left} more are not shown here; {command} shows all of them.", language)
    command = quote_code(f"conformance report {run.path}")
    return f"\n{text.format(left=left, command=command)}\n"


def _say_left_out_runs(left: int, language: Language) -> str:
    return f"\n{translate('{left} more records are not shown here.', language).format(left=left)}\n"


def _write_foot(run: RunResult, language: Language) -> str:
    header = run.header
    services = [header.services[name] for name in SERVICES if name in header.services]
    about = {
        "services": ", ".join(services),
        "cage": header.services.get("cage", ""),
        "seed": str(header.seed),
        "suite": header.suite,
        "took": f"{run.seconds:.1f} s",
    }
    parts = (
        f"{translate(name, language)} {quote_inline(text)}" for name, text in about.items() if text
    )
    return "\n" + " · ".join(parts) + "\n\n"


def _compare_runs(runs: Sequence[RunResult], language: Language) -> str:
    """Several runs side by side: what each establishes, and what differs."""
    heading = f"{translate('Conformance', language)}: {len(runs)} {translate('records', language)}"
    legend = [
        (
            (
                f"{number}. {quote_code(run.target)}:"
                f" {quote_inline(joins.describe_claim(run, language))}\n"
            ),
            1,
        )
        for number, run in enumerate(runs, 1)
    ]
    top = f"## {heading}\n\n{fit_pieces(legend, LIMIT // 4)[0]}\n"
    rows = joins.find_differences(runs)
    if not rows:
        return f"{top}{translate('Every requirement has the same verdict in each.', language)}\n\n"
    return top + _write_difference_table(rows, len(runs), LIMIT // 2 - len(top), language)


def _write_difference_table(
    rows: Sequence[tuple[str, Sequence[RequirementResult | None]]],
    columns: int,
    room: int,
    language: Language,
) -> str:
    numbers = "".join(f" {number} |" for number in range(1, columns + 1))
    head = f"| {translate('what differs', language)} |{numbers}\n"
    head += f"| --- |{' --- |' * columns}\n"
    lines = [
        (
            f"| {quote_cell(name)} |"
            + "".join(f" {quote_cell(joins.describe_verdict(each, language))} |" for each in row)
            + "\n",
            1,
        )
        for name, row in rows
    ]
    table, shown = fit_pieces(lines, room - len(head))
    if shown == len(rows):
        return head + table + "\n"
    more = translate("{left} more rows are not shown here.", language)
    return f"{head}{table}\n{more.format(left=len(rows) - shown)}\n\n"
