"""Markdown: a page for a pull request's comment or a step's summary, which is cut where it would not fit."""

from collections.abc import Iterable, Iterator, Sequence

from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.markup import block, cell, code, html, shown, some
from conformance.report.record_reader import Judged, Report
from conformance.report.terminal import KNOWN, labelled
from conformance.report.translations import said
from conformance.spec.catalogue import Language, Requirement

LIMIT = 65_536  # characters of a comment on GitHub; a step's summary may have 1 MiB, which these are less than in any language
RESERVED = 1_500  # of them, for what says that something is left out and where to see it
COLUMNS = (*Status, None)


Piece = tuple[
    str, int
]  # a part of a page that is shown whole or left out, and of how many requirements (or records) it tells


def render(reports: Sequence[Report], language: Language) -> str:
    """The page."""
    page = _compared(reports, language) if len(reports) > 1 else ""
    for told, report in enumerate(reports):
        one = _one(report, language, (LIMIT - RESERVED - len(page)) // (len(reports) - told))
        if len(page) + len(one) > LIMIT - RESERVED:
            return page + _more_records(len(reports) - told, language)
        page += one
    return page


def fitting(pieces: Iterable[Piece], room: int) -> tuple[str, int]:
    """As many pieces from the first as there is room for, and of how many requirements they tell."""
    text, told = "", 0
    for piece, count in pieces:
        if len(text) + len(piece) > room:
            break
        text, told = text + piece, told + count
    return text, told


def title(requirement: Requirement, language: Language) -> str:
    """A requirement in a sentence of Markdown: a record's own words, where it has some that the specification has not, as code."""
    ours = _is_ours(requirement, language)
    return f"**{shown(requirement.id)}** {requirement.level} {requirement.sentence if ours else code(requirement.sentence)}"


def summary(requirement: Requirement, language: Language) -> str:
    """The same in HTML."""
    ours = _is_ours(requirement, language)
    name, sentence = (
        text if ours else "`" + text.replace("`", "'") + "`"
        for text in (requirement.id, requirement.sentence)
    )
    return f"<summary><b>{html(name)}</b> {requirement.level} {html(sentence)} <i>{requirement.source}</i></summary>"


def _is_ours(requirement: Requirement, language: Language) -> bool:
    spec = joins.known(requirement.id, language)
    return spec is not None and requirement.sentence == spec.sentence


def failure(judged: Judged, language: Language) -> str:
    """A requirement that failed, closed, with what was expected and seen inside."""
    requirement, found = joins.of(judged, language), judged.found
    parts = [f"<details>{summary(requirement, language)}"]
    parts += [f"**{said('known', language)}** {shown(judged.known.reason)}"] if judged.known else []
    if found:
        seen = {
            "expected": [found.expected],
            "got": [found.got],
            "evidence": found.summaries,
            "look at": [found.look_at],
        }
        parts.append(
            block(
                *(
                    line.text
                    for label, texts in seen.items()
                    for line in labelled(said(label, language), *some(texts))
                )
            )
        )
        parts += [block(*some(found.reproduce), language="sh")] if found.reproduce else []
    told = {"why": requirement.why, "to mend it": requirement.mend}
    parts += [f"**{said(label, language)}** {text}" for label, text in told.items() if text]
    return "\n\n".join([*parts, "</details>"]) + "\n\n"


def _one(report: Report, language: Language, room: int) -> str:
    head = _head(report, language)
    foot = _foot(report, language)
    text, told = fitting(_pieces(report, language), room - RESERVED - len(head) - len(foot))
    left = sum(each.status not in (Status.PASS, None) for each in report.judged) - told
    return head + text + (_left_out(report, left, language) if left else "") + foot


def _head(report: Report, language: Language) -> str:
    claim = said(f"{report.claim} is established" if report.claim else "no claim", language)
    title_line = f"## {said('Conformance', language)}: {claim}"
    return (
        "\n\n".join(
            [
                title_line,
                f"{code(report.target)}: {shown(said_of(report, language))}",
                _counts(report, language),
            ]
        )
        + "\n\n"
    )


def said_of(report: Report, language: Language) -> str:
    """The claim's sentence: the run's own, or ours where it came to none."""
    return report.sentence_in(language)


def _counts(report: Report, language: Language) -> str:
    shown_columns = [status for status in COLUMNS if report.counts[status]]
    names = [str(status) if status else said("not judged", language) for status in shown_columns]
    lines = [
        f"| {said('section', language)} | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for heading, judged in joins.by_section(report, language):
        counts = [sum(each.status is status for each in judged) for status in shown_columns]
        lines.append(f"| {heading} | {' | '.join(str(count or '') for count in counts)} |")
    return "\n".join(lines)


def _pieces(report: Report, language: Language) -> Iterator[Piece]:
    """What is told of single requirements, the most urgent first."""
    by_status = {
        status: [each for each in report.judged if each.status is status] for status in COLUMNS
    }
    news, known = (
        [each for each in by_status[Status.FAIL] if bool(each.known) is wanted]
        for wanted in (False, True)
    )
    for name, group in (
        (str(Status.FAIL), news),
        (str(Status.ERROR), by_status[Status.ERROR]),
        (KNOWN, known),
    ):
        for number, each in enumerate(group):
            heading = f"### {name} ({len(group)})\n\n" if number == 0 else ""
            yield heading + failure(each, language), 1
    yield from _reasons(by_status[Status.INCONCLUSIVE])
    for number, each in enumerate(by_status[Status.OBSERVED]):
        heading = f"### OBSERVED ({len(by_status[Status.OBSERVED])})\n\n" if number == 0 else ""
        yield (
            f"{heading}- {title(joins.of(each, language), language)}: {shown(each.found.got) if each.found else ''}\n",
            1,
        )


def _reasons(judged: Sequence[Judged]) -> Iterator[Piece]:
    """What could not be judged, those with the same reason together."""
    reasons = dict.fromkeys(each.found.got if each.found else "" for each in judged)
    for number, reason in enumerate(reasons):
        names = [
            shown(each.id) for each in judged if (each.found.got if each.found else "") == reason
        ]
        heading = f"### INCONCLUSIVE ({len(judged)})\n\n" if number == 0 else ""
        yield f"{heading}- {shown(reason)}: {', '.join(names)}\n", len(names)
    yield "\n" if judged else "", 0


def _left_out(report: Report, left: int, language: Language) -> str:
    text = said(
        "{left} more are left out here, for want of room; {command} shows them all.", language
    )
    return "\n" + text.format(left=left, command=code(f"conformance report {report.path}")) + "\n"


def _more_records(left: int, language: Language) -> str:
    return (
        "\n"
        + said("{left} more records are left out here, for want of room.", language).format(
            left=left
        )
        + "\n"
    )


def _foot(report: Report, language: Language) -> str:
    header = report.header
    services = [
        header["services"][name]
        for name in ("postgres", "redis", "upstream")
        if name in header["services"]
    ]
    about = {
        "services": ", ".join(services),
        "seed": str(header["seed"]),
        "suite": header["suite"],
        "took": f"{report.seconds:.1f} s",
    }
    return (
        "\n"
        + " · ".join(
            f"{said(name, language)} {shown(text)}" for name, text in about.items() if text
        )
        + "\n\n"
    )


def _compared(reports: Sequence[Report], language: Language) -> str:
    """Several records beside each other: what each establishes, and what differs."""
    legend = [
        (f"{number}. {code(report.target)}: {shown(said_of(report, language))}\n", 1)
        for number, report in enumerate(reports, 1)
    ]
    lines = [
        f"## {said('Conformance', language)}: {len(reports)} {said('records', language)}",
        "",
        fitting(legend, LIMIT // 4)[0],
    ]
    rows = joins.differing(reports)
    if not rows:
        return "\n".join(
            [*lines, "", said("Every requirement has the same verdict in each.", language), "", ""]
        )
    head = f"\n| {said('what differs', language)} |{''.join(f' {number} |' for number in range(1, len(reports) + 1))}\n"
    head += f"| --- |{' --- |' * len(reports)}\n"
    cells = [
        (
            f"| {cell(name)} | {' | '.join(cell(joins.verdict(each, language)) for each in row)} |\n",
            1,
        )
        for name, row in rows
    ]
    text = "\n".join(lines) + "\n" + head
    table, told = fitting(cells, LIMIT // 2 - len(text))
    more = said("{left} more rows are left out here.", language).format(left=len(rows) - told)
    return text + table + (f"\n{more}\n" if told < len(rows) else "") + "\n"
