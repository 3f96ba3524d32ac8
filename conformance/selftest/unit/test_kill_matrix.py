"""The matrix: what a row is judged by, where it is inexact, and which rows are judged again."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import islice
from threading import Barrier, Event
from typing import Any

import pytest

from conformance.judging.result import Finding, RequirementResult
from conformance.judging.verdict import Status
from conformance.report.record import encode_result
from conformance.scenarios.lifecycle.catalogue import SCENARIOS
from conformance.selftest.conforming_services.table import CONFORMING_SERVICES, ConformingService
from conformance.selftest.evaluation import conforming, evaluate, figures_page, kill_matrix, slots
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.faulty_services.table import FaultyService, load_faulty_services
from conformance.spec.catalogue import Level, catalogue

ROW = FaultyService(
    "section_3:row",
    ("DB-2", "DB-4"),
    "^404 ",
    consequences=("DEP-1", "CONC-11"),
    inconclusive=("UP-1",),
)
EXACT = {"DB-2": "FAIL", "DB-4": "FAIL", "UP-1": "INCONCLUSIVE"}


def make_result(
    changes: dict[str, str], got: str = "404 of GET /items/1", *, whole: bool = False
) -> SlotResult:
    """Make the result of an exact row, with these changes."""
    statuses = (
        dict.fromkeys(kill_matrix.choose_requirements(ROW, whole=whole), "PASS") | EXACT | changes
    )
    finding = Finding("200", got)
    lines = {
        name: encode_result(RequirementResult.of(catalogue()[name], Status(status), finding))
        for name, status in statuses.items()
    }
    return SlotResult(lines, 1.0, "")


@pytest.mark.parametrize(
    "changes",
    [{}, {"DEP-1": "FAIL"}, {"DEP-1": "INCONCLUSIVE"}],
    ids=["as the table", "a consequence", "one without evidence"],
)
@pytest.mark.parametrize("whole", [False, True])
def test_an_exact_row_has_no_difference(changes: dict[str, str], whole: bool) -> None:
    assert kill_matrix.find_differences(ROW, make_result(changes, whole=whole), whole=whole) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DB-4": "PASS"}, "DB-4 does not fail"),
        ({"DB-6": "FAIL"}, "DB-6 fails, unexpectedly: 200"),
        ({"DB-6": "ERROR"}, "DB-6 is an ERROR: 200"),
        ({"DB-6": "INCONCLUSIVE"}, "DB-6 is INCONCLUSIVE, unexpectedly: 200"),
        ({"UP-1": "PASS"}, "UP-1 is not INCONCLUSIVE"),
    ],
)
def test_each_difference_is_named(changes: dict[str, str], said: str) -> None:
    (sentence,) = kill_matrix.find_differences(ROW, make_result(changes), whole=False)
    assert sentence.startswith(said)


def test_a_failure_for_another_reason_is_inexact() -> None:
    (sentence,) = kill_matrix.find_differences(
        ROW, make_result({}, "500 of GET /items/1"), whole=False
    )
    assert sentence.startswith("DB-2 fails for another reason than '^404 '")


def test_a_row_is_exact_only_if_its_own_requirement_is_named_first() -> None:
    row = replace(ROW, fails=("DB-4", "DB-2"))  # DB-4 needs DB-2
    (sentence,) = kill_matrix.find_differences(row, make_result({}), whole=False)
    assert sentence.startswith("DB-2, and not DB-4, is named first: 200")


def test_a_run_that_did_not_judge_everything_is_inexact() -> None:
    (sentence,) = kill_matrix.find_differences(ROW, SlotResult({}, 0.0, "Traceback"), whole=False)
    assert sentence == "not every requirement was judged:\nTraceback"


def test_a_row_is_judged_by_its_own_section_and_by_what_is_cheap() -> None:
    chosen = set(kill_matrix.choose_requirements(ROW, whole=False))
    assert chosen >= {"DB-2", "DB-4", "DB-1", "DB-6", "END-1", "UP-1", "TASK-1", "DEP-1", "LIFE-10"}
    assert not chosen & {
        "DB-3",
        "DB-9",
        "DB-10",
        "CONC-11",
        "END-2",
        "UP-2",
    }  # long, with a copy, a SHOULD, a consequence, a second one
    assert (
        kill_matrix.choose_requirements(replace(ROW, after=("DB-3",)), whole=False).count("DB-3")
        == 1
    )
    assert kill_matrix.choose_requirements(ROW, whole=True) == list(catalogue())


def test_of_each_requirement_the_quickest_is_chosen() -> None:
    quick, slow, new = (replace(ROW, app=f"section_3:{name}") for name in ("quick", "slow", "new"))
    alone = replace(ROW, app="section_3:alone", fails=("DB-4",))
    control = replace(ROW, app="section_3:control", fails=())
    chosen = kill_matrix.choose_quickest(
        [slow, new, quick, alone, control], {"quick": 1.0, "slow": 9.0, "control": 0.5}
    )
    assert chosen == [quick, alone]


def test_those_that_took_longest_come_first_and_new_ones_before_them() -> None:
    quick, slow, new = (replace(ROW, app=f"section_3:{name}") for name in ("quick", "slow", "new"))
    assert kill_matrix.sort_longest_first([quick, slow, new], {"quick": 1.0, "slow": 9.0}) == [
        new,
        slow,
        quick,
    ]


def test_work_is_done_from_both_ends_and_what_it_raises_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[str, int]] = []
    both = Barrier(2)

    def do(number: int, slot: Any) -> int:
        started.append((slot, number))
        both.wait(10)
        if number == 1:
            raise IndexError("of the work, not of what is left")
        return number

    monkeypatch.setattr(slots, "open_slots", lambda count: nullcontext(["a", "b"][:count]))
    with slots.run_in_slots(2, [partial(do, number) for number in range(4)]) as futures:
        assert isinstance(futures.pop(1).exception(), IndexError)
        assert [future.result() for future in futures] == [0, 2, 3]
    assert {slot: [number for each, number in started if each == slot] for slot in "ab"} == {
        "a": [0, 1],
        "b": [3, 2],
    }


def test_what_was_not_started_is_cancelled_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "open_slots", lambda count: nullcontext(["a", "b"][:count]))
    running, told, asked = Event(), Event(), list[Future[None]]()

    def wait_for_the_end(_: Any) -> None:
        running.set()
        told.wait(10)
        deadline = time.monotonic() + 10
        while not asked[1].cancelled() and time.monotonic() < deadline:
            time.sleep(0.001)

    with slots.run_in_slots(1, [wait_for_the_end, wait_for_the_end]) as futures:
        asked += futures
        told.set()
        running.wait(10)
    assert [future.cancelled() for future in futures] == [False, True]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was to be judged, in that order. Nothing is run, and nothing is found."""
    names: list[str] = []

    @contextmanager
    def run(
        _: int, works: Sequence[Callable[[Any], SlotResult]]
    ) -> Iterator[list[Future[SlotResult]]]:
        futures = [Future[SlotResult]() for _ in works]
        for work, future in zip(works, futures, strict=True):
            future.set_result(work(None))
        yield futures

    def judge(target: FaultyService | ConformingService, _: Any, **_how: bool) -> SlotResult:
        names.append(target.name)
        return SlotResult({}, 2.0, "")

    monkeypatch.setattr(slots, "run_in_slots", run)
    monkeypatch.setattr(kill_matrix, "judge_faulty_service", judge)
    monkeypatch.setattr(conforming, "judge_conforming_service", judge)
    return names


def test_again_judges_what_was_inexact_and_what_is_new_and_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch, judged: list[str]
) -> None:
    before: list[dict[str, Any]] = [
        {
            "name": each.name,
            "made_for": list(each.fails[:1]),
            "failed": each.fails,
            "unseen": each.inconclusive,
            "inexact": [],
            "seconds": 1.0,
            "kept": True,
        }
        for each in load_faulty_services()[1:]
    ]
    before[3]["inexact"] = ["DB-5 fails, unexpectedly"]
    before[5]["failed"] = ()  # its table says otherwise now
    monkeypatch.setattr(
        figures_page, "read_figures", lambda: {"whole": {"rows": before, "seconds": 100}}
    )
    *_, last = evaluate.judge_parts(["whole"], again=True)
    figures = last["whole"]
    assert set(judged) == {load_faulty_services()[number].name for number in (0, 4, 6)}
    assert [row["name"] for row in figures["rows"]] == [
        each.name for each in load_faulty_services()
    ]
    assert sum("kept" in row for row in figures["rows"]) == len(load_faulty_services()) - 3
    assert figures["seconds"] == 100


@pytest.mark.usefixtures("judged")
def test_what_is_judged_is_kept_if_the_evaluation_ends_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures_page, "read_figures", dict)
    partial_figures = islice(evaluate.judge_parts(["whole"], again=False), 3)
    counts = [len(figures["whole"]["rows"]) for figures in partial_figures]
    assert counts == [1, 2, 3]


def test_of_faulty_and_conforming_services_together_the_longest_are_at_the_two_ends(
    monkeypatch: pytest.MonkeyPatch, judged: list[str]
) -> None:
    slow_one, slow_other = load_faulty_services()[7].name, CONFORMING_SERVICES[2].name
    names = {
        "matrix": [each.name for each in load_faulty_services()],
        "conforming": [each.name for each in CONFORMING_SERVICES],
    }
    took = {
        part: [
            {"name": name, "seconds": 9.0 if name in (slow_one, slow_other) else 1.0}
            for name in names[part]
        ]
        for part in names
    }
    monkeypatch.setattr(
        figures_page, "read_figures", lambda: {part: {"rows": took[part]} for part in took}
    )
    *_, figures = evaluate.judge_parts(["matrix", "conforming"], again=False)
    assert (judged[0], judged[-1]) == (slow_one, slow_other)
    assert judged.index(load_faulty_services()[-1].name) < judged.index(
        CONFORMING_SERVICES[-1].name
    )
    assert {part: [row["name"] for row in figures[part]["rows"]] for part in figures} == names
    assert {part: figures[part]["together"] for part in figures} == {
        part: list(names) for part in names
    }


def test_an_unknown_part_of_the_evaluation_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate.main(["matrix", "peer"], runs=1, again=False) == 4
    assert capsys.readouterr().err == (
        f"PART must be one of {', '.join(figures_page.PARTS)}, not 'peer'\n"
    )


def test_what_is_cheap_to_judge_is_a_must_that_needs_no_copy_and_no_worker() -> None:
    needs_a_copy = {name for scenario in SCENARIOS for name in scenario.requirements}
    assert not needs_a_copy & set(kill_matrix.CHEAP_MUSTS)
    for name in kill_matrix.CHEAP_MUSTS:
        assert catalogue()[name].level is Level.MUST, name
        assert "worker" not in catalogue()[name].channels, name
