"""The order of the probes, and what the run must know of each. The order is for speed alone."""

import random
from collections.abc import Mapping, Sequence
from enum import IntEnum

import pytest

from conformance.session.probe import Probe, WorkerState
from conformance.spec.catalogue import Requirement

WORKER_PHASES = {WorkerState.STOPPED: (0, 2), WorkerState.RUNNING: (1, 3), None: (0, 1, 2, 3)}


class Stage(IntEnum):
    """When probes are run, in this order. A marker names one where the worker does not decide.

    Probes that need no worker run early, so that it starts while others run. While the worker finds
    its broker again after an outage, the lifecycle scenarios go on. It is killed before the broker
    goes away for good, so that this costs no reconnection.
    """

    OVERLAP = 0  # sections 1 and 2
    WORKER_STOPPED = 1
    WORKER_RECONNECTS = 2
    ANY = 3  # what needs no worker
    WORKER_RUNS = 4
    WORKER_RESTARTS = 5
    WORKER_DIES = 6
    NO_WORKER_ANY_MORE = 7
    SCENARIOS = 8  # what lifecycle scenarios have observed
    READINESS = 9  # the last of which the target must run, for it judges all of them
    WHOLE_LIFE = 10  # what ends the target, in whatever order the others are run


def find_requirement(item: pytest.Item) -> str | None:
    """The id that a probe is marked with; None for what is no probe."""
    marker = item.get_closest_marker("requirement")
    return marker.args[0] if marker else None


def describe_probe(item: pytest.Item, catalogue: Mapping[str, Requirement]) -> Probe:
    """What the run must know of a probe."""
    requirement = find_requirement(item)
    assert requirement
    return Probe(
        name=item.nodeid,
        requirement=catalogue[requirement],
        worker=find_worker_state(item),
        injects_fault=item.get_closest_marker("injects_fault") is not None,
    )


def find_worker_state(item: pytest.Item) -> WorkerState | None:
    """Whether a probe needs the worker to run or to be stopped; None where it does not matter."""
    marker = item.get_closest_marker("worker")
    return WorkerState(marker.args[0]) if marker else None


def find_stage(item: pytest.Item, requirement: Requirement) -> Stage:
    """When a probe is run."""
    if marker := item.get_closest_marker("stage"):
        return Stage[marker.args[0]]
    match find_worker_state(item):
        case WorkerState.STOPPED:
            return Stage.WORKER_STOPPED
        case WorkerState.RUNNING:
            return Stage.WORKER_RUNS
    return Stage.OVERLAP if requirement.section in (1, 2) else Stage.ANY


def order_probes(
    items: Sequence[pytest.Item], catalogue: Mapping[str, Requirement]
) -> list[pytest.Item]:
    """Probes by stage; in each, those that inject a fault come last."""

    def rank(item: pytest.Item) -> tuple[Stage, bool]:
        probe = describe_probe(item, catalogue)
        return find_stage(item, probe.requirement), probe.injects_fault

    return sorted(items, key=rank)


def shuffle_probes(items: Sequence[pytest.Item], seed: int) -> list[pytest.Item]:
    """Probes in an order that is drawn, but for the worker, whose every start costs seconds.

    Twice it is stopped, and twice it runs. What ends the target is the last.
    """
    drawn = random.Random(seed)  # noqa: S311 - an order, no secret
    shuffled = drawn.sample(items, len(items))
    by_worker = sorted(
        shuffled, key=lambda item: drawn.choice(WORKER_PHASES[find_worker_state(item)])
    )
    return sorted(by_worker, key=_ends_target)


def _ends_target(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("stage")
    return marker is not None and Stage[marker.args[0]] is Stage.WHOLE_LIFE


def is_last_without_worker(items: Sequence[pytest.Item], following: pytest.Item | None) -> bool:
    """Whether the worker may start after a probe that needs none, while others run."""
    if following is None or find_worker_state(following) is WorkerState.STOPPED:
        return False
    later = items[items.index(following) :]
    states = (find_worker_state(item) for item in later)
    return next((state for state in states if state), None) is WorkerState.RUNNING
