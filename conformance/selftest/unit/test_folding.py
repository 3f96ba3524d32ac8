"""Folding: every view names the cause first, and what follows from it under it, without hints."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance.judging.result import EvidenceReference, Finding, RunResult, Silence
from conformance.judging.verdict import Status
from conformance.report import diff_views
from conformance.report.annotations import render_annotations
from conformance.report.ctrf import render_ctrf
from conformance.report.data import render_json
from conformance.report.diff import compare_runs
from conformance.report.html import render_html
from conformance.report.junit import render_junit
from conformance.report.markdown import render_markdown
from conformance.report.terminal import summarize_run
from conformance.selftest.support.records import make_results, make_run, write_run
from conformance.spec.catalogue import Language, catalogue

EN, ZH = Language.EN, Language.ZH
READ = "GET /items/{item_id}"
WORDS = "server printed \"AttributeError: no attribute 'pool'\" (line 40)"
ASKED = EvidenceReference("exchange", 1, "GET /items/1 → 500", endpoint=READ, status=500)
FOUND = {
    "DB-7": (Status.FAIL, Finding("a session", "0 sessions", likely_cause="a lazy pool")),
    "DB-1": (
        Status.FAIL,
        Finding(
            "200",
            "500 Internal",
            (ASKED,),
            "a column",
            printed=EvidenceReference("log_line", 40, WORDS),
        ),
    ),
    "CONC-2": (Status.INCONCLUSIVE, Finding("evidence", "no read could be held")),
    "UP-4": (
        Status.FAIL,
        Finding(
            "200",
            "no complete answer",
            (
                EvidenceReference(
                    "exchange", 9, "GET /external-data", endpoint="GET /external-data"
                ),
            ),
            "a retry",
            silence=Silence("GET /external-data", 7, "CONC-10"),
        ),
    ),
}
SILENT = "GET /external-data has not answered since exchange 7, which CONC-10 sent"


@pytest.fixture
def run(place: Path) -> RunResult:
    return write_run(place / "record.jsonl", make_run(make_results(FOUND)))


def test_a_record_keeps_what_the_process_printed_and_since_when_an_endpoint_is_silent(
    run: RunResult,
) -> None:
    printed, silent = run.by_id["DB-1"].finding, run.by_id["UP-4"].finding
    assert printed and silent
    assert (printed.printed, printed.evidence) == (FOUND["DB-1"][1].printed, (ASKED,))
    assert silent.silence == Silence("GET /external-data", 7, "CONC-10")


def test_the_summary_folds_and_says_where_to_begin(run: RunResult) -> None:
    lines = [line.text for line in summarize_run(run)]
    first = next(line for line in lines if line.startswith(("DB-", "UP-")))
    assert first.startswith("DB-7 ")
    start = lines.index("consequences  1 failed, 1 could not be judged")
    assert lines[start + 1].startswith("  DB-1    MUST    An existing item is its row (")
    assert lines[start + 2] == f"  printed     {WORDS.removesuffix(' (line 40)')}"
    assert lines[start + 3].startswith("  CONC-2  MUST ")
    assert lines[start + 4] == "  because     no read could be held"
    assert "likely cause  a lazy pool" in lines
    assert "likely cause  a column" not in lines
    assert f"silent        {SILENT}" in lines
    begin = "look at DB-7 first: of what depends on it, 1 failed, 1 could not be judged"
    assert lines[-2] == begin


def test_a_run_without_consequences_says_nothing_of_where_to_begin() -> None:
    lines = [line.text for line in summarize_run(make_run(make_results()))]
    assert not any(line.startswith("look at") for line in lines)


def test_markdown_folds(run: RunResult) -> None:
    page = render_markdown([run], EN)
    assert page.count("<details>") == 2
    assert page.index("<b>DB-7</b>") < page.index("**DB-1** MUST") < page.index("<b>UP-4</b>")
    assert "**consequences** 1 failed, 1 could not be judged" in page
    assert "a column" not in page
    assert SILENT in page
    assert "### FAIL (4)" in page


def test_the_page_lists_causes_and_shows_no_hint_of_a_consequence(run: RunResult) -> None:
    page = render_html([run], EN)
    causes = page[page.index('class="causes"') : page.index('class="map"')]
    assert causes.index('href="#DB-7"') < causes.index('href="#DB-1"') < causes.index("UP-4")
    assert "follow from it: 1 failed, 1 could not be judged" in causes
    item = page[page.index('id="DB-1"') : page.index('id="DB-2"')]
    assert 'follows from</dt><dd><a href="#DB-7">DB-7</a>' in item
    assert "AttributeError: no attribute" in item
    assert "a column" not in item
    assert catalogue()["DB-1"].usual_cause.split(",")[0] not in item


def test_a_page_without_failures_lists_no_causes() -> None:
    assert 'class="causes"' not in render_html([make_run(make_results())], EN)


def test_data_have_the_causes_and_what_follows_from_each(run: RunResult) -> None:
    (record,) = json.loads(render_json([run], EN))["records"]
    assert [each["id"] for each in record["causes"]] == ["DB-7", "UP-4"]
    assert [each["id"] for each in record["causes"][0]["consequences"]] == ["DB-1", "CONC-2"]
    found = {each["id"]: each["finding"] for each in record["requirements"]}
    assert found["DB-1"]["printed"] == WORDS
    assert found["UP-4"]["unanswered_since"]["requirement"] == "CONC-10"


def test_junit_says_what_a_case_follows_from(run: RunResult) -> None:
    cases = {
        each.get("name", "").split()[0]: each
        for each in ElementTree.fromstring(render_junit([run], EN)).iter("testcase")  # noqa: S314
    }
    failure = cases["DB-1"].find("failure")
    assert failure is not None
    assert failure.get("message") == "follows from DB-7: 500 Internal"
    assert "likely cause" not in str(failure.text)
    assert WORDS in str(failure.text)
    cause = cases["DB-7"].find("failure")
    assert cause is not None and "likely cause  a lazy pool" in str(cause.text)


def test_ctrf_says_what_a_test_follows_from(run: RunResult) -> None:
    tests = json.loads(render_ctrf([run], EN))["results"]["tests"]
    by_id = {each["testId"]: each for each in tests}
    assert by_id["DB-1"]["labels"]["follows_from"] == "DB-7"
    assert by_id["DB-1"]["message"].startswith("follows from DB-7: ")
    assert "likely_cause" not in by_id["DB-1"]["extra"]
    assert "follows_from" not in by_id["DB-7"]["labels"]
    assert by_id["UP-4"]["message"].endswith(SILENT)


def test_annotations_are_of_causes_alone(run: RunResult) -> None:
    commands = render_annotations([run], EN).splitlines()
    assert [line.split("::")[1].split("title=")[1].split()[0] for line in commands] == [
        "DB-7",
        "UP-4",
    ]
    assert "consequences: DB-1, CONC-2" in commands[0]


def test_a_diff_says_what_a_new_failure_follows_from(run: RunResult, place: Path) -> None:
    old = write_run(place / "old.jsonl", make_run(make_results()))
    diff = compare_runs(old, run)
    assert "  follows from DB-7: without that, this says little\n" in diff_views.render_text(
        diff, EN
    )
    changes = json.loads(diff_views.render_json(diff, EN))["changes"]
    origins = {each["id"]: each["follows_from"] for each in changes}
    assert origins == {"DB-7": None, "DB-1": "DB-7", "UP-4": None, "CONC-2": "DB-7"}
    assert diff_views.render_markdown(diff, EN).count("<details>") == 2


def test_every_view_folds_in_chinese_too(run: RunResult) -> None:
    assert "首先查看 DB-7" in "\n".join(line.text for line in summarize_run(run, ZH))
    assert "由此引起：1 项未通过, 1 项无法判定" in render_html([run], ZH)
    assert "源于" in diff_views.render_text(compare_runs(make_run(make_results()), run), ZH)
