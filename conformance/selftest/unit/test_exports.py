"""The views of a result: valid by tools of others, honest about what was not judged.

No hostile text breaks them.
"""

import ast
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import resvg_py
import xmlschema

from conformance.cli import main as cli
from conformance.config.paths import PROJECT
from conformance.core.errors import WrongUsage
from conformance.judging.known_failures import mark_known_failures
from conformance.judging.result import KnownFailure, RunResult
from conformance.judging.verdict import Status
from conformance.report import badge, ctrf, views
from conformance.report.annotations import render_annotations
from conformance.report.badge import render_badge
from conformance.report.ctrf import render_ctrf
from conformance.report.data import render_json
from conformance.report.junit import render_junit
from conformance.report.markdown import render_markdown
from conformance.report.record_reader import read_record
from conformance.report.terminal import summarize_run
from conformance.report.text import render_text
from conformance.report.translations import ZH
from conformance.selftest.support.records import (
    BROKEN,
    FOUND,
    NO_SOURCE,
    UNSEEN,
    make_finding,
    make_results,
    make_run,
    write_run,
)
from conformance.spec.catalogue import Language, Level, catalogue

EN = Language.EN
OURS = PROJECT / "conformance" / "report"
OTHERS = Path(__file__).parents[1] / "schemas"


# The page


def test_the_page_of_a_record_is_that_of_its_run(place: Path) -> None:
    run = make_run(make_results(FOUND | {"DB-9": (Status.ERROR, BROKEN)}))
    assert (
        render_text([write_run(place / "r.jsonl", run)], EN)
        == "\n".join(line.text for line in summarize_run(run)) + "\n"
    )


def test_the_page_of_a_killed_run_says_so(killed: RunResult) -> None:
    assert render_text([killed], EN).splitlines()[-1] == (
        "no claim: the record is incomplete because the run did not come to its end"
        " (91 of 91 requirements were not judged)"
    )


def test_several_pages_begin_with_what_differs(mixed: RunResult, correct: RunResult) -> None:
    head = render_text([mixed, correct], EN).split("\n\n")[:2]
    assert head[0] == "1  shop.main:app: no claim\n2  shop.main:app: robust"
    fingerprint = make_finding("404").fingerprint
    assert [line.split() for line in head[1].splitlines()][:2] == [
        ["1", "2"],
        ["DB-2", "FAIL", fingerprint, "PASS"],
    ]
    assert [line.split()[0] for line in head[1].splitlines()[1:]] == [
        "DB-2",
        "UP-5",
        "TASK-5",
        "TASK-6",
    ]


@pytest.mark.parametrize("language", Language)
def test_no_control_character_of_a_target_reaches_a_terminal(
    nasty: RunResult, language: Language
) -> None:
    shown = render_text([nasty, nasty], language)
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert shown.encode("utf-8")


# JSON


def closed(schema: Any) -> Iterator[bool]:
    """Of each object that a schema describes, whether it may have nothing else."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema.get("additionalProperties") is False
        for each in schema.values():
            yield from closed(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from closed(each)


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((OURS / name).read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("name", ["report.schema.json", "diff.schema.json"])
def test_our_schemas_are_schemas_of_closed_objects(name: str) -> None:
    schema = validator(name).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert all(closed(schema))


@pytest.mark.parametrize("language", Language)
def test_json_is_as_its_schema_says(
    mixed: RunResult, correct: RunResult, killed: RunResult, nasty: RunResult, language: Language
) -> None:
    document = json.loads(render_json([mixed, correct, killed, nasty], language))
    validator("report.schema.json").validate(document)
    one, two, three, _ = document["records"]
    assert [each["claim"] for each in document["records"]] == [None, "robust", None, None]
    assert (three["complete"], three["exit_status"], three["counts"]["NOT_JUDGED"]) == (
        False,
        None,
        91,
    )
    assert one["counts"] == {
        "PASS": 82,
        "FAIL": 2,
        "INCONCLUSIVE": 2,
        "ERROR": 0,
        "OBSERVED": 5,
        "NOT_APPLICABLE": 0,
        "NOT_JUDGED": 0,
    }
    assert two["sections"][2]["counts"]["PASS"] == 17
    failed = next(each for each in one["requirements"] if each["id"] == "DB-2")
    assert (failed["level"], failed["section"], failed["seconds"], failed["span"]) == (
        "MUST",
        3,
        0.25,
        [1.0, 1.25],
    )
    assert failed["finding"]["fingerprint"] == make_finding("404").fingerprint
    assert failed["finding"]["evidence"] == [
        {"kind": "row", "number": 1, "summary": "GET /items/1 → 404 (exchange 1) (row check 1)"}
    ]


# JUnit


def cases(report: RunResult) -> dict[str, ElementTree.Element]:
    """The cases by the ids that their names begin with. Jenkins's schema accepts the document."""
    shown = render_junit([report], EN)
    xmlschema.XMLSchema(OTHERS / "junit-10.xsd").validate(shown)
    root = ElementTree.fromstring(shown)  # noqa: S314 - our own
    for each in (root, *root.iter("testsuite")):
        found = {
            name: len(list(each.iter(tag)))
            for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"))
        }
        assert {name: int(each.attrib[name]) for name in found} == found
    return {case.attrib["name"].split()[0]: case for case in root.iter("testcase")}


def outcomes(report: RunResult) -> dict[str, str]:
    return {name: child.tag for name, case in cases(report).items() for child in case}


def test_junit_has_a_case_for_each_requirement_named_as_the_run_names_it(mixed: RunResult) -> None:
    found = cases(mixed)
    assert set(found) == set(catalogue())
    assert found["DB-2"].attrib == {
        "classname": "spec.3-database",
        "name": "DB-2 An absent item is null",
        "time": "0.250",
    }
    failure = found["DB-2"].find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "FAIL", "message": "404"}
    assert "\nreproduce     pytest --only DB-2 --seed 7\n" in str(failure.text)


def test_junit_of_what_is_no_pass(mixed: RunResult, killed: RunResult) -> None:
    observed = {name: "system-out" for name, each in catalogue().items() if each.level is Level.MAY}
    assert outcomes(mixed) == observed | {
        "DB-2": "failure",
        "UP-5": "failure",
        "TASK-5": "error",
        "TASK-6": "error",
    }
    assert outcomes(killed) == dict.fromkeys(catalogue(), "error")


def test_junit_skips_what_a_run_that_passed_could_not_judge(place: Path) -> None:
    run = make_run(make_results({"TASK-5": (Status.INCONCLUSIVE, UNSEEN)}), allow_inconclusive=True)
    assert outcomes(write_run(place / "r.jsonl", run))["TASK-5"] == "skipped"


def test_hostile_text_breaks_no_xml(nasty: RunResult) -> None:
    assert "@octocat <img src=x onerror=alert(1)>" in str(cases(nasty)["DB-2"][0].text)


# CTRF


def by_id(report: RunResult) -> dict[str, dict[str, Any]]:
    """The tests of a record by id; the document is valid by CTRF's own schema."""
    document = json.loads(render_ctrf([report], EN))
    jsonschema.Draft7Validator(
        json.loads((OTHERS / "ctrf-schema-0.0.json").read_text("utf-8")),
        format_checker=jsonschema.FormatChecker(),
    ).validate(document)
    found, counts = document["results"]["tests"], document["results"]["summary"]
    assert Counter(test["status"] for test in found) == Counter(
        {each: counts[each] for each in ctrf.COUNTED if counts[each]}
    )
    return {test["testId"]: test for test in found}


def test_ctrf_labels_each_test_with_its_requirement(mixed: RunResult, nasty: RunResult) -> None:
    found = by_id(mixed)
    assert set(found) == set(catalogue())
    test = found["DB-2"]
    assert test["labels"] == {
        "requirement": "DB-2",
        "level": "MUST",
        "section": 3,
        "source": catalogue()["DB-2"].source,
        "fingerprint": make_finding("404").fingerprint,
    }
    assert (test["tags"], test["suite"], test["duration"]) == (
        ["DB-2", "MUST"],
        ["3 Database"],
        250,
    )
    assert test["stop"] - test["start"] == 250
    assert (test["message"], test["status"]) == ("expected 200\ngot 404", "failed")
    assert by_id(nasty)["DB-4"]["status"] == "failed"


def test_ctrf_calls_nothing_passed_that_was_not_judged(mixed: RunResult, killed: RunResult) -> None:
    found = by_id(mixed)
    assert {found[name]["status"] for name in ("TASK-5", "TASK-6")} == {"other"}
    assert {test["status"] for test in by_id(killed).values()} == {"other"}
    assert {found[name]["status"] for name in ("DB-1", "HTTP-6")} == {"passed"}


# The badge


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    ("found", "ended", "says"),
    [
        ({}, True, "robust"),
        ({"UP-5": FOUND["UP-5"]}, True, "core"),
        (FOUND, True, "not established"),
        ({}, False, "incomplete"),
    ],
)
def test_the_badge_says_the_claim(
    place: Path, found: dict[str, Any], ended: bool, says: str, language: Language
) -> None:
    report = write_run(place / "r.jsonl", make_run(make_results(found)), killed=not ended)
    image = render_badge([report], language)
    root = ElementTree.fromstring(image)  # noqa: S314 - our own
    words = [each if language is EN else ZH[each] for each in ("conformance", says)]
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", ": ".join(words))
    assert [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")] == words
    png = bytes(resvg_py.svg_to_bytes(svg_string=image))
    assert (png[:8], int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (
        b"\x89PNG\r\n\x1a\n",
        int(root.attrib["width"]),
        20,
    )


def luminance(colour: str) -> float:
    """Of a colour, as WCAG 2.2 defines it."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [badge.NAME_COLOUR, *badge.COLOURS.values()])
def test_white_on_each_colour_of_the_badge_is_easy_to_read(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


# The command


def test_the_command_shows_the_page_where_nothing_else_is_asked_for(
    correct: RunResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", str(correct.path)]) == 0
    assert capsys.readouterr().out == render_text([correct], EN)


def test_the_command_writes_every_form_that_it_lists(
    nasty: RunResult, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["report", "--help"])
    listed = capsys.readouterr().out
    for form in views.FORMATS:
        assert f"--{form} FILE" in listed
        assert (
            cli.main(["report", str(nasty.path), f"--{form}", str(place / form), "--lang", "zh"])
            == 0
        )
        assert (place / form).read_text("utf-8")
    assert not capsys.readouterr().out


@pytest.mark.parametrize("form", ["junit", "ctrf", "badge"])
def test_a_form_of_one_record_refuses_two(
    correct: RunResult, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", str(correct.path), str(correct.path), f"--{form}", "-"]) == 4
    assert (
        capsys.readouterr().err == f"conformance report: --{form} shows one record; 2 were given\n"
    )


@pytest.mark.parametrize(
    ("kind", "change", "why"),
    [
        ("footer", {"claim": "perfect"}, "a claim must be core, robust or null, not 'perfect'"),
        ("footer", {"exit_status": 9}, "9 is not a valid Exit"),
        ("footer", {"seconds": float("nan")}, "nan is not a number of seconds"),
        ("verdict", {"seconds": float("inf")}, "inf is not a number of seconds"),
        ("header", {"level": "COULD"}, "'COULD' is not a valid Level"),
        ("header", {"began": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
    ],
)
def test_a_record_that_no_run_writes_is_refused(
    correct: RunResult, kind: str, change: dict[str, Any], why: str
) -> None:
    assert correct.path
    lines = [json.loads(line) for line in correct.path.read_text("utf-8").splitlines()]
    changed = [line | change if line["type"] == kind else line for line in lines]
    correct.path.write_text("".join(json.dumps(line) + "\n" for line in changed), "utf-8")
    with pytest.raises(WrongUsage) as raised:
        read_record(correct.path)
    assert str(raised.value).endswith(f"{correct.path} is not one: {why}")


# Words


def test_everything_that_reports_say_is_said_in_chinese() -> None:
    called = [
        node.args[0]
        for path in OURS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "translate"
    ]
    texts = {argument.value for argument in called if isinstance(argument, ast.Constant)}
    assert len(texts) > 30
    assert texts <= set(ZH)


def test_a_known_failure_is_told_as_one_in_every_form(place: Path) -> None:
    known = mark_known_failures(
        make_results({"DB-2": FOUND["DB-2"]}),
        [KnownFailure("DB-2", "issue <112>", date(2027, 3, 1))],
        date(2026, 11, 24),
    )
    report = write_run(place / "known.jsonl", make_run(known))
    document = json.loads(render_json([report], EN))
    validator("report.schema.json").validate(document)
    (record,) = document["records"]
    assert (record["claim"], record["claim_with_exceptions"], record["exceptions"]) == (
        None,
        "robust",
        ["DB-2"],
    )
    (case,) = [each for each in record["requirements"] if each["known"]]
    assert (case["id"], case["status"], case["known"]) == (
        "DB-2",
        "FAIL",
        {"reason": "issue <112>", "expires": "2027-03-01"},
    )
    (test,) = [
        each
        for each in json.loads(render_ctrf([report], EN))["results"]["tests"]
        if each["status"] == "skipped"
    ]
    assert (test["testId"], test["rawStatus"], test["message"]) == (
        "DB-2",
        "FAIL",
        "known: issue <112>",
    )
    (skipped,) = ElementTree.fromstring(render_junit([report], EN)).iter("skipped")  # noqa: S314 - our own
    assert skipped.attrib["message"] == "known: issue <112>"
    assert "### FAIL (known) (1)" in render_markdown([report], EN)
    assert "FAIL (known)" in render_text([report], EN)
    assert "known         issue <112> (until 2027-03-01)" in render_text([report], EN)


def test_what_is_not_applicable_is_said_in_every_format(excluded: RunResult) -> None:
    reason = NO_SOURCE.got
    claim = "robust is established: all 41 SHOULD that apply passed, 2 are not applicable"
    shown = render_text([excluded], EN)
    assert claim in shown
    assert "  2 Endpoints       5 of  5 passed, 1 NOT APPLICABLE\n" in shown
    assert f"NOT APPLICABLE  §6.1\nbecause       {reason}\n" in shown
    assert outcomes(excluded)["END-6"] == outcomes(excluded)["DEP-9"] == "skipped"
    assert cases(excluded)["END-6"][0].attrib == {"type": "NOT_APPLICABLE", "message": reason}
    test = by_id(excluded)["END-6"]
    assert (test["status"], test["message"]) == ("skipped", f"not applicable: {reason}")
    (record,) = json.loads(render_json([excluded], EN))["records"]
    assert (record["claim"], record["exit_status"]) == ("robust", 0)
    assert (record["counts"]["NOT_APPLICABLE"], record["counts"]["INCONCLUSIVE"]) == (2, 0)
    markdown = render_markdown([excluded], EN)
    assert f"### NOT APPLICABLE (2)\n\n- {reason}: END-6, DEP-9\n" in markdown
    assert "<title>conformance: robust (2 not applicable)</title>" in render_badge([excluded], EN)
    assert render_annotations([excluded], EN) == (
        f"::notice title=END-6%2C DEP-9 NOT APPLICABLE::{reason}\n"
    )


@pytest.mark.parametrize("name", views.FORMATS)
def test_what_is_not_applicable_is_said_in_chinese(excluded: RunResult, name: str) -> None:
    assert views.FORMATS[name].render([excluded], Language.ZH)
