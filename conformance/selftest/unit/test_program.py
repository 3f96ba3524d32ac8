"""Programs of the stateful scenario: how they are read, and how they are written again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.core.errors import WrongUsage
from conformance.scenarios.program import (
    QUESTIONS,
    Action,
    Question,
    Step,
    Subject,
    format_program,
    make_ask_step,
    parse_program,
)
from conformance.selftest.support.programs import STEPS


def test_a_program_is_read_step_by_step() -> None:
    assert parse_program(" add 0;lock ; ask item 0, external;  sessions   end;") == [
        Step(Action.ADD, 0),
        Step(Action.LOCK),
        make_ask_step(Question(Subject.ITEM, 0), Question(Subject.EXTERNAL)),
        Step(Action.SESSIONS_END),
    ]


@given(st.lists(STEPS))
def test_a_program_that_is_printed_is_read_as_the_same_steps(program: list[Step]) -> None:
    assert parse_program(format_program(program)) == program


def test_every_step_is_written_as_in_programs_that_were_printed_before() -> None:
    printed = (
        "add 0; change 1; delete 0; document 1; lock; unlock; hold; release; "
        "database refuses; database heals; sessions end; upstream fails; upstream heals; "
        "broker denies; broker heals; grow; shrink; read often 0; restart; kill; "
        "ask sync, async, list, none, item 0, item 1, external, submit"
    )
    program = parse_program(printed)
    assert {step.action for step in program} == {*Action}
    assert program[-1].questions == QUESTIONS
    assert format_program(program) == printed


@pytest.mark.parametrize(
    "step",
    ["dance", "add", "add 2", "add x", "lock 1", "ask", "ask nothing", "ask item 2", "ask item"],
)
def test_what_is_not_a_step_is_named_with_the_steps_that_are_allowed(step: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        parse_program(f"add 0; {step}")
    assert str(caught.value) == (
        f"--steps must be steps separated by semicolons; {step!r} is not one "
        "(allowed: add 0…1, change 0…1, delete 0…1, document 0…1, read often 0…1, "
        "lock, unlock, hold, release, database refuses, database heals, sessions end, "
        "upstream fails, upstream heals, "
        "broker denies, broker heals, grow, shrink, restart, kill, and 'ask' with any of "
        "sync, async, list, none, item 0, item 1, external, submit, separated by commas)"
    )
