"""Requirements as a report shows them: what the specification says, in a language, of what a record has judged."""

from collections.abc import Sequence
from dataclasses import replace

from conformance.judging.verdict import Status
from conformance.report.record_reader import Judged, Report
from conformance.report.translations import said
from conformance.spec.catalogue import Language, Level, Requirement, catalogue, sections


def known(name: str, language: Language) -> Requirement | None:
    """What the specification says of an id; None for one that it does not have."""
    return catalogue(language).get(name)


def of(judged: Judged, language: Language) -> Requirement:
    """The requirement that was judged: with the record's level and, in English, the record's sentence."""
    spec = known(judged.id, language)
    if spec is None:
        level = judged.level or Level.MUST
        return Requirement(
            judged.id, judged.sentence, level, "", (), "", "", "", "", f"{judged.section}-.md", 0
        )
    sentence = judged.sentence if judged.sentence and language is Language.EN else spec.sentence
    return replace(spec, sentence=sentence, level=judged.level or spec.level)


def by_section(report: Report, language: Language) -> list[tuple[str, list[Judged]]]:
    """What was judged under each section's number and title, in order; last what this specification does not have."""
    titles = {
        section.number: f"{section.number} {section.title}" for section in sections(language)
    } | {0: said("other", language)}
    grouped = (
        (title, [each for each in report.judged if each.section == number])
        for number, title in titles.items()
    )
    return [(title, judged) for title, judged in grouped if judged]


def differing(reports: Sequence[Report]) -> list[tuple[str, list[Judged | None]]]:
    """The requirements whose verdict is not the same in each record, or whose failure is not; None where a record has not asked."""
    names = dict.fromkeys(each.id for report in reports for each in report.judged)
    rows = ((name, [report.by_id.get(name) for report in reports]) for name in names)
    return [
        (name, row) for name, row in rows if len({verdict(each, Language.EN) for each in row}) > 1
    ]


def verdict(judged: Judged | None, language: Language) -> str:
    """A verdict in a cell of a comparison: its status, and of a failure the fingerprint."""
    if judged is None:
        return said("not selected", language)
    if judged.status is None:
        return said("not judged", language)
    failed = judged.status is Status.FAIL and judged.found
    return f"{judged.status} {failed.fingerprint}" if failed else str(judged.status)
