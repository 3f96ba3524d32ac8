"""Ordering: probes by stage, a drawn order that spares the worker, and a worker started early."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import pytest

from conformance.pytest_plugin.ordering import (
    Stage,
    find_stage,
    is_last_without_worker,
    order_probes,
    shuffle_probes,
)
from conformance.spec.catalogue import catalogue


class ItemDouble:
    """A collected test with markers."""

    def __init__(self, requirement: str, **markers: str) -> None:
        self.nodeid = f"{requirement} {markers}"
        self._markers = {"requirement": requirement, **markers}

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        """The marker of this name."""
        value = self._markers.get(name)
        return None if value is None else pytest.Mark(name, (value,), {}, _ispytest=True)


def items(*doubles: ItemDouble) -> list[pytest.Item]:
    return [cast("pytest.Item", double) for double in doubles]


def names(found: Sequence[pytest.Item]) -> list[str]:
    return [str(item.nodeid).partition(" ")[0] for item in found]


@pytest.mark.parametrize(
    ("markers", "requirement", "stage"),
    [
        ({}, "CONC-1", Stage.OVERLAP),
        ({}, "DB-1", Stage.ANY),
        ({"worker": "stopped"}, "TASK-3", Stage.WORKER_STOPPED),
        ({"worker": "running"}, "TASK-5", Stage.WORKER_RUNS),
        ({"worker": "stopped", "stage": "NO_WORKER_ANY_MORE"}, "CONC-9", Stage.NO_WORKER_ANY_MORE),
        ({"stage": "READINESS"}, "LIFE-10", Stage.READINESS),
    ],
)
def test_the_stage_is_that_of_the_marker_or_of_the_worker(
    markers: dict[str, Any], requirement: str, stage: Stage
) -> None:
    (item,) = items(ItemDouble(requirement, **markers))
    assert find_stage(item, catalogue()[requirement]) is stage


def test_faults_come_last_in_their_stage() -> None:
    given = items(
        ItemDouble("LIFE-10", stage="READINESS"),
        ItemDouble("DB-10", injects_fault="yes"),
        ItemDouble("DB-2"),
        ItemDouble("TASK-3", worker="stopped"),
        ItemDouble("END-1"),
    )
    assert names(order_probes(given, catalogue())) == [
        "END-1",
        "TASK-3",
        "DB-2",
        "DB-10",
        "LIFE-10",
    ]


def test_a_drawn_order_is_of_its_seed_and_changes_the_worker_three_times_at_most() -> None:
    kinds: tuple[dict[str, str], ...] = ({}, {"worker": "stopped"}, {"worker": "running"})
    given = items(*(ItemDouble(f"DB-{n % 9 + 1}", **kinds[n % 3]) for n in range(60)))
    drawn = shuffle_probes(given, 7)
    assert [id(item) for item in drawn] == [id(item) for item in shuffle_probes(given, 7)]
    assert [id(item) for item in drawn] != [id(item) for item in shuffle_probes(given, 8)]
    markers = (item.get_closest_marker("worker") for item in drawn)
    states = [marker.args[0] for marker in markers if marker]
    assert sum(before != after for before, after in pairwise(states)) == 3


def test_what_ends_the_target_is_the_last_in_a_drawn_order_too() -> None:
    last = items(*(ItemDouble(f"LIFE-{n}", stage="WHOLE_LIFE") for n in (1, 2, 3)))
    others = items(*(ItemDouble(f"DB-{n % 9 + 1}", worker="running") for n in range(20)))
    for seed in range(20):
        drawn = shuffle_probes([*last, *others], seed)
        assert {id(item) for item in drawn[-3:]} == {id(item) for item in last}


def test_the_worker_starts_after_the_last_probe_that_wants_none() -> None:
    stopped, other, running = items(
        ItemDouble("TASK-3", worker="stopped"),
        ItemDouble("DB-2"),
        ItemDouble("TASK-5", worker="running"),
    )
    assert is_last_without_worker([stopped, other, running], other)
    assert not is_last_without_worker([stopped, other, stopped], other)
    assert not is_last_without_worker([stopped, stopped], stopped)
    assert not is_last_without_worker([stopped], None)
