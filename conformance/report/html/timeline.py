"""The timeline: what was seen around a verdict, as bars and marks on a lane per channel. Data alone; `chart` draws it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from conformance.core.evidence import (
    Exchange,
    Fact,
    LogLine,
    Observation,
    ProcessEvent,
    QueuedMessage,
    UpstreamRequest,
)
from conformance.report.record_reader import Judged, Line, Report, key

KINDS: dict[str, type[Fact]] = {
    "exchange": Exchange,
    "upstream_request": UpstreamRequest,
    "log_line": LogLine,
    "process_event": ProcessEvent,
    "queued_message": QueuedMessage,
    "observation": Observation,
}
BYTES = ("sent", "body")  # of an exchange, which a record has as text

# The lanes in their order, and the kinds and channels of evidence that are seen on each.
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
LANE = {kind: lane for lane, kinds in LANES.items() for kind in kinds}


@dataclass(frozen=True)
class Mark:
    """One fact on the timeline. A moment has no end; things that overlap on a lane have rows of their own."""

    lane: str
    began: float
    ended: float | None
    row: int
    text: str
    is_named: bool  # whether the verdict is built on it
    is_unanswered: bool


@dataclass(frozen=True)
class Timeline:
    """The marks in order of time, the time from the first to the last, and how many further facts there was no room for."""

    began: float
    ended: float
    marks: tuple[Mark, ...]
    left_out: int

    @property
    def lanes(self) -> list[str]:
        """The lanes on which something was seen."""
        used = {mark.lane for mark in self.marks}
        return [lane for lane in (*LANES, OTHER) if lane in used]


def timeline(report: Report, judged: Judged, limit: int) -> Timeline | None:
    """The timeline of a verdict; None where nothing was seen."""
    named = set(judged.found.keys) if judged.found else set()
    everything = report.timeline(judged, len(report.evidence))
    if _is_elsewhere(judged, [line for line in everything if key(line) in named]):
        everything = [line for line in everything if key(line) in named]
    lines = _chosen(everything, named, limit)
    if not lines:
        return None
    ends = [float(line.get("ended", line["at"])) for line in lines]
    return Timeline(
        float(lines[0]["at"]), max(ends), tuple(_marks(lines, named)), len(everything) - len(lines)
    )


def told(line: Line) -> str:
    """A line of evidence in one sentence, as the run itself would say it; as it stands where it is not what its kind should be."""
    kind = KINDS.get(str(line["kind"]))
    try:
        values: dict[str, Any] = {
            each.name: line[each.name] for each in fields(kind or Fact) if each.name in line
        }
        values |= {
            name: values[name].encode("utf-8", "backslashreplace")
            for name in BYTES
            if name in values
        }
        return kind(**values).summary if kind else str(dict(line))
    except (TypeError, ValueError, AttributeError, KeyError):
        return str(dict(line))


def _is_elsewhere(judged: Judged, named: Sequence[Line]) -> bool:
    """Whether what the verdict is built on was seen at another time than its probe ran, as with the lives of copies."""
    began = judged.span[0] if judged.span else 0.0
    return bool(named) and all(float(line["at"]) < began for line in named)


def _chosen(lines: Sequence[Line], named: set[tuple[str, int]], limit: int) -> list[Line]:
    """What there is room for: first what the verdict is built on, then what is near to it, a log's lines last."""
    centres = [float(line["at"]) for line in lines if key(line) in named]

    def rank(line: Line) -> tuple[bool, bool, float]:
        distance = min((abs(float(line["at"]) - centre) for centre in centres), default=0.0)
        return key(line) not in named, line["kind"] == "log_line", distance

    return sorted(sorted(lines, key=rank)[:limit], key=lambda line: float(line["at"]))


def _marks(lines: Iterable[Line], named: set[tuple[str, int]]) -> Iterable[Mark]:
    free: dict[str, list[float]] = {}  # when each row of a lane is free again
    for line in lines:
        lane = LANE.get(key(line)[0], OTHER)
        began = float(line["at"])
        ended = max(began, float(line["ended"])) if line["kind"] == "exchange" else None
        row = _row(free.setdefault(lane, []), began, ended) if ended is not None else 0
        is_unanswered = line["kind"] == "exchange" and line.get("status") is None
        yield Mark(lane, began, ended, row, told(line), key(line) in named, is_unanswered)


def _row(free: list[float], began: float, ended: float) -> int:
    """The first row that is free at that time."""
    row = next((number for number, until in enumerate(free) if until <= began), len(free))
    free[row : row + 1] = [ended]
    return row
