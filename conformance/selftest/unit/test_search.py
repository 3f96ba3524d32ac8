"""The search of CONC-11: when it ends, what it keeps, and how a program is shortened."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, Violation
from conformance.core.evidence import Journal
from conformance.scenarios.program import OPENING, Step, format_program, parse_program
from conformance.scenarios.search import Search, shorten_program
from conformance.scenarios.stateful import PROGRAM, ProgramRun, is_program
from conformance.selftest.support.simulated import Answer, Service

SEED = 2026
PROGRAM_OF_EIGHT = parse_program(
    "document 0; add 0; hold; lock; ask sync; broker denies; unlock; broker heals"
)


async def search(begin_program: Callable[[], ProgramRun], seed: int = SEED) -> Search:
    found = Search(begin_program, asyncio.get_running_loop())
    await asyncio.to_thread(found.run, seed)
    return found


async def test_a_right_service_is_searched_to_the_end_and_left_as_it_was() -> None:
    service = Service()
    found = await search(service.begin_program)
    assert not found.is_over
    assert len(found.history) == timeouts.PROGRAMS
    assert all(tuple(steps[:2]) == OPENING for steps in found.history)
    assert not service.active
    assert not service.rows


async def test_a_seed_yields_the_same_programs_each_time() -> None:
    first, again, other = [
        (await search(Service().begin_program, seed)).history for seed in (1, 1, 2)
    ]
    assert first == again
    assert first != other


class ForgetsAfterTwoFailures(Service):
    """A service that answers an empty document once two outbound calls have failed."""

    failures = 0

    def _call_upstream(self) -> Answer:
        status, body = super()._call_upstream()
        self.failures += status != 200
        return (200, {}) if self.failures > 1 else (status, body)


async def test_the_first_failure_ends_the_search() -> None:
    service = ForgetsAfterTwoFailures()
    found = await search(service.begin_program)
    assert found.violation
    (program,) = (fact for fact in found.violation.evidence if is_program(fact))
    assert program.text == format_program(found.history[-1])  # type: ignore[attr-defined]
    asked = sum(len(step.questions) for steps in found.history for step in steps)
    assert len(service.requests) - service.reads_at_once == asked
    assert not service.active


async def test_what_fails_and_is_no_violation_ends_the_search_and_is_raised() -> None:
    class Broken(Service):
        def _take_submission(self) -> Answer:
            raise BrokenTestbed("the broker is gone")

    service = Broken()
    with pytest.raises(BrokenTestbed, match="the broker is gone"):
        await search(service.begin_program)
    assert not service.active
    assert not service.rows


def violation_of(steps: Sequence[Step]) -> Violation:
    journal = Journal()
    program = journal.observe(PROGRAM, format_program(steps))
    other = journal.observe("row", "items has no row 1")
    return Violation("a row", "none", (other, program), "the cache")


async def test_a_program_is_shortened_to_the_steps_that_it_takes_to_fail() -> None:
    needed = parse_program("add 0; unlock")

    async def run(steps: Sequence[Step]) -> Violation | None:
        return violation_of(steps) if all(step in steps for step in needed) else None

    found = await shorten_program([PROGRAM_OF_EIGHT], violation_of(PROGRAM_OF_EIGHT), run)
    assert found.evidence[1].text == "add 0; unlock"  # type: ignore[attr-defined]


async def test_a_failure_that_takes_an_earlier_program_is_shortened_across_both() -> None:
    earlier = parse_program("document 0; add 0; sessions end")

    async def run(steps: Sequence[Step]) -> Violation | None:
        is_failing = earlier[2] in steps and PROGRAM_OF_EIGHT[2] in steps
        return violation_of(steps) if is_failing else None

    history = [earlier, PROGRAM_OF_EIGHT]
    found = await shorten_program(history, violation_of(PROGRAM_OF_EIGHT), run)
    assert found.evidence[1].text == "sessions end; hold"  # type: ignore[attr-defined]


async def test_a_failure_that_does_not_happen_again_is_reported_without_a_program() -> None:
    async def run(_: Sequence[Step]) -> Violation | None:
        return None

    found = await shorten_program([PROGRAM_OF_EIGHT], violation_of(PROGRAM_OF_EIGHT), run)
    assert (found.expected, found.got, found.likely_cause) == ("a row", "none", "the cache")
    assert [fact.summary for fact in found.evidence] == ["items has no row 1 (row check 1)"]


async def test_shortening_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "SEARCH_DEADLINE", 0.0)
    ran: list[Sequence[Step]] = []

    async def run(steps: Sequence[Step]) -> Violation | None:
        ran.append(steps)
        return violation_of(steps)

    found = await shorten_program([PROGRAM_OF_EIGHT], violation_of(PROGRAM_OF_EIGHT), run)
    assert ran == [PROGRAM_OF_EIGHT]
    assert found.evidence[1].text == format_program(PROGRAM_OF_EIGHT)  # type: ignore[attr-defined]
