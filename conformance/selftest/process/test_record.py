"""The record: valid, complete, the same result when it is read back, and honest if killed."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from conformance.config.options import read_options
from conformance.core.errors import BrokenTestbed, NoEvidence, NotApplicable, Violation
from conformance.core.evidence import (
    Exchange,
    Fact,
    Journal,
    LogLine,
    ProcessEvent,
    QueuedMessage,
    UpstreamRequest,
)
from conformance.core.observations import RowCheck
from conformance.judging.result import Evidence, KnownFailure, Mistake, RunHeader, WrongEntry
from conformance.judging.verdict import Status
from conformance.report.html import render_html
from conformance.report.junit import render_junit
from conformance.report.record import RecordWriter, read_lines
from conformance.report.record_reader import read_record
from conformance.report.text import render_text
from conformance.selftest.support.record_schema import SCHEMA, expect_valid
from conformance.selftest.support.records import (
    EXCLUDED,
    FOUND,
    NASTY,
    Verdict,
    make_results,
    make_run,
    write_run,
)
from conformance.selftest.support.suite import SERVICES, judge
from conformance.session.results import Results
from conformance.spec.catalogue import Channel, Language, Level, catalogue

SAMPLES = Path(__file__).parents[1] / "samples"
ABOUT = RunHeader(
    suite="0",
    began=datetime(2026, 7, 1, tzinfo=UTC),
    target="t",
    url=None,
    services={},
    seed=1,
    level=Level.MUST,
    requirements=("DB-2",),
)

GET: dict[str, Any] = {
    "method": "GET",
    "url": "http://h",
    "target": "/",
    "sent": b"",
    "sent_type": None,
    "headers": (),
    "ended": 1.0,
}


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_whole_run_is_recorded_and_reported(place: Path) -> None:
    junit = place / "junit.xml"
    arguments = (
        "--target-app",
        f"{SERVICES}:answers_async_alone",
        "--only",
        "END-2",
        "DEP-1",
        "TASK-5",
        f"--junitxml={junit}",
        f"--html={place / 'page.html'}",
        "--seed=7",
    )
    finished = judge(place, *arguments)
    assert finished.status == 1, finished.output
    expect_valid(finished.record)
    header, footer = finished.record[0], finished.record[-1]
    assert (header["type"], header["seed"], header["requirements"]) == (
        "header",
        7,
        ["END-2", "DEP-1", "TASK-5"],
    )
    assert (footer["type"], footer["claim"], footer["exit_status"]) == ("footer", None, 1)
    assert finished.verdicts == {"END-2": "PASS", "DEP-1": "FAIL", "TASK-5": "INCONCLUSIVE"}
    assert footer["memory_mb"] < 200
    verdict = next(line for line in finished.record if line.get("requirement") == "DEP-1")
    (named,) = verdict["finding"]["evidence"]
    (shown,) = [
        line
        for line in finished.record
        if line.get("kind") == named["kind"] and line.get("number") == named["number"]
    ]
    assert (shown["method"], shown["target"], shown["failure"]) == (
        "GET",
        "/items/",
        "no complete answer within 5 s",
    )

    run = read_record(place / "record.jsonl")
    assert render_text([run], Language.EN) in finished.output
    assert (place / "page.html").read_text("utf-8") == render_html([run], Language.EN)

    cases = {case.attrib["name"]: case for case in ElementTree.parse(junit).iter("testcase")}  # noqa: S314 - our own file
    assert set(cases) == {
        "END-2 `/async` answers its message exactly",
        "DEP-1 Without `q` the answer is null",
        "TASK-5 The worker's result is the completion message with the data",
    }
    rendered = render_junit([run], Language.EN)
    ours = ElementTree.fromstring(rendered)  # noqa: S314 - it is our own
    assert {(case.attrib["classname"], case.attrib["name"]) for case in ours.iter("testcase")} == {
        (case.attrib["classname"], name) for name, case in cases.items()
    }
    assert {name.split()[0]: [child.tag for child in case] for name, case in cases.items()} == {
        "END-2": [],
        "DEP-1": ["failure"],
        "TASK-5": ["error"],
    }


ENTRY = KnownFailure("DB-2", "issue <112>", date(2027, 3, 1), "1a2b3c4d")
WRONG = (WrongEntry("END-2", Mistake.STALE, "END-2 is listed as a known failure and passed"),)


@pytest.mark.parametrize("found", [{}, FOUND, EXCLUDED, NASTY])
def test_a_result_is_the_same_when_it_is_read_back(place: Path, found: dict[str, Verdict]) -> None:
    results = [
        replace(each, known=ENTRY) if each.status is Status.FAIL and each.id == "DB-2" else each
        for each in make_results(found)
    ]
    run = make_run(results, wrong_entries=WRONG)
    assert write_run(place / "record.jsonl", run) == run
    expect_valid(read_lines(place / "record.jsonl"))


def test_every_kind_of_evidence_is_the_same_when_it_is_read_back(place: Path) -> None:
    seen: list[Fact] = []
    journal = Journal(seen.append)
    journal.record(Exchange, status=200, body=b"\xff\x00" * 10**5, failure=None, **GET)
    journal.record(Exchange, status=None, body=b"", failure="no answer", **GET)
    journal.record(UpstreamRequest, method="GET", target="/\ud800", headers=(), connection=1)
    journal.record(LogLine, process="server", stream="stderr", text="x" * 10**5)
    journal.record(ProcessEvent, process="server", event="ended")
    journal.record(QueuedMessage, key="q", task_id=None, content_type=None, arguments=[1, {}])
    row = {"id": 1, "description": None, "created_at": datetime(2026, 7, 1, tzinfo=UTC)}
    journal.record(RowCheck, text="items has row 1", row=row)
    record = RecordWriter(place / "record.jsonl")
    record.write_header(ABOUT)
    for fact in seen:
        record.write_evidence(fact)
    record.close()
    expect_valid(read_lines(place / "record.jsonl"))
    assert read_record(place / "record.jsonl").evidence == tuple(map(Evidence.of, seen))


def collect(place: Path) -> Results:
    """The results of a run that found one of everything, before it ends."""
    given = {"--record": str(place / "record.jsonl"), "--html": str(place / "page.html")}
    names = ("DB-2", "DB-3", "END-6", "TASK-5", "HTTP-6", "UP-5", "UP-6")
    options = read_options({**given, "--only": list(names)}, place, catalogue())
    results = Results(options, catalogue(), date(2026, 7, 1), lambda: {"http://h"})
    journal = Journal(results.add_evidence)
    exchange = journal.record(Exchange, status=404, body=b"no", failure=None, **GET)
    results.begin_record("http://h", {"redis": "Valkey"})
    raised: dict[str, BaseException] = {
        "DB-2": Violation("200", "404", [exchange]),
        "TASK-5": NoEvidence("pass --worker-app X", [Channel.WORKER]),
        "END-6": NotApplicable("no routes"),
        "UP-5": BrokenTestbed("Redis is gone"),
    }
    for requirement in results.selected:
        results.expect_probe(requirement.id, "p")
        if error := raised.get(requirement.id):
            results.add_failure(requirement, "p", (0.5, 1.0), error)
    results.add_pass(catalogue()["DB-3"], "p", (1.0, 2.0))
    seen = journal.observe("row", "a; row")
    results.add_observations(catalogue()["HTTP-6"], "p", (2.0, 3.0), [("a; b", [seen]), ("c", [])])
    return results


def test_a_live_result_is_the_one_that_its_record_is_read_into(place: Path) -> None:
    results = collect(place)
    live = results.finish()
    results.close()
    assert read_record(place / "record.jsonl") == live
    assert {each.id: each.status for each in live.results} == {
        "DB-2": Status.FAIL,
        "DB-3": Status.PASS,
        "END-6": Status.NOT_APPLICABLE,
        "TASK-5": Status.INCONCLUSIVE,
        "HTTP-6": Status.OBSERVED,
        "UP-5": Status.ERROR,
        "UP-6": Status.ERROR,  # a probe that never reported
    }
    findings = {each.id: each.finding for each in live.results if each.finding}
    assert findings["TASK-5"].missing == (Channel.WORKER,)
    assert findings["HTTP-6"].observations == ("a; b", "c")
    assert findings["DB-2"].reproduce[1:] == ("curl -ig --path-as-is http://h/",)
    assert findings["UP-6"].reproduce == (
        *findings["UP-5"].reproduce[:0],
        findings["UP-5"].reproduce[0].replace("UP-5", "UP-6"),
    )
    assert not findings["TASK-5"].reproduce


def test_an_interrupted_live_result_is_the_one_that_its_record_is_read_into(place: Path) -> None:
    results = collect(place)
    results.close()
    assert results.result == read_record(place / "record.jsonl")
    assert results.result.counts == {None: 7}
    assert len(results.result.evidence) == 2
    results.write_page()
    page = (place / "page.html").read_text("utf-8")
    assert page == render_html([results.result], Language.EN)
    assert "This record is incomplete" in page


def test_a_record_of_version_1_can_still_be_read() -> None:
    run = read_record(SAMPLES / "version_1.jsonl")
    assert {each.id: each.status for each in run.results} == {
        "END-1": Status.FAIL,
        "END-2": Status.PASS,
        "DEP-1": Status.FAIL,
        "DB-2": Status.FAIL,
        "TASK-5": Status.INCONCLUSIVE,
        "HTTP-6": Status.OBSERVED,
        "CONC-1": Status.FAIL,
        "DB-11": Status.INCONCLUSIVE,
    }
    findings = {each.id: each.finding for each in run.results if each.finding}
    assert {name: each.missing for name, each in findings.items() if each.missing} == {
        "TASK-5": (Channel.WORKER,)
    }
    assert len(findings["HTTP-6"].observations) == 5
    assert findings["END-1"].likely_cause == catalogue()["END-1"].usual_cause
    assert run.footer
    assert run.footer.claim_with_exceptions is None
    named = [reference for each in findings.values() for reference in each.evidence]
    evidence = {each.key: each.reference for each in run.evidence}
    assert named
    assert all(evidence[reference.key] == reference for reference in named)


def test_a_run_that_is_killed_leaves_what_it_had_seen(place: Path) -> None:
    record = RecordWriter(place / "record.jsonl")
    record.write_header(ABOUT)
    Journal(record.write_evidence).record(RowCheck, text="items has no row 1", row=None)
    lines = [
        json.loads(line) for line in (place / "record.jsonl").read_text("utf-8").splitlines()
    ]  # before it is closed
    expect_valid(lines)
    assert [line["type"] for line in lines] == ["header", "evidence"]
    record.close()


def test_a_hostile_answer_is_recorded_as_text_and_cut(place: Path) -> None:
    record = RecordWriter(place / "record.jsonl")
    body = b"\x00\xff\x1b[31m</script>" + b"x" * 10**6
    record.write_header(ABOUT)
    Journal(record.write_evidence).record(Exchange, status=200, body=body, failure=None, **GET)
    record.close()
    (_, line) = (place / "record.jsonl").read_text("utf-8").splitlines()
    assert len(line) < 70_000
    assert "\x1b" not in line
    expect_valid([json.loads(line)])


@pytest.mark.parametrize(
    ("status", "body", "shown"), [(200, b"\x1b[2J\n", r"200 \x1b[2J\n"), (None, b"", "no answer")]
)
def test_an_exchange_in_one_line_has_no_control_characters(
    status: int | None, body: bytes, shown: str
) -> None:
    exchange = Journal().record(
        Exchange, status=status, body=body, failure=None if status else "no answer", **GET
    )
    assert exchange.summary == f"GET / → {shown} (exchange 1)"
