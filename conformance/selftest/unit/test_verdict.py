"""Verdicts, claims and exit statuses: functions of outcomes alone, that fail closed."""

from dataclasses import replace

import pytest

from conformance.judging.claim import make_claim
from conformance.judging.judge import Outcome, exit_status, judge_requirement
from conformance.judging.result import Finding, RequirementResult
from conformance.judging.verdict import Exit, Status
from conformance.spec.catalogue import Channel, Level, Requirement, catalogue

DB_2 = catalogue()["DB-2"]
SHOULD = Requirement(
    "DB-99", "s", Level.SHOULD, "§3", (Channel.HTTP,), "t", "w", "u", "m", "3-database.md", 1
)
WRONG = Finding("200", "404", likely_cause="the branch for a missing row")


def outcome(probe: str, status: Status, finding: Finding | None = None) -> Outcome:
    """An outcome of a probe of DB-2."""
    return Outcome("DB-2", probe, status, finding)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([Status.PASS, Status.PASS], Status.PASS),
        ([Status.PASS, Status.FAIL], Status.FAIL),
        ([Status.INCONCLUSIVE, Status.FAIL], Status.FAIL),
        ([Status.PASS, Status.INCONCLUSIVE], Status.INCONCLUSIVE),
        ([Status.PASS, Status.ERROR], Status.ERROR),
        ([Status.ERROR, Status.FAIL], Status.FAIL),
    ],
)
def test_a_requirement_is_judged_by_the_worst_of_its_probes(
    statuses: list[Status], expected: Status
) -> None:
    outcomes = [outcome(str(number), status) for number, status in enumerate(statuses)]
    assert judge_requirement(DB_2, ["0", "1"], outcomes).status is expected


@pytest.mark.parametrize(
    ("collected", "outcomes", "got"),
    [
        ([], [], "no probe of this requirement was collected"),
        (["a", "b"], [outcome("a", Status.PASS)], "b was collected and never reported an outcome"),
        (
            ["a"],
            [outcome("a", Status.PASS), outcome("z", Status.PASS)],
            "z reported an outcome and was never collected",
        ),
    ],
)
def test_a_lost_probe_is_an_error(collected: list[str], outcomes: list[Outcome], got: str) -> None:
    verdict = judge_requirement(DB_2, collected, outcomes)
    assert (verdict.status, verdict.finding and verdict.finding.got) == (Status.ERROR, got)


def test_a_violation_is_one_though_another_probe_never_ran() -> None:
    assert judge_requirement(DB_2, ["a", "b"], [outcome("a", Status.FAIL)]).status is Status.FAIL


def test_a_teardown_that_breaks_after_a_pass_is_an_error() -> None:
    assert (
        judge_requirement(
            DB_2, ["a"], [outcome("a", Status.PASS), outcome("a", Status.ERROR)]
        ).status
        is Status.ERROR
    )


def test_a_teardown_that_breaks_after_a_violation_takes_nothing_back() -> None:
    outcomes = [outcome("a", Status.FAIL, WRONG), outcome("a", Status.ERROR)]
    verdict = judge_requirement(DB_2, ["a"], outcomes)
    assert (verdict.status, verdict.finding) == (Status.FAIL, WRONG)


def test_a_verdict_keeps_the_finding_that_decided_it() -> None:
    outcomes = [outcome("a", Status.PASS), outcome("b", Status.FAIL, WRONG)]
    assert judge_requirement(DB_2, ["a", "b"], outcomes).finding == WRONG


def test_a_finding_without_a_likely_cause_has_the_usual_one() -> None:
    result = judge_requirement(DB_2, ["a"], [outcome("a", Status.FAIL, Finding("200", "404"))])
    assert result.finding == replace(WRONG, likely_cause=DB_2.usual_cause)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([Status.NOT_APPLICABLE, Status.NOT_APPLICABLE], Status.NOT_APPLICABLE),
        ([Status.NOT_APPLICABLE, Status.PASS], Status.PASS),
        ([Status.NOT_APPLICABLE, Status.INCONCLUSIVE], Status.INCONCLUSIVE),
        ([Status.NOT_APPLICABLE, Status.FAIL], Status.FAIL),
    ],
)
def test_a_requirement_is_not_applicable_if_no_probe_of_it_is(
    statuses: list[Status], expected: Status
) -> None:
    outcomes = [outcome(str(number), status, WRONG) for number, status in enumerate(statuses)]
    assert judge_requirement(DB_2, ["0", "1"], outcomes).status is expected


def test_a_lone_surrogate_breaks_no_fingerprint() -> None:
    assert Finding("200", "\ud800").fingerprint != Finding("200", "\ud801").fingerprint


def verdicts(must: Status, should: Status) -> list[RequirementResult]:
    """A verdict on a MUST and one on a SHOULD."""
    return [RequirementResult.of(DB_2, must, WRONG), RequirementResult.of(SHOULD, should, WRONG)]


@pytest.mark.parametrize(
    ("must", "should", "level", "allow", "expected"),
    [
        (Status.PASS, Status.PASS, Level.SHOULD, False, Exit.PASSED),
        (Status.PASS, Status.FAIL, Level.SHOULD, False, Exit.FAILED),
        (Status.PASS, Status.FAIL, Level.MUST, False, Exit.PASSED),
        (Status.PASS, Status.INCONCLUSIVE, Level.MUST, False, Exit.PASSED),
        (Status.PASS, Status.INCONCLUSIVE, Level.SHOULD, False, Exit.NOT_ESTABLISHED),
        (Status.PASS, Status.INCONCLUSIVE, Level.SHOULD, True, Exit.PASSED),
        (Status.INCONCLUSIVE, Status.FAIL, Level.SHOULD, True, Exit.FAILED),
        (Status.FAIL, Status.PASS, Level.MUST, True, Exit.FAILED),
        (Status.PASS, Status.ERROR, Level.MUST, True, Exit.ERROR),
        (Status.INCONCLUSIVE, Status.ERROR, Level.SHOULD, True, Exit.ERROR),
        (Status.FAIL, Status.ERROR, Level.SHOULD, False, Exit.FAILED),
        (Status.ERROR, Status.FAIL, Level.SHOULD, False, Exit.FAILED),
        (Status.ERROR, Status.FAIL, Level.MUST, False, Exit.ERROR),
        (Status.PASS, Status.NOT_APPLICABLE, Level.SHOULD, False, Exit.PASSED),
        (Status.FAIL, Status.NOT_APPLICABLE, Level.SHOULD, False, Exit.FAILED),
        (Status.NOT_APPLICABLE, Status.PASS, Level.MUST, False, Exit.NOT_ESTABLISHED),
        (Status.NOT_APPLICABLE, Status.NOT_APPLICABLE, Level.SHOULD, True, Exit.NOT_ESTABLISHED),
    ],
)
def test_the_exit_status_derives_from_the_verdicts(
    must: Status, should: Status, level: Level, allow: bool, expected: Exit
) -> None:
    assert exit_status(verdicts(must, should), level, allow_inconclusive=allow) is expected


def test_a_run_without_verdicts_establishes_nothing() -> None:
    assert exit_status([], Level.MUST) is Exit.NOT_ESTABLISHED


CORE = "core is established: all 1 MUST passed"


@pytest.mark.parametrize(
    ("must", "should", "name", "sentence"),
    [
        (Status.PASS, Status.PASS, "robust", f"{CORE}; robust is established: all 1 SHOULD passed"),
        (Status.PASS, Status.FAIL, "core", f"{CORE}; robust is not: of 1 SHOULD 1 (DB-99) failed"),
        (
            Status.PASS,
            Status.INCONCLUSIVE,
            "core",
            f"{CORE}; robust is not: of 1 SHOULD 1 (DB-99) could not be judged",
        ),
        (Status.FAIL, Status.PASS, None, "core is not established: of 1 MUST 1 (DB-2) failed"),
        (
            Status.INCONCLUSIVE,
            Status.PASS,
            None,
            "core is not established: of 1 MUST 1 (DB-2) could not be judged",
        ),
        (
            Status.PASS,
            Status.NOT_APPLICABLE,
            "robust",
            f"{CORE}; robust is established: all 0 SHOULD that apply passed, 1 is not applicable",
        ),
        (
            Status.NOT_APPLICABLE,
            Status.PASS,
            "robust",
            (
                "core is established: all 0 MUST that apply passed, 1 is not applicable;"
                " robust is established: all 1 SHOULD passed"
            ),
        ),
        (
            Status.PASS,
            Status.ERROR,
            None,
            "no claim: the suite or its testbed failed, so this run says nothing",
        ),
        (
            Status.ERROR,
            Status.FAIL,
            None,
            "no claim: the suite or its testbed failed, so this run says nothing",
        ),
        (
            Status.FAIL,
            Status.ERROR,
            None,
            (
                "core is not established: 1 (DB-2) failed; the suite or its testbed failed as well,"
                " so this run says nothing of the rest"
            ),
        ),
    ],
)
def test_the_claim_is_the_highest_that_the_verdicts_establish(
    must: Status, should: Status, name: str | None, sentence: str
) -> None:
    made = make_claim(verdicts(must, should), {"DB-2": DB_2, "DB-99": SHOULD})
    assert (made.name, made.sentence) == (name, sentence)


def test_a_run_without_the_shoulds_claims_no_more_than_core() -> None:
    made = make_claim([RequirementResult.of(DB_2, Status.PASS)], {"DB-2": DB_2, "DB-99": SHOULD})
    assert (made.name, made.sentence) == ("core", CORE)


MAY = Requirement(
    "DB-98", "s", Level.MAY, "§3", (Channel.HTTP,), "t", "w", "u", "", "3-database.md", 1
)


def seen(probe: str, text: str) -> Outcome:
    """An outcome of a probe of a MAY."""
    return Outcome("DB-98", probe, Status.OBSERVED, Finding.of_observations([text], ()))


def test_a_may_is_observed_and_decides_nothing() -> None:
    verdict = judge_requirement(
        MAY, ["a", "b"], [seen("a", "one thing; or two"), seen("b", "another")]
    )
    assert verdict.status is Status.OBSERVED
    assert verdict.finding
    assert verdict.finding.observations == ("one thing; or two", "another")
    made = make_claim(
        [RequirementResult.of(DB_2, Status.PASS), verdict], {"DB-2": DB_2, "DB-98": MAY}
    )
    assert made.name == "core"
    assert (
        exit_status([RequirementResult.of(DB_2, Status.PASS), verdict], Level.SHOULD) is Exit.PASSED
    )


def test_what_is_not_applicable_is_left_out_of_a_claim_that_fails() -> None:
    others = [replace(SHOULD, id=f"DB-{number}") for number in (95, 96)]
    results = [
        RequirementResult.of(DB_2, Status.PASS),
        RequirementResult.of(SHOULD, Status.FAIL),
        *(RequirementResult.of(each, Status.NOT_APPLICABLE) for each in others),
    ]
    made = make_claim(results, {each.id: each for each in (DB_2, SHOULD, *others)})
    assert (made.name, made.sentence) == (
        "core",
        f"{CORE}; robust is not: of 1 SHOULD that apply 1 (DB-99) failed, 2 are not applicable",
    )


def test_a_part_of_the_catalogue_makes_no_claim() -> None:
    made = make_claim([RequirementResult.of(DB_2, Status.PASS)], catalogue())
    assert made.name is None
    assert made.sentence.startswith("no claim: 1 of ")
