"""Programs of the stateful scenario: what steps there are, and how a program is written and read.

A program is one line of steps separated by semicolons, such as
`add 0; lock; ask item 0, external; unlock`. A search prints what it found as such a line, and
`--steps` runs it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.core.errors import WrongUsage

# Rows that a program can name, by numbers from 0. The first has a small id. There are as many
# documents of the upstream.
SLOTS = 2


class Subject(StrEnum):
    """What a request asks for."""

    SYNC = "sync"
    ASYNC = "async"
    LIST = "list"  # the listing with a `q`
    NONE = "none"  # the listing without one
    ITEM = "item"  # the row of a slot
    EXTERNAL = "external"
    SUBMIT = "submit"


class Action(StrEnum):
    """What a step does. The text is how a program writes it."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    DOCUMENT = "document"
    LOCK = "lock"
    UNLOCK = "unlock"
    HOLD = "hold"
    RELEASE = "release"
    DATABASE_REFUSES = "database refuses"
    DATABASE_HEALS = "database heals"
    SESSIONS_END = "sessions end"
    UPSTREAM_FAILS = "upstream fails"
    UPSTREAM_HEALS = "upstream heals"
    BROKER_DENIES = "broker denies"
    BROKER_HEALS = "broker heals"
    GROW = "grow"  # the table gets another column
    SHRINK = "shrink"  # and loses it again
    READ_OFTEN = "read often"  # the row of a slot
    RESTART = "restart"  # the target, after SIGTERM
    KILL = "kill"  # the target, which is started again
    ASK = "ask"


ACTIONS_WITH_SLOT = (
    Action.ADD,
    Action.CHANGE,
    Action.DELETE,
    Action.DOCUMENT,
    Action.READ_OFTEN,
)


@dataclass(frozen=True)
class Question:
    """One request of a step; `slot` is the row that it asks for, where it asks for one."""

    subject: Subject
    slot: int | None = None

    def __str__(self) -> str:
        """The question as a program writes it: `external`, `item 0`."""
        return self.subject if self.slot is None else f"{self.subject} {self.slot}"


@dataclass(frozen=True)
class Step:
    """One step: an action, and the slot or the questions of those actions that take them."""

    action: Action
    slot: int = 0
    questions: tuple[Question, ...] = ()

    def __str__(self) -> str:
        """The step as a program writes it: `lock`, `add 0`, `ask item 0, external`."""
        if self.action is Action.ASK:
            return f"{self.action} {', '.join(map(str, self.questions))}"
        return f"{self.action} {self.slot}" if self.action in ACTIONS_WITH_SLOT else self.action


def make_ask_step(*questions: Question) -> Step:
    """Make the step that sends these requests at once."""
    return Step(Action.ASK, questions=questions)


QUESTIONS = (
    *map(Question, (Subject.SYNC, Subject.ASYNC, Subject.LIST, Subject.NONE)),
    *(Question(Subject.ITEM, slot) for slot in range(SLOTS)),
    *map(Question, (Subject.EXTERNAL, Subject.SUBMIT)),
)

# How a search begins each program.
OPENING = (Step(Action.DOCUMENT), Step(Action.ADD))

# How each program ends, as far as these are still possible.
ENDING = (
    Step(Action.UPSTREAM_HEALS),
    Step(Action.BROKER_HEALS),
    Step(Action.RELEASE),
    Step(Action.UNLOCK),
    Step(Action.DATABASE_HEALS),
    Step(Action.SHRINK),
)

# Every question by itself, while nothing fails.
ONE_BY_ONE = (*OPENING, *map(make_ask_step, QUESTIONS))

_QUESTION_BY_TEXT = {str(question): question for question in QUESTIONS}
_STEPS_WITH_SLOT = [Step(action, slot) for action in ACTIONS_WITH_SLOT for slot in range(SLOTS)]
_PLAIN_STEPS = [Step(action) for action in Action if action not in (*ACTIONS_WITH_SLOT, Action.ASK)]
_STEP_BY_TEXT = {str(step): step for step in (*_STEPS_WITH_SLOT, *_PLAIN_STEPS)}


def parse_program(text: str) -> list[Step]:
    """Read a program. Raises WrongUsage if a part of it is not a step."""
    parts = (" ".join(part.split()) for part in text.split(";"))
    return [_parse_step(part) for part in parts if part]


def format_program(steps: Sequence[Step]) -> str:
    """Write a program so that `parse_program` reads the same steps."""
    return "; ".join(map(str, steps))


def _parse_step(text: str) -> Step:
    if step := _STEP_BY_TEXT.get(text):
        return step
    action, _, rest = text.partition(" ")
    questions = [_QUESTION_BY_TEXT.get(name) for name in rest.split(", ")]
    if action == Action.ASK and None not in questions:
        return make_ask_step(*(question for question in questions if question))
    raise WrongUsage(
        f"--steps must be steps separated by semicolons; {text!r} is not one "
        f"(allowed: {', '.join(_describe_steps())}, "
        f"and 'ask' with any of {', '.join(_QUESTION_BY_TEXT)}, separated by commas)"
    )


def _describe_steps() -> list[str]:
    with_slot = [f"{action} 0…{SLOTS - 1}" for action in ACTIONS_WITH_SLOT]
    return [*with_slot, *map(str, _PLAIN_STEPS)]
