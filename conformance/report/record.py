"""The record: a run as JSON Lines (header, evidence as it is seen, verdicts, footer), described by record.schema.json."""

import json
import resource
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Fact, as_plain
from conformance.judging.claim import Claim
from conformance.judging.verdict import Exit, Verdict, WrongEntry

VERSION = 1
TEXT_LIMIT = 64 * 1024  # characters of one text in a record; the rest is counted, not written


class Record:
    """Writes the lines of one run as they become known, so that a run that is killed leaves what it had seen."""

    def __init__(self, path: Path | None, passing: IO[str] | None = None) -> None:
        """Write to a file, or to one that passes with the run."""
        self._lock = threading.RLock()
        self._early: list[Fact] | None = []  # what is seen before the header can be written
        self._path = path
        self._file = passing
        if path:
            try:
                self._file = path.open("w", encoding="utf-8")
            except OSError as error:
                raise WrongUsage(
                    f"--record wants a file that can be written; {path} cannot: {error.strerror}"
                ) from error

    def header(self, **about: Any) -> None:
        """The first line: what ran, on what; then what was seen before that was known."""
        self._write({"type": "header", "version": VERSION, **about})
        with self._lock:
            early, self._early = self._early or [], None
            for fact in early:
                self.fact(fact)

    def fact(self, fact: Fact) -> None:
        """A line of evidence."""
        with self._lock:
            if self._file and self._early is not None:
                self._early.append(fact)
            elif self._file:
                self._write({"type": "evidence", **as_plain(fact)})

    def verdict(self, verdict: Verdict) -> None:
        """A line for the verdict on one requirement."""
        finding, known = verdict.finding, verdict.known
        self._write(
            {
                "type": "verdict",
                "requirement": verdict.requirement.id,
                "level": verdict.requirement.level,
                "sentence": verdict.requirement.sentence,
                "status": verdict.status,
                "probes": verdict.probes,
                "seconds": round(verdict.seconds, 3),
                "span": verdict.span,
                "known": known
                and {
                    "reason": known.reason,
                    "expires": known.expires and known.expires.isoformat(),
                },
                "finding": finding
                and {
                    "expected": finding.expected,
                    "got": finding.got,
                    "evidence": [
                        {**reference(fact), "summary": fact.summary} for fact in finding.evidence
                    ],
                    "look_at": finding.look_at or verdict.requirement.usual_cause,
                    "reproduce": list(finding.reproduce),
                    "fingerprint": finding.fingerprint,
                },
            }
        )

    def footer(
        self,
        claim: Claim,
        wrong: Sequence[WrongEntry],
        status: Exit,
        seconds: float,
        timings: Mapping[str, float],
    ) -> None:
        """The last line: what the run establishes, and what it took (memory: of our own process at its peak)."""
        self._write(
            {
                "type": "footer",
                "claim": claim.name,
                "sentence": claim.sentence,
                "exceptions": claim.exceptions,
                "claim_but_for_exceptions": claim.but_for_exceptions,
                "wrong_entries": [asdict(entry) for entry in wrong],
                "exit_status": int(status),
                "seconds": round(seconds, 3),
                "timings": {name: round(value, 3) for name, value in timings.items()},
                "memory_mb": _peak_memory_kb() // 1024,
            }
        )

    def text(self) -> str:
        """All that is written so far. Raises OSError."""
        with self._lock:
            if self._path and not self._path.is_file():
                raise OSError(f"{self._path} is a record that cannot be read again")
            if self._path:
                return self._path.read_text("utf-8")
            assert self._file
            self._file.seek(0)
            return self._file.read()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _write(self, line: Mapping[str, Any]) -> None:
        with self._lock:
            if self._file:
                self._file.write(json.dumps(line, ensure_ascii=True, default=_plain) + "\n")
                self._file.flush()


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a record that a run of ours has ended; none where there is no record. Anybody else's is for reading.py."""
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def _peak_memory_kb() -> int:
    """Our own peak. On Linux `ru_maxrss` would also be that of the process which started us (getrusage(2))."""
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
        1024 if sys.platform == "darwin" else 1
    )


def reference(fact: Fact) -> dict[str, Any]:
    """How a verdict names a line of evidence."""
    plain = as_plain(fact)
    return {name: plain[name] for name in ("kind", "channel", "number") if name in plain}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}… ({len(value)} bytes)"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
