"""The stateful scenario: a program of changes, faults and requests, judged step by step.

What each request must answer is a function of `model.World`, which follows the program.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from conformance.client.http import Client, InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact, Journal, Observation
from conformance.judging.assertions import expect, expect_status
from conformance.scenarios.program import (
    ENDING,
    Action,
    Question,
    Step,
    Subject,
    format_program,
)
from conformance.spec import model
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import HoldMode
from conformance.testbed.upstream_replies import Reply, make_reply

PROGRAM = "program"  # the channel of the fact that holds one
READS_AT_ONCE = 10
COLUMN = {"colour": "oak"}  # that `column_added` adds, with its value
FAILURE = Reply(status=500, body=b"<h1>no</h1>", headers=(("Content-Type", "text/html"),))

# The requests whose target and answer depend on nothing.
FIXED_ANSWERS = {
    Subject.SYNC: ("/sync", model.sync_answer()),
    Subject.ASYNC: ("/async", model.async_answer()),
    Subject.LIST: ("/items/?q=a", model.listing_answer("a")),
    Subject.NONE: ("/items/", model.listing_answer(None)),
}


def is_program(fact: Fact) -> bool:
    """Whether a fact is the program that led to a violation."""
    return isinstance(fact, Observation) and fact.channel == PROGRAM


async def read_until_recovered(client: Client, path: str) -> Exchange:
    """GET a path ten times at once, in up to ROUNDS_TO_RECOVER rounds, until all of one succeed.

    Returns one of these, or the first that failed in the last round.
    """
    for _ in range(timeouts.ROUNDS_TO_RECOVER):
        exchanges = await client.get_all(*[path] * READS_AT_ONCE)
        failed = [exchange for exchange in exchanges if exchange.status != 200]
        if not failed:
            return exchanges[0]
    return failed[0]


class ActiveStates:
    """Locks, holds and faults by name, each of which one step enters and another leaves."""

    def __init__(self) -> None:
        self._stacks: dict[str, AsyncExitStack] = {}

    async def enter(
        self, name: str, state: AbstractAsyncContextManager[Any] | AbstractContextManager[Any]
    ) -> None:
        """Leave what has this name, and enter another state."""
        await self.leave(name)
        stack = self._stacks[name] = AsyncExitStack()
        if isinstance(state, AbstractAsyncContextManager):
            await stack.enter_async_context(state)
        else:
            stack.enter_context(state)

    async def leave(self, name: str) -> None:
        """Leave the state of this name, if it is active."""
        if stack := self._stacks.pop(name, None):
            await stack.aclose()

    async def leave_all(self) -> None:
        """Leave every active state, the latest first."""
        for stack in reversed(list(self._stacks.values())):
            await stack.aclose()


# Ends the target by a signal and starts it again. Returns why it did not start, or None.
Restart = Callable[[signal.Signals], Violation | None]


@dataclass
class AskedQuestion:
    """A request that was sent, and whether a fault may have disturbed it since."""

    subject: Subject
    item_id: int
    request: PendingRequest
    is_disturbed: bool = False


@dataclass
class ProgramRun:
    """A program that is being run on a target, with the world as it should be."""

    client: Client
    send: InFlightRequests
    items: Database
    queue: Broker
    upstream: Upstream
    journal: Journal
    restart: Restart | None = None  # None where the suite may not stop the target
    world: model.World = field(default_factory=lambda: model.World(document=[]))  # as the stub's
    done: list[Step] = field(default_factory=list)
    states: ActiveStates = field(default_factory=ActiveStates)
    held: list[AskedQuestion] = field(default_factory=list)
    _row_ids: dict[int, int] = field(default_factory=dict)  # by slot

    def is_possible(self, step: Step) -> bool:
        """Whether the step can be taken in the world as it is."""
        return TRANSITIONS[step.action].is_possible(self, step)

    async def take_step(self, step: Step) -> None:
        """Take one step and judge what it brings.

        Raises Violation, with the program so far as evidence.
        """
        self.done.append(step)
        try:
            await TRANSITIONS[step.action].perform(self, step)
        except Violation as violation:
            program = self.journal.observe(PROGRAM, format_program(self.done))
            raise Violation(
                violation.expected,
                violation.got,
                (*violation.evidence, program),
                violation.likely_cause,
            ) from None

    async def run_steps(self, steps: Sequence[Step]) -> None:
        """Run a whole program without the steps that are not possible. Raises Violation."""
        try:
            for step in steps:
                if self.is_possible(step):
                    await self.take_step(step)
            await self.finish()
        finally:
            await self.close()

    async def finish(self) -> None:
        """Heal and release everything, and judge what was held. Raises Violation."""
        for step in ENDING:
            if self.is_possible(step):
                await self.take_step(step)

    async def close(self) -> None:
        """Leave every state and remove the rows, whatever the program came to."""
        await self.states.leave_all()
        for item_id in self.world.rows:
            await self.items.rows.delete(item_id)

    def get_row_id(self, slot: int) -> int:
        """The id of a slot's row, which stays the same once it was asked for."""
        if slot not in self._row_ids:
            rows = self.items.rows
            self._row_ids[slot] = rows.pick_unused_id() if slot else rows.pick_small_id()
        return self._row_ids[slot]


# Changes of the data


async def _add_row(run: ProgramRun, step: Step) -> None:
    item_id = run.get_row_id(step.slot)
    run.world.put_row(await run.items.rows.insert(id=item_id))


async def _change_row(run: ProgramRun, step: Step) -> None:
    item_id = run.get_row_id(step.slot)
    quantity = len(run.done)  # a value that the row did not have before
    row = await run.items.rows.update(
        item_id, quantity=quantity, name=f"changed by step {quantity}"
    )
    run.world.put_row(row)


async def _delete_row(run: ProgramRun, step: Step) -> None:
    item_id = run.get_row_id(step.slot)
    await run.items.rows.delete(item_id)
    del run.world.rows[item_id]


async def _replace_document(run: ProgramRun, step: Step) -> None:
    run.world.document = {"document": step.slot}
    if not run.world.upstream_fails:
        await _serve_document(run)


async def _serve_document(run: ProgramRun) -> None:
    await run.states.enter("document", run.upstream.answering(make_reply(run.world.document)))


async def _grow_table(run: ProgramRun, _: Step) -> None:
    await run.states.enter("column", run.items.faults.column_added())
    run.world.added = COLUMN


async def _shrink_table(run: ProgramRun, _: Step) -> None:
    await run.states.leave("column")
    run.world.added = {}


# Holds and faults


async def _lock_table(run: ProgramRun, _: Step) -> None:
    await run.states.enter("lock", run.items.locks.table_locked())
    run.world.reads_are_held = True


async def _unlock_table(run: ProgramRun, _: Step) -> None:
    await run.states.leave("lock")
    run.world.reads_are_held = False
    await _judge_released(run, Subject.ITEM)


async def _hold_calls(run: ProgramRun, _: Step) -> None:
    await run.states.enter("hold", run.upstream.holding(HoldMode.TRICKLE_HEAD))
    run.world.calls_are_held = True


async def _release_calls(run: ProgramRun, _: Step) -> None:
    await run.states.leave("hold")
    run.world.calls_are_held = False
    await _judge_released(run, Subject.EXTERNAL)


async def _refuse_database(run: ProgramRun, _: Step) -> None:
    await run.states.enter("database", run.items.faults.logins_refused())
    run.world.database_refuses = True
    _mark_reads_disturbed(run)


async def _heal_database(run: ProgramRun, _: Step) -> None:
    await run.states.leave("database")
    run.world.database_refuses = False
    await _expect_recovered_reads(run)


async def _end_sessions(run: ProgramRun, _: Step) -> None:
    await run.items.sessions.terminate_sessions()
    _mark_reads_disturbed(run)
    await _expect_recovered_reads(run)


async def _expect_recovered_reads(run: ProgramRun) -> None:
    """Reads succeed again, as DB-12 requires."""
    path = f"/items/{run.items.rows.pick_unused_id()}"
    expect(await read_until_recovered(run.client, path), model.item_answer(None))


async def _fail_upstream(run: ProgramRun, _: Step) -> None:
    await run.states.leave("document")
    await run.states.enter("upstream", run.upstream.answering(FAILURE))
    run.world.upstream_fails = True


async def _heal_upstream(run: ProgramRun, _: Step) -> None:
    await run.states.leave("upstream")
    run.world.upstream_fails = False
    await _serve_document(run)


async def _deny_writes(run: ProgramRun, _: Step) -> None:
    await run.states.enter("broker", run.queue.faults.writes_refused())
    run.world.broker_denies = True


async def _allow_writes(run: ProgramRun, _: Step) -> None:
    await run.states.leave("broker")
    run.world.broker_denies = False


async def _restart_target(run: ProgramRun, _: Step) -> None:
    await _end_and_restart(run, signal.SIGTERM)


async def _kill_target(run: ProgramRun, _: Step) -> None:
    await _end_and_restart(run, signal.SIGKILL)


async def _end_and_restart(run: ProgramRun, number: signal.Signals) -> None:
    assert run.restart
    if failure := await asyncio.to_thread(run.restart, number):
        raise NoEvidence(f"the service does not start again (LIFE-9): {failure.got}")
    run.world.is_restarted = True


def _mark_reads_disturbed(run: ProgramRun) -> None:
    for asked in run.held:
        asked.is_disturbed = asked.is_disturbed or asked.subject is Subject.ITEM


# Requests


async def _ask_questions(run: ProgramRun, step: Step) -> None:
    asked = [_send_question(run, question) for question in step.questions]
    for each in asked:
        if _is_held(run.world, each.subject):
            run.held.append(each)
        else:
            await _judge(run, each)


async def _read_often(run: ProgramRun, step: Step) -> None:
    item_id = run.get_row_id(step.slot)
    paths = [f"/items/{item_id}"] * timeouts.READS_OF_A_STEP
    for exchange in await run.client.get_in_turn(paths):
        expect(exchange, _choose_answer(run.world, item_id, exchange))


def _choose_answer(world: model.World, item_id: int, exchange: Exchange) -> model.Answer:
    """The right answer to a read, which may show a column that was added, or not."""
    is_shown = all(f'"{name}"'.encode() in exchange.body for name in world.added)
    return world.answer_to_read(item_id, with_added=is_shown)


def _send_question(run: ProgramRun, question: Question) -> AskedQuestion:
    item_id = 0 if question.slot is None else run.get_row_id(question.slot)
    match question.subject:
        case Subject.SUBMIT:
            request = run.send.post("/process-data/", {"step": len(run.done)})
        case Subject.ITEM:
            (request,) = run.send(f"/items/{item_id}")
        case Subject.EXTERNAL:
            (request,) = run.send("/external-data")
        case fixed:
            (request,) = run.send(FIXED_ANSWERS[fixed][0])
    return AskedQuestion(question.subject, item_id, request)


def _is_held(world: model.World, subject: Subject) -> bool:
    match subject:
        case Subject.ITEM:
            return world.reads_are_held and not world.database_refuses
        case Subject.EXTERNAL:
            return world.calls_are_held
        case _:
            return False


async def _judge_released(run: ProgramRun, subject: Subject) -> None:
    """Judge the requests that were held until now."""
    released = [asked for asked in run.held if asked.subject is subject]
    run.held = [asked for asked in run.held if asked.subject is not subject]
    for asked in released:
        await _judge(run, asked)


async def _judge(run: ProgramRun, asked: AskedQuestion) -> None:
    exchange = await asked.request.wait_for_answer()
    world = run.world
    match asked.subject:
        case Subject.ITEM:
            is_disturbed = asked.is_disturbed or world.database_refuses
            right = _choose_answer(world, asked.item_id, exchange)
            _expect_unless_disturbed(exchange, right, is_disturbed=is_disturbed)
        case Subject.EXTERNAL:
            _expect_unless_disturbed(
                exchange, world.answer_to_call(), is_disturbed=world.upstream_fails
            )
        case Subject.SUBMIT:
            _expect_submission(exchange, broker_denies=world.broker_denies)
        case fixed:
            expect(exchange, FIXED_ANSWERS[fixed][1])


def _expect_unless_disturbed(
    exchange: Exchange, right: model.Answer, *, is_disturbed: bool
) -> None:
    """Expect the right answer; of a disturbed request, any answer that is not a false success."""
    if not is_disturbed or exchange.status == right.status:
        expect(exchange, right)


def _expect_submission(exchange: Exchange, *, broker_denies: bool) -> None:
    if broker_denies:
        failures = [*range(100, 200), *range(300, 600)]
        expect_status(exchange, failures, "any answer but 2xx while the broker refuses writes")
    else:
        expect_status(exchange, range(200, 300), "a success of a submission")


# When each step is possible, and what it does


@dataclass(frozen=True)
class Transition:
    """One row of the table of steps."""

    is_possible: Callable[[ProgramRun, Step], bool]
    perform: Callable[[ProgramRun, Step], Awaitable[None]]


def _can_add(run: ProgramRun, step: Step) -> bool:
    return not run.world.reads_are_held and run.get_row_id(step.slot) not in run.world.rows


def _can_change(run: ProgramRun, step: Step) -> bool:
    return not run.world.reads_are_held and run.get_row_id(step.slot) in run.world.rows


def _has_free_reads(run: ProgramRun, _: Step) -> bool:
    return not (run.world.reads_are_held or run.world.database_refuses)


def _can_heal_database(run: ProgramRun, _: Step) -> bool:
    return run.world.database_refuses and not run.world.reads_are_held


def _can_grow(run: ProgramRun, _: Step) -> bool:
    return not run.world.added and not run.world.reads_are_held


def _can_shrink(run: ProgramRun, _: Step) -> bool:
    return bool(run.world.added) and not run.world.reads_are_held


def _can_restart(run: ProgramRun, _: Step) -> bool:
    """A service must start again where all is well, and nothing in flight is to be lost."""
    world = run.world
    is_disturbed = world.database_refuses or world.upstream_fails or world.broker_denies
    is_held = world.reads_are_held or world.calls_are_held
    return run.restart is not None and not is_disturbed and not is_held


TRANSITIONS: dict[Action, Transition] = {
    Action.ADD: Transition(_can_add, _add_row),
    Action.CHANGE: Transition(_can_change, _change_row),
    Action.DELETE: Transition(_can_change, _delete_row),
    Action.DOCUMENT: Transition(lambda _run, _: True, _replace_document),
    Action.LOCK: Transition(_has_free_reads, _lock_table),
    Action.UNLOCK: Transition(lambda run, _: run.world.reads_are_held, _unlock_table),
    Action.HOLD: Transition(lambda run, _: not run.world.calls_are_held, _hold_calls),
    Action.RELEASE: Transition(lambda run, _: run.world.calls_are_held, _release_calls),
    Action.DATABASE_REFUSES: Transition(
        lambda run, _: not run.world.database_refuses, _refuse_database
    ),
    Action.DATABASE_HEALS: Transition(_can_heal_database, _heal_database),
    Action.SESSIONS_END: Transition(_has_free_reads, _end_sessions),
    Action.UPSTREAM_FAILS: Transition(lambda run, _: not run.world.upstream_fails, _fail_upstream),
    Action.UPSTREAM_HEALS: Transition(lambda run, _: run.world.upstream_fails, _heal_upstream),
    Action.BROKER_DENIES: Transition(lambda run, _: not run.world.broker_denies, _deny_writes),
    Action.BROKER_HEALS: Transition(lambda run, _: run.world.broker_denies, _allow_writes),
    Action.GROW: Transition(_can_grow, _grow_table),
    Action.SHRINK: Transition(_can_shrink, _shrink_table),
    Action.READ_OFTEN: Transition(_has_free_reads, _read_often),
    Action.RESTART: Transition(_can_restart, _restart_target),
    Action.KILL: Transition(_can_restart, _kill_target),
    Action.ASK: Transition(lambda _run, _: True, _ask_questions),
}
