"""CTRF, the Common Test Report Format (ctrf.io): a test for each requirement.

Its id, level and section are labels.
"""

import json
from collections.abc import Sequence
from typing import Any

from conformance.judging.causes import Consequence
from conformance.judging.result import RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report import joins
from conformance.report.record import encode_header
from conformance.spec.catalogue import Language

# The version of CTRF whose schema this was validated against (npm: ctrf 0.3.0).
SPECIFICATION = "0.0.0"
SKIPPED = "skipped"
UNKNOWN = "other"  # neither passed nor failed: it could not be judged, or was not
STATUSES = {
    Status.PASS: "passed",
    Status.OBSERVED: "passed",
    Status.FAIL: "failed",
    Status.ERROR: "failed",
    Status.INCONCLUSIVE: UNKNOWN,
    Status.NOT_APPLICABLE: SKIPPED,
    None: UNKNOWN,
}
COUNTED = ("passed", "failed", SKIPPED, "pending", UNKNOWN)


def render_ctrf(runs: Sequence[RunResult], language: Language) -> str:  # noqa: ARG001 - names of tests are the same in each
    """The document, in English: programs identify tests by their names."""
    (run,) = runs
    began = _to_milliseconds(run.header.began.timestamp())
    sections = {
        each.id: title
        for title, results in joins.group_by_section(run, Language.EN)
        for each in results
    }
    origins = joins.find_consequences(run)
    tests = [
        _encode_test(each, began, sections[each.id], origins.get(each.id)) for each in run.results
    ]
    results = {
        "tool": {"name": "async-service-conformance", "version": run.header.suite},
        "summary": _encode_summary(run, tests, began, len(set(sections.values()))),
        "tests": tests,
        "environment": _encode_environment(run),
    }
    document = {"reportFormat": "CTRF", "specVersion": SPECIFICATION, "results": results}
    return json.dumps(document, indent=1) + "\n"


def _encode_summary(
    run: RunResult, tests: Sequence[dict[str, Any]], began: int, suites: int
) -> dict[str, Any]:
    duration = _to_milliseconds(run.seconds)
    return {
        "tests": len(tests),
        **{status: sum(test["status"] == status for test in tests) for status in COUNTED},
        "suites": suites,
        "start": began,
        "stop": began + duration,
        "duration": duration,
        "extra": {
            "claim": run.claim,
            "sentence": joins.describe_claim(run, Language.EN),
            "complete": run.is_complete,
        },
    }


def _encode_environment(run: RunResult) -> dict[str, Any]:
    header = encode_header(run.header)
    about = {name: header[name] for name in ("url", "services", "seed", "level")}
    healthy = run.is_complete and not run.counts[Status.ERROR]
    return {"appName": run.target, "healthy": healthy, "extra": about}


def _encode_test(
    result: RequirementResult, began: int, section: str, consequence: Consequence | None
) -> dict[str, Any]:
    requirement = joins.describe_requirement(result, Language.EN)
    test: dict[str, Any] = {
        "testId": result.id,
        "name": f"{result.id} {requirement.sentence}",
        "status": SKIPPED if result.known else STATUSES[result.status],  # as in JUnit
        "rawStatus": result.status or "NOT_JUDGED",
        "duration": _to_milliseconds(result.seconds),
        "suite": [section],
        "tags": [result.id, requirement.level],
        "labels": {
            "requirement": result.id,
            "level": requirement.level,
            "section": result.section,
            "source": requirement.source,
        },
        "type": "conformance",
    }
    if requirement.line:
        test |= {"filePath": f"spec/{requirement.document}", "line": requirement.line}
    if result.span:
        start, stop = (began + _to_milliseconds(seconds) for seconds in result.span)
        test |= {"start": start, "stop": stop}
    _add_finding(test, result)
    if consequence:
        test["labels"]["follows_from"] = consequence.cause
        test["message"] = f"follows from {consequence.cause}: {test.get('message', '')}"
        test["extra"].pop("likely_cause")
    return test


def _add_finding(test: dict[str, Any], result: RequirementResult) -> None:
    if finding := result.finding:
        test["labels"]["fingerprint"] = finding.fingerprint
        test["message"] = f"expected {finding.expected}\ngot {finding.got}"
        test["trace"] = "\n".join(reference.summary for reference in finding.evidence)
        test["extra"] = {
            "likely_cause": finding.likely_cause,
            "reproduce": list(finding.reproduce),
        }
        if finding.printed:
            test["message"] += f"\n{finding.printed.summary}"
        if silence := joins.describe_silence(finding, Language.EN):
            test["message"] += f"\n{silence}"
    if result.status is Status.NOT_APPLICABLE and result.finding:
        test["message"] = f"not applicable: {result.finding.got}"
    if result.known:
        test["message"] = f"known: {result.known.reason}"


def _to_milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
