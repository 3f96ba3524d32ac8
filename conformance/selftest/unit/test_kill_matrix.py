"""The matrix: what a row is judged by, in what it is inexact, and which rows are judged again. Nothing is started here."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from threading import Barrier, Event
from typing import Any

import pytest

from conformance.selftest.conforming_services import judging
from conformance.selftest.conforming_services.table import VARIANTS, Variant
from conformance.selftest.evaluation import evaluate, figures_page, kill_matrix
from conformance.selftest.evaluation.kill_matrix import Judged
from conformance.selftest.faulty_services.table import MINIATURES, Miniature
from conformance.spec.catalogue import catalogue

ROW = Miniature(
    "section_3:row",
    ("DB-2", "DB-4"),
    "^404 ",
    consequences=("DB-1", "CONC-11"),
    inconclusive=("UP-1",),
)
AS_IT_SHOULD = {"DB-2": "FAIL", "DB-4": "FAIL", "UP-1": "INCONCLUSIVE"}


def judged(
    changes: dict[str, str], got: str = "404 of GET /items/1", *, whole: bool = False
) -> Judged:
    """Verdicts on a row, all PASS but for these."""
    statuses = (
        dict.fromkeys(kill_matrix.judged_by(ROW, whole=whole), "PASS") | AS_IT_SHOULD | changes
    )
    finding = {"expected": "200", "got": got}
    return Judged(
        {name: {"status": status, "finding": finding} for name, status in statuses.items()}, 1.0, ""
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"DB-1": "FAIL"}, {"DB-1": "INCONCLUSIVE"}],
    ids=["as it should", "a consequence", "one without evidence"],
)
@pytest.mark.parametrize("whole", [False, True])
def test_an_exact_row_has_nothing_said_of_it(changes: dict[str, str], whole: bool) -> None:
    assert kill_matrix.inexact(ROW, judged(changes, whole=whole), whole=whole) == []


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
def test_what_is_inexact_is_said(changes: dict[str, str], said: str) -> None:
    (sentence,) = kill_matrix.inexact(ROW, judged(changes), whole=False)
    assert sentence.startswith(said)


def test_a_failure_for_another_reason_is_inexact() -> None:
    (sentence,) = kill_matrix.inexact(ROW, judged({}, "500 of GET /items/1"), whole=False)
    assert sentence.startswith("DB-2 fails for another reason than '^404 '")


def test_a_run_that_did_not_judge_everything_is_inexact() -> None:
    (sentence,) = kill_matrix.inexact(ROW, Judged({}, 0.0, "Traceback"), whole=False)
    assert sentence == "not every requirement was judged:\nTraceback"


def test_a_row_is_judged_by_its_own_section_and_by_what_is_cheap() -> None:
    chosen = set(kill_matrix.judged_by(ROW, whole=False))
    assert chosen >= {"DB-2", "DB-4", "DB-1", "DB-6", "END-1", "UP-1", "TASK-1", "DEP-1", "LIFE-10"}
    assert not chosen & {
        "DB-3",
        "DB-9",
        "DB-10",
        "CONC-11",
        "END-2",
        "UP-2",
    }  # long, a life, a SHOULD, a consequence, and more than one
    assert kill_matrix.judged_by(replace(ROW, after=("DB-3",)), whole=False).count("DB-3") == 1
    assert kill_matrix.judged_by(ROW, whole=True) == list(catalogue())


def test_those_that_took_longest_come_first_and_new_ones_before_them() -> None:
    quick, slow, new = (replace(ROW, app=f"section_3:{name}") for name in ("quick", "slow", "new"))
    assert kill_matrix.longest_first([quick, slow, new], {"quick": 1.0, "slow": 9.0}) == [
        new,
        slow,
        quick,
    ]


def test_work_is_done_from_both_ends_and_what_it_raises_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[tuple[str, int]] = []
    both = Barrier(2)

    def do(number: int, bed: Any) -> int:
        begun.append((bed, number))
        both.wait(10)
        if number == 1:
            raise IndexError("of the work, not of what is left")
        return number

    monkeypatch.setattr(kill_matrix, "made", lambda count: nullcontext(["a", "b"][:count]))
    with kill_matrix.begun(2, [partial(do, number) for number in range(4)]) as futures:
        assert isinstance(futures.pop(1).exception(), IndexError)
        assert [future.result() for future in futures] == [0, 2, 3]
    assert {bed: [number for each, number in begun if each == bed] for bed in "ab"} == {
        "a": [0, 1],
        "b": [3, 2],
    }


def test_in_the_end_what_was_not_begun_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_matrix, "made", lambda count: nullcontext(["a", "b"][:count]))
    running, told, asked = Event(), Event(), list[Future[None]]()

    def wait_for_the_end(_: Any) -> None:
        running.set()
        told.wait(10)
        deadline = time.monotonic() + 10
        while not asked[1].cancelled() and time.monotonic() < deadline:
            time.sleep(0.001)

    with kill_matrix.begun(1, [wait_for_the_end, wait_for_the_end]) as futures:
        asked += futures
        told.set()
        running.wait(10)
    assert [future.cancelled() for future in futures] == [False, True]


@pytest.fixture
def judged_at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is judged, in the order in which it is handed on; each is judged at once, and nothing is found."""
    names: list[str] = []

    @contextmanager
    def begun(_: int, works: Sequence[Callable[[Any], Judged]]) -> Iterator[list[Future[Judged]]]:
        futures = [Future[Judged]() for _ in works]
        for work, future in zip(works, futures, strict=True):
            future.set_result(work(None))
        yield futures

    def judge(target: Miniature | Variant, _: Any, **_how: bool) -> Judged:
        names.append(target.name)
        return Judged({}, 2.0, "")

    monkeypatch.setattr(kill_matrix, "begun", begun)
    monkeypatch.setattr(kill_matrix, "judge", judge)
    monkeypatch.setattr(judging, "judge", judge)
    return names


def test_again_judges_what_was_inexact_and_what_is_new_and_keeps_the_rest(
    monkeypatch: pytest.MonkeyPatch, judged_at_once: list[str]
) -> None:
    before = [
        {"name": each.name, "inexact": [], "seconds": 1.0, "kept": True} for each in MINIATURES[1:]
    ]
    before[3]["inexact"] = ["DB-5 fails, unexpectedly"]
    monkeypatch.setattr(figures_page, "read", lambda: {"whole": {"rows": before, "seconds": 100}})
    figures = evaluate.judged_figures(["whole"], again=True)["whole"]
    assert set(judged_at_once) == {MINIATURES[0].name, MINIATURES[4].name}
    assert [row["name"] for row in figures["rows"]] == [each.name for each in MINIATURES]
    assert sum("kept" in row for row in figures["rows"]) == len(MINIATURES) - 2
    assert figures["seconds"] == 100


def test_of_miniatures_and_variants_together_the_longest_are_at_the_two_ends(
    monkeypatch: pytest.MonkeyPatch, judged_at_once: list[str]
) -> None:
    slow_one, slow_other = MINIATURES[7].name, VARIANTS[2].name
    names = {
        "matrix": [each.name for each in MINIATURES],
        "variants": [each.name for each in VARIANTS],
    }
    took = {
        part: [
            {"name": name, "seconds": 9.0 if name in (slow_one, slow_other) else 1.0}
            for name in names[part]
        ]
        for part in names
    }
    monkeypatch.setattr(figures_page, "read", lambda: {part: {"rows": took[part]} for part in took})
    figures = evaluate.judged_figures(["matrix", "variants"], again=False)
    assert (judged_at_once[0], judged_at_once[-1]) == (slow_one, slow_other)
    assert judged_at_once.index(MINIATURES[-1].name) < judged_at_once.index(VARIANTS[-1].name)
    assert {part: [row["name"] for row in figures[part]["rows"]] for part in figures} == names
    assert {part: figures[part]["together"] for part in figures} == {
        part: list(names) for part in names
    }
