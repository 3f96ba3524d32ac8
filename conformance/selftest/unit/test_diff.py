"""What changed from one record to another, and what of it is worse."""

import json
from pathlib import Path

import jsonschema
import pytest

from conformance.cli import main as cli
from conformance.config.paths import PROJECT
from conformance.core.evidence import Fact
from conformance.judging.verdict import Finding, Status
from conformance.report import diff_views
from conformance.report.diff import Diff, Kind, compare
from conformance.report.record_reader import Report
from conformance.selftest.support.records import HOSTILE, summary, verdicts, written, wrong
from conformance.spec.catalogue import Language

EN = Language.EN
SCHEMA = json.loads((PROJECT / "conformance" / "report" / "diff.schema.json").read_text("utf-8"))
Seen = tuple[Status, Finding | None]

PASSES: Seen = (Status.PASS, None)
FAILS: Seen = (Status.FAIL, wrong("404"))
FAILS_OTHERWISE: Seen = (Status.FAIL, wrong("500"))
UNSEEN: Seen = (Status.INCONCLUSIVE, Finding("evidence", "pass --worker-app MODULE:ATTR"))
BROKEN: Seen = (Status.ERROR, Finding("the testbed to work", "Redis is gone"))
OBSERVED: Seen = (Status.OBSERVED, Finding("nothing", "a redirect is followed"))


def record(
    place: Path, name: str, seen: Seen, requirement: str = "DB-2", *, killed: bool = False
) -> Report:
    """A record with this verdict on one requirement, and passes for the rest."""
    return written(place / f"{name}.jsonl", summary(verdicts({requirement: seen})), killed=killed)


def between(place: Path, old: Seen, new: Seen, requirement: str = "DB-2") -> Diff:
    """What changed from one such record to another."""
    return compare(record(place, "old", old, requirement), record(place, "new", new, requirement))


@pytest.mark.parametrize(
    ("old", "new", "kind", "worse"),
    [
        (PASSES, PASSES, None, False),
        (PASSES, FAILS, Kind.NEWLY_FAILING, True),
        (PASSES, UNSEEN, Kind.NO_LONGER_JUDGED, True),
        (PASSES, BROKEN, Kind.NO_LONGER_JUDGED, True),
        (FAILS, PASSES, Kind.FIXED, False),
        (FAILS, FAILS, Kind.STILL_FAILING, False),
        (FAILS, FAILS_OTHERWISE, Kind.FAILING_DIFFERENTLY, False),
        (FAILS, UNSEEN, Kind.NO_LONGER_JUDGED, True),
        (UNSEEN, PASSES, Kind.NEWLY_JUDGED, False),
        (UNSEEN, FAILS, Kind.NEWLY_FAILING, True),
        (UNSEEN, UNSEEN, None, False),
    ],
)
def test_what_became_of_a_requirement(
    place: Path, old: Seen, new: Seen, kind: Kind | None, worse: bool
) -> None:
    found = between(place, old, new)
    assert [(change.kind, change.judged.id) for change in found.changes] == (
        [(kind, "DB-2")] if kind else []
    )
    assert found.worse is worse


@pytest.mark.parametrize(
    "new", [UNSEEN, (Status.OBSERVED, Finding("nothing", "no redirect is followed"))]
)
def test_a_may_makes_nothing_worse(place: Path, new: Seen) -> None:
    found = between(place, OBSERVED, new, "UP-11")
    assert (found.changes, found.worse) == ((), False)


def test_a_may_that_breaks_the_testbed_costs_the_claim(place: Path) -> None:
    found = between(place, OBSERVED, BROKEN, "UP-11")
    assert (found.changes, found.lost_claim, found.worse) == ((), True, True)


def test_a_lost_claim_alone_is_worse(place: Path) -> None:
    old, new = record(place, "old", FAILS, "UP-5"), record(place, "new", FAILS, "UP-5")
    lesser = Report(
        new.path, new.header, new.judged, {**(new.footer or {}), "claim": None}, new.evidence
    )
    assert (compare(old, new).worse, compare(old, lesser).worse, compare(lesser, old).worse) == (
        False,
        True,
        False,
    )


def test_nothing_of_a_killed_run_is_judged_any_more(place: Path) -> None:
    whole, killed = record(place, "old", FAILS), record(place, "new", FAILS, killed=True)
    lost, found = compare(whole, killed), compare(killed, whole)
    assert {change.kind for change in lost.changes} == {Kind.NO_LONGER_JUDGED}
    assert (len(lost.changes), lost.worse) == (85, True)
    assert (len(found.of(Kind.NEWLY_JUDGED)), len(found.of(Kind.NEWLY_FAILING)), found.worse) == (
        84,
        1,
        True,
    )


def test_what_a_record_has_not_asked_is_not_judged(place: Path) -> None:
    old = record(place, "old", PASSES)
    part = written(
        place / "part.jsonl",
        summary([each for each in verdicts() if each.requirement.section != 3]),
    )
    assert {change.judged.id.split("-")[0] for change in compare(old, part).changes} == {"DB"}
    assert {change.kind for change in compare(part, old).changes} == {Kind.NEWLY_JUDGED}
    assert "(PASS → not selected)" in diff_views.text(compare(old, part), EN)


def test_the_page_word_for_word(place: Path) -> None:
    old = written(
        place / "old.jsonl", summary(verdicts({"DB-3": FAILS, "DB-5": FAILS, "TASK-5": UNSEEN}))
    )
    new = written(
        place / "new.jsonl",
        summary(verdicts({"DB-2": FAILS, "DB-5": FAILS_OTHERWISE, "TASK-6": UNSEEN})),
    )
    assert diff_views.text(compare(old, new), EN) == (
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
  DB-5    MUST    An id that is no integer is rejected (FAIL → FAIL)
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
        (PASSES, UNSEEN),
        (PASSES, (Status.FAIL, Finding(HOSTILE, HOSTILE, (fact_of(HOSTILE),)))),
    ):
        found = between(place, old, new)
        document = json.loads(diff_views.document(found, language))
        jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(
            document
        )
        assert [(each["kind"], each["new"]["status"]) for each in document["changes"]] == [
            (found.changes[0].kind, new[0])
        ]
        assert document["worse"] is found.worse


def fact_of(text: str) -> Fact:
    return wrong("", text).evidence[0]


@pytest.mark.parametrize("language", Language)
def test_hostile_text_stays_text(place: Path, language: Language) -> None:
    found = between(place, PASSES, (Status.FAIL, Finding(HOSTILE, HOSTILE)))
    page = diff_views.text(found, language)
    assert all(letter.isprintable() or letter == "\n" for letter in page)
    shown = diff_views.markdown(found, language)
    fence = next(line for line in shown.splitlines() if line.startswith("```")).removesuffix("text")
    before, inside = shown.split(f"{fence}text\n")
    code, after = inside.split(f"\n{fence}\n")
    assert "@octocat" in code
    assert "octocat" not in before + after


def test_markdown_fits_a_comment_and_says_what_it_leaves_out(place: Path) -> None:
    every = {
        each.requirement.id: (Status.FAIL, wrong("x" * 10**4, *["y" * 10**4] * 30))
        for each in verdicts()
        if each.requirement.level != "MAY"
    }
    old, new = (
        written(place / "old.jsonl", summary(verdicts())),
        written(place / "new.jsonl", summary(verdicts(every))),
    )
    shown = diff_views.markdown(compare(old, new), EN)
    assert len(shown) <= 65_536
    left = 85 - shown.count("<details>")
    assert (
        f"{left} more are left out here, for want of room; `conformance diff {old.path} {new.path}` shows them all."
        in shown
    )


@pytest.mark.parametrize(
    ("new", "status", "end"),
    [(PASSES, 0, "not worse: 1 fixed"), (UNSEEN, 1, "worse: 1 no longer judged")],
)
def test_the_exit_status_says_whether_it_got_worse(
    place: Path, capsys: pytest.CaptureFixture[str], new: Seen, status: int, end: str
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
    assert capsys.readouterr().err.startswith("conformance diff: a report wants a record")
