"""Programs of CONC-11: read, judged step by step, shortened by the search, and run again as they are printed."""

import shlex
from pathlib import Path

import pytest

from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.scenarios.stateful import parse
from conformance.selftest.support.suite import SERVICES, judge


def test_a_program_is_read_step_by_step() -> None:
    assert parse(" add 0;lock ; ask item 0, external; unlock;") == [
        "add 0",
        "lock",
        "ask item 0, external",
        "unlock",
    ]


@pytest.mark.parametrize(
    "step", ["dance", "add", "add 2", "add x", "lock 1", "ask", "ask nothing", "ask item 2"]
)
def test_a_step_that_is_none_is_said_with_those_that_are(step: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        parse(f"add 0; {step}")
    assert str(caught.value).startswith(
        f"--steps wants steps apart by semicolons; {step!r} is none. There are add 0…1, change 0…1"
    )


@pytest.mark.thorough
def test_what_a_search_finds_is_printed_as_a_program_that_fails_again(place: Path) -> None:
    target = (f"--target-app={SERVICES}:forgets_after_a_failed_call",)
    found = judge(place, *target, "--only", "CONC-11", "--seed=7")
    assert found.verdicts == {"CONC-11": "FAIL"}, found.output
    (line,) = (line for line in found.output.splitlines() if line.startswith("reproduce"))
    words = shlex.split(line.removeprefix("reproduce"))
    program = words[words.index("--steps") + 1]
    assert len(parse(program)) <= timeouts.STEPS_OF_A_PROGRAM, (
        program
    )  # of 12 programs; how short it gets is a matter of time
    again = judge(place, *target, "--only", "CONC-11", "--steps", program)
    assert again.verdicts == {"CONC-11": "FAIL"}
    assert program in again.output
    assert judge(place, *target, "--only", "CONC-11", "--steps", "add 0; ask item 0").verdicts == {
        "CONC-11": "PASS"
    }


def test_wrong_steps_are_wrong_usage(place: Path) -> None:
    finished = judge(place, "--only", "CONC-11", "--steps", "add 0; dance")
    assert finished.status == 4
    assert "--steps wants steps apart by semicolons; 'dance' is none." in finished.output
