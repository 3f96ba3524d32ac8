"""Every requirement fails a service that gets it wrong, for that reason, and nothing else fails.

A faulty service is judged by what `kill_matrix.choose_requirements` says. `conformance evaluate
whole` judges each by the whole catalogue.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from conformance.selftest.evaluation import figures_page, kill_matrix, slots
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.faulty_services.table import FaultyService, load_faulty_services
from conformance.selftest.tiers import mark_thorough

SECONDS = figures_page.read_seconds("matrix")
LONGEST_FIRST = kill_matrix.sort_longest_first(load_faulty_services(), SECONDS)
QUICK = kill_matrix.choose_quickest(load_faulty_services(), SECONDS)


@pytest.fixture(scope="session")
def results(
    list_values: Callable[[str], list[Any]],
) -> Iterator[dict[FaultyService, Future[SlotResult]]]:
    """The results of all faulty services that this session asks for, started ahead."""
    services = list_values("faulty")
    works = [partial(kill_matrix.judge_faulty_service, each, whole=False) for each in services]
    with slots.run_in_slots(slots.SELFTEST_RUNS_AT_ONCE, works) as futures:
        yield dict(zip(services, futures, strict=True))


@pytest.mark.parametrize("faulty", mark_thorough(LONGEST_FIRST, but=QUICK))
def test_a_faulty_service_fails_what_it_gets_wrong_and_nothing_else(
    faulty: FaultyService, results: dict[FaultyService, Future[SlotResult]]
) -> None:
    differences = kill_matrix.find_differences(faulty, results[faulty].result(), whole=False)
    assert not differences, "\n".join(differences)
