"""Two faults in one service: which can be, in which order, and what became of each."""

from collections.abc import Iterator
from itertools import chain

import pytest

from conformance.selftest.evaluation import composed, pairs
from conformance.selftest.evaluation.pairs import Obstacle, Outcome, Pair, arrange_pair
from conformance.selftest.evaluation.parts import (
    find_changed_parts,
    find_hidden_parts,
    find_reached_parts,
)
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.faulty_services.service import Service
from conformance.selftest.faulty_services.table import FaultyService, load_faulty_services


def row(name: str) -> FaultyService:
    (found,) = (each for each in load_faulty_services() if each.name == name)
    return found


class sets_an_attribute(Service):  # noqa: N801 - named like a faulty service
    """It leaves something on the service."""

    async def connect(self) -> None:
        """Leave it."""
        await super().connect()
        self.left = 1


class replaces_the_caller(Service):  # noqa: N801
    """It reads no row, so nothing selects one."""

    async def find(self, item_id: int) -> None:
        """Find nothing."""


class passes_on(Service):  # noqa: N801
    """It reads a row as the correct service does, and something else too."""

    async def find(self, item_id: int) -> dict[str, object] | None:
        """Find it."""
        return await super().find(item_id)


class replaces_the_called(Service):  # noqa: N801
    """It selects nothing."""

    async def select(self, connection: object, item_id: int) -> None:
        """Select nothing."""


def test_what_a_fault_changes_are_its_methods_and_the_attributes_that_it_sets() -> None:
    assert find_changed_parts(sets_an_attribute) == {"connect", "left"}
    assert find_changed_parts(Service) == set()


def test_a_part_whose_only_caller_is_replaced_is_hidden() -> None:
    both = composed.compose_kind(replaces_the_caller, replaces_the_called)
    assert find_hidden_parts(both, replaces_the_called) == ["select"]
    assert find_hidden_parts(both, replaces_the_caller) == []


def test_a_part_whose_caller_passes_on_is_reached() -> None:
    both = composed.compose_kind(passes_on, replaces_the_called)
    assert find_hidden_parts(both, replaces_the_called) == []
    assert (Service, "find") in find_reached_parts(both)
    assert (Service, "select") not in find_reached_parts(both)


def faults() -> list[FaultyService]:
    return [each for each in load_faulty_services() if each.fails]


def test_a_request_reaches_a_part_of_every_faulty_service() -> None:
    kinds = {each.name: pairs.find_kind(each) for each in faults()}
    unreached = [
        name
        for name, kind in kinds.items()
        if kind is not Service and not find_reached_parts(kind) - find_reached_parts(Service)
    ]
    assert unreached == []


@pytest.mark.parametrize(
    ("one", "other", "obstacle"),
    [
        ("reads_share_one_connection", "reads_are_gathered_for_one_query_at_a_time",
         Obstacle.SAME_REQUIREMENT),
        ("results_are_ignored", "messages_are_pickled", Obstacle.TWO_WORKERS),
        ("row_goes_to_the_caller_that_came_last", "read_blocks_the_event_loop",
         Obstacle.SAME_PART),
    ],
)  # fmt: skip
def test_faults_that_cannot_be_told_apart_are_not_composed(
    one: str, other: str, obstacle: Obstacle
) -> None:
    assert arrange_pair(row(one), row(other)) is obstacle


class asks_those_behind_it(Service):  # noqa: N801
    """It reads a row as the classes after it do, whatever those before it do."""

    async def read_item(self, item_id: int) -> object:
        """Read it."""
        return {"item": await super().find(item_id)}


KINDS = {each.__name__: each for each in (replaces_the_caller, replaces_the_called,
                                          asks_those_behind_it)}  # fmt: skip


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, FaultyService]:
    """Faulty services of the classes above, by their names."""
    monkeypatch.setattr(pairs, "find_kind", lambda fault: KINDS[fault.name])
    return {
        name: FaultyService(f"section_3:{name}", (f"DB-{number}",), "")
        for number, name in enumerate(KINDS, 1)
    }


def test_a_pair_is_ordered_so_that_both_faults_are_reached(
    made_up: dict[str, FaultyService],
) -> None:
    behind, other = made_up["asks_those_behind_it"], made_up["replaces_the_caller"]
    assert arrange_pair(other, behind) == arrange_pair(behind, other) == Pair(behind, other)


def test_faults_of_which_one_is_never_reached_are_not_composed(
    made_up: dict[str, FaultyService],
) -> None:
    one, other = made_up["replaces_the_called"], made_up["replaces_the_caller"]
    assert arrange_pair(one, other) is Obstacle.HIDDEN_PART


def test_the_service_of_a_pair_has_both_faults() -> None:
    pair = arrange_pair(row("false_column_is_left_out"), row("null_item_is_text"))
    assert isinstance(pair, Pair)
    module, _, name = pair.target_app.partition(":")
    assert module == composed.__name__
    service = getattr(composed, name)
    kinds = [pairs.find_kind(fault) for fault in pair.faults]
    assert all(isinstance(service, kind) for kind in kinds)


@pytest.mark.parametrize("name", ["section_1__a", "section_1__a__section_2", "app", "____"])
def test_a_name_of_no_two_faults_is_no_service(name: str) -> None:
    assert not hasattr(composed, name)


def test_a_faulty_worker_is_composed_with_the_service_of_the_other() -> None:
    web, worker = row("false_column_is_left_out"), row("worker_whose_connection_breaks_once")
    for pair in (arrange_pair(web, worker), arrange_pair(worker, web)):
        assert isinstance(pair, Pair)
        assert (pair.target_app, pair.worker_app) == (web.target_app, worker.worker_app)


def test_a_service_that_brings_its_worker_keeps_it() -> None:
    own = next(each for each in faults() if pairs.find_kind(each) is not Service and
               each.worker_app != row("null_item_is_text").worker_app)  # fmt: skip
    pair = arrange_pair(row("null_item_is_text"), own)
    assert isinstance(pair, Pair)
    assert pair.worker_app == own.worker_app


def test_two_rounds_draw_each_fault_twice_and_no_pair_again() -> None:
    drawn = pairs.draw_pairs(faults())
    assert len(drawn) >= pairs.FEWEST
    assert len({frozenset(pair.faults) for pair in drawn}) == len(drawn)
    names = list(chain.from_iterable(pair.name.split(" + ") for pair in drawn))
    assert {names.count(fault.name) for fault in faults()} <= {1, 2}
    assert sum(names.count(fault.name) == 1 for fault in faults()) <= len(faults()) // 50
    assert [pair.name for pair in pairs.draw_pairs(faults())] == [pair.name for pair in drawn]
    assert [pair.name for pair in pairs.draw_pairs(faults(), 1)] != [pair.name for pair in drawn]


ONE = FaultyService("section_3:one", ("DB-2", "DB-4"), "^404 ")
OTHER = FaultyService(
    "section_5:other", ("TASK-1",), "^500 ", consequences=("DB-2",), inconclusive=("UP-1",)
)


def judged(status: str, got: str = "404 of GET", expected: str = "200") -> SlotResult:
    verdicts = {
        "DB-2": {"status": status, "finding": {"expected": expected, "got": got}},
        "TASK-1": {"status": "FAIL", "finding": {"expected": "200", "got": "500 of POST"}},
    }
    return SlotResult(verdicts, 1.0, "printed")


def cases() -> Iterator[tuple[SlotResult, FaultyService, Outcome]]:
    stranger = FaultyService("section_5:stranger", ("TASK-1",), "^500 ")
    yield judged("FAIL"), OTHER, Outcome.FOUND
    yield judged("FAIL", "500 of GET"), OTHER, Outcome.FOLDED
    yield judged("FAIL", "500 of GET"), stranger, Outcome.CHANGED
    yield judged("INCONCLUSIVE"), OTHER, Outcome.FOLDED
    yield judged("INCONCLUSIVE", "it does not start (TASK-1)"), stranger, Outcome.FOLDED
    yield judged("INCONCLUSIVE", "nobody knows"), stranger, Outcome.LOST
    yield judged("PASS"), OTHER, Outcome.LOST
    yield judged("ERROR"), OTHER, Outcome.LOST
    yield SlotResult({}, 1.0, "it did not run"), OTHER, Outcome.LOST


@pytest.mark.parametrize(("result", "other", "outcome"), list(cases()))
def test_what_became_of_a_fault(result: SlotResult, other: FaultyService, outcome: Outcome) -> None:
    found, why = pairs.judge_fault(ONE, other, result)
    assert found is outcome
    assert bool(why) is (outcome is not Outcome.FOUND)


def test_what_neither_fault_is_known_to_fail_is_in_the_row() -> None:
    result = judged("FAIL")
    result.verdicts["END-1"] = {"status": "FAIL", "finding": None}
    figures = pairs.make_figures(Pair(ONE, OTHER), result)
    assert figures["more"] == ["END-1"]
    assert not pairs.has_lost(figures)
    assert pairs.has_lost(pairs.make_figures(Pair(ONE, OTHER), judged("PASS")))
