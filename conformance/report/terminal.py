"""The terminal page: what a stranger reads at the end of a run, or of its record. A pure function of the summary."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.config.known_failures import Known
from conformance.judging.verdict import Exit, Status, Verdict, WrongEntry
from conformance.report.translations import said
from conformance.report.wrapping import width
from conformance.spec.catalogue import Language, Level, sections

WIDTH = 100
LABEL = 12
KNOWN = "FAIL (known)"
SAID = (Status.FAIL, KNOWN, Status.INCONCLUSIVE, Status.ERROR, Status.OBSERVED)
REMEDY = "pass "  # begins the reason of those that could be judged with other options


@dataclass(frozen=True)
class Summary:
    """All that a report says of a run."""

    target: str
    url: str | None
    services: Mapping[str, str]
    seed: int
    level: Level
    verdicts: Sequence[Verdict]
    sentence: str  # of the claim
    status: Exit
    seconds: float
    timings: Mapping[str, float]
    language: Language = Language.EN
    wrong: Sequence[WrongEntry] = ()  # of the known failures


@dataclass(frozen=True)
class Line:
    """A line of the page, and whether it tells of something good, bad or unknown."""

    text: str
    tone: Status | None = None


def page(summary: Summary) -> list[Line]:
    """The whole page."""
    return [*body(summary), Line(""), *_closing(summary)]


def body(summary: Summary) -> list[Line]:
    """The page but for its end, which says what the run establishes."""
    return [*_header(summary), Line(""), *_sections(summary), *_findings(summary), *_wrong(summary)]


def _header(summary: Summary) -> Iterator[Line]:
    language, services = summary.language, summary.services
    place = (
        f"{summary.target} at {summary.url}"
        if summary.url and summary.url != summary.target
        else summary.target
    )
    yield from labelled(said("target", language), place)
    seen = [services[name] for name in ("postgres", "redis", "upstream") if name in services]
    yield from labelled(said("services", language), ", ".join(seen) or said("none", language))
    if "containers" in services:
        yield from labelled(said("containers", language), services["containers"])
    if unseen := [
        verdict.requirement.id for verdict in summary.verdicts if _wants_a_channel(verdict)
    ]:
        yield from labelled(
            said("unseen", language),
            said("{ids}; below is what to pass", language).format(ids=", ".join(unseen)),
        )
    yield from labelled(said("seed", language), str(summary.seed))


def _sections(summary: Summary) -> Iterator[Line]:
    for section in sections(summary.language):
        verdicts = [
            verdict for verdict in summary.verdicts if verdict.requirement.section == section.number
        ]
        if not verdicts:
            continue
        counts = Counter(_said(verdict) for verdict in verdicts)
        tones = {_tone(verdict) for verdict in verdicts}
        judged = len(verdicts) - counts[Status.OBSERVED]
        others = [f"{counts[status]} {status}" for status in SAID if counts[status]]
        worst = next(
            (
                status
                for status in (Status.ERROR, Status.FAIL, Status.INCONCLUSIVE)
                if status in tones
            ),
            Status.PASS,
        )
        passed = said("{passed:>2} of {judged:>2} passed", summary.language).format(
            passed=counts[Status.PASS], judged=judged
        )
        yield Line(
            "  " + ", ".join([f"{section.number} {padded(section.title, 14)} {passed}", *others]),
            worst,
        )


def _said(verdict: Verdict) -> str:
    """The status as the page says it."""
    return KNOWN if verdict.known else verdict.status


def _tone(verdict: Verdict) -> Status:
    """What a verdict tells; a known failure is as good as unknown."""
    return Status.INCONCLUSIVE if verdict.known else verdict.status


def _findings(summary: Summary) -> Iterator[Line]:
    language = summary.language
    failed = [verdict for verdict in summary.verdicts if verdict.status is Status.FAIL]
    for verdict in sorted(failed, key=lambda verdict: verdict.known is not None):
        yield from _finding(verdict, language)
    for status in (Status.ERROR, Status.INCONCLUSIVE):
        yield from _unseen(
            [verdict for verdict in summary.verdicts if verdict.status is status], language
        )
    for verdict in summary.verdicts:
        if verdict.status is Status.OBSERVED and verdict.finding:
            yield Line("")
            yield _title(verdict)
            yield from labelled(said("seen", language), *verdict.finding.got.split("; "))


def _finding(verdict: Verdict, language: Language) -> Iterator[Line]:
    yield Line("")
    yield _title(verdict)
    if verdict.known:
        yield from labelled(said("known", language), _entry(verdict.known, language))
    if (finding := verdict.finding) is None:
        return
    yield from labelled(said("expected", language), finding.expected)
    yield from labelled(said("got", language), finding.got)
    yield from labelled(said("evidence", language), *(fact.summary for fact in finding.evidence))
    yield from labelled(said("reproduce", language), *finding.reproduce)
    yield from labelled(said("fingerprint", language), finding.fingerprint)
    if verdict.known:
        return
    yield from labelled(
        said("look at", language), finding.look_at or verdict.requirement.usual_cause
    )
    if verdict.requirement.level is Level.SHOULD:
        yield from labelled(said("why", language), verdict.requirement.why)
        yield from labelled(said("to mend it", language), verdict.requirement.mend)


def _entry(known: Known, language: Language) -> str:
    return known.reason + (
        said(" (until {day})", language).format(day=known.expires) if known.expires else ""
    )


def _unseen(verdicts: Sequence[Verdict], language: Language) -> Iterator[Line]:
    """Requirements that nothing is known of, those with the same reason together."""
    reasons = dict.fromkeys(verdict.finding.got for verdict in verdicts if verdict.finding)
    for reason in reasons:
        yield Line("")
        for verdict in verdicts:
            if verdict.finding and verdict.finding.got == reason:
                yield _title(verdict)
        yield from labelled(
            said("to judge", language) if reason.startswith(REMEDY) else said("because", language),
            reason,
        )


def _wants_a_channel(verdict: Verdict) -> bool:
    """Whether nothing is known because the run was not told how to look."""
    return (
        verdict.status is Status.INCONCLUSIVE
        and verdict.finding is not None
        and verdict.finding.got.startswith(REMEDY)
    )


def _title(verdict: Verdict) -> Line:
    requirement = verdict.requirement
    left = one_line(f"{requirement.id:<8}{requirement.level:<8}{requirement.sentence}")
    right = f"{_said(verdict)}  {requirement.source}"
    return Line(f"{padded(left, WIDTH - len(right) - 1)} {right}", _tone(verdict))


def _wrong(summary: Summary) -> Iterator[Line]:
    """What is wrong with the list of known failures."""
    if summary.wrong:
        yield Line("")
    for entry in summary.wrong:
        yield Line(one_line(f"{entry.mistake:<{LABEL}}{entry.sentence}"), Status.FAIL)


def _closing(summary: Summary) -> Iterator[Line]:
    tone = {Exit.PASSED: Status.PASS, Exit.NOT_ESTABLISHED: Status.INCONCLUSIVE}.get(
        summary.status, Status.FAIL
    )
    took = said("({seconds:.1f} s, exit status {status})", summary.language).format(
        seconds=summary.seconds, status=int(summary.status)
    )
    yield Line(f"{one_line(summary.sentence)} {took}", tone)


def labelled(label: str, *texts: str) -> Iterator[Line]:
    """Texts as lines, the first of them labelled."""
    for index, text in enumerate(texts):
        yield Line(f"{padded(label if index == 0 else '', LABEL)}{one_line(text)}")


def padded(text: str, columns: int) -> str:
    """Text filled with spaces to so many columns of a terminal, in which a Chinese character takes two."""
    return text + " " * (columns - width(text))


def one_line(text: str) -> str:
    """Text of a target's making, as one line that no control character can leave."""
    return (
        text
        if text.isprintable()
        else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    )
