"""Reads a record back into the result of its run, whole or as far as a killed run came.

It trusts nothing that it reads.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from conformance.core.errors import WrongUsage
from conformance.core.evidence import name_endpoint
from conformance.judging.result import (
    Evidence,
    EvidenceKey,
    EvidenceReference,
    Finding,
    KnownFailure,
    Mistake,
    RequirementResult,
    RunFooter,
    RunHeader,
    RunResult,
    Silence,
    WrongEntry,
)
from conformance.judging.verdict import Exit, Status
from conformance.report.record import VERSION
from conformance.report.record_version_1 import upgrade_line
from conformance.spec.catalogue import Channel, Level, catalogue

Line = Mapping[str, Any]
CLAIMS = (None, "core", "robust")
EXCHANGE = "exchange"  # the kind


def read_record(path: Path) -> RunResult:
    """Read a record. Raises WrongUsage, in one sentence, if the file is not one."""
    try:
        return _decode_run(path, _parse_lines(path.read_text("utf-8").splitlines()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WrongUsage(
            f"a report needs a record that --record wrote (version 1 to {VERSION});"
            f" {path} is not one: {why}"
        ) from error


def _parse_lines(texts: Sequence[str]) -> list[Line]:
    """The lines of a record, without a last one that a killed run left half. Raises ValueError."""
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            if number < len(texts) or not lines:
                raise ValueError(f"line {number} is not JSON") from error
    if not lines or lines[0]["type"] != "header" or lines[0]["version"] not in (1, VERSION):
        raise ValueError("it has no header of such a version")
    return [upgrade_line(line) for line in lines] if lines[0]["version"] == 1 else lines


def _decode_run(path: Path, lines: Sequence[Line]) -> RunResult:
    header = _decode_header(lines[0])
    verdicts = {str(line["requirement"]): line for line in _select_type(lines, "verdict")}
    evidence = tuple(_decode_evidence(line) for line in _select_type(lines, "evidence"))
    results = (decode_result(name, verdicts.get(name)) for name in header.requirements)
    seen = {each.key: each.reference for each in evidence}
    return RunResult(
        header,
        tuple(_look_up_exchanges(each, seen) for each in results),
        next((_decode_footer(line) for line in _select_type(lines, "footer")), None),
        evidence,
        path,
    )


def _look_up_exchanges(
    result: RequirementResult, seen: Mapping[EvidenceKey, EvidenceReference]
) -> RequirementResult:
    """A result whose finding says of each exchange what its line of evidence says.

    In older records the finding itself does not say its endpoint and status.
    """
    if result.finding is None:
        return result
    evidence = tuple(
        seen.get(each.key, each) if each.kind == EXCHANGE else each
        for each in result.finding.evidence
    )
    return replace(result, finding=replace(result.finding, evidence=evidence))


def _select_type(lines: Iterable[Line], kind: str) -> Iterable[Line]:
    return (line for line in lines if line["type"] == kind)


def _decode_header(line: Line) -> RunHeader:
    url = line["url"]
    return RunHeader(
        suite=str(line["suite"]),
        began=datetime.fromisoformat(line["began"]),
        target=str(line["target"]),
        url=None if url is None else str(url),
        services={str(name): str(text) for name, text in dict(line["services"]).items()},
        seed=int(line["seed"]),
        level=Level(line["level"]),
        requirements=tuple(str(name) for name in line["requirements"]),
    )


def _decode_footer(line: Line) -> RunFooter:
    return RunFooter(
        claim=_decode_claim(line["claim"]),
        sentence=str(line["sentence"]),
        exceptions=tuple(str(name) for name in line["exceptions"]),
        claim_with_exceptions=_decode_claim(line["claim_with_exceptions"]),
        wrong_entries=tuple(map(_decode_wrong_entry, line["wrong_entries"])),
        exit_status=Exit(line["exit_status"]),
        seconds=_decode_number(line["seconds"]),
        timings={str(name): _decode_number(value) for name, value in dict(line["timings"]).items()},
        memory_mb=int(line["memory_mb"]),
    )


def _decode_claim(value: Any) -> str | None:
    if value not in CLAIMS:
        raise ValueError(f"a claim must be core, robust or null, not {value!r}")
    return value if value is None else str(value)


def _decode_wrong_entry(entry: Line) -> WrongEntry:
    return WrongEntry(str(entry["requirement"]), Mistake(entry["mistake"]), str(entry["sentence"]))


def _decode_evidence(line: Line) -> Evidence:
    is_exchange = line["kind"] == EXCHANGE
    return Evidence(
        _decode_reference(line),
        _decode_number(line["at"]),
        _decode_number(line["ended"]) if is_exchange else None,
        is_exchange and line["status"] is None,
    )


def _decode_reference(line: Line) -> EvidenceReference:
    channel = line.get("channel")
    return EvidenceReference(
        str(line["kind"]),
        int(line["number"]),
        str(line["summary"]),
        None if channel is None else str(channel),
        *_decode_answer(line),
    )


def _decode_answer(line: Line) -> tuple[str | None, int | None]:
    """The endpoint and the status of an exchange. Neither of other evidence."""
    if line["kind"] != EXCHANGE or "status" not in line:  # an older record, in a finding
        return None, None
    is_evidence = "method" in line
    endpoint = name_endpoint(line["method"], line["target"]) if is_evidence else line["endpoint"]
    return str(endpoint), None if line["status"] is None else int(line["status"])


def decode_result(name: str, line: Line | None) -> RequirementResult:
    """The verdict on a requirement. Without a line: not judged."""
    if line is None:
        requirement = catalogue().get(name)
        unknown = RequirementResult(name, Level.MUST, "", None)
        return RequirementResult.of(requirement, None) if requirement else unknown
    span: Sequence[float] | None = line["span"]
    return RequirementResult(
        name,
        Level(line["level"]),
        str(line["sentence"]),
        Status(line["status"]),
        int(line["probes"]),
        _decode_finding(line["finding"]) if line["finding"] else None,
        _decode_number(line["seconds"]),
        (_decode_number(span[0]), _decode_number(span[1])) if span else None,
        _decode_known(name, line["known"]) if line.get("known") else None,
    )


def _decode_known(name: str, entry: Line) -> KnownFailure:
    expires, fingerprint = entry["expires"], entry.get("fingerprint")
    return KnownFailure(
        name,
        str(entry["reason"]),
        date.fromisoformat(expires) if expires else None,
        None if fingerprint is None else str(fingerprint),
    )


def _decode_finding(finding: Line) -> Finding:
    return Finding(
        str(finding["expected"]),
        str(finding["got"]),
        tuple(map(_decode_reference, finding["evidence"])),
        str(finding["likely_cause"]),
        tuple(map(str, finding["reproduce"])),
        tuple(map(Channel, finding["missing"])),
        tuple(map(str, finding["observations"])),
        _decode_reference(finding["printed"]) if finding.get("printed") else None,
        _decode_silence(finding["unanswered_since"]) if finding.get("unanswered_since") else None,
    )


def _decode_silence(silence: Line) -> Silence:
    return Silence(str(silence["endpoint"]), int(silence["exchange"]), str(silence["requirement"]))


def _decode_number(value: Any) -> float:
    """A number of seconds. Raises ValueError or TypeError for one that JSON cannot write."""
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{number} is not a number of seconds")
    return number
