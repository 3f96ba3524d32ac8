"""The record and the JUnit report: valid, complete, named by requirement, and honest about a run that was killed."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from conformance.core.evidence import Exchange, Journal
from conformance.report import junit as exported
from conformance.report import record_reader, text
from conformance.report.record import Record
from conformance.selftest.support.record_schema import SCHEMA, expect_valid
from conformance.selftest.support.suite import SERVICES, judge
from conformance.spec.catalogue import Language

ABOUT: dict[str, Any] = {
    "suite": "0",
    "began": "2026-07-01T00:00:00Z",
    "target": "t",
    "url": None,
    "services": {},
    "seed": 1,
    "level": "MUST",
    "requirements": ["DB-2"],
}

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

    assert text.render([record_reader.read(place / "record.jsonl")], Language.EN) in finished.output

    cases = {case.attrib["name"]: case for case in ElementTree.parse(junit).iter("testcase")}  # noqa: S314 - our own file
    assert set(cases) == {
        "END-2 `/async` answers its message exactly",
        "DEP-1 Without `q` the answer is null",
        "TASK-5 The worker's result is the completion message with the data",
    }
    rendered = exported.render([record_reader.read(place / "record.jsonl")], Language.EN)
    ours = ElementTree.fromstring(rendered)  # noqa: S314 - it is our own
    assert {(case.attrib["classname"], case.attrib["name"]) for case in ours.iter("testcase")} == {
        (case.attrib["classname"], name) for name, case in cases.items()
    }
    assert {name.split()[0]: [child.tag for child in case] for name, case in cases.items()} == {
        "END-2": [],
        "DEP-1": ["failure"],
        "TASK-5": ["error"],
    }


def test_a_run_that_is_cut_short_leaves_what_it_had_seen(place: Path) -> None:
    record = Record(place / "record.jsonl")
    record.header(**ABOUT)
    Journal(record.fact).observe("row", "items has no row 1", row=None)
    lines = [
        json.loads(line) for line in (place / "record.jsonl").read_text("utf-8").splitlines()
    ]  # before it is closed
    expect_valid(lines)
    assert [line["type"] for line in lines] == ["header", "evidence"]
    record.close()


def test_a_hostile_answer_is_recorded_as_text_and_cut(place: Path) -> None:
    record = Record(place / "record.jsonl")
    body = b"\x00\xff\x1b[31m</script>" + b"x" * 10**6
    record.header(**ABOUT)
    Journal(record.fact).record(Exchange, status=200, body=body, failure=None, **GET)
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
