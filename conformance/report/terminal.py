"""The summary at the end of a run, for a terminal. A pure function of the result."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.core.printing import escape_unprintable
from conformance.judging.causes import Cause
from conformance.judging.result import (
    LINE_NUMBER,
    KnownFailure,
    RequirementResult,
    RunResult,
    leave_out_changing,
)
from conformance.judging.verdict import Exit, Status
from conformance.report.joins import (
    describe_claim,
    describe_consequences,
    describe_likely_cause,
    describe_requirement,
    describe_silence,
    find_causes,
    group_by_reason,
    select_status,
    shows_the_same,
)
from conformance.report.translations import translate
from conformance.report.wrapping import measure_width, pad_text
from conformance.spec.catalogue import Language, Level, sections

WIDTH = 100
LABEL = 14  # columns of a label, and of the space after it
KNOWN = "FAIL (known)"
# What is counted in addition to the passes, in this order.
COUNTED = (
    Status.FAIL.label,
    KNOWN,
    Status.INCONCLUSIVE.label,
    Status.ERROR.label,
    Status.OBSERVED.label,
    Status.NOT_APPLICABLE.label,
)
SERVICES = ("postgres", "redis", "upstream")
NOTES = ("containers", "cage")  # of what is not as everywhere
INDENT = 2  # columns before a consequence
SHOWN = 160  # characters of what was found of a consequence


@dataclass(frozen=True)
class SummaryLine:
    """A line of the summary, and the verdict in whose colour it is printed, if any."""

    text: str
    tone: Status | None = None


def summarize_run(run: RunResult, language: Language = Language.EN) -> list[SummaryLine]:
    """The whole summary."""
    return [
        *_describe_run(run, language),
        SummaryLine(""),
        *_list_sections(run, language),
        *_list_findings(run, language),
        *_list_wrong_entries(run),
        SummaryLine(""),
        *_say_where_to_begin(run, language),
        _conclude_run(run, language),
    ]


def label_lines(label: str, *texts: str) -> Iterator[SummaryLine]:
    """Texts as lines, of which the first has a label."""
    for index, text in enumerate(texts):
        start = pad_text(label if index == 0 else "", max(LABEL, measure_width(label) + 1))
        yield SummaryLine(start + escape_unprintable(text))


def _describe_run(run: RunResult, language: Language) -> Iterator[SummaryLine]:
    header, services = run.header, run.header.services
    has_other_url = header.url and header.url != header.target
    target = f"{header.target} at {header.url}" if has_other_url else header.target
    yield from label_lines(translate("target", language), target)
    used = [services[name] for name in SERVICES if name in services]
    text = ", ".join(used) or translate("none", language)
    yield from label_lines(translate("services", language), text)
    for name in NOTES:
        if name in services:
            yield from label_lines(translate(name, language), services[name])
    if lacking := [each.id for each in run.results if each.lacks_channel]:
        text = translate("{ids} (the options that they need are listed below)", language)
        yield from label_lines(
            translate("not judged", language), text.format(ids=", ".join(lacking))
        )
    yield from label_lines(translate("seed", language), str(header.seed))


def _list_sections(run: RunResult, language: Language) -> Iterator[SummaryLine]:
    for section in sections(language):
        results = [each for each in run.results if each.section == section.number and each.status]
        if results:
            counted = _count_section(results, language)
            yield SummaryLine(
                f"  {section.number} {pad_text(section.title, 14)} {counted}", _find_worst(results)
            )


def _count_section(results: Sequence[RequirementResult], language: Language) -> str:
    counts = Counter(map(_label_status, results))
    unjudged = counts[Status.OBSERVED.label] + counts[Status.NOT_APPLICABLE.label]
    passed = translate("{passed:>2} of {judged:>2} passed", language).format(
        passed=counts[Status.PASS.label], judged=len(results) - unjudged
    )
    others = [f"{counts[label]} {label}" for label in COUNTED if counts[label]]
    return ", ".join([passed, *others])


def _find_worst(results: Sequence[RequirementResult]) -> Status:
    tones = set(map(_choose_tone, results))
    order = (Status.ERROR, Status.FAIL, Status.INCONCLUSIVE)
    return next((status for status in order if status in tones), Status.PASS)


def _label_status(result: RequirementResult) -> str:
    """The verdict as the summary prints it."""
    if result.known:
        return KNOWN
    return result.status.label if result.status else ""


def _choose_tone(result: RequirementResult) -> Status | None:
    """The verdict whose colour a result has. A known failure has that of what is not known."""
    return Status.INCONCLUSIVE if result.known else result.status


def _list_findings(run: RunResult, language: Language) -> Iterator[SummaryLine]:
    causes = find_causes(run)
    folded = {each.result.id for cause in causes for each in cause.consequences}
    for cause in causes:
        yield from _describe_failure(cause.result, language)
        yield from _list_consequences(cause, language)
    for status in (Status.ERROR, Status.INCONCLUSIVE, Status.NOT_APPLICABLE):
        rest = [each for each in select_status(run.results, status) if each.id not in folded]
        yield from _group_unjudged(rest, language)
    for each in select_status(run.results, Status.OBSERVED):
        if each.finding:
            yield SummaryLine("")
            yield _write_title(each, language)
            yield from label_lines(translate("observed", language), *each.finding.observations)


def _describe_failure(result: RequirementResult, language: Language) -> Iterator[SummaryLine]:
    yield SummaryLine("")
    yield _write_title(result, language)
    if result.known:
        yield from label_lines(
            translate("known", language), _describe_entry(result.known, language)
        )
    if (finding := result.finding) is None:
        return
    labelled = {
        "expected": [finding.expected],
        "got": [finding.got],
        "silent": [describe_silence(finding, language)] if finding.silence else [],
        "printed": [finding.printed.summary] if finding.printed else [],
        "evidence": [reference.summary for reference in finding.evidence],
        "reproduce": finding.reproduce,
        "fingerprint": [finding.fingerprint],
    }
    for label, texts in labelled.items():
        yield from label_lines(translate(label, language), *texts)
    if not result.known:
        yield from _describe_advice(result, language)


def _list_consequences(cause: Cause, language: Language) -> Iterator[SummaryLine]:
    """What follows from a failure, and of each what nothing before it under this cause showed."""
    if cause.consequences:
        label = translate("consequences", language)
        yield from label_lines(label, describe_consequences(cause, language))
    shown = {""}
    for each in cause.consequences:
        yield _write_title(each.result, language, indent=INDENT)
        label, text = _choose_said(each.result, cause)
        if (said := leave_out_changing(text)) not in shown:
            shown.add(said)
            yield from label_lines(" " * INDENT + translate(label, language), shorten_found(text))


def _choose_said(result: RequirementResult, cause: Cause) -> tuple[str, str]:
    """The one line that says most of a consequence, with its label. Empty for nothing new."""
    finding = result.finding
    if finding is None:
        return "got", ""
    if result.status is not Status.FAIL:
        return "because", finding.got
    if finding.printed:
        return "printed", LINE_NUMBER.sub("", finding.printed.summary)
    return "got", "" if shows_the_same(finding, cause.result) else finding.got


def shorten_found(text: str) -> str:
    """As much as is shown of what was found of a consequence."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _say_where_to_begin(run: RunResult, language: Language) -> Iterator[SummaryLine]:
    """The cause of most failures, as the last but one line of the page."""
    causes = [cause for cause in find_causes(run) if cause.consequences]
    if causes:
        said = describe_consequences(causes[0], language)
        text = translate("look at {cause} first: of what depends on it, {said}", language)
        yield SummaryLine(text.format(cause=causes[0].result.id, said=said))


def _describe_advice(result: RequirementResult, language: Language) -> Iterator[SummaryLine]:
    requirement = describe_requirement(result, language)
    cause = describe_likely_cause(result, language)
    yield from label_lines(translate("likely cause", language), cause)
    if requirement.level is Level.SHOULD:
        yield from label_lines(translate("why", language), requirement.why)
        yield from label_lines(translate("how to fix", language), requirement.mend)


def _describe_entry(known: KnownFailure, language: Language) -> str:
    if known.expires is None:
        return known.reason
    return known.reason + translate(" (until {day})", language).format(day=known.expires)


def _group_unjudged(
    results: Sequence[RequirementResult], language: Language
) -> Iterator[SummaryLine]:
    """Requirements without a verdict, those with the same reason together."""
    for reason, group in group_by_reason(each for each in results if each.finding).items():
        yield SummaryLine("")
        yield from (_write_title(each, language) for each in group)
        label = "to judge" if group[0].lacks_channel else "because"
        yield from label_lines(translate(label, language), reason)


def _write_title(result: RequirementResult, language: Language, *, indent: int = 0) -> SummaryLine:
    requirement = describe_requirement(result, language)
    left = escape_unprintable(f"{result.id:<8}{result.level:<8}{requirement.sentence}")
    if indent and result.status is Status.FAIL and result.finding:
        left = f"{' ' * indent}{left} ({result.finding.fingerprint})"
    elif indent:
        left = " " * indent + left
    right = f"{_label_status(result)}  {requirement.source}"
    return SummaryLine(f"{pad_text(left, WIDTH - len(right) - 1)} {right}", _choose_tone(result))


def _list_wrong_entries(run: RunResult) -> Iterator[SummaryLine]:
    """What is wrong with the list of known failures."""
    if run.wrong_entries:
        yield SummaryLine("")
    for entry in run.wrong_entries:
        yield from (
            SummaryLine(line.text, Status.FAIL)
            for line in label_lines(entry.mistake, entry.sentence)
        )


def _conclude_run(run: RunResult, language: Language) -> SummaryLine:
    sentence = escape_unprintable(describe_claim(run, language))
    if run.footer is None:
        text = translate("({count} of {all} requirements were not judged)", language)
        counted = text.format(count=run.counts[None], all=len(run.results))
        return SummaryLine(f"{sentence} {counted}")
    text = translate("({seconds:.1f} s, exit status {status})", language)
    took = text.format(seconds=run.seconds, status=int(run.exit_status))
    tones = {Exit.PASSED: Status.PASS, Exit.NOT_ESTABLISHED: Status.INCONCLUSIVE}
    return SummaryLine(f"{sentence} {took}", tones.get(run.exit_status, Status.FAIL))
