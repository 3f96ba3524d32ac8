"""Results and records as runs make them, made without a run."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.core.evidence import Fact, Journal
from conformance.judging.claim import make_claim
from conformance.judging.judge import exit_status
from conformance.judging.result import (
    Evidence,
    EvidenceReference,
    Finding,
    RequirementResult,
    RunFooter,
    RunHeader,
    RunResult,
    WrongEntry,
)
from conformance.judging.verdict import Status
from conformance.report.record import RecordWriter
from conformance.report.record_reader import read_record
from conformance.spec.catalogue import Channel, Level, catalogue

BEGAN = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
SERVICES = {
    "postgres": "PostgreSQL 18.6 (embedded)",
    "redis": "Valkey 9.1.2 (embedded)",
    "containers": "none: no daemon answers",
}
HOSTILE = (
    "\x1b[31m</script></summary></details>|` `` ``` ````\n```\n~~~\n# h\n@octocat"
    " <img src=x onerror=alert(1)> ![x](http://h/x) ]]>&amp;\0\ud800"
)
Verdict = tuple[Status, Finding | None]


def make_fact(text: str) -> Fact:
    """Something that was seen."""
    return Journal().observe("row", text)


def make_finding(
    got: str = "404",
    *evidence: str,
    reproduce: tuple[str, ...] = ("pytest --only DB-2 --seed 7",),
    likely_cause: str = "the branch that handles a missing row",
) -> Finding:
    """What a probe found."""
    references = tuple(EvidenceReference.to(make_fact(text)) for text in evidence)
    return Finding("200", got, references, likely_cause, reproduce)


SEEN = make_fact("items has no row 1")  # by every run
UNSEEN = Finding("evidence", "pass --worker-app MODULE:ATTR", missing=(Channel.WORKER,))
NO_SOURCE = Finding("nothing: it is not applicable", "the target is not a FastAPI application")
BROKEN = Finding(
    "the testbed to work",
    "Redis is gone",
    likely_cause="the testbed, not the target; please report it",
)
FOUND: dict[str, Verdict] = {
    "DB-2": (Status.FAIL, make_finding("404", "GET /items/1 → 404 (exchange 1)")),
    "UP-5": (Status.FAIL, make_finding("500")),
    "TASK-5": (Status.INCONCLUSIVE, UNSEEN),
    "TASK-6": (Status.INCONCLUSIVE, UNSEEN),
}
EXCLUDED: dict[str, Verdict] = {
    "END-6": (Status.NOT_APPLICABLE, NO_SOURCE),
    "DEP-9": (Status.NOT_APPLICABLE, NO_SOURCE),
}
NASTY: dict[str, Verdict] = {
    "DB-2": (
        Status.FAIL,
        Finding(HOSTILE, HOSTILE, make_finding("", HOSTILE).evidence, HOSTILE, ("```", HOSTILE)),
    ),
    "DB-3": (Status.INCONCLUSIVE, Finding("evidence", HOSTILE)),
    "DB-4": (Status.ERROR, Finding(HOSTILE, HOSTILE, likely_cause=HOSTILE)),
    "DEP-9": (Status.NOT_APPLICABLE, Finding(HOSTILE, HOSTILE)),
    "HTTP-6": (Status.OBSERVED, Finding.of_observations([HOSTILE, HOSTILE], ())),
}


def make_results(found: Mapping[str, Verdict] = {}) -> list[RequirementResult]:
    """A result for each requirement: what is found, else what a correct service gets."""
    results = []
    for each in catalogue().values():
        status, finding = found.get(each.id) or _correct(each.level)
        results.append(
            RequirementResult(
                each.id,
                each.level,
                each.sentence,
                status,
                probes=1,
                finding=finding,
                seconds=0.25,
                span=(1.0, 1.25),
            )
        )
    return results


def make_run(
    results: list[RequirementResult],
    *,
    allow_inconclusive: bool = False,
    wrong_entries: tuple[WrongEntry, ...] = (),
    **about: Any,
) -> RunResult:
    """The result of a run that found this."""
    header: dict[str, Any] = {
        "suite": "0.1.0",
        "began": BEGAN,
        "target": "shop.main:app",
        "url": "http://127.0.0.1:1",
        "services": SERVICES,
        "seed": 7,
        "level": Level.MUST,
        "requirements": tuple(each.id for each in results),
        **about,
    }
    claim = make_claim(results, catalogue())
    footer = RunFooter(
        claim=claim.name,
        sentence=claim.sentence,
        exceptions=claim.exceptions,
        claim_with_exceptions=claim.name_with_exceptions,
        wrong_entries=wrong_entries,
        exit_status=exit_status(results, Level.MUST, allow_inconclusive=allow_inconclusive),
        seconds=18.5,
        timings={"boot": 1.5},
        memory_mb=120,
    )
    return RunResult(RunHeader(**header), tuple(results), footer, (Evidence.of(SEEN),))


def write_run(path: Path, run: RunResult, *, killed: bool = False) -> RunResult:
    """Write the record of a run and read it back, of one that was killed while it probed if so."""
    writer = RecordWriter(path)
    writer.write_header(run.header)
    writer.write_evidence(SEEN)
    if not killed:
        for result in run.results:
            writer.write_result(result)
        assert run.footer
        writer.write_footer(run.footer)
    writer.close()
    return read_record(path)


def write_mixed(place: Path) -> RunResult:
    """A record with failures, and with what could not be judged."""
    return write_run(place / "mixed.jsonl", make_run(make_results(FOUND)))


def write_correct(place: Path) -> RunResult:
    """A record of a robust service."""
    return write_run(place / "correct.jsonl", make_run(make_results()))


def write_excluded(place: Path) -> RunResult:
    """A record of a robust service to which two requirements are not applicable."""
    return write_run(place / "excluded.jsonl", make_run(make_results(EXCLUDED)))


def write_killed(place: Path) -> RunResult:
    """A record of a run that was killed before it judged anything."""
    return write_run(place / "killed.jsonl", make_run(make_results()), killed=True)


def write_nasty(place: Path) -> RunResult:
    """A record in which everything that can be hostile is, its header and an unknown id too."""
    path = place / "nasty.jsonl"
    services = {"postgres": HOSTILE}
    run = make_run(make_results(NASTY), target=HOSTILE, url=HOSTILE, services=services)
    write_run(path, run)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    strange = next(line for line in lines if line.get("requirement") == "DB-2") | {
        "requirement": HOSTILE,
        "sentence": HOSTILE,
    }
    lines[0]["requirements"].append(HOSTILE)
    lines.insert(-1, strange)
    lines[-1]["sentence"] = HOSTILE
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return read_record(path)


def _correct(level: Level) -> Verdict:
    if level is not Level.MAY:
        return Status.PASS, None
    return Status.OBSERVED, Finding.of_observations(["a redirect is followed", "NaN: 422"], ())
