"""What a search of CONC-11 has covered: which steps it took, and what it asked in which state."""

from collections import Counter
from collections.abc import Iterable, Sequence

from conformance.core.evidence import Journal
from conformance.core.observations import SearchCoverage
from conformance.scenarios.program import QUESTIONS, Action, Question, Step
from conformance.spec.model import World

USUAL = "as usual"  # the state in which nothing is held, fails, or is otherwise not as usual


class Coverage:
    """Counts the steps that a search draws, and the questions that were asked in each state.

    Where several things are not as usual at once, a question counts for each of them.
    """

    def __init__(self) -> None:
        self._steps = Counter[Action]()
        self._asked = Counter[tuple[str, str]]()  # state and question
        self._combinations = set[tuple[str, ...]]()  # states that were there at once

    def note(self, step: Step, world: World) -> None:
        """Count a step that was drawn in the world as it is."""
        self._steps[step.action] += 1
        if step.questions:
            self._combinations.add(world.states)
        for state in world.states or (USUAL,):
            self._asked.update((state, str(question)) for question in step.questions)

    def count_taken(self, action: Action) -> int:
        """How often a kind of step was drawn."""
        return self._steps[action]

    def count_asked(self, question: Question, states: tuple[str, ...]) -> int:
        """How often a question was asked in these states, in the one in which it was rarest."""
        return min(self._asked[state, str(question)] for state in states or (USUAL,))

    def record(self, journal: Journal, programs: Sequence[Sequence[Step]]) -> SearchCoverage:
        """Record what these programs have covered, their endings included."""
        steps = Counter(step.action for program in programs for step in program)
        return journal.record(
            SearchCoverage,
            text=self._describe(len(programs), steps),
            programs=len(programs),
            steps={action: steps[action] for action in Action},
            asked={state: self._list_asked(state) for state in _list_states()},
            combinations=tuple(sorted(self._combinations)),
        )

    def _describe(self, programs: int, steps: Counter[Action]) -> str:
        pairs = len(_list_states()) * len(QUESTIONS)
        never = [action for action in Action if not steps[action]]
        return (
            f"{programs} sequences of {steps.total()} steps took "
            f"{len(steps)} of {len(Action)} kinds of step{_name_rest('all but', never)}, and "
            f"asked {len(self._asked)} of {pairs} pairs of a state and a question, "
            f"in {len(self._combinations)} combinations of states"
        )

    def _list_asked(self, state: str) -> dict[str, int]:
        counts = {str(question): self._asked[state, str(question)] for question in QUESTIONS}
        return {question: count for question, count in counts.items() if count}


def _list_states() -> tuple[str, ...]:
    return (USUAL, *World.STATES.values())


def _name_rest(words: str, names: Iterable[str]) -> str:
    listed = ", ".join(names)
    return f" ({words} {listed})" if listed else ""
