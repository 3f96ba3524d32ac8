"""The kill matrix: every faulty service judged by the suite.

A faulty service is judged by what it must fail, by the MUSTs of its own section that are cheap to
judge, and by one such MUST of every other section. Cheap are those that take little time on the
reference, start no further copy of the target and need no worker (`CHEAP_MUSTS`). `whole` judges it
by the whole catalogue.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Protocol, TypeVar

from conformance.judging.causes import group_by_cause
from conformance.report.record_reader import decode_result
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.selftest.faulty_services.table import FaultyService
from conformance.spec.catalogue import catalogue

# The MUSTs that are cheap to judge. Each took at most 0.13 s of a run of the reference, 0.03 s in
# the mean. Others take up to 0.5 s each. The list is fixed, so that what a row is judged by does
# not depend on the load of the machine.
CHEAP_MUSTS = (
    *("CONC-5", "CONC-6"),
    *("END-1", "END-2", "END-3", "END-5"),
    *("DB-1", "DB-2", "DB-6"),
    *("UP-1", "UP-3"),
    *("TASK-1", "TASK-3", "TASK-4", "TASK-8", "TASK-9"),
    *("DEP-1", "DEP-3", "DEP-4", "DEP-5", "DEP-6"),
    "LIFE-10",
)


class Named(Protocol):
    """What has a row in the figures."""

    @property
    def name(self) -> str:
        """Its name in the figures."""


N = TypeVar("N", bound=Named)


@cache
def list_cheap_musts() -> Mapping[int, Sequence[str]]:
    """Return the MUSTs that are cheap to judge, by section."""
    musts = [catalogue()[name] for name in CHEAP_MUSTS]
    return {
        section: [must.id for must in musts if must.section == section]
        for section in sorted({must.section for must in musts})
    }


def choose_requirements(service: FaultyService, *, whole: bool) -> list[str]:
    """Return the requirements that a faulty service is judged by."""
    if whole or not service.fails:
        return list(catalogue())
    own = {catalogue()[name].section for name in service.fails}
    cheap = {
        name
        for section, names in list_cheap_musts().items()
        for name in (names if section in own else names[:1])
    }
    chosen = {*service.fails, *service.after, *cheap}
    return [name for name in catalogue() if name in chosen]


def choose_quickest(
    services: Iterable[FaultyService], seconds: Mapping[str, float]
) -> list[FaultyService]:
    """Return of each requirement the faulty service that took least; those without one are new.

    `seconds` are what each took when the figures were made. What has none counts as slow.
    """
    quickest: dict[str, FaultyService] = {}
    for service in sorted(services, key=lambda each: seconds.get(each.name, float("inf"))):
        for made_for in service.fails[:1]:
            quickest.setdefault(made_for, service)
    return list(quickest.values())


def sort_longest_first(rows: Iterable[N], seconds: Mapping[str, float]) -> list[N]:
    """Return those first that took longest when the figures were made, and new ones before."""
    return sorted(rows, key=lambda each: seconds.get(each.name, float("inf")), reverse=True)


def judge_faulty_service(service: FaultyService, slot: Slot, *, whole: bool) -> SlotResult:
    """Run the suite on a faulty service."""
    return slot.judge(*list_options(service, whole=whole))


def list_options(service: FaultyService, *, whole: bool) -> list[str]:
    """Return the options of a run that judges a faulty service."""
    target = [f"--target-app={service.target_app}", f"--worker-app={service.worker_app}"]
    return [*target, "--only", *choose_requirements(service, whole=whole)]


def find_differences(service: FaultyService, result: SlotResult, *, whole: bool) -> list[str]:
    """Return a sentence for each verdict that is not as the table says. None: the row is exact."""
    expected = set(choose_requirements(service, whole=whole))
    if result.verdicts.keys() != expected:
        return [f"not every requirement was judged:\n{result.printed}"]
    failed, unseen = result.ids_with("FAIL"), result.ids_with("INCONCLUSIVE")
    wrong = [
        *service.differences(expected, failed, unseen),
        *((name, "is an ERROR") for name in result.ids_with("ERROR")),
    ]
    sentences = [f"{name} {what}: {result.describe_finding(name)}" for name, what in wrong]
    for name in service.fails[:1]:
        finding = result.describe_finding(name)
        if name in failed and not _has_reason(service, finding):
            sentences.append(f"{name} fails for another reason than {service.because!r}: {finding}")
        if name in failed and (first := find_first_cause(result)) != name:
            sentences.append(f"{first}, and not {name}, is named first: {finding}")
    return sentences


def find_first_cause(result: SlotResult) -> str | None:
    """Return the requirement that a report names first, or None if nothing failed."""
    results = [decode_result(name, line) for name, line in result.verdicts.items()]
    causes = group_by_cause(results, catalogue())
    return causes[0].result.id if causes else None


def _has_reason(service: FaultyService, finding: str) -> bool:
    return bool(re.search(service.because, finding, re.DOTALL | re.MULTILINE))
