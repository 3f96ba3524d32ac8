"""A variant judged by the whole catalogue, and in what its verdicts differ from the table."""

from conformance.selftest.conforming_services.table import Variant
from conformance.selftest.evaluation.kill_matrix import Bed, Judged
from conformance.spec.catalogue import catalogue


def judge(variant: Variant, bed: Bed) -> Judged:
    """What the suite says of a variant."""
    return bed.judge(*variant.command_line)


def inexact(variant: Variant, judged: Judged) -> list[str]:
    """In what the verdicts differ from the table: nothing, where they are exact."""
    if judged.verdicts.keys() != catalogue().keys():
        return [f"not every requirement was judged:\n{judged.printed}"]
    said: list[str] = []
    for status, wanted in (
        ("FAIL", variant.missed),
        ("INCONCLUSIVE", set(variant.inconclusive)),
        ("NOT_APPLICABLE", set(variant.not_applicable)),
        ("ERROR", set[str]()),
    ):
        found = judged.having(status)
        said += [
            f"{name} is {status}, unexpectedly: {judged.finding(name)}"
            for name in sorted(found - wanted)
        ]
        said += [f"{name} is not {status}" for name in sorted(wanted - found)]
    return said
