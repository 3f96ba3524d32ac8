"""Data: results as one JSON document for programs, which report.schema.json describes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.judging.causes import Cause
from conformance.judging.result import Finding, RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record import (
    encode_footer,
    encode_header,
    encode_silence,
    encode_wrong_entry,
)
from conformance.spec.catalogue import Language

VERSION = 2
UNJUDGED = "NOT_JUDGED"  # what counts call those that a killed run did not come to


def render_json(runs: Sequence[RunResult], language: Language) -> str:
    """The document."""
    records = [_encode_run(run, language) for run in runs]
    return json.dumps({"version": VERSION, "records": records}, indent=1) + "\n"


def encode_about(run: RunResult) -> dict[str, Any]:
    """The record's file, and what ran on what."""
    header = encode_header(run.header)
    del header["requirements"]
    path = None if run.path is None else str(run.path)
    return {"file": path, **header, "began": run.header.began.isoformat()}


def encode_finding(finding: Finding) -> dict[str, Any]:
    """What a verdict is based on."""
    return {
        "expected": finding.expected,
        "got": finding.got,
        "evidence": [
            {"kind": each.series, "number": each.number, "summary": each.summary}
            for each in finding.evidence
        ],
        "likely_cause": finding.likely_cause,
        "reproduce": list(finding.reproduce),
        "missing": list(finding.missing),
        "observations": list(finding.observations),
        "printed": finding.printed and finding.printed.summary,
        "unanswered_since": finding.silence and encode_silence(finding.silence),
        "fingerprint": finding.fingerprint,
    }


def _encode_run(run: RunResult, language: Language) -> dict[str, Any]:
    return {
        **encode_about(run),
        "complete": run.is_complete,
        "claim": run.claim,
        "sentence": joins.describe_claim(run, Language.EN),
        **_encode_conclusion(run),
        "counts": _count_statuses(run.results),
        "sections": [
            {"section": title, "counts": _count_statuses(results)}
            for title, results in joins.group_by_section(run, language)
        ],
        "causes": [_encode_cause(each) for each in joins.find_causes(run)],
        "requirements": [_encode_requirement(each, language) for each in run.results],
    }


def _encode_cause(cause: Cause) -> dict[str, Any]:
    return {
        "id": cause.result.id,
        "consequences": [{"id": each.result.id, "why": each.link} for each in cause.consequences],
    }


def _encode_conclusion(run: RunResult) -> dict[str, Any]:
    footer = encode_footer(run.footer) if run.footer else {}
    return {
        "exceptions": list(run.exceptions),
        "claim_with_exceptions": footer.get("claim_with_exceptions"),
        "wrong_entries": [encode_wrong_entry(entry) for entry in run.wrong_entries],
        "exit_status": footer.get("exit_status"),
        "seconds": run.seconds,
        "timings": footer.get("timings", {}),
        "memory_mb": footer.get("memory_mb"),
    }


def _count_statuses(results: Sequence[RequirementResult]) -> Mapping[str, int]:
    return {
        status or UNJUDGED: sum(each.status is status for each in results)
        for status in (*Status, None)
    }


def _encode_requirement(result: RequirementResult, language: Language) -> dict[str, Any]:
    requirement = joins.describe_requirement(result, language)
    known = result.known
    return {
        "id": result.id,
        "section": result.section,
        "source": requirement.source,
        "level": requirement.level,
        "sentence": requirement.sentence,
        "status": result.status,
        "seconds": result.seconds,
        "probes": result.probes,
        "span": result.span,
        "known": known
        and {"reason": known.reason, "expires": known.expires and str(known.expires)},
        "finding": result.finding and encode_finding(result.finding),
    }
