"""The table of steps: when each is possible, what it does, and how its answers are judged."""

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.core.errors import NoEvidence, Violation
from conformance.scenarios.program import (
    ENDING,
    ONE_BY_ONE,
    SLOTS,
    Action,
    Step,
    format_program,
    parse_program,
)
from conformance.scenarios.stateful import TRANSITIONS, is_program, read_until_recovered
from conformance.selftest.support.programs import STEPS
from conformance.selftest.support.simulated import Answer, Service

EVERY_STEP = [Step(action, slot) for action in Action for slot in range(SLOTS)]
ALWAYS = {"document 0", "document 1"}
FAULTS = {"hold", "upstream fails", "broker denies"}
WITHOUT_ROWS = {"add 0", "add 1"}
WITH_THE_FIRST_ROW = {"add 1", "change 0", "delete 0"}
READS_ARE_FREE = {"lock", "sessions end", "database refuses", "read often 0", "read often 1"}
RESTARTS = {"restart", "kill"}


def test_every_action_has_its_row_in_the_table() -> None:
    assert TRANSITIONS.keys() == {*Action}


@pytest.mark.parametrize(
    ("program", "possible"),
    [
        ("", WITHOUT_ROWS | READS_ARE_FREE | FAULTS | {"grow"} | RESTARTS),
        ("add 0", WITH_THE_FIRST_ROW | READS_ARE_FREE | FAULTS | {"grow"} | RESTARTS),
        ("add 0; delete 0", WITHOUT_ROWS | READS_ARE_FREE | FAULTS | {"grow"} | RESTARTS),
        ("grow", WITHOUT_ROWS | READS_ARE_FREE | FAULTS | {"shrink"} | RESTARTS),
        ("grow; lock", {"unlock", "database refuses"} | FAULTS),
        ("lock", {"unlock", "database refuses"} | FAULTS),
        ("database refuses", {"database heals", "grow"} | WITHOUT_ROWS | FAULTS),
        ("lock; database refuses", {"unlock"} | FAULTS),
        ("hold", {"release", "grow"} | WITHOUT_ROWS | READS_ARE_FREE | FAULTS - {"hold"}),
        (
            "upstream fails",
            {"upstream heals", "grow"}
            | WITHOUT_ROWS
            | READS_ARE_FREE
            | FAULTS - {"upstream fails"},
        ),
        (
            "broker denies",
            {"broker heals", "grow"} | WITHOUT_ROWS | READS_ARE_FREE | FAULTS - {"broker denies"},
        ),
    ],
)
async def test_the_world_decides_which_steps_are_possible(program: str, possible: set[str]) -> None:
    run = Service().begin_program()
    for step in parse_program(program):
        await run.take_step(step)
    found = {str(step) for step in EVERY_STEP if run.is_possible(step)}
    assert found - {"ask "} == possible | ALWAYS


@given(st.lists(STEPS, max_size=12))
async def test_a_right_service_passes_every_program_and_is_left_as_it_was(
    program: list[Step],
) -> None:
    service = Service()
    await service.begin_program().run_steps(program)
    assert not service.active
    assert not service.rows


async def test_steps_that_are_not_possible_are_left_out() -> None:
    service = Service()
    run = service.begin_program()
    await run.run_steps(parse_program("unlock; add 0; add 0; delete 1; delete 0"))
    assert format_program(run.done) == "add 0; delete 0"


async def test_every_question_is_asked_by_itself() -> None:
    service = Service()
    await service.begin_program().run_steps(ONE_BY_ONE)
    present, absent = service.requests[4:6]
    assert present != absent
    assert service.requests == [
        "/sync",
        "/async",
        "/items/?q=a",
        "/items/",
        present,
        absent,
        "/external-data",
        "/process-data/",
    ]


async def test_a_held_request_is_judged_once_it_is_released() -> None:
    service = Service()
    run = service.begin_program()
    for step in parse_program("add 0; lock; hold; ask item 0, external, sync"):
        await run.take_step(step)
    assert [asked.subject for asked in run.held] == ["item", "external"]
    await run.take_step(Step(Action.RELEASE))
    assert [asked.subject for asked in run.held] == ["item"]
    await run.take_step(Step(Action.UNLOCK))
    assert not run.held
    await run.close()


def test_a_program_ends_with_nothing_left_to_heal_or_release() -> None:
    begins_and_ends = {
        Action.LOCK: Action.UNLOCK,
        Action.HOLD: Action.RELEASE,
        Action.DATABASE_REFUSES: Action.DATABASE_HEALS,
        Action.UPSTREAM_FAILS: Action.UPSTREAM_HEALS,
        Action.BROKER_DENIES: Action.BROKER_HEALS,
        Action.GROW: Action.SHRINK,
    }
    assert {step.action for step in ENDING} == set(begins_and_ends.values())


async def test_a_column_that_was_added_may_be_shown_or_not() -> None:
    class HidesIt(Service):
        def _read_row(self, item_id: int) -> Answer:
            status, body = super()._read_row(item_id)
            row = body["item"]
            return status, {"item": row and {name: row[name] for name in row.keys() - {"colour"}}}

    program = parse_program("add 0; grow; ask item 0; change 0; read often 0; add 1; shrink")
    for service in (Service(), HidesIt()):
        await service.begin_program().run_steps([*program, *parse_program("ask item 0, item 1")])


async def test_a_target_that_cannot_be_stopped_is_not_restarted() -> None:
    run = Service().begin_program()
    run.restart = None
    assert not run.is_possible(Step(Action.RESTART))
    assert not run.is_possible(Step(Action.KILL))


async def test_a_service_that_does_not_start_again_is_for_another_requirement_to_judge() -> None:
    class EndsForGood(Service):
        def restart(self, number: signal.Signals) -> Violation | None:
            return Violation("an answer", f"nothing after {number.name}", [])

    with pytest.raises(NoEvidence, match=r"LIFE-9.*nothing after SIGTERM"):
        await EndsForGood().begin_program().run_steps(parse_program("restart"))


class RemembersRows(Service):
    """A service that answers a row as it was first read."""

    def __init__(self) -> None:
        super().__init__()
        self._remembered: dict[int, Answer] = {}

    def _read_row(self, item_id: int) -> Answer:
        return self._remembered.setdefault(item_id, super()._read_row(item_id))


class HidesTheOutage(Service):
    """A service that answers null while its database refuses it."""

    def _read_row(self, item_id: int) -> Answer:
        status, body = super()._read_row(item_id)
        return (200, {"item": None}) if status == 503 else (status, body)


class AcceptsEverything(Service):
    """A service that answers a submission with success while the broker refuses writes."""

    def _take_submission(self) -> Answer:
        return 200, {"message": "Task submitted", "task_id": "1"}


class RelaysFailures(Service):
    """A service that answers an empty document while the upstream fails."""

    def _call_upstream(self) -> Answer:
        status, body = super()._call_upstream()
        return (200, {}) if status == 502 else (status, body)


@pytest.mark.parametrize(
    ("service", "program", "got"),
    [
        (RemembersRows(), "add 0; ask item 0; change 0; ask item 0", '"quantity"'),
        (HidesTheOutage(), "add 0; database refuses; ask item 0", '{"item": null}'),
        (AcceptsEverything(), "broker denies; ask submit", "200 "),
        (RelaysFailures(), "document 1; upstream fails; ask external", "200 {}"),
    ],
)
async def test_a_wrong_answer_is_a_violation_with_the_program_that_led_to_it(
    service: Service, program: str, got: str
) -> None:
    with pytest.raises(Violation) as caught:
        await service.begin_program().run_steps(parse_program(program))
    assert got in caught.value.got
    assert [fact.text for fact in caught.value.evidence if is_program(fact)] == [program]  # type: ignore[attr-defined]
    assert not service.active


class FailsWith(Service):
    """A service that answers with one status while a fault disturbs it, or always."""

    def __init__(self, status: int, *, is_always_failing: bool = False) -> None:
        super().__init__()
        self._status = status
        self._is_always_failing = is_always_failing

    def _read_row(self, item_id: int) -> Answer:
        status, body = super()._read_row(item_id)
        is_failing = status != 200 or self._is_always_failing
        return (self._status, {}) if is_failing else (status, body)


@pytest.mark.parametrize("status", [404, 500, 503, 504])
async def test_a_disturbed_request_may_be_answered_with_any_failure(status: int) -> None:
    program = parse_program("add 0; database refuses; ask item 0")
    await FailsWith(status).begin_program().run_steps(program)


async def test_a_request_that_nothing_disturbs_must_be_answered_right() -> None:
    service = FailsWith(503, is_always_failing=True)
    with pytest.raises(Violation, match="got 503"):
        await service.begin_program().run_steps(parse_program("add 0; ask item 0"))


class RecoversLate(Service):
    """A service of which so many reads fail."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self._failures = failures

    def _read_row(self, item_id: int) -> Answer:
        self._failures -= 1
        return (503, {}) if self._failures >= 0 else super()._read_row(item_id)


@pytest.mark.parametrize(("failures", "status"), [(0, 200), (1, 200), (40, 200), (41, 503)])
async def test_reads_have_five_rounds_of_ten_to_succeed(failures: int, status: int) -> None:
    service: Any = RecoversLate(failures)
    assert (await read_until_recovered(service, "/items/1")).status == status
