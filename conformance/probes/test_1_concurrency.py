"""Probes of section 1: what is held at the same time, and what answers meanwhile.

Order decides, never time.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

import pytest

from conformance.client.http import Client, PendingRequest
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact, Journal
from conformance.core.observations import BlockingLine
from conformance.judging.assertions import (
    expect,
    expect_status,
    parse_body,
    raise_blocked,
    require,
    require_situation,
)
from conformance.scenarios.capacity import (
    BATCH,
    OUTBOUND,
    READS,
    CallCapacity,
    ReadCapacity,
    expect_held,
    expect_submissions_again,
    expect_to_end,
)
from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.upstream_unresponsive import (
    UpstreamUnresponsive,
    watch_leaving,
)
from conformance.scenarios.program import ONE_BY_ONE, Step, parse_program
from conformance.scenarios.questions import (
    NO_OBJECT,
    SUBMISSION,
    Asked,
    AskedAgain,
    Need,
    ask_alone,
    ask_meanwhile,
    list_questions,
)
from conformance.scenarios.search import Search, shorten_program
from conformance.scenarios.stateful import ProgramRun, Restart, is_program
from conformance.spec import model
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_replies import Reply, make_reply

MANY = 64  # outbound calls: more than the 40 threads of Starlette's pool
APART = (1, 1, 8, 10, 64, 100, 256, 1000)  # distances of ids that a careless key may mix up
STALLED = f"while the broker takes {timeouts.FAILURES} submissions and does not answer"
REFUSED = "while the broker refuses the service, before the answers of submissions sent earlier"


@pytest.mark.requirement("CONC-1")
async def test_outbound_calls_overlap(client: Client, upstream: Upstream, target: Target) -> None:
    async with CallCapacity(client, upstream, target).calls_held():
        pass


@pytest.mark.requirement("CONC-2")
@pytest.mark.injects_fault
async def test_database_reads_overlap(client: Client, items: Database, target: Target) -> None:
    paths = [f"/items/{(await items.rows.insert())['id']}" for _ in range(5)]
    for exchange in await client.get_in_turn(
        paths * 5
    ):  # so that they are known, and many reads were made
        require_situation(
            exchange.answered, f"a read does not end even while nothing is held: {exchange.summary}"
        )
    reads = ReadCapacity(client, items, target)
    await reads.expect_overlap(paths * (timeouts.READS_AT_ONCE // len(paths)))


@pytest.mark.requirement("CONC-3")
async def test_held_outbound_calls_delay_no_other_endpoint(
    client: Client, items: Database | None, upstream: Upstream, target: Target
) -> None:
    item = items.rows.pick_unused_id() if items else 1
    alone = await ask_alone(client, list_questions(item, without=[Need.UPSTREAM]))
    calls = CallCapacity(client, upstream, target)
    async with client.in_flight() as send:
        async with upstream.holding() as hold:
            arrived = await calls.make_calls(OUTBOUND, send, hold)
            situation = f"while outbound calls are held ({arrived} of {OUTBOUND} have arrived)"
            for asked in alone:
                await expect_same_meanwhile(asked, situation, hold.requests[-1], client, target)
        if arrived == OUTBOUND:  # else it is CONC-1's to say
            await expect_to_end(send.pending[:OUTBOUND], "outbound calls", hold.requests[-1:])


@pytest.mark.requirement("CONC-4")
async def test_held_reads_delay_no_endpoint_that_needs_no_table(
    client: Client, items: Database, target: Target
) -> None:
    alone = await ask_alone(client, list_questions(1, without=[Need.TABLE]))
    async with client.in_flight() as send, items.locks.table_locked():
        requests = send(*(f"/items/{items.rows.pick_unused_id()}" for _ in range(READS)))
        seen = await items.locks.wait_for_reads(2)
        await expect_held(seen.waiting, "read", requests)
        for asked in alone:
            await expect_same_meanwhile(
                asked, f"while {READS} reads are outstanding", seen, client, target
            )
        require_situation(
            not any(read.is_done for read in requests),
            "a read of the locked table ended before it was let go",
        )
    await ReadCapacity(client, items, target).expect_overlap_again("as before they were held", seen)


async def expect_same_meanwhile(
    asked: Asked, situation: str, fact: Fact, client: Client, target: Target
) -> None:
    """Expect the endpoint to answer what it answered alone.

    Where the event loop is stuck instead, the line is named.
    """
    exchange = await client.send(asked.question.spec)
    stack = None if exchange.answered else target.find_blocking_line()
    asked.expect_same(exchange, situation, [fact], stack)


@pytest.mark.requirement("CONC-5")
@pytest.mark.parametrize("has_failed", [False, True], ids=["usually", "after-a-failed-call"])
async def test_different_kinds_of_io_overlap(
    client: Client, items: Database, upstream: Upstream, target: Target, has_failed: bool
) -> None:
    if has_failed:
        with upstream.answering(Reply(status=500, body=b'{"error": true}')):
            failed = await client.get("/external-data")
        why = f"a call that fails has no answer: {failed.summary}"
        require_situation(failed.answered, why)
    async with client.in_flight() as send, items.locks.table_locked(), upstream.holding() as hold:
        requests = send(f"/items/{items.rows.pick_unused_id()}")
        seen = await items.locks.wait_for_reads(1)
        await expect_held(seen.waiting, "read", requests)
        send("/external-data")
        if not await upstream.wait_for_requests(hold, 1):
            got = "a read that waits, and no outbound call"
            raise_blocked(
                "an outbound call at the upstream while a read waits for the table",
                got,
                [seen],
                target.find_blocking_line(),
            )


@pytest.mark.requirement("CONC-6")
async def test_every_held_request_ends_with_its_own_answer(client: Client, items: Database) -> None:
    rows = [await items.rows.insert(id=items.rows.pick_unused_id(apart)) for apart in APART]
    async with client.in_flight() as send:
        async with items.locks.table_locked():
            requests = send(*(f"/items/{row['id']}" for row in rows))
            seen = await items.locks.wait_for_reads(2)
            await expect_held(seen.waiting, "read", requests)
        for read, row in zip(requests, rows, strict=True):
            expect(await read.wait_for_answer(), model.item_answer(row), seen)


@pytest.mark.requirement("CONC-6")
async def test_every_held_call_ends_with_an_answer_of_its_own(
    client: Client, upstream: Upstream
) -> None:
    nonces = [{"nonce": number} for number in range(8)]
    with upstream.answering(*(make_reply(nonce) for nonce in nonces)):
        async with client.in_flight() as send:
            async with upstream.holding() as hold:
                requests = send(*["/external-data"] * len(nonces))
                arrived = await upstream.wait_for_requests(hold, len(nonces))
                await expect_held(arrived, "outbound call", requests)
                require_situation(
                    arrived == len(nonces),
                    f"{arrived} of {len(nonces)} outbound calls arrived, which is CONC-1's to say",
                )
            exchanges = [await request.wait_for_answer() for request in requests]
    for exchange in exchanges:
        given = f"of {model.format_value(nonces)}"
        wanted = f"200 and an upstream's answer that no other request was given, {given}"
        expect_status(exchange, (200,), wanted, *hold.requests[:1])
        require(parse_body(exchange, wanted) in nonces, wanted, exchange.outcome, exchanges)
        nonces.remove(parse_body(exchange, wanted))


@pytest.mark.requirement("CONC-7")
async def test_overlap_is_not_capped_by_the_thread_pool(
    client: Client, upstream: Upstream, target: Target
) -> None:
    alone = await ask_alone(client, list_questions(1, without=[*Need]))
    async with CallCapacity(client, upstream, target).calls_held(MANY) as hold:
        situation = f"while {MANY} outbound calls are held"
        for asked in alone:
            await expect_same_meanwhile(asked, situation, hold.requests[-1], client, target)


@pytest.mark.requirement("CONC-8")
@pytest.mark.stage("NO_WORKER_ANY_MORE")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_a_stalled_broker_blocks_only_the_submission(
    client: Client, queue: Broker, target: Target
) -> None:
    alone = await ask_alone(client, list_questions(1, without=[]))
    async with client.in_flight() as send:
        async with queue.faults.writes_stalled():
            submissions = [
                send.post(SUBMISSION, {"stalled": True}) for _ in range(timeouts.FAILURES)
            ]
            seen = await queue.clients.wait_for_write()
            require_situation(
                seen.waiting > 0 and not all(submission.is_done for submission in submissions),
                "no command of the service's waited for the stalled broker",
            )
            for asked in alone:
                if asked.question.need is not Need.BROKER:
                    await expect_same_meanwhile(asked, STALLED, seen, client, target)
        await expect_ends(submissions, "were stalled", seen)
        again = [send.post(SUBMISSION, {}) for _ in range(BATCH)]
        await expect_ends(again, "came after those that were stalled", seen)


@pytest.mark.requirement("CONC-9")
@pytest.mark.stage("NO_WORKER_ANY_MORE")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_an_unreachable_broker_blocks_only_the_submission(
    client: Client, queue: Broker, target: Target, lifecycle: LifecycleObserver
) -> None:
    alone = await ask_alone(client, list_questions(1, without=[]))
    others = [asked for asked in alone if asked.question.need is not Need.BROKER]
    before = await queue.clients.count_rejections()
    async with client.in_flight() as send:
        async with queue.faults.logins_refused() as fact:
            submissions = [
                send.post(SUBMISSION, {"refused": True}) for _ in range(timeouts.FAILURES)
            ]
            seen = await queue.clients.wait_for_rejections(
                before + 1, or_until=lambda: submissions[0].is_done
            )
            require_situation(
                submissions[0].is_done or seen.refusals > before,
                "the service did not try to reach the broker that refuses it",
            )
            expect_same_as_alone(
                await ask_meanwhile(send, submissions, others),
                [fact, seen],
                target.find_blocking_line,
            )
        await expect_ends(submissions, "were refused", fact)
        again = [send.post(SUBMISSION, {}) for _ in range(BATCH)]
        await expect_ends(again, "came after those that were refused", fact)
    submission_alone = (await lifecycle.observe(BrokerUnreachable)).submission
    if submission_alone is None:
        raise NoEvidence("the service does not start without a broker (TASK-17)")
    expect_same_as_alone(
        submission_alone.meanwhile, [submission_alone.exchange], lambda: submission_alone.stack
    )


async def expect_ends(submissions: Sequence[PendingRequest], which: str, fact: Fact) -> None:
    """Expect each submission to be answered, in whatever way, once the broker is well again."""
    ends = (submission.wait_for_answer(timeouts.REFUSAL_DEADLINE) for submission in submissions)
    for end in await asyncio.gather(*ends):
        wanted = f"an answer to each of {len(submissions)} submissions that {which}"
        expect_status(end, range(100, 600), wanted, fact)


def expect_same_as_alone(
    wrong: AskedAgain | None, facts: Sequence[Fact], find_stack: Callable[[], BlockingLine | None]
) -> None:
    """Expect that nothing was answered otherwise while submissions were refused."""
    if wrong:
        stack = None if wrong.exchange.answered else find_stack()
        wrong.expect_same(REFUSED, facts, stack)


@pytest.mark.requirement("CONC-10")
@pytest.mark.stage("SCENARIOS")
async def test_clients_that_leave_cost_no_capacity(
    client: Client,
    items: Database,
    upstream: Upstream,
    target: Target,
    lifecycle: LifecycleObserver,
    capabilities: Capabilities,
) -> None:
    if capabilities.starts_target:
        failure = (await lifecycle.observe(UpstreamUnresponsive)).leaving
    else:
        calls = CallCapacity(client, upstream, target)
        failure = await watch_leaving(calls, ReadCapacity(client, items, target), None)
    if failure:
        raise failure


@pytest.mark.requirement("CONC-13")
@pytest.mark.injects_fault
async def test_requests_that_fail_cost_no_capacity(
    client: Client, items: Database, target: Target
) -> None:
    count, capacity = timeouts.FAILURES, ReadCapacity(client, items, target)
    before = await capacity.measure_overlap()
    submission = await client.post(SUBMISSION, {})
    absent = [f"/items/{items.rows.pick_unused_id()}"] * count
    await expect_answers(client.get_all(*absent), "reads of a row that is absent")
    async with client.in_flight() as send, items.locks.table_locked():
        reads = send(*absent)
        await items.locks.wait_for_reads(1)
        await items.locks.cancel_reads(lambda: all(read.is_done for read in reads))
    await expect_answers(client.get_all(*["/items/abc"] * count), "reads of what is no id")
    rejected = (client.post_bytes(SUBMISSION, NO_OBJECT) for _ in range(count))
    await expect_answers(asyncio.gather(*rejected), "submissions that are rejected")
    since = "as before requests failed"
    await capacity.expect_overlap_again(since, before)
    if submission.status in range(200, 300):
        await expect_submissions_again(client, since, submission)


async def expect_answers(exchanges: Awaitable[Sequence[Exchange]], what: str) -> None:
    """Expect each request to be answered. Raises NoEvidence where the first is not."""
    first, *others = await exchanges
    require_situation(first.answered, f"it is not answered even once: {first.summary}")
    for exchange in others:
        wanted = f"an answer to each of {len(others) + 1} {what}"
        expect_status(exchange, range(100, 600), wanted, first)


@pytest.mark.requirement("CONC-11")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_any_interleaving_answers_as_the_model_says(
    client: Client,
    items: Database,
    queue: Broker,
    upstream: Upstream,
    journal: Journal,
    capabilities: Capabilities,
    restart_target: Restart,
    seed: int,
    steps: str | None,
) -> None:
    async with client.in_flight() as send:

        def begin_program() -> ProgramRun:
            restart = restart_target if capabilities.stops_target else None
            return ProgramRun(client, send, items, queue, upstream, journal, restart)

        async def find_violation(program: Sequence[Step]) -> Violation | None:
            await asyncio.to_thread(restart_target, signal.SIGKILL)
            try:
                await begin_program().run_steps(program)
            except Violation as violation:
                return violation
            return None

        if steps:
            await begin_program().run_steps(parse_program(steps))
            return
        try:
            await begin_program().run_steps(ONE_BY_ONE)
        except Violation as violation:
            taken = "; ".join(fact.summary for fact in violation.evidence if is_program(fact))
            raise NoEvidence(
                "it answers wrong even while nothing interleaves, after the steps"
                f" {taken}: {violation.got}"
            ) from violation
        search = Search(begin_program)
        found = await search.run(seed)
        covered = search.coverage.record(journal, search.history)
        if found:
            if capabilities.stops_target:
                found = await shorten_program(search.history, found, find_violation, journal)
            evidence = (*found.evidence, covered)
            raise Violation(found.expected, found.got, evidence, found.likely_cause)


@pytest.mark.requirement("CONC-12")
async def test_work_of_a_client_that_left(
    client: Client, upstream: Upstream, observe: Callable[..., None]
) -> None:
    async with client.in_flight() as send, upstream.holding() as hold:
        (request,) = send("/external-data")
        await expect_held(await upstream.wait_for_requests(hold, 1), "outbound call", [request])
        await request.drop_connection()
        later = [await client.get("/async") for _ in range(20)]
        became = "had been given up" if hold.given_up else "was outstanding still"
        answered = sum(exchange.answered for exchange in later)
        observe(
            f"when {answered} later requests were answered, "
            f"the outbound call of a client that left {became}",
            hold.requests[0],
            later[-1],
        )
