"""The timeline of a verdict: bars and marks on a lane per channel. Data alone; `chart` draws it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from conformance.judging.result import Evidence, EvidenceKey, RequirementResult, RunResult

# The lanes in their order, and the kinds and channels of evidence that each shows.
LANES = {
    "faults": ("fault", "mend"),
    "client": ("exchange", "program"),
    "upstream": ("upstream_request",),
    "Postgres": ("lock", "row", "session", "table"),
    "Redis": ("queued_message", "broker", "result", "whereabouts"),
    "process": ("process_event", "death", "stack", "source"),
    "process log": ("log_line",),
}
OTHER = "other"  # channels that a later suite may have
LANE = {series: lane for lane, all_series in LANES.items() for series in all_series}


@dataclass(frozen=True)
class Mark:
    """One piece of evidence on the timeline. An event that takes no time has no end.

    What overlaps on a lane has rows of its own.
    """

    lane: str
    began: float
    ended: float | None
    row: int
    text: str
    is_named: bool  # by the finding
    is_unanswered: bool


@dataclass(frozen=True)
class Timeline:
    """The marks in order of time, and how many more there was no room for."""

    began: float
    ended: float
    marks: tuple[Mark, ...]
    left_out: int

    @property
    def lanes(self) -> list[str]:
        """The lanes that have marks."""
        used = {mark.lane for mark in self.marks}
        return [lane for lane in (*LANES, OTHER) if lane in used]


def build_timeline(run: RunResult, result: RequirementResult, limit: int) -> Timeline | None:
    """The timeline of a verdict. None if there is no evidence."""
    references = result.finding.evidence if result.finding else ()
    named = {reference.key for reference in references}
    if result.finding and result.finding.printed:
        named.add(result.finding.printed.key)
    evidence = run.select_evidence(result)
    if _is_from_another_time(result, [each for each in evidence if each.key in named]):
        evidence = [each for each in evidence if each.key in named]
    chosen = _choose(evidence, named, limit)
    if not chosen:
        return None
    ends = [each.at if each.ended is None else each.ended for each in chosen]
    marks = tuple(_make_marks(chosen, named))
    return Timeline(chosen[0].at, max(ends), marks, len(evidence) - len(chosen))


def _is_from_another_time(result: RequirementResult, named: Sequence[Evidence]) -> bool:
    """Whether the evidence is older than the probe, as it is if a background scenario made it."""
    began = result.span[0] if result.span else 0.0
    return bool(named) and all(each.at < began for each in named)


def _choose(evidence: Sequence[Evidence], named: set[EvidenceKey], limit: int) -> list[Evidence]:
    """As much as there is room for: what is named, then what is near to it, log lines last."""
    centres = [each.at for each in evidence if each.key in named]

    def rank(each: Evidence) -> tuple[bool, bool, float]:
        distance = min((abs(each.at - centre) for centre in centres), default=0.0)
        return each.key not in named, each.reference.kind == "log_line", distance

    return sorted(sorted(evidence, key=rank)[:limit], key=lambda each: each.at)


def _make_marks(evidence: Iterable[Evidence], named: set[EvidenceKey]) -> Iterator[Mark]:
    free: dict[str, list[float]] = {}  # when each row of a lane is free again
    for each in evidence:
        lane = LANE.get(each.reference.series, OTHER)
        ended = None if each.ended is None else max(each.at, each.ended)
        row = 0 if ended is None else _take_row(free.setdefault(lane, []), each.at, ended)
        yield Mark(
            lane,
            each.at,
            ended,
            row,
            each.reference.summary,
            each.key in named,
            each.is_unanswered,
        )


def _take_row(free: list[float], began: float, ended: float) -> int:
    """Take the first row that is free at that time."""
    row = next((number for number, until in enumerate(free) if until <= began), len(free))
    free[row : row + 1] = [ended]
    return row
