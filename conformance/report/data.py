"""Data: records as one JSON document for programs, described by report.schema.json."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record_reader import Found, Judged, Report
from conformance.spec.catalogue import Language

VERSION = 1
HEADER = ("suite", "began", "target", "url", "services", "seed", "level")
UNJUDGED = "NOT_JUDGED"  # what counts call those that a killed run did not come to


def render(reports: Sequence[Report], language: Language) -> str:
    """The document."""
    return (
        json.dumps(
            {"version": VERSION, "records": [_record(report, language) for report in reports]},
            indent=1,
        )
        + "\n"
    )


def header(report: Report) -> dict[str, Any]:
    """What ran, on what."""
    return {name: report.header[name] for name in HEADER}


def _record(report: Report, language: Language) -> dict[str, Any]:
    footer = report.footer or {}
    return {
        "file": str(report.path),
        **header(report),
        "complete": report.is_complete,
        "claim": report.claim,
        "sentence": report.sentence,
        "exceptions": list(report.exceptions),
        "claim_but_for_exceptions": report.claim_but_for_exceptions,
        "wrong_entries": list(report.wrong_entries),
        "exit_status": footer.get("exit_status"),
        "seconds": report.seconds,
        "timings": footer.get("timings", {}),
        "memory_mb": footer.get("memory_mb"),
        "counts": _counts(report.judged),
        "sections": [
            {"section": title, "counts": _counts(judged)}
            for title, judged in joins.by_section(report, language)
        ],
        "requirements": [_requirement(each, language) for each in report.judged],
    }


def _counts(judged: Sequence[Judged]) -> Mapping[str, int]:
    return {
        status or UNJUDGED: sum(each.status is status for each in judged)
        for status in (*Status, None)
    }


def _requirement(judged: Judged, language: Language) -> dict[str, Any]:
    requirement = joins.of(judged, language)
    return {
        "id": judged.id,
        "section": judged.section,
        "source": requirement.source,
        "level": requirement.level,
        "sentence": requirement.sentence,
        "status": judged.status,
        "seconds": judged.seconds,
        "probes": judged.probes,
        "span": judged.span,
        "known": judged.known
        and {
            "reason": judged.known.reason,
            "expires": judged.known.expires and str(judged.known.expires),
        },
        "finding": judged.found and finding(judged.found),
    }


def finding(found: Found) -> dict[str, Any]:
    """What a verdict is built on."""
    evidence = [
        {"kind": kind, "number": number, "summary": summary}
        for (kind, number), summary in zip(found.keys, found.summaries, strict=True)
    ]
    return {
        "expected": found.expected,
        "got": found.got,
        "evidence": evidence,
        "look_at": found.look_at,
        "reproduce": list(found.reproduce),
        "fingerprint": found.fingerprint,
    }
