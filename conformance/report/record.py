"""The record of a run: JSON Lines, written as things become known. record.schema.json describes it.

A line is a header, a piece of evidence, a verdict or the footer. `record_reader` reads it back.
"""

import json
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Fact, Observation, as_plain
from conformance.judging.result import (
    EvidenceReference,
    Finding,
    KnownFailure,
    RequirementResult,
    RunFooter,
    RunHeader,
    Silence,
    WrongEntry,
)

VERSION = 2
EVIDENCE_LIMIT = 128 * 2**20  # characters of evidence in a record; usual are some 3 million
TEXT_LIMIT = 64 * 1024  # characters of one text in a record; only the length of the rest is written


class RecordWriter:
    """Writes each line at once, so that a run that is killed leaves what it had seen.

    Without a path it writes nothing.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file. Raises WrongUsage if it cannot be written."""
        self._lock = threading.RLock()
        self._left = EVIDENCE_LIMIT
        self._early: list[Fact] | None = []  # what is seen before the header can be written
        self._file: IO[str] | None = None
        if path:
            try:
                self._file = path.open("w", encoding="utf-8")
            except OSError as error:
                raise WrongUsage(
                    f"--record must be a file that can be written; {path} cannot: {error.strerror}"
                ) from error

    def write_header(self, header: RunHeader) -> None:
        """Write the first line, then what was seen before."""
        with self._lock:
            self._write_line({"type": "header", "version": VERSION, **encode_header(header)})
            early, self._early = self._early or [], None
            for fact in early:
                self.write_evidence(fact)

    def write_evidence(self, fact: Fact) -> None:
        """Write a line of evidence."""
        with self._lock:
            if self._file and self._early is not None:
                self._early.append(fact)
            elif self._file and self._left > 0:
                line = {"type": "evidence", **as_plain(fact), "summary": fact.summary}
                self._left -= self._write_line(line)
                if self._left <= 0:
                    self._write_last(fact.at)

    def _write_last(self, at: float) -> None:
        """Write that no evidence follows, though more was seen."""
        text = f"no more evidence is recorded: it took {EVIDENCE_LIMIT // 2**20} MB"
        last = Observation(number=1, at=at, channel="record", text=text)
        self._write_line({"type": "evidence", **as_plain(last), "summary": last.summary})

    def write_result(self, result: RequirementResult) -> None:
        """Write the line for the verdict on one requirement."""
        self._write_line({"type": "verdict", **encode_result(result)})

    def write_footer(self, footer: RunFooter) -> None:
        """Write the last line."""
        self._write_line({"type": "footer", **encode_footer(footer)})

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None

    def _write_line(self, line: Mapping[str, Any]) -> int:
        """Write a line. Returns its length."""
        with self._lock:
            if self._file is None:
                return 0
            text = json.dumps(line, ensure_ascii=True, default=_convert_value) + "\n"
            self._file.write(text)
            self._file.flush()
            return len(text)


def encode_header(header: RunHeader) -> dict[str, Any]:
    """The members of a header's line."""
    return {
        "suite": header.suite,
        "began": header.began,
        "target": header.target,
        "url": header.url,
        "services": dict(header.services),
        "seed": header.seed,
        "level": header.level,
        "requirements": header.requirements,
    }


def encode_result(result: RequirementResult) -> dict[str, Any]:
    """The members of a verdict's line."""
    return {
        "requirement": result.id,
        "level": result.level,
        "sentence": result.sentence,
        "status": result.status,
        "probes": result.probes,
        "seconds": result.seconds,
        "span": result.span,
        "known": result.known and _encode_known(result.known),
        "finding": result.finding and _encode_finding(result.finding),
    }


def encode_footer(footer: RunFooter) -> dict[str, Any]:
    """The members of a footer's line."""
    return {
        "claim": footer.claim,
        "sentence": footer.sentence,
        "exceptions": footer.exceptions,
        "claim_with_exceptions": footer.claim_with_exceptions,
        "wrong_entries": [encode_wrong_entry(entry) for entry in footer.wrong_entries],
        "exit_status": int(footer.exit_status),
        "seconds": footer.seconds,
        "timings": dict(footer.timings),
        "memory_mb": footer.memory_mb,
    }


def encode_wrong_entry(entry: WrongEntry) -> dict[str, str]:
    """An entry of the known failures that is wrong, as plain data."""
    return {
        "requirement": entry.requirement,
        "mistake": entry.mistake,
        "sentence": entry.sentence,
    }


def _encode_known(entry: KnownFailure) -> dict[str, Any]:
    return {
        "reason": entry.reason,
        "expires": entry.expires and entry.expires.isoformat(),
        "fingerprint": entry.fingerprint,
    }


def _encode_finding(finding: Finding) -> dict[str, Any]:
    return {
        "expected": finding.expected,
        "got": finding.got,
        "evidence": [_encode_reference(reference) for reference in finding.evidence],
        "likely_cause": finding.likely_cause,
        "reproduce": finding.reproduce,
        "missing": finding.missing,
        "observations": finding.observations,
        "printed": finding.printed and _encode_reference(finding.printed),
        "unanswered_since": finding.silence and encode_silence(finding.silence),
        "fingerprint": finding.fingerprint,
    }


def encode_silence(silence: Silence) -> dict[str, Any]:
    """Since when an endpoint has given no answer, as plain data."""
    return {
        "endpoint": silence.endpoint,
        "exchange": silence.exchange,
        "requirement": silence.requirement,
    }


def _encode_reference(reference: EvidenceReference) -> dict[str, Any]:
    channel = {"channel": reference.channel} if reference.channel else {}
    answer = {"endpoint": reference.endpoint, "status": reference.status}
    return {
        "kind": reference.kind,
        **channel,
        "number": reference.number,
        "summary": reference.summary,
        **(answer if reference.endpoint else {}),
    }


def _convert_value(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value[: TEXT_LIMIT * 4].decode("utf-8", "backslashreplace")
        return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}… ({len(value)} bytes)"
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a record that a run of this version has ended, or none without a file.

    For any other record there is `record_reader`, which trusts nothing.
    """
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )
