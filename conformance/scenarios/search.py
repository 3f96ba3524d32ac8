"""The search of CONC-11: a state machine of Hypothesis's chooses the steps of programs, and what fails is made short."""

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
from conformance.scenarios.stateful import OPENING, QUESTIONS, SLOTS, Play, is_program


class Enough(BaseException):
    """The search ends, whatever Hypothesis would do next."""


@dataclass
class Search:
    """Looks for a program that fails, by a state machine whose rules choose the steps."""

    play: Callable[[], Play]
    loop: asyncio.AbstractEventLoop
    found: Violation | None = None
    trouble: Exception | None = None  # what ended the search, and is no violation
    history: list[list[str]] = field(
        default_factory=list
    )  # the steps of every program, which one target has all seen

    def run(self, seed: int) -> None:
        """Search, in a thread of its own; the programs run on the loop."""
        machine = type("Interleaving", (_Machine,), {"search": self})
        chosen = settings(
            max_examples=timeouts.PROGRAMS,
            stateful_step_count=timeouts.STEPS_OF_A_PROGRAM,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=chosen)
        except Enough:
            if self.trouble:
                raise self.trouble from None

    def wait(self, work: Coroutine[Any, Any, None]) -> None:
        """Run on the loop; the first failure ends the search."""
        try:
            asyncio.run_coroutine_threadsafe(work, self.loop).result()
        except Violation as violation:
            self.found = self.found or violation
            raise Enough from violation
        except Exception as error:
            self.trouble = error
            raise Enough from error


async def shortened(
    history: Sequence[Sequence[str]],
    violation: Violation,
    run: Callable[[Sequence[str]], Awaitable[Violation | None]],
) -> Violation:
    """The violation by the shortest program that is found in SEARCH_DEADLINE seconds, each run on a target of its own.

    The last program of a search alone, if that fails too, or all of them in turn. Where neither fails again, the violation as
    it was seen, without a program.
    """
    until = time.monotonic() + timeouts.SEARCH_DEADLINE
    for steps in (list(history[-1]), [step for program in history for step in program]):
        if found := await run(steps):
            break
    else:
        return Violation(
            violation.expected,
            violation.got,
            [fact for fact in violation.evidence if not is_program(fact)],
            violation.likely_cause,
        )
    size = len(steps)
    while size := size // 2:
        start = 0
        while start < len(steps) and time.monotonic() < until:
            fewer = steps[:start] + steps[start + size :]
            if again := await run(fewer):
                steps, found = fewer, again
            else:
                start += size
    return found


class _Machine(RuleBasedStateMachine):
    """The rules: each takes a step that makes sense in the world as it is."""

    search: Search

    def __init__(self) -> None:
        super().__init__()
        self.play = self.search.play()
        self.search.history.append(self.play.done)
        for step in OPENING:
            self.step(step)

    def step(self, step: str) -> None:
        if self.play.makes_sense(step):
            self.search.wait(self.play.do(step))

    def teardown(self) -> None:
        try:
            if not self.search.found and not self.search.trouble:
                self.search.wait(self.play.end())
        finally:
            self.search.wait(self.play.close())

    @rule(what=st.sampled_from(("add", "change", "delete")), slot=st.integers(0, SLOTS - 1))
    def table(self, what: str, slot: int) -> None:
        self.step(f"{what} {slot}")

    @rule(number=st.integers(0, SLOTS - 1))
    def document(self, number: int) -> None:
        self.step(f"document {number}")

    @rule(questions=st.lists(st.sampled_from(QUESTIONS), min_size=1, max_size=4))
    def ask(self, questions: list[str]) -> None:
        self.step("ask " + ", ".join(questions))

    @rule()
    def ask_each(self) -> None:
        self.step("ask item 0, external, submit")

    @rule(question=st.sampled_from(("item 0", "external", "submit")))
    def ask_one(self, question: str) -> None:
        self.step(f"ask {question}")

    @rule()
    def lock(self) -> None:
        self.step("unlock" if self.play.world.reads_are_held else "lock")

    @rule()
    def database(self) -> None:
        self.step("database heals" if self.play.world.database_refuses else "database refuses")

    @rule()
    def sessions(self) -> None:
        self.step("sessions end")

    @rule()
    def hold(self) -> None:
        self.step("release" if self.play.world.calls_are_held else "hold")

    @rule()
    def upstream(self) -> None:
        self.step("upstream heals" if self.play.world.upstream_fails else "upstream fails")

    @rule()
    def broker(self) -> None:
        self.step("broker heals" if self.play.world.broker_denies else "broker denies")
