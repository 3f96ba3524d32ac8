"""Causes: which failure comes first, what is folded under it, and what is not."""

from dataclasses import replace

import pytest

from conformance.judging.causes import Cause, Link, group_by_cause, map_consequences
from conformance.judging.result import (
    EvidenceReference,
    Finding,
    KnownFailure,
    RequirementResult,
    Silence,
)
from conformance.judging.verdict import Status
from conformance.spec.catalogue import Channel, catalogue

READ, LISTING = "GET /items/{item_id}", "GET /items/"
BLOCKED = "shop/main.py:7, which blocks the event loop"


def answered(status: int | None, endpoint: str = READ, number: int = 1, **more: object) -> Finding:
    """A finding over one exchange."""
    evidence = EvidenceReference("exchange", number, "it", endpoint=endpoint, status=status)
    return replace(Finding("200", str(status), (evidence,)), **more)  # type: ignore[arg-type]


def printed(text: str, number: int, endpoint: str = READ) -> Finding:
    """A finding over an answer of 500, for which the process printed an exception."""
    summary = f'server printed "{text}" (line {number})'
    return answered(500, endpoint, number, printed=EvidenceReference("log_line", number, summary))


def silent(number: int, since: int, requirement: str) -> Finding:
    """A finding over a read without an answer, and since when there was none."""
    return answered(None, READ, number, silence=Silence(READ, since, requirement))


NO_ROW = Finding("a session", "0 sessions")  # not over an exchange


def group(
    found: dict[str, Finding], unjudged: dict[str, Finding] | None = None, passed: str = ""
) -> list[Cause]:
    """The causes of a run that failed these in this order, and could not judge the others."""
    statuses = {Status.FAIL: found, Status.INCONCLUSIVE: unjudged or {}}
    results = [
        RequirementResult.of(catalogue()[name], status, finding)
        for status, findings in statuses.items()
        for name, finding in findings.items()
    ]
    timed = [replace(each, span=(n, n + 1.0)) for n, each in enumerate(results)]
    others = [RequirementResult.of(catalogue()[name], Status.PASS) for name in passed.split()]
    place = list(catalogue())
    return group_by_cause(
        sorted([*timed, *others], key=lambda each: place.index(each.id)), catalogue()
    )


def ids(causes: list[Cause]) -> dict[str, list[str]]:
    """The ids of each cause's consequences, by its own."""
    return {cause.result.id: [each.result.id for each in cause.consequences] for cause in causes}


def test_a_failure_is_folded_under_the_one_that_its_requirement_needs() -> None:
    causes = group({"DB-4": answered(404), "DB-2": answered(404)})
    assert ids(causes) == {"DB-2": ["DB-4"]}
    assert map_consequences(causes)["DB-4"].link is Link.NEED


def test_a_need_of_a_need_counts_if_that_could_not_be_judged() -> None:
    found = {"LIFE-1": NO_ROW, "DB-1": answered(500)}
    assert ids(group(found, {"DB-7": NO_ROW})) == {"LIFE-1": ["DB-1", "DB-7"]}
    assert ids(group(found)) == {"LIFE-1": ["DB-1"]}


def test_a_need_of_a_need_does_not_count_if_that_passed() -> None:
    found = {"LIFE-1": NO_ROW, "DB-1": answered(500)}
    assert ids(group(found, passed="DB-7")) == {"DB-1": [], "LIFE-1": []}


@pytest.mark.parametrize(
    ("cause", "finding", "is_folded"),
    [
        (answered(200), answered(200), True),
        (answered(200), answered(200, LISTING), False),
        (answered(200), answered(500), False),
        (answered(500), answered(None), True),
        (answered(None), answered(200), False),
        (answered(None), NO_ROW, True),
        (answered(200), NO_ROW, False),
        (NO_ROW, answered(200), True),
    ],
)
def test_a_need_explains_what_shows_the_same_of_the_same_endpoint(
    cause: Finding, finding: Finding, is_folded: bool
) -> None:
    causes = group({"DB-1": cause, "DB-9": finding})
    assert ids(causes) == ({"DB-1": ["DB-9"]} if is_folded else {"DB-1": [], "DB-9": []})


def test_what_could_not_be_judged_is_folded_under_a_failure_that_it_needs_or_names() -> None:
    unjudged = {
        "DB-11": Finding("evidence", "no read waited"),
        "TASK-12": Finding("evidence", "the worker does not do its work even so (TASK-5): null"),
    }
    found = {"DB-1": answered(500), "TASK-5": answered(200, "POST /process-data/")}
    assert ids(group(found, unjudged)) == {"DB-1": ["DB-11"], "TASK-5": ["TASK-12"]}


def test_what_another_option_would_show_is_nobodys_consequence() -> None:
    lacking = Finding("evidence", "pass --worker-app", missing=(Channel.WORKER,))
    assert ids(group({"TASK-5": NO_ROW}, {"TASK-6": lacking})) == {"TASK-5": []}


def test_reads_that_are_silent_since_the_same_exchange_have_one_cause() -> None:
    found = {"CONC-6": silent(9, 9, "CONC-6"), "DB-2": silent(12, 9, "CONC-6")}
    (cause,) = group(found)
    assert ids([cause]) == {"CONC-6": ["DB-2"]}
    assert cause.consequences[0].link is Link.SILENCE


def test_silence_that_began_in_a_failed_requirement_is_a_consequence_of_that() -> None:
    found = {"CONC-2": NO_ROW, "DB-2": silent(12, 9, "CONC-2"), "DEP-5": silent(13, 9, "CONC-2")}
    assert ids(group(found)) == {"CONC-2": ["DB-2", "DEP-5"]}


def test_what_could_not_be_judged_over_the_same_silence_is_folded_too() -> None:
    found = {"CONC-6": silent(9, 9, "CONC-6")}
    unjudged = {"CONC-4": silent(12, 9, "CONC-6"), "DB-5": silent(20, 20, "DB-5")}
    assert ids(group(found, unjudged)) == {"CONC-6": ["CONC-4"]}
    assert ids(group({"CONC-2": NO_ROW}, {"END-3": silent(12, 9, "CONC-2")})) == {
        "CONC-2": ["END-3"]
    }


def test_reads_that_fell_silent_twice_have_two_causes() -> None:
    found = {"DB-2": silent(9, 9, "DB-2"), "DB-5": silent(20, 20, "DB-5")}
    assert ids(group(found)) == {"DB-2": [], "DB-5": []}


def test_the_same_exception_is_the_same_cause_whatever_ids_it_names() -> None:
    found = {
        "UP-1": printed("KeyError: 12345", 8, "GET /external-data"),
        "DB-2": printed("KeyError: 67890", 9),
        "TASK-1": printed("KeyError: 'a'", 9, "POST /process-data/"),
    }
    causes = group(found)
    assert ids(causes) == {"UP-1": ["DB-2"], "TASK-1": []}
    assert causes[0].consequences[0].link is Link.PRINTED


def test_the_same_blocking_line_is_the_same_cause() -> None:
    found = {
        "CONC-1": replace(NO_ROW, likely_cause=BLOCKED),
        "CONC-3": answered(None, "GET /async", likely_cause=BLOCKED),
        "CONC-8": answered(None, "GET /async", likely_cause=BLOCKED.replace("7", "8")),
    }
    assert ids(group(found)) == {"CONC-1": ["CONC-3"], "CONC-8": []}


def test_of_the_same_sign_the_requirement_comes_first_that_needs_no_other() -> None:
    found = {"DB-4": printed("KeyError: 'a'", 1), "DB-1": printed("KeyError: 'a'", 2)}
    assert ids(group(found)) == {"DB-1": ["DB-4"]}


def test_a_cause_of_a_must_comes_before_one_with_more_consequences() -> None:
    conclusion = [answered(500, "GET /external-data", number) for number in range(3)]
    found = {
        "LIFE-3": NO_ROW,
        "HTTP-4": answered(422),
        "DB-12": answered(500),
        "DB-13": answered(500),
        "UP-4": conclusion[0],
        "UP-3": conclusion[1],
    }
    assert list(ids(group(found))) == ["UP-4", "LIFE-3", "DB-12", "HTTP-4"]


def test_causes_that_are_known_come_last() -> None:
    results = [
        replace(
            RequirementResult.of(catalogue()[name], Status.FAIL, answered(404)),
            known=KnownFailure(name, "later") if name == "DB-2" else None,
        )
        for name in ("DB-2", "UP-5")
    ]
    assert [each.result.id for each in group_by_cause(results, catalogue())] == ["UP-5", "DB-2"]


def test_every_failure_is_in_one_group_and_no_verdict_changes() -> None:
    found = {name: answered(500) for name in catalogue()}
    causes = group(found)
    named = [each.id for cause in causes for each in cause.all_results]
    assert sorted(named) == sorted(catalogue())
    assert {each.status for cause in causes for each in cause.all_results} == {Status.FAIL}


def test_a_run_without_failures_has_no_cause() -> None:
    assert group({}, {"DB-2": NO_ROW}, passed="DB-1") == []
