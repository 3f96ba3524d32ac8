"""CTRF, the Common Test Report Format (ctrf.io), from a record: a test for each requirement, with its id, level and section as labels."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record_reader import Judged, Report
from conformance.spec.catalogue import Language

SPECIFICATION = (
    "0.0.0"  # the version of CTRF whose schema this was validated against (npm: ctrf 0.3.0)
)
STATUSES = {
    Status.PASS: "passed",
    Status.OBSERVED: "passed",
    Status.FAIL: "failed",
    Status.ERROR: "failed",
}
UNKNOWN = "other"  # neither passed nor failed: not to be judged, or not come to
COUNTED = ("passed", "failed", "skipped", "pending", UNKNOWN)


def render(reports: Sequence[Report], language: Language) -> str:  # noqa: ARG001 - names of tests are the same in each
    """The document, in English: programs tell tests by their names."""
    (report,) = reports
    began = _milliseconds(datetime.fromisoformat(report.header["began"]).timestamp())
    suites = {
        each.id: title for title, judged in joins.by_section(report, Language.EN) for each in judged
    }
    tests = [_test(each, began, suites[each.id]) for each in report.judged]
    counts = {status: sum(test["status"] == status for test in tests) for status in COUNTED}
    duration = _milliseconds(report.seconds)
    results = {
        "tool": {"name": "async-service-conformance", "version": report.header["suite"]},
        "summary": {
            "tests": len(tests),
            **counts,
            "suites": len(set(suites.values())),
            "start": began,
            "stop": began + duration,
            "duration": duration,
            "extra": {
                "claim": report.claim,
                "sentence": report.sentence,
                "complete": report.is_complete,
            },
        },
        "tests": tests,
        "environment": _environment(report),
    }
    return (
        json.dumps(
            {"reportFormat": "CTRF", "specVersion": SPECIFICATION, "results": results}, indent=1
        )
        + "\n"
    )


def _environment(report: Report) -> dict[str, Any]:
    header = report.header
    about = {name: header[name] for name in ("url", "services", "seed", "level")}
    healthy = report.is_complete and not report.counts[Status.ERROR]
    return {"appName": report.target, "healthy": healthy, "extra": about}


def _test(judged: Judged, began: int, suite: str) -> dict[str, Any]:
    requirement, found = joins.of(judged, Language.EN), judged.found
    labels = {
        "requirement": judged.id,
        "level": requirement.level,
        "section": judged.section,
        "source": requirement.source,
    }
    test: dict[str, Any] = {
        "testId": judged.id,
        "name": f"{judged.id} {requirement.sentence}",
        "status": _status(judged),
        "rawStatus": judged.status or "NOT_JUDGED",
        "duration": _milliseconds(judged.seconds),
        "suite": [suite],
        "tags": [judged.id, requirement.level],
        "labels": labels | ({"fingerprint": found.fingerprint} if found else {}),
        "type": "conformance",
    }
    if requirement.line:
        test |= {"filePath": f"spec/{requirement.document}", "line": requirement.line}
    if judged.span:
        test |= {
            "start": began + _milliseconds(judged.span[0]),
            "stop": began + _milliseconds(judged.span[1]),
        }
    if found:
        test |= {
            "message": f"expected {found.expected}\ngot {found.got}",
            "trace": "\n".join(found.summaries),
        }
        test["extra"] = {"look_at": found.look_at, "reproduce": list(found.reproduce)}
    if judged.known:
        test["message"] = f"known: {judged.known.reason}"
    return test


def _status(judged: Judged) -> str:
    if judged.known:
        return "skipped"  # as in JUnit: it does not count
    return STATUSES.get(judged.status, UNKNOWN) if judged.status else UNKNOWN


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
