"""The search of CONC-11: Hypothesis chooses steps, and a program that fails is shortened."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from conformance.core import timeouts
from conformance.core.errors import Violation
from conformance.scenarios.program import (
    OPENING,
    QUESTIONS,
    SLOTS,
    Action,
    Question,
    Step,
    Subject,
    make_ask_step,
)
from conformance.scenarios.stateful import ProgramRun, is_program

_ITEM = Question(Subject.ITEM, 0)
_EXTERNAL, _SUBMIT = Question(Subject.EXTERNAL), Question(Subject.SUBMIT)


@dataclass
class Search:
    """Looks for a program that fails, by a state machine whose rules choose the steps.

    The first failure ends it: what Hypothesis draws after that is run nowhere.
    """

    begin_program: Callable[[], ProgramRun]
    loop: asyncio.AbstractEventLoop
    violation: Violation | None = None
    trouble: Exception | None = None  # what ended the search and is not a violation
    history: list[list[Step]] = field(default_factory=list)  # the steps of each program so far

    @property
    def is_over(self) -> bool:
        """Whether anything has failed."""
        return self.violation is not None or self.trouble is not None

    def run(self, seed: int) -> None:
        """Search in the calling thread, while the programs run on the loop.

        Raises what failed and is not a violation.
        """
        machine = type("StatefulSearch", (_Machine,), {"search": self})
        chosen = settings(
            max_examples=timeouts.PROGRAMS,
            stateful_step_count=timeouts.STEPS_OF_A_PROGRAM,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=chosen)
        if self.trouble:
            raise self.trouble

    def wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Run on the loop, and keep the first failure."""
        try:
            asyncio.run_coroutine_threadsafe(work, self.loop).result()
        except Violation as violation:
            self.violation = self.violation or violation
        except Exception as error:
            self.trouble = self.trouble or error


async def shorten_program(
    history: Sequence[Sequence[Step]],
    violation: Violation,
    run_on_new_target: Callable[[Sequence[Step]], Awaitable[Violation | None]],
) -> Violation:
    """Find a short program that fails, in SEARCH_DEADLINE seconds, each run on a target of its own.

    It begins with the last program of a search alone, or with all of them in turn if that does not
    fail again. Returns the violation of the shortest that failed. If neither fails again, returns
    the violation as it was seen, without a program.
    """
    until = time.monotonic() + timeouts.SEARCH_DEADLINE
    for steps in (list(history[-1]), [step for program in history for step in program]):
        if found := await run_on_new_target(steps):
            break
    else:
        evidence = [fact for fact in violation.evidence if not is_program(fact)]
        return Violation(violation.expected, violation.got, evidence, violation.likely_cause)
    size = len(steps)
    while size := size // 2:
        start = 0
        while start < len(steps) and time.monotonic() < until:
            fewer = steps[:start] + steps[start + size :]
            if again := await run_on_new_target(fewer):
                steps, found = fewer, again
            else:
                start += size
    return found


class _Machine(RuleBasedStateMachine):
    """The rules: each takes a step that is possible in the world as it is.

    Hypothesis orders rules by their number of arguments and their names, and arguments by their
    names. So a new name changes which programs a seed yields.
    """

    search: Search

    def __init__(self) -> None:
        super().__init__()
        self.program = self.search.begin_program()
        if not self.search.is_over:
            self.search.history.append(self.program.done)
        for step in OPENING:
            self.take_step(step)

    def take_step(self, step: Step) -> None:
        if not self.search.is_over and self.program.is_possible(step):
            self.search.wait_for(self.program.take_step(step))

    def take_either(self, begins: Action, ends: Action, *, is_on: bool) -> None:
        self.take_step(Step(ends if is_on else begins))

    def teardown(self) -> None:
        if not self.search.is_over:
            self.search.wait_for(self.program.finish())
        self.search.wait_for(self.program.close())

    @rule(
        slot=st.integers(0, SLOTS - 1),
        what=st.sampled_from((Action.ADD, Action.CHANGE, Action.DELETE)),
    )
    def change_row(self, slot: int, what: Action) -> None:
        self.take_step(Step(what, slot))

    @rule(questions=st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=4))
    def ask_many(self, questions: list[Question]) -> None:
        self.take_step(make_ask_step(*questions))

    @rule(question=st.sampled_from((_ITEM, _EXTERNAL, _SUBMIT)))
    def ask_one(self, question: Question) -> None:
        self.take_step(make_ask_step(question))

    @rule(number=st.integers(0, SLOTS - 1))
    def replace_document(self, number: int) -> None:
        self.take_step(Step(Action.DOCUMENT, number))

    @rule()
    def ask_each(self) -> None:
        self.take_step(make_ask_step(_ITEM, _EXTERNAL, _SUBMIT))

    @rule()
    def deny_or_allow_writes(self) -> None:
        is_on = self.program.world.broker_denies
        self.take_either(Action.BROKER_DENIES, Action.BROKER_HEALS, is_on=is_on)

    @rule()
    def fail_or_heal_database(self) -> None:
        is_on = self.program.world.database_refuses
        self.take_either(Action.DATABASE_REFUSES, Action.DATABASE_HEALS, is_on=is_on)

    @rule()
    def hold_or_release_calls(self) -> None:
        self.take_either(Action.HOLD, Action.RELEASE, is_on=self.program.world.calls_are_held)

    @rule()
    def lock_or_unlock_table(self) -> None:
        self.take_either(Action.LOCK, Action.UNLOCK, is_on=self.program.world.reads_are_held)

    @rule()
    def terminate_sessions(self) -> None:
        self.take_step(Step(Action.SESSIONS_END))

    @rule()
    def toggle_upstream_failure(self) -> None:
        is_on = self.program.world.upstream_fails
        self.take_either(Action.UPSTREAM_FAILS, Action.UPSTREAM_HEALS, is_on=is_on)
