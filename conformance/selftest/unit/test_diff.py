"""What changed from one record to another, and what of it is worse."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from conformance.cli import main as cli
from conformance.config.paths import PROJECT
from conformance.judging.result import EvidenceReference, Finding, RunResult
from conformance.judging.verdict import Status
from conformance.report import diff_views
from conformance.report.diff import ChangeKind, Diff, compare_runs
from conformance.selftest.support.records import (
    HOSTILE,
    NO_SOURCE,
    UNSEEN,
    Verdict,
    make_finding,
    make_results,
    make_run,
    write_run,
)
from conformance.spec.catalogue import Language

EN = Language.EN
SCHEMA = json.loads((PROJECT / "conformance" / "report" / "diff.schema.json").read_text("utf-8"))

PASSES: Verdict = (Status.PASS, None)
FAILS: Verdict = (Status.FAIL, make_finding("404"))
FAILS_OTHERWISE: Verdict = (Status.FAIL, make_finding("500"))
UNKNOWN: Verdict = (Status.INCONCLUSIVE, UNSEEN)
EXCLUDED: Verdict = (Status.NOT_APPLICABLE, NO_SOURCE)
BROKEN: Verdict = (Status.ERROR, Finding("the testbed to work", "Redis is gone"))
OBSERVED: Verdict = (Status.OBSERVED, Finding("nothing", "a redirect is followed"))


def record(
    place: Path, name: str, seen: Verdict, requirement: str = "DB-2", *, killed: bool = False
) -> RunResult:
    """A record with this verdict on one requirement, and passes for the rest."""
    return write_run(
        place / f"{name}.jsonl", make_run(make_results({requirement: seen})), killed=killed
    )


def between(place: Path, old: Verdict, new: Verdict, requirement: str = "DB-2") -> Diff:
    """What changed from one such record to another."""
    return compare_runs(
        record(place, "old", old, requirement), record(place, "new", new, requirement)
    )


@pytest.mark.parametrize(
    ("old", "new", "kind", "worse"),
    [
        (PASSES, PASSES, None, False),
        (PASSES, FAILS, ChangeKind.NEWLY_FAILING, True),
        (PASSES, UNKNOWN, ChangeKind.NO_LONGER_JUDGED, True),
        (PASSES, BROKEN, ChangeKind.NO_LONGER_JUDGED, True),
        (FAILS, PASSES, ChangeKind.FIXED, False),
        (FAILS, FAILS, ChangeKind.STILL_FAILING, False),
        (FAILS, FAILS_OTHERWISE, ChangeKind.FAILING_DIFFERENTLY, False),
        (FAILS, UNKNOWN, ChangeKind.NO_LONGER_JUDGED, True),
        (UNKNOWN, PASSES, ChangeKind.NEWLY_JUDGED, False),
        (UNKNOWN, FAILS, ChangeKind.NEWLY_FAILING, True),
        (UNKNOWN, UNKNOWN, None, False),
        (PASSES, EXCLUDED, ChangeKind.NOT_APPLICABLE, False),
        (FAILS, EXCLUDED, ChangeKind.NOT_APPLICABLE, False),
        (UNKNOWN, EXCLUDED, ChangeKind.NOT_APPLICABLE, False),
        (EXCLUDED, EXCLUDED, None, False),
        (EXCLUDED, PASSES, ChangeKind.NEWLY_JUDGED, False),
        (EXCLUDED, FAILS, ChangeKind.NEWLY_FAILING, True),
    ],
)
def test_what_became_of_a_requirement(
    place: Path, old: Verdict, new: Verdict, kind: ChangeKind | None, worse: bool
) -> None:
    found = between(place, old, new)
    assert [(change.kind, change.result.id) for change in found.changes] == (
        [(kind, "DB-2")] if kind else []
    )
    assert found.is_worse is worse


@pytest.mark.parametrize(
    "new", [UNKNOWN, (Status.OBSERVED, Finding("nothing", "no redirect is followed"))]
)
def test_a_may_makes_nothing_worse(place: Path, new: Verdict) -> None:
    found = between(place, OBSERVED, new, "UP-11")
    assert (found.changes, found.is_worse) == ((), False)


def test_a_may_that_breaks_the_testbed_costs_the_claim(place: Path) -> None:
    found = between(place, OBSERVED, BROKEN, "UP-11")
    assert (found.changes, found.has_lost_claim, found.is_worse) == ((), True, True)


def test_a_lost_claim_alone_is_worse(place: Path) -> None:
    old, new = record(place, "old", FAILS, "UP-5"), record(place, "new", FAILS, "UP-5")
    assert new.footer
    lesser = replace(new, footer=replace(new.footer, claim=None))
    assert (
        compare_runs(old, new).is_worse,
        compare_runs(old, lesser).is_worse,
        compare_runs(lesser, old).is_worse,
    ) == (
        False,
        True,
        False,
    )


def test_nothing_of_a_killed_run_is_judged_any_more(place: Path) -> None:
    whole, killed = record(place, "old", FAILS), record(place, "new", FAILS, killed=True)
    lost, found = compare_runs(whole, killed), compare_runs(killed, whole)
    assert {change.kind for change in lost.changes} == {ChangeKind.NO_LONGER_JUDGED}
    assert (len(lost.changes), lost.is_worse) == (86, True)
    assert (
        len(found.select(ChangeKind.NEWLY_JUDGED)),
        len(found.select(ChangeKind.NEWLY_FAILING)),
        found.is_worse,
    ) == (
        85,
        1,
        True,
    )


def test_what_a_record_has_not_asked_is_not_judged(place: Path) -> None:
    old = record(place, "old", PASSES)
    part = write_run(
        place / "part.jsonl",
        make_run([each for each in make_results() if each.section != 3]),
    )
    assert {change.result.id.split("-")[0] for change in compare_runs(old, part).changes} == {"DB"}
    assert {change.kind for change in compare_runs(part, old).changes} == {ChangeKind.NEWLY_JUDGED}
    assert "(PASS → not selected)" in diff_views.render_text(compare_runs(old, part), EN)


def test_the_page_word_for_word(place: Path) -> None:
    old = write_run(
        place / "old.jsonl",
        make_run(make_results({"DB-3": FAILS, "DB-5": FAILS, "TASK-5": UNKNOWN})),
    )
    new = write_run(
        place / "new.jsonl",
        make_run(make_results({"DB-2": FAILS, "DB-5": FAILS_OTHERWISE, "TASK-6": UNKNOWN})),
    )
    assert diff_views.render_text(compare_runs(old, new), EN) == (
        """\
old         shop.main:app, 2026-07-01T12:30:00+00:00: no claim
new         shop.main:app, 2026-07-01T12:30:00+00:00: no claim

newly failing (1)
  DB-2    MUST    An absent item is null (PASS → FAIL)
  expected  200
  got       404

no longer judged (1)
  TASK-6  MUST    Data survives exactly (PASS → INCONCLUSIVE)
  because   pass --worker-app MODULE:ATTR

still failing differently (1)
  DB-5    MUST    An id that is not an integer is rejected (FAIL → FAIL)
  expected  200
  got       500

fixed (1)
  DB-3    MUST    Values survive exactly (FAIL → PASS)

newly judged (1)
  TASK-5  MUST    The worker's result is the completion message with the data (INCONCLUSIVE → PASS)

worse: 1 newly failing, 1 no longer judged, 1 still failing differently, 1 fixed, 1 newly judged
"""
    )


@pytest.mark.parametrize("language", Language)
def test_the_data_are_as_their_schema_says(place: Path, language: Language) -> None:
    for old, new in (
        (FAILS, FAILS_OTHERWISE),
        (PASSES, UNKNOWN),
        (PASSES, (Status.FAIL, Finding(HOSTILE, HOSTILE, (reference_to(HOSTILE),)))),
    ):
        found = between(place, old, new)
        document = json.loads(diff_views.render_json(found, language))
        jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(
            document
        )
        assert [(each["kind"], each["new"]["status"]) for each in document["changes"]] == [
            (found.changes[0].kind, new[0])
        ]
        assert document["worse"] is found.is_worse


def reference_to(text: str) -> EvidenceReference:
    return make_finding("", text).evidence[0]


@pytest.mark.parametrize("language", Language)
def test_hostile_text_stays_text(place: Path, language: Language) -> None:
    found = between(place, PASSES, (Status.FAIL, Finding(HOSTILE, HOSTILE)))
    page = diff_views.render_text(found, language)
    assert all(letter.isprintable() or letter == "\n" for letter in page)
    shown = diff_views.render_markdown(found, language)
    fence = next(line for line in shown.splitlines() if line.startswith("```")).removesuffix("text")
    before, inside = shown.split(f"{fence}text\n")
    code, after = inside.split(f"\n{fence}\n")
    assert "@octocat" in code
    assert "octocat" not in before + after


def test_markdown_fits_a_comment_and_says_what_it_leaves_out(place: Path) -> None:
    every = {
        each.id: (Status.FAIL, make_finding("x" * 10**4, *["y" * 10**4] * 30))
        for each in make_results()
        if each.level != "MAY"
    }
    old, new = (
        write_run(place / "old.jsonl", make_run(make_results())),
        write_run(place / "new.jsonl", make_run(make_results(every))),
    )
    shown = diff_views.render_markdown(compare_runs(old, new), EN)
    assert len(shown) <= 65_536
    left = 86 - shown.count("<details>")
    assert (
        f"{left} more are not shown here;"
        f" `conformance diff {old.path} {new.path}` shows all of them." in shown
    )


@pytest.mark.parametrize(
    ("new", "status", "end"),
    [(PASSES, 0, "not worse: 1 fixed"), (UNKNOWN, 1, "worse: 1 no longer judged")],
)
def test_the_exit_status_says_whether_it_got_worse(
    place: Path, capsys: pytest.CaptureFixture[str], new: Verdict, status: int, end: str
) -> None:
    old, newer = record(place, "old", FAILS), record(place, "new", new)
    assert (
        cli.main(
            [
                "diff",
                str(old.path),
                str(newer.path),
                "--json",
                str(place / "d.json"),
                "--markdown",
                str(place / "d.md"),
            ]
        )
        == status
    )
    assert capsys.readouterr().out.splitlines()[-1] == end
    assert json.loads((place / "d.json").read_text("utf-8"))["worse"] is bool(status)
    assert (place / "d.md").read_text("utf-8").startswith(f"## Conformance: {end}\n")


def test_what_goes_to_the_standard_output_goes_there_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(record(place, "one", FAILS).path)
    assert cli.main(["diff", path, path, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["still failing"] == 1


def test_what_is_no_record_is_wrong_usage(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(record(place, "one", FAILS).path)
    assert cli.main(["diff", path, str(place / "none.jsonl")]) == 4
    assert capsys.readouterr().err.startswith("conformance diff: a report needs a record")
