"""What a search of CONC-11 finds is printed as a program that fails again when it is run."""

import shlex
from pathlib import Path

import pytest

from conformance.core import timeouts
from conformance.scenarios.program import parse_program
from conformance.selftest.support.suite import SERVICES, judge


@pytest.mark.thorough
def test_what_a_search_finds_is_printed_as_a_program_that_fails_again(place: Path) -> None:
    target = (f"--target-app={SERVICES}:forgets_after_a_failed_call",)
    found = judge(place, *target, "--only", "CONC-11", "--seed=7")
    assert found.verdicts == {"CONC-11": "FAIL"}, found.output
    (line,) = (line for line in found.output.splitlines() if line.startswith("reproduce"))
    words = shlex.split(line.removeprefix("reproduce"))
    program = words[words.index("--steps") + 1]
    # The search ran up to 12 programs. How short the one that fails gets depends on the time left.
    assert len(parse_program(program)) <= timeouts.STEPS_OF_A_PROGRAM, program
    again = judge(place, *target, "--only", "CONC-11", "--steps", program)
    assert again.verdicts == {"CONC-11": "FAIL"}
    assert program in again.output
    assert judge(place, *target, "--only", "CONC-11", "--steps", "add 0; ask item 0").verdicts == {
        "CONC-11": "PASS"
    }


def test_wrong_steps_are_wrong_usage(place: Path) -> None:
    finished = judge(place, "--only", "CONC-11", "--steps", "add 0; dance")
    assert finished.status == 4
    assert "--steps must be steps separated by semicolons; 'dance' is not one" in finished.output


@pytest.mark.parametrize(
    "service", ["asks_whether_its_memory_is_true", "warms_its_memory_at_startup"]
)
def test_a_memory_that_is_never_trusted_without_a_look_is_no_fault(
    place: Path, service: str
) -> None:
    judged = ("DB-1", "DB-2", "DB-4", "DB-16", "CONC-11")
    finished = judge(place, f"--target-app={SERVICES}:{service}", "--only", *judged)
    assert finished.verdicts == dict.fromkeys(judged, "PASS"), finished.output
