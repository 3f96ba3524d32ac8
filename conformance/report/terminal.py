"""The terminal page: what a stranger reads at the end of a run. A pure function of the summary."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.claim import Claim
from conformance.known import Known
from conformance.verdict import Exit, Status, Verdict, WrongEntry
from spec.catalogue import Level, sections

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
    claim: Claim
    wrong: Sequence[WrongEntry]  # of the known failures
    status: Exit
    seconds: float
    timings: Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """A line of the page, and whether it tells of something good, bad or unknown."""

    text: str
    tone: Status | None = None


def page(summary: Summary) -> list[Line]:
    """The whole page."""
    return [*_header(summary), Line(""), *_sections(summary), *_findings(summary), *_wrong(summary), Line(""), *_closing(summary)]


def _header(summary: Summary) -> Iterator[Line]:
    yield from _labelled(
        "target", f"{summary.target} at {summary.url}" if summary.url and summary.url != summary.target else summary.target
    )
    yield from _labelled(
        "services", ", ".join(summary.services[name] for name in ("postgres", "redis", "upstream") if name in summary.services) or "none"
    )
    if "containers" in summary.services:
        yield from _labelled("containers", summary.services["containers"])
    if unseen := [verdict.requirement.id for verdict in summary.verdicts if _wants_a_channel(verdict)]:
        yield from _labelled("unseen", f"{', '.join(unseen)}; below is what to pass")
    yield from _labelled("seed", str(summary.seed))


def _sections(summary: Summary) -> Iterator[Line]:
    for section in sections():
        verdicts = [verdict for verdict in summary.verdicts if verdict.requirement.section == section.number]
        if not verdicts:
            continue
        counts = Counter(_said(verdict) for verdict in verdicts)
        tones = {_tone(verdict) for verdict in verdicts}
        judged = len(verdicts) - counts[Status.OBSERVED]
        others = [f"{counts[said]} {said}" for said in SAID if counts[said]]
        worst = next((status for status in (Status.ERROR, Status.FAIL, Status.INCONCLUSIVE) if status in tones), Status.PASS)
        text = f"{section.number} {section.title:<14} {counts[Status.PASS]:>2} of {judged:>2} passed"
        yield Line("  " + ", ".join([text, *others]), worst)


def _said(verdict: Verdict) -> str:
    """The status as the page says it."""
    return KNOWN if verdict.known else verdict.status


def _tone(verdict: Verdict) -> Status:
    """What a verdict tells; a known failure is as good as unknown."""
    return Status.INCONCLUSIVE if verdict.known else verdict.status


def _findings(summary: Summary) -> Iterator[Line]:
    failed = [verdict for verdict in summary.verdicts if verdict.status is Status.FAIL]
    for verdict in sorted(failed, key=lambda verdict: verdict.known is not None):
        yield from _finding(verdict)
    for status in (Status.ERROR, Status.INCONCLUSIVE):
        yield from _unseen([verdict for verdict in summary.verdicts if verdict.status is status])
    for verdict in summary.verdicts:
        if verdict.status is Status.OBSERVED and verdict.finding:
            yield Line("")
            yield _title(verdict)
            yield from _labelled("seen", *verdict.finding.got.split("; "))


def _finding(verdict: Verdict) -> Iterator[Line]:
    yield Line("")
    yield _title(verdict)
    if verdict.known:
        yield from _labelled("known", _entry(verdict.known))
    if (finding := verdict.finding) is None:
        return
    yield from _labelled("expected", finding.expected)
    yield from _labelled("got", finding.got)
    yield from _labelled("evidence", *(fact.summary for fact in finding.evidence))
    yield from _labelled("reproduce", *finding.reproduce)
    yield from _labelled("fingerprint", finding.fingerprint)
    if verdict.known:
        return
    yield from _labelled("look at", finding.look_at or verdict.requirement.usual_cause)
    if verdict.requirement.level is Level.SHOULD:
        yield from _labelled("why", verdict.requirement.why)
        yield from _labelled("to mend it", verdict.requirement.mend)


def _entry(known: Known) -> str:
    return f"{known.reason} (until {known.expires})" if known.expires else known.reason


def _unseen(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    """Requirements that nothing is known of, those with the same reason together."""
    reasons = dict.fromkeys(verdict.finding.got for verdict in verdicts if verdict.finding)
    for reason in reasons:
        yield Line("")
        for verdict in verdicts:
            if verdict.finding and verdict.finding.got == reason:
                yield _title(verdict)
        yield from _labelled("to judge" if reason.startswith(REMEDY) else "because", reason)


def _wants_a_channel(verdict: Verdict) -> bool:
    """Whether nothing is known because the run was not told how to look."""
    return verdict.status is Status.INCONCLUSIVE and verdict.finding is not None and verdict.finding.got.startswith(REMEDY)


def _title(verdict: Verdict) -> Line:
    requirement = verdict.requirement
    left = f"{requirement.id:<8}{requirement.level:<8}{requirement.sentence}"
    right = f"{_said(verdict)}  {requirement.source}"
    return Line(f"{left:<{WIDTH - len(right) - 1}} {right}", _tone(verdict))


def _wrong(summary: Summary) -> Iterator[Line]:
    """What is wrong with the list of known failures."""
    if summary.wrong:
        yield Line("")
    for entry in summary.wrong:
        yield Line(f"{entry.mistake:<{LABEL}}{entry.sentence}", Status.FAIL)


def _closing(summary: Summary) -> Iterator[Line]:
    tone = {Exit.PASSED: Status.PASS, Exit.NOT_ESTABLISHED: Status.INCONCLUSIVE}.get(summary.status, Status.FAIL)
    yield Line(f"{summary.claim.sentence} ({summary.seconds:.1f} s, exit status {int(summary.status)})", tone)


def _labelled(label: str, *texts: str) -> Iterator[Line]:
    for index, text in enumerate(texts):
        yield Line(f"{label if index == 0 else '':<{LABEL}}{_one_line(text)}")


def _one_line(text: str) -> str:
    """Text of a target's making, as one line that no control character can leave."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
