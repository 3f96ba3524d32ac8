"""A conforming service judged by the whole catalogue, and how that differs from the table."""

from conformance.selftest.conforming_services.table import ConformingService
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.spec.catalogue import catalogue


def judge_conforming_service(service: ConformingService, slot: Slot) -> SlotResult:
    """Run the whole catalogue on a conforming service."""
    return slot.judge(*service.prepare(slot.folder))


def find_differences(service: ConformingService, result: SlotResult) -> list[str]:
    """Return a sentence for each verdict that is not as the table says."""
    if result.verdicts.keys() != catalogue().keys():
        return [f"not every requirement was judged:\n{result.printed}"]
    expected = {
        "FAIL": service.fails,
        "INCONCLUSIVE": set(service.inconclusive),
        "NOT_APPLICABLE": set(service.not_applicable),
        "ERROR": set[str](),
    }
    sentences: list[str] = []
    for status, names in expected.items():
        found = result.ids_with(status)
        for name in sorted(found - names):
            finding = result.describe_finding(name)
            sentences.append(f"{name} is {status}, unexpectedly: {finding}")
        sentences += [f"{name} is not {status}" for name in sorted(names - found)]
    return sentences
