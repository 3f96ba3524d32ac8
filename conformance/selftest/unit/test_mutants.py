"""Mutants: they are of the reference, each is made once, and what kills one is told apart."""

from typing import Any

import pytest

from conformance.judging.verdict import Exit
from conformance.selftest.evaluation import mutants
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.evaluation.survivors import FAILED, NOT_STARTED, SURVIVORS


def make_result(status: int = 0, **statuses: str) -> SlotResult:
    """Make the result of a run with these verdicts."""
    verdicts: dict[str, dict[str, Any]] = {
        name.replace("_", "-"): {"status": verdict} for name, verdict in statuses.items()
    }
    return SlotResult(verdicts, 1.0, "", status)


@pytest.mark.parametrize(
    ("result", "killer"),
    [
        (make_result(DB_1="PASS", DB_2="OBSERVED"), None),
        (make_result(1, DB_1="PASS", DB_3="FAIL", DB_2="FAIL"), "DB-2"),
        (make_result(1, DB_1="ERROR", DB_2="FAIL"), "DB-2"),
        (make_result(6, DB_1="PASS", DB_2="INCONCLUSIVE"), "DB-2 cannot be judged"),
        (make_result(3, DB_1="ERROR", DB_2="INCONCLUSIVE"), FAILED),
        (make_result(Exit.WRONG_USAGE), NOT_STARTED),
        (make_result(Exit.ERROR), FAILED),
        (make_result(-9), FAILED),
    ],
)
def test_what_kills_a_mutant_is_told_apart(result: SlotResult, killer: str | None) -> None:
    assert mutants.find_killer(result) == killer


def test_mutants_are_of_the_reference_and_every_survivor_is_one_of_them() -> None:
    made = list(mutants.make_mutants())
    names = [mutant.name for mutant in made]
    assert len(made) > 200
    assert SURVIVORS.keys() <= set(names)
    assert all(mutant.source != (mutants.ORIGINAL / mutant.file).read_text() for mutant in made)
