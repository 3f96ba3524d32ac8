"""Text: the page that a run prints at its end, made from its record alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.core.evidence import Fact
from conformance.judging.verdict import Exit, Finding, Mistake, Verdict, WrongEntry
from conformance.report import joins
from conformance.report.record_reader import Judged, Report
from conformance.report.terminal import Line, Summary, body, one_line, padded, page
from conformance.report.translations import said
from conformance.spec.catalogue import Language, Level


@dataclass(frozen=True, kw_only=True)
class Told(Fact):
    """A fact as a record's verdict names it: its line for a person is all that is left of it."""

    text: str

    @property
    def summary(self) -> str:
        """The fact in one line."""
        return self.text


def render(reports: Sequence[Report], language: Language) -> str:
    """The page of each record; of several, first what differs."""
    pages = ["\n".join(line.text for line in _page(report, language)) for report in reports]
    return (
        "\n\n".join(
            [*(["\n".join(_differences(reports, language))] if len(reports) > 1 else []), *pages]
        )
        + "\n"
    )


def summary(report: Report, language: Language) -> Summary:
    """A record as what a run has to say of itself at its end."""
    header, footer = report.header, report.footer or {}
    return Summary(
        target=report.target,
        url=header["url"],
        services=header["services"],
        seed=header["seed"],
        level=Level(header["level"]),
        verdicts=[each for judged in report.judged if (each := _verdict(judged, language))],
        sentence=report.sentence_in(language),
        wrong=[
            WrongEntry(str(each["requirement"]), Mistake(each["mistake"]), str(each["sentence"]))
            for each in report.wrong_entries
        ],
        status=Exit(footer.get("exit_status", Exit.INTERRUPTED)),
        seconds=report.seconds,
        timings=footer.get("timings", {}),
        language=language,
    )


def _page(report: Report, language: Language) -> list[Line]:
    if report.is_complete:
        return page(summary(report, language))
    counted = said("({count} of {all} requirements were not judged)", language).format(
        count=report.counts[None], all=len(report.judged)
    )
    return [*body(summary(report, language)), Line(f"{report.sentence_in(language)} {counted}")]


def _verdict(judged: Judged, language: Language) -> Verdict | None:
    if judged.status is None:
        return None
    requirement, finding = joins.of(judged, language), _finding(judged)
    return Verdict(
        requirement,
        judged.status,
        judged.probes,
        finding,
        judged.seconds,
        judged.span,
        judged.known,
    )


def _finding(judged: Judged) -> Finding | None:
    if (found := judged.found) is None:
        return None
    evidence = tuple(
        Told(number=number, at=0.0, text=text)
        for (_, number), text in zip(found.keys, found.summaries, strict=True)
    )
    return Finding(found.expected, found.got, evidence, found.look_at, found.reproduce)


def _differences(reports: Sequence[Report], language: Language) -> Iterator[str]:
    """What differs between records, a line for each requirement and a column for each record."""
    for number, report in enumerate(reports, 1):
        yield one_line(f"{number}  {report.target}: {said(report.claim or 'no claim', language)}")
    rows = joins.differing(reports)
    if not rows:
        yield said("Every requirement has the same verdict in each.", language)
        return
    yield ""
    yield (
        padded("", 12)
        + "".join(padded(str(number), 16) for number in range(1, len(reports) + 1)).rstrip()
    )
    for name, row in rows:
        cells = (padded(joins.verdict(each, language), 16) for each in row)
        yield one_line(padded(name, 12) + "".join(cells).rstrip())
