"""The search of CONC-11: steps are drawn by the seed, and a program that fails is shortened."""

import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from conformance.core import timeouts
from conformance.core.errors import Violation
from conformance.core.evidence import Journal
from conformance.scenarios.coverage import Coverage
from conformance.scenarios.program import (
    ACTIONS_WITH_SLOT,
    OPENING,
    QUESTIONS,
    SLOTS,
    Action,
    Question,
    Step,
    Subject,
    format_program,
    make_ask_step,
)
from conformance.scenarios.stateful import FIXED_ANSWERS, ProgramRun, is_program

# How steps are drawn. Eight faults of a simulated service, each searched for with 60 seeds, were
# found in 80 % of the searches, and in 45 % when Hypothesis chose its rules.
ASKS_AFTER_A_CHANGE, ASKS_AGAIN = 0.8, 0.1  # how probable it is that a step asks
CHANGING = 5  # the weight of a question whose answer depends on something
QUESTIONS_AT_ONCE = (2, 3, 4)
RESTARTS = (Action.RESTART, Action.KILL)
ASK_EACH = make_ask_step(
    Question(Subject.ITEM, 0), Question(Subject.EXTERNAL), Question(Subject.SUBMIT)
)
# What a search does rarely, it does where it tells most: a process ends when it may have kept what
# is no longer so.
BEFORE = dict.fromkeys(RESTARTS, (ASK_EACH, Step(Action.CHANGE), Step(Action.DOCUMENT, 1)))
AFTER = dict.fromkeys((*RESTARTS, Action.GROW), (ASK_EACH,))
# Every step but those that ask.
CHANGES = [
    Step(action, slot)
    for action in Action
    if action is not Action.ASK
    for slot in (range(SLOTS) if action in ACTIONS_WITH_SLOT else (0,))
]


@dataclass
class Search:
    """Looks for a program that fails. What was tried least so far is drawn most."""

    begin_program: Callable[[], ProgramRun]
    history: list[list[Step]] = field(default_factory=list)  # the steps of each program so far
    coverage: Coverage = field(default_factory=Coverage)

    async def run(self, seed: int) -> Violation | None:
        """Run programs until one fails. Returns the violation, or None."""
        drawn = random.Random(seed)  # noqa: S311 - steps, no secret
        for _ in range(timeouts.PROGRAMS):
            program = self.begin_program()
            self.history.append(program.done)
            try:
                await self._run_program(program, drawn)
            except Violation as violation:
                return violation
            finally:
                await program.close()
        return None

    async def _run_program(self, program: ProgramRun, drawn: random.Random) -> None:
        for step in OPENING:
            await self._take_step(program, step)
        while len(program.done) < timeouts.STEPS_OF_A_PROGRAM:
            for step in self._draw_steps(program, drawn):
                await self._take_step(program, step)
        await program.finish()

    async def _take_step(self, program: ProgramRun, step: Step) -> None:
        if program.is_possible(step):
            self.coverage.note(step, program.world)
            await program.take_step(step)

    def _draw_steps(self, program: ProgramRun, drawn: random.Random) -> Sequence[Step]:
        """The next step, or those that belong together."""
        has_just_asked = program.done[-1].action is Action.ASK
        if drawn.random() < (ASKS_AGAIN if has_just_asked else ASKS_AFTER_A_CHANGE):
            return [self._draw_questions(program, drawn)]
        possible = [step for step in CHANGES if self._may_take(step, program)]
        weights = [prefer_rare(self.coverage.count_taken(step.action)) for step in possible]
        (step,) = drawn.choices(possible, weights)
        return [*BEFORE.get(step.action, ()), step, *AFTER.get(step.action, ())]

    def _draw_questions(self, program: ProgramRun, drawn: random.Random) -> Step:
        states = program.world.states
        weights = [
            (1 if question.subject in FIXED_ANSWERS else CHANGING)
            * prefer_rare(self.coverage.count_asked(question, states))
            for question in QUESTIONS
        ]
        return make_ask_step(*drawn.choices(QUESTIONS, weights, k=drawn.choice(QUESTIONS_AT_ONCE)))

    def _may_take(self, step: Step, program: ProgramRun) -> bool:
        """Whether a step is possible, and not one too many of those that a search has few of."""
        taken = self.coverage.count_taken
        match step.action:
            case Action.GROW:
                has_reads = not program.world.database_refuses
                is_left = has_reads and taken(Action.GROW) < timeouts.COLUMNS_OF_A_SEARCH
            case Action.RESTART | Action.KILL:
                has_past = len(self.history) > timeouts.PROGRAMS // 2
                is_left = has_past and sum(map(taken, RESTARTS)) < timeouts.RESTARTS_OF_A_SEARCH
            case _:
                is_left = True
        return is_left and program.is_possible(step)


def prefer_rare(times: int) -> float:
    """The weight of what was tried so many times."""
    return 1 / (1 + times)


RunOnNewTarget = Callable[[Sequence[Step]], Awaitable[Violation | None]]


async def shorten_program(
    history: Sequence[Sequence[Step]],
    violation: Violation,
    run_on_new_target: RunOnNewTarget,
    journal: Journal,
) -> Violation:
    """Find a short program that fails, in SEARCH_DEADLINE seconds, each run on a target of its own.

    It begins with the last program of a search alone. As long as that does not fail again, it takes
    twice as many, in turn. Returns the violation of the shortest that failed. If not even all of
    them fail again, returns the violation as it was seen. Its steps are then no program that can be
    run again.
    """
    until = time.monotonic() + timeouts.SEARCH_DEADLINE
    for steps in _list_suffixes(history):
        if found := await run_on_new_target(steps):
            shortest = _ShortestProgram(steps, found, run_on_new_target, until)
            await shortest.shorten()
            return shortest.violation
    failed = f"sequence {len(history)} failed, and not again on a new target"
    taken = journal.observe("search", f"{failed}: {format_program(history[-1])}")
    evidence = [taken if is_program(fact) else fact for fact in violation.evidence]
    return Violation(violation.expected, violation.got, evidence, violation.likely_cause)


@dataclass
class _ShortestProgram:
    """The shortest program so far that fails, and how it does."""

    steps: list[Step]
    violation: Violation
    run_on_new_target: RunOnNewTarget
    until: float  # the end of trying, by the monotonic clock

    async def shorten(self) -> None:
        """Take away as many steps and questions as possible."""
        await self._try(_drop_fixed_questions(self.steps))
        size = len(self.steps)
        while size := size // 2:
            start = 0
            while start < len(self.steps):
                is_kept = await self._try(self.steps[:start] + self.steps[start + size :])
                start += 0 if is_kept else size
        for index, step in enumerate(self.steps):
            for question in step.questions:
                await self._try(_drop_question(self.steps, index, question))

    async def _try(self, fewer: list[Step]) -> bool:
        """Keep these steps if they fail too, as long as there is time. Returns whether they do."""
        if fewer == self.steps or time.monotonic() >= self.until:
            return False
        violation = await self.run_on_new_target(fewer)
        if violation:
            self.steps, self.violation = fewer, violation
        return violation is not None


def _drop_fixed_questions(steps: list[Step]) -> list[Step]:
    """The same steps without the questions whose answer depends on nothing."""
    asking = [
        [question for question in step.questions if question.subject not in FIXED_ANSWERS]
        for step in steps
    ]
    return [
        make_ask_step(*questions) if questions else step
        for step, questions in zip(steps, asking, strict=True)
        if questions or step.action is not Action.ASK
    ]


def _drop_question(steps: list[Step], index: int, question: Question) -> list[Step]:
    """The same steps, one of which asks less, if it asks anything else."""
    left = list(steps[index].questions)
    left.remove(question)
    return [*steps[:index], make_ask_step(*left), *steps[index + 1 :]] if left else steps


def _list_suffixes(history: Sequence[Sequence[Step]]) -> Iterator[list[Step]]:
    """The steps of the last program, of the last two, the last four and so on, and of all."""
    count = 1
    while count < len(history):
        yield list(chain(*history[-count:]))
        count *= 2
    yield list(chain(*history))
