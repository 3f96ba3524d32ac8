"""Conforming services in other styles: the whole catalogue finds only what they do not claim."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from conformance.selftest.conforming_services.table import CONFORMING_SERVICES, ConformingService
from conformance.selftest.evaluation import conforming, slots
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.tiers import mark_thorough

# Written from the specification alone, with an ORM, in another language. The tutorial's own code
# takes as long as two of them, for it makes a client for each outbound call.
QUICK = [each for each in CONFORMING_SERVICES if each.name in ("independent_python", "orm", "node")]


@pytest.fixture(scope="session")
def results(
    list_values: Callable[[str], list[Any]],
) -> Iterator[dict[ConformingService, Future[SlotResult]]]:
    """The results of all conforming services that this session asks for, started ahead."""
    services = list_values("service")
    works = [partial(conforming.judge_conforming_service, each) for each in services]
    with slots.run_in_slots(slots.CORES, works) as futures:
        yield dict(zip(services, futures, strict=True))


@pytest.mark.parametrize("service", mark_thorough(CONFORMING_SERVICES, but=QUICK))
def test_a_conforming_service_fails_what_it_does_not_claim_and_nothing_else(
    service: ConformingService, results: dict[ConformingService, Future[SlotResult]]
) -> None:
    differences = conforming.find_differences(service, results[service].result())
    assert not differences, "\n".join(differences)
