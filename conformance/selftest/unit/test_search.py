"""The search of CONC-11: when it ends, what it covers and finds, and how a program is shortened."""

import signal
from collections import Counter
from collections.abc import Sequence

import pytest

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, Violation
from conformance.core.evidence import Journal
from conformance.scenarios.program import OPENING, Action, Step, format_program, parse_program
from conformance.scenarios.search import RESTARTS, Search, shorten_program
from conformance.scenarios.stateful import PROGRAM, is_program
from conformance.selftest.support.simulated import Answer, Service
from conformance.spec.model import World
from conformance.testbed.upstream_hold import HoldMode

SEED = 2026
PROGRAM_OF_EIGHT = parse_program(
    "document 0; add 0; hold; lock; ask sync; broker denies; unlock; broker heals"
)


async def search(service: Service, seed: int = SEED) -> tuple[Search, Violation | None]:
    found = Search(service.begin_program)
    return found, await found.run(seed)


async def test_a_right_service_is_searched_to_the_end_and_left_as_it_was() -> None:
    service = Service()
    found, violation = await search(service)
    assert violation is None
    assert len(found.history) == timeouts.PROGRAMS
    assert all(tuple(steps[:2]) == OPENING for steps in found.history)
    assert not service.active
    assert not service.rows


@pytest.mark.parametrize("seed", range(5))
async def test_a_search_takes_what_is_dear_as_often_as_it_may(seed: int) -> None:
    service = Service()
    found, _ = await search(service, seed)
    taken = [step.action for steps in found.history for step in steps]
    assert taken.count(Action.GROW) == timeouts.COLUMNS_OF_A_SEARCH
    assert sum(map(taken.count, RESTARTS)) == timeouts.RESTARTS_OF_A_SEARCH
    assert len(service.restarts) == timeouts.RESTARTS_OF_A_SEARCH
    (program,) = (steps for steps in found.history if {step.action for step in steps} & {*RESTARTS})
    assert found.history.index(program) >= timeouts.PROGRAMS // 2


@pytest.mark.parametrize("seed", range(5))
async def test_a_search_says_what_it_has_covered(seed: int) -> None:
    service = Service()
    found, _ = await search(service, seed)
    covered = found.coverage.record(service.journal, found.history)
    taken = [step.action for steps in found.history for step in steps]
    assert covered.steps == {action: taken.count(action) for action in Action}
    assert list(covered.asked) == ["as usual", *World.STATES.values()]
    pairs = sum(map(len, covered.asked.values()))
    assert pairs >= 48  # of 64; Hypothesis's own choice of rules came to 19 to 33
    kinds = len(set(taken))
    assert kinds >= len(Action) - 2  # one of the two restarts is left out, and one more perhaps
    assert covered.text.startswith(f"12 sequences of {len(taken)} steps took {kinds} of 21 kinds")
    assert f"asked {pairs} of 64 pairs of a state and a question" in covered.text


async def test_a_seed_yields_the_same_programs_each_time() -> None:
    first, again, other = [(await search(Service(), seed))[0].history for seed in (1, 1, 2)]
    assert first == again
    assert first != other


class ForgetsAfterTwoFailures(Service):
    """A service that answers an empty document once two outbound calls have failed."""

    failures = 0

    def _call_upstream(self) -> Answer:
        status, body = super()._call_upstream()
        self.failures += status != 200
        return (200, {}) if self.failures > 1 else (status, body)


class KeepsWhatWasReadInAnOutage(Service):
    """A service that answers what it has read before, once the database has refused it."""

    def __init__(self) -> None:
        super().__init__()
        self.was_refused = False
        self.known: dict[int, Answer] = {}

    def _read_row(self, item_id: int) -> Answer:
        status, body = super()._read_row(item_id)
        if status != 200:
            self.was_refused = True
            return status, body
        if not self.was_refused or item_id not in self.known:
            self.known[item_id] = status, body
        return self.known[item_id]


class KeepsTheDocumentOverARestart(Service):
    """A service whose first outbound call after a restart gets the last document before it."""

    last: Answer | None = None
    kept: Answer | None = None

    def restart(self, number: signal.Signals) -> Violation | None:
        """Keep the last document."""
        self.kept = self.last
        return super().restart(number)

    def _call_upstream(self) -> Answer:
        answer = super()._call_upstream()
        if answer[0] == 200:
            self.last = answer
        kept, self.kept = self.kept, None
        return kept or answer


class StopsWhileTwoThingsAreHeld(Service):
    """A service that answers 503 while reads and outbound calls are held at once."""

    def answer(self, path: str) -> Answer:
        """Answer 503 to `/sync` in that state."""
        is_stopped = {"locked", HoldMode.TRICKLE_HEAD.name} <= set(self.active)
        return (503, {}) if is_stopped and path == "/sync" else super().answer(path)


class RemembersWhatIsReadOften(Service):
    """A service that reads a row ten times, and not once more."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[int] = Counter()
        self.known: dict[int, Answer] = {}

    def _read_row(self, item_id: int) -> Answer:
        answer = super()._read_row(item_id)
        if answer[0] == 200:
            self.reads[item_id] += 1
            if self.reads[item_id] == 10:
                self.known[item_id] = answer
        return self.known.get(item_id, answer)


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        (ForgetsAfterTwoFailures, 18),
        (KeepsWhatWasReadInAnOutage, 18),
        (KeepsTheDocumentOverARestart, 17),
        (StopsWhileTwoThingsAreHeld, 5),
        (RemembersWhatIsReadOften, 8),
    ],
)
async def test_a_wrong_service_is_found_with_many_seeds(kind: type[Service], least: int) -> None:
    found = [(await search(kind(), seed))[1] for seed in range(20)]
    assert sum(map(bool, found)) >= least


async def test_the_first_failure_ends_the_search() -> None:
    service = ForgetsAfterTwoFailures()
    found, violation = await search(service)
    assert violation
    (program,) = (fact for fact in violation.evidence if is_program(fact))
    assert program.text == format_program(found.history[-1])  # type: ignore[attr-defined]
    asked = sum(len(step.questions) for steps in found.history for step in steps)
    assert len(service.requests) - service.further_reads == asked
    assert not service.active


async def test_what_fails_and_is_no_violation_ends_the_search_and_is_raised() -> None:
    class Broken(Service):
        def _take_submission(self) -> Answer:
            raise BrokenTestbed("the broker is gone")

    service = Broken()
    with pytest.raises(BrokenTestbed, match="the broker is gone"):
        await search(service)
    assert not service.active
    assert not service.rows


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        (ForgetsAfterTwoFailures, "upstream fails; ask external, external"),
        (KeepsTheDocumentOverARestart, "ask external; document 1; kill; ask external"),
    ],
)
async def test_what_a_search_finds_becomes_a_few_steps_with_few_questions(
    kind: type[Service], program: str
) -> None:
    found, violation = await search(kind())
    assert violation

    async def run(steps: Sequence[Step]) -> Violation | None:
        try:
            await kind().begin_program().run_steps(steps)
        except Violation as again:
            return again
        return None

    short = await shorten_program(found.history, violation, run, Journal())
    (fact,) = (fact for fact in short.evidence if is_program(fact))
    assert fact.text == program  # type: ignore[attr-defined]


def violation_of(steps: Sequence[Step]) -> Violation:
    journal = Journal()
    program = journal.observe(PROGRAM, format_program(steps))
    other = journal.observe("row", "items has no row 1")
    return Violation("a row", "none", (other, program), "the cache")


async def test_a_program_is_shortened_to_the_steps_that_it_takes_to_fail() -> None:
    needed = parse_program("add 0; unlock")

    async def run(steps: Sequence[Step]) -> Violation | None:
        return violation_of(steps) if all(step in steps for step in needed) else None

    violation = violation_of(PROGRAM_OF_EIGHT)
    found = await shorten_program([PROGRAM_OF_EIGHT], violation, run, Journal())
    assert found.evidence[1].text == "add 0; unlock"  # type: ignore[attr-defined]


async def test_a_failure_that_takes_an_earlier_program_is_shortened_across_both() -> None:
    earlier = parse_program("document 0; add 0; sessions end")

    async def run(steps: Sequence[Step]) -> Violation | None:
        is_failing = earlier[2] in steps and PROGRAM_OF_EIGHT[2] in steps
        return violation_of(steps) if is_failing else None

    history = [earlier, PROGRAM_OF_EIGHT]
    found = await shorten_program(history, violation_of(PROGRAM_OF_EIGHT), run, Journal())
    assert found.evidence[1].text == "sessions end; hold"  # type: ignore[attr-defined]


async def test_a_failure_that_does_not_happen_again_shows_its_steps_and_no_program() -> None:
    async def run(_: Sequence[Step]) -> Violation | None:
        return None

    violation = violation_of(PROGRAM_OF_EIGHT)
    found = await shorten_program([PROGRAM_OF_EIGHT], violation, run, Journal())
    assert (found.expected, found.got, found.likely_cause) == ("a row", "none", "the cache")
    steps = "document 0; add 0; hold; lock; ask sync; broker denies; unlock; broker heals"
    assert [fact.text for fact in found.evidence] == [  # type: ignore[attr-defined]
        "items has no row 1",
        f"sequence 1 failed, and not again on a new target: {steps}",
    ]
    assert not any(map(is_program, found.evidence))


async def test_shortening_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "SEARCH_DEADLINE", 0.0)
    ran: list[Sequence[Step]] = []

    async def run(steps: Sequence[Step]) -> Violation | None:
        ran.append(steps)
        return violation_of(steps)

    violation = violation_of(PROGRAM_OF_EIGHT)
    found = await shorten_program([PROGRAM_OF_EIGHT], violation, run, Journal())
    assert ran == [PROGRAM_OF_EIGHT]
    assert found.evidence[1].text == format_program(PROGRAM_OF_EIGHT)  # type: ignore[attr-defined]
