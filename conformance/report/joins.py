"""Results joined with the specification: what reports say of them, in a language."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from conformance.judging.causes import Cause, Consequence, group_by_cause, map_consequences
from conformance.judging.claim import make_claim
from conformance.judging.result import Finding, RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report.translations import CLAIMS, INCOMPLETE, translate
from conformance.spec.catalogue import Language, Level, Requirement, catalogue, sections


def find_requirement(name: str, language: Language) -> Requirement | None:
    """What the specification says of an id. None if it does not have it."""
    return catalogue(language).get(name)


def describe_requirement(result: RequirementResult, language: Language) -> Requirement:
    """The requirement of a result: with its level and, in English, with its sentence."""
    spec = find_requirement(result.id, language)
    if spec is None:
        document = f"{result.section}-.md"
        return Requirement(
            result.id, result.sentence, result.level, "", (), "", "", "", "", document, 0
        )
    is_own = result.sentence and language is Language.EN
    sentence = result.sentence if is_own else spec.sentence
    return replace(spec, sentence=sentence, level=result.level)


def has_usual_cause(result: RequirementResult) -> bool:
    """Whether the finding's likely cause is the usual one, which a result has in English."""
    spec = catalogue().get(result.id)
    return bool(spec and result.finding and result.finding.likely_cause == spec.usual_cause)


def describe_likely_cause(result: RequirementResult, language: Language) -> str:
    """Where to look, in a language if the specification has it. Empty without a finding."""
    spec = find_requirement(result.id, language)
    if spec and has_usual_cause(result):
        return spec.usual_cause
    return result.finding.likely_cause if result.finding else ""


def find_causes(run: RunResult) -> list[Cause]:
    """Every failure of a run, and what could not be judged because of one, under its cause."""
    return group_by_cause(run.results, catalogue())


def find_consequences(run: RunResult) -> dict[str, Consequence]:
    """What follows from another failure, by id."""
    return map_consequences(find_causes(run))


def describe_silence(finding: Finding, language: Language) -> str:
    """Since when the endpoint of a finding has given no answer. Empty if it has given one."""
    if finding.silence is None:
        return ""
    text = translate(
        "{endpoint} has not answered since exchange {number}, which {requirement} sent", language
    )
    silence = finding.silence
    return text.format(
        endpoint=silence.endpoint, number=silence.exchange, requirement=silence.requirement
    )


def describe_consequences(cause: Cause, language: Language) -> str:
    """How many results follow from a cause. Empty if none does."""
    failed = len(select_status((each.result for each in cause.consequences), Status.FAIL))
    counts = {
        "{count} failed": failed,
        "{count} could not be judged": len(cause.consequences) - failed,
    }
    parts = [
        translate(text, language).format(count=count) for text, count in counts.items() if count
    ]
    return ", ".join(parts)


def shows_the_same(finding: Finding, cause: RequirementResult) -> bool:
    """Whether a finding shows no more than that of its cause, such as no answer of an endpoint."""
    first = cause.finding
    if first is None or finding.got == first.got:
        return True
    both = first.exchange, finding.exchange
    return all(each is not None and each.status is None for each in both)


def describe_origin(consequence: Consequence, language: Language) -> str:
    """What a result follows from, and why."""
    text = translate("{cause}: {link}", language)
    return text.format(cause=consequence.cause, link=translate(consequence.link, language))


def describe_claim(run: RunResult, language: Language) -> str:
    """The claim in a sentence.

    It is made from the verdicts, unless this catalogue makes another sentence from them in English
    than the run did. Then it is the run's own.
    """
    if run.footer is None:
        return translate(INCOMPLETE, language)
    made = make_claim(run.results, catalogue())
    is_the_same = made.sentence == run.footer.sentence
    return made.phrase(CLAIMS[language]) if is_the_same else run.footer.sentence


def group_by_section(
    run: RunResult, language: Language
) -> list[tuple[str, list[RequirementResult]]]:
    """Results under each section's number and title. Last those of no section, as "other"."""
    titles = {
        section.number: f"{section.number} {section.title}" for section in sections(language)
    } | {0: translate("other", language)}
    grouped = (
        (title, [each for each in run.results if each.section == number])
        for number, title in titles.items()
    )
    return [(title, results) for title, results in grouped if results]


def group_by_reason(
    results: Iterable[RequirementResult],
) -> dict[str, list[RequirementResult]]:
    """Results that were not judged, by the reason why."""
    grouped: dict[str, list[RequirementResult]] = {}
    for each in results:
        grouped.setdefault(each.finding.got if each.finding else "", []).append(each)
    return grouped


def find_differences(
    runs: Sequence[RunResult],
) -> list[tuple[str, list[RequirementResult | None]]]:
    """The requirements whose verdict or failure differs between runs, by id.

    In a run that did not select it, the result is None.
    """
    names = dict.fromkeys(each.id for run in runs for each in run.results)
    rows = ((name, [run.by_id.get(name) for run in runs]) for name in names)
    return [
        (name, row)
        for name, row in rows
        if len({describe_verdict(each, Language.EN) for each in row}) > 1
    ]


def describe_verdict(result: RequirementResult | None, language: Language) -> str:
    """A verdict in a cell of a comparison: its status, and of a failure the fingerprint."""
    if result is None:
        return translate("not selected", language)
    if result.status is None:
        return translate("not judged", language)
    if result.status is Status.FAIL and result.finding:
        return f"{result.status.label} {result.finding.fingerprint}"
    return result.status.label


def select_status(results: Iterable[RequirementResult], status: Status) -> list[RequirementResult]:
    """The results with this status."""
    return [each for each in results if each.status is status]


def is_must(result: RequirementResult) -> bool:
    """Whether the requirement is a MUST."""
    return result.level is Level.MUST
