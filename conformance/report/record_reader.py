"""Reading: a record as the reports have it, whole or as far as a run came that was killed. It starts nothing, and trusts nothing it reads."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from conformance.config.known_failures import Known
from conformance.core.errors import WrongUsage
from conformance.judging.claim import claimed
from conformance.judging.verdict import Exit, Status
from conformance.report.record import VERSION
from conformance.report.translations import CLAIMS, INCOMPLETE, said
from conformance.spec.catalogue import PREFIXES, Language, Level, catalogue

Line = Mapping[str, Any]
Key = tuple[
    str, int
]  # of a line of evidence: its kind (an observation's channel), and its number among those


@dataclass(frozen=True)
class Found:
    """What a verdict that is no pass is built on."""

    expected: str
    got: str
    look_at: str
    reproduce: tuple[str, ...]
    fingerprint: str
    summaries: tuple[str, ...]  # of the evidence, a line each
    keys: tuple[Key, ...]  # of the same evidence


@dataclass(frozen=True)
class Judged:
    """One requirement in a record. `status` is None where the run ended before it was judged."""

    id: str
    level: Level | None
    sentence: str
    status: Status | None
    seconds: float = 0.0
    probes: int = 0
    found: Found | None = None
    span: tuple[float, float] | None = None
    known: Known | None = None  # of a FAIL that does not count

    @property
    def section(self) -> int:
        """The number of its section; 0 for one that this specification does not have."""
        return PREFIXES.get(self.id.split("-")[0], 0)


@dataclass(frozen=True)
class Report:
    """One record."""

    path: Path
    header: Line
    judged: tuple[Judged, ...]
    footer: Line | None  # None: the run did not end by itself
    evidence: tuple[Line, ...] = field(repr=False)

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end."""
        return self.footer is not None

    @property
    def target(self) -> str:
        """What was judged."""
        return str(self.header["target"])

    @property
    def claim(self) -> str | None:
        """`core`, `robust` or None."""
        return self.footer["claim"] if self.footer else None

    @property
    def sentence(self) -> str:
        """The claim in a sentence."""
        if self.footer:
            return str(self.footer["sentence"])
        return INCOMPLETE

    def sentence_in(self, language: Language) -> str:
        """The same in a language, made of the statuses; the record's own where this catalogue would not make it of them."""
        if self.footer is None:
            return said(INCOMPLETE, language)
        made = claimed(
            {each.id: each.status for each in self.judged if each.status},
            self.exceptions,
            catalogue(),
        )
        return made.said(CLAIMS[language]) if made.sentence == self.sentence else self.sentence

    @property
    def exceptions(self) -> tuple[str, ...]:
        """The known failures, which the exit status leaves out and the claim does not."""
        return tuple(each.id for each in self.judged if each.known)

    @property
    def claim_but_for_exceptions(self) -> str | None:
        """What the verdicts would establish but for those: `core`, `robust` or None."""
        return self.footer.get("claim_but_for_exceptions", self.claim) if self.footer else None

    @property
    def wrong_entries(self) -> Sequence[Line]:
        """The entries of the known failures that are wrong: their requirement, mistake and sentence."""
        return self.footer.get("wrong_entries", ()) if self.footer else ()

    @property
    def seconds(self) -> float:
        """How long the run took; of one that did not come to its end, when the last was seen."""
        return (
            float(self.footer["seconds"])
            if self.footer
            else max((float(line["at"]) for line in self.evidence), default=0.0)
        )

    @property
    def counts(self) -> Counter[Status | None]:
        """How many requirements have each status."""
        return Counter(each.status for each in self.judged)

    @cached_property
    def by_id(self) -> dict[str, Judged]:
        """Each requirement by id."""
        return {each.id: each for each in self.judged}

    @cached_property
    def _by_key(self) -> dict[Key, Line]:
        return {key(line): line for line in self.evidence}

    def timeline(self, judged: Judged, limit: int = 60) -> list[Line]:
        """What a verdict is built on, and what else was seen while its probe ran, as far as the limit allows; in order of time."""
        if judged.found is None:
            return []
        named = {each: self._by_key[each] for each in judged.found.keys if each in self._by_key}
        began, ended = judged.span or (0.0, -1.0)
        around = [
            line
            for line in self.evidence
            if began <= line["at"] <= ended and key(line) not in named
        ]
        room = max(0, limit - len(named))
        return sorted([*named.values(), *around[:room]], key=lambda line: float(line["at"]))


def key(line: Line) -> Key:
    """How a line of evidence is named by a verdict."""
    return str(line.get("channel") or line["kind"]), int(line["number"])


def read(path: Path) -> Report:
    """Read a record. Raises WrongUsage, in one sentence, for what is none."""
    return _read(path, lambda: path.read_text("utf-8"))


def parsed(path: Path, text: str) -> Report:
    """The same for the text of a record."""
    return _read(path, lambda: text)


def _read(path: Path, text: Callable[[], str]) -> Report:
    try:
        return _report(path, _lines(text().splitlines()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WrongUsage(
            f"a report wants a record, as --record writes it, of version {VERSION}; {path} is none: {why}"
        ) from error


def _lines(texts: Sequence[str]) -> list[Line]:
    """The lines of a record, but for a last one that a run was killed over. Raises ValueError."""
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            if number < len(texts) or not lines:
                raise ValueError(f"line {number} is no JSON") from error
    if not lines or lines[0]["type"] != "header" or lines[0]["version"] != VERSION:
        raise ValueError("it has no header of this version")
    return lines


def _report(path: Path, lines: Sequence[Line]) -> Report:
    header = _header(lines[0])
    verdicts = {str(line["requirement"]): line for line in lines if line["type"] == "verdict"}
    return Report(
        path,
        header,
        tuple(_judged(str(name), verdicts.get(name)) for name in header["requirements"]),
        next((_footer(line) for line in lines if line["type"] == "footer"), None),
        tuple(line for line in lines if line["type"] == "evidence"),
    )


def _header(line: Line) -> Line:
    """The header, as what its members are. Raises ValueError or TypeError."""
    texts = {name: str(line[name]) for name in ("suite", "target")}
    url, services = (
        line["url"],
        {str(name): str(text) for name, text in dict(line["services"]).items()},
    )
    known = {
        "began": datetime.fromisoformat(line["began"]).isoformat(),
        "seed": int(line["seed"]),
        "level": Level(line["level"]),
    }
    return {
        **line,
        **texts,
        **known,
        "url": None if url is None else str(url),
        "services": services,
    }


def _footer(line: Line) -> Line:
    """The footer, as what its members are. Raises ValueError or TypeError."""
    if line["claim"] not in (None, "core", "robust"):
        raise ValueError(f"no run claims {line['claim']!r}")
    numbers = {
        "seconds": _finite(line["seconds"]),
        "memory_mb": int(line["memory_mb"]),
        "exit_status": int(Exit(line["exit_status"])),
    }
    timings = {str(name): _finite(value) for name, value in dict(line["timings"]).items()}
    return {**line, **numbers, "sentence": str(line["sentence"]), "timings": timings}


def _finite(value: Any) -> float:
    """A number that JSON can write. Raises ValueError or TypeError."""
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{number} is no time")
    return number


def _judged(name: str, line: Line | None) -> Judged:
    if line is None:
        return Judged(name, None, "", None)
    span: Sequence[float] | None = line["span"]
    return Judged(
        name,
        Level(line["level"]),
        str(line["sentence"]),
        Status(line["status"]),
        _finite(line["seconds"]),
        int(line["probes"]),
        _found(line["finding"]) if line["finding"] else None,
        (_finite(span[0]), _finite(span[1])) if span else None,
        _known(name, line["known"]) if line.get("known") else None,
    )


def _known(name: str, line: Line) -> Known:
    return Known(
        name, str(line["reason"]), date.fromisoformat(line["expires"]) if line["expires"] else None
    )


def _found(finding: Line) -> Found:
    evidence = finding["evidence"]
    return Found(
        str(finding["expected"]),
        str(finding["got"]),
        str(finding["look_at"]),
        tuple(str(each) for each in finding["reproduce"]),
        str(finding["fingerprint"]),
        tuple(str(each["summary"]) for each in evidence),
        tuple(key(each) for each in evidence),
    )
