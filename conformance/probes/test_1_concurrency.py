"""Probes of section 1: what is held at the same time, and what answers meanwhile.

Order decides, never time.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from conformance.client.http import Client, InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact, Journal
from conformance.judging.assertions import (
    expect,
    expect_same,
    expect_status,
    parse_body,
    raise_blocked,
    require,
    require_situation,
)
from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable, ask_meanwhile
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.program import ONE_BY_ONE, Step, parse_program
from conformance.scenarios.search import Search, shorten_program
from conformance.scenarios.stateful import ProgramRun, Restart, is_program
from conformance.spec import model
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import Hold
from conformance.testbed.upstream_replies import make_reply

OUTBOUND, MANY = 20, 64  # the latter is more than the 40 threads of Starlette's pool
# Calls made at once. On a busy machine a client may take 0.3 s before it connects, and none should
# spend its own 5 s on the others'.
BATCH = 4
READS = 15  # more than a pool of 10
SUBMISSION = "/process-data/"
APART = (1, 1, 8, 10, 64, 100, 256, 1000)  # distances of ids that a careless key may mix up
LEAVING = 4  # times that OUTBOUND clients leave
MEANWHILE = (
    "an answer of /async while the broker refuses the service, "
    "before that of a submission sent earlier"
)


@pytest.mark.requirement("CONC-1")
async def test_outbound_calls_overlap(client: Client, upstream: Upstream, target: Target) -> None:
    async with client.in_flight() as send, upstream.holding() as hold:
        await expect_held(OUTBOUND, send, hold, upstream, target)


async def expect_held(
    count: int, send: InFlightRequests, hold: Hold, upstream: Upstream, target: Target
) -> None:
    """Expect so many outbound calls at the upstream at once.

    Where the event loop is stuck instead, the line is named.
    """
    calling = asyncio.create_task(call(count, send, hold, upstream))
    stack = None
    while not calling.done():
        before = hold.most
        await asyncio.wait([calling], timeout=timeouts.STUCK_AFTER)
        is_stuck = hold.most < count and (calling.done() or hold.most == before)
        if is_stuck and not stack:  # later, a client's own timeout may have let the loop go
            stack = await asyncio.to_thread(target.find_blocking_line)
    arrived = await calling
    if arrived < count:
        got = f"{arrived} of them, and no other while these were unanswered"
        raise_blocked(
            f"{count} outbound calls at the upstream at once", got, hold.requests[-3:], stack
        )


async def call(count: int, send: InFlightRequests, hold: Hold, upstream: Upstream) -> int:
    """Have so many outbound calls made, a few at a time as long as they arrive.

    Returns how many are held. Raises NoEvidence where none is.
    """
    arrived = sent = 0
    while sent < count and arrived == sent:
        requests = send(*["/external-data"] * min(BATCH, count - sent))
        sent += len(requests)
        arrived = await upstream.wait_for_requests(hold, sent)
        await held(arrived, "outbound call", requests)
    send(*["/external-data"] * (count - sent))
    return arrived


@pytest.mark.requirement("CONC-2")
async def test_database_reads_overlap(client: Client, items: Database, target: Target) -> None:
    paths = [f"/items/{(await items.rows.insert())['id']}" for _ in range(5)]
    for exchange in await client.get_in_turn(
        paths * 5
    ):  # so that they are known, and many reads were made
        require_situation(
            exchange.answered, f"a read does not end even while nothing is held: {exchange.summary}"
        )
    async with client.in_flight() as send, items.locks.table_locked():
        requests = send(*paths)
        seen = await items.locks.wait_for_reads(2)
        await held(seen.waiting, "read", requests)
        if seen.waiting < 2:
            raise_blocked(
                "at least 2 reads waiting for the table at once",
                seen.text,
                [seen],
                target.find_blocking_line(),
            )


async def held(count: int, what: str, requests: list[PendingRequest]) -> None:
    """Expect at least one of the requests to be held.

    Raises NoEvidence, with what became of the first of them, where none is.
    """
    if count == 0:
        became = await requests[0].wait_for_answer(timeouts.DEADLINE_AFTER_A_MISSED_ONE)
        raise NoEvidence(f"no {what} could be held: {became.summary}", evidence=[became])


@pytest.mark.requirement("CONC-3")
async def test_held_outbound_calls_delay_no_other_endpoint(
    client: Client, items: Database | None, upstream: Upstream, target: Target
) -> None:
    item = f"/items/{items.rows.pick_unused_id() if items else 1}"
    alone = await answered_alone(client, "/async", "/sync", "/items/?q=meanwhile", item, SUBMISSION)
    async with client.in_flight() as send, upstream.holding() as hold:
        arrived = await call(OUTBOUND, send, hold, upstream)
        situation = f"while outbound calls are held ({arrived} of {OUTBOUND} have arrived)"
        for exchange in alone:
            await expect_same_meanwhile(exchange, situation, hold.requests[-1], client, target)


@pytest.mark.requirement("CONC-4")
async def test_held_reads_delay_no_endpoint_that_needs_no_table(
    client: Client, items: Database, target: Target
) -> None:
    alone = await answered_alone(
        client, "/async", "/sync", "/items/?q=meanwhile", "/external-data", SUBMISSION, "/items/abc"
    )
    async with client.in_flight() as send, items.locks.table_locked():
        requests = send(*(f"/items/{items.rows.pick_unused_id()}" for _ in range(READS)))
        seen = await items.locks.wait_for_reads(2)
        await held(seen.waiting, "read", requests)
        for exchange in alone:
            await expect_same_meanwhile(
                exchange, f"while {READS} reads are outstanding", seen, client, target
            )
        require_situation(
            not any(read.is_done for read in requests),
            "a read of the locked table ended before it was let go",
        )


async def answered_alone(client: Client, *paths: str) -> list[Exchange]:
    """What each path answers while nothing is held.

    Raises NoEvidence where one does not answer even so.
    """
    alone = [await request(path, client) for path in paths]
    for exchange in alone:
        require_situation(
            exchange.answered, f"it does not answer even while nothing is held: {exchange.summary}"
        )
    return alone


async def request(path: str, client: Client) -> Exchange:
    """A submission, or a GET of any other path."""
    return await (client.post(SUBMISSION, {}) if path == SUBMISSION else client.get(path))


async def expect_same_meanwhile(
    alone: Exchange, situation: str, fact: Fact, client: Client, target: Target
) -> None:
    """Expect the endpoint to answer what it answered alone.

    Where the event loop is stuck instead, the line is named.
    """
    exchange = await request(alone.target, client)
    if not exchange.answered:
        raise_blocked(
            f"an answer of {alone.target} {situation}",
            exchange.outcome,
            [exchange, fact],
            target.find_blocking_line(),
        )
    if alone.target in (
        SUBMISSION,
        "/external-data",
    ):  # each has an id of its own; an upstream that is not ours may change
        expect_status(
            exchange,
            (alone.status or 0,),
            f"{alone.status} of {alone.target} {situation}, as without",
            alone,
            fact,
        )
    else:
        expect_same(exchange, alone)


@pytest.mark.requirement("CONC-5")
async def test_different_kinds_of_io_overlap(
    client: Client, items: Database, upstream: Upstream, target: Target
) -> None:
    async with client.in_flight() as send, items.locks.table_locked(), upstream.holding() as hold:
        requests = send(f"/items/{items.rows.pick_unused_id()}")
        seen = await items.locks.wait_for_reads(1)
        await held(seen.waiting, "read", requests)
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
            await held(seen.waiting, "read", requests)
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
                await held(arrived, "outbound call", requests)
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
    alone = await answered_alone(client, "/sync")
    async with client.in_flight() as send, upstream.holding() as hold:
        await expect_held(MANY, send, hold, upstream, target)
        await expect_same_meanwhile(
            alone[0], f"while {MANY} outbound calls are held", hold.requests[-1], client, target
        )


@pytest.mark.requirement("CONC-8")
@pytest.mark.injects_fault
async def test_a_stalled_broker_blocks_only_the_submission(
    client: Client, queue: Broker, target: Target
) -> None:
    alone = await answered_alone(client, "/async", SUBMISSION)
    async with client.in_flight() as send, queue.faults.writes_stalled():
        submission = send.post(SUBMISSION, {"stalled": True})
        seen = await queue.clients.wait_for_write()
        require_situation(
            seen.waiting > 0 and not submission.is_done,
            "no command of the service's waited for the stalled broker",
        )
        await expect_same_meanwhile(
            alone[0],
            "while the broker takes a submission and does not answer",
            seen,
            client,
            target,
        )


@pytest.mark.requirement("CONC-9")
@pytest.mark.stage("NO_WORKER_ANY_MORE")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_an_unreachable_broker_blocks_only_the_submission(
    client: Client, queue: Broker, target: Target, lifecycle: LifecycleObserver
) -> None:
    await answered_alone(client, SUBMISSION)
    before = await queue.clients.count_rejections()
    async with client.in_flight() as send, queue.faults.logins_refused() as fact:
        submission = send.post(SUBMISSION, {"refused": True})
        seen = await queue.clients.wait_for_rejections(
            before + 1, or_until=lambda: submission.is_done
        )
        require_situation(
            submission.is_done or seen.refusals > before,
            "the service did not try to reach the broker that refuses it",
        )
        meanwhile = await ask_meanwhile(send, submission)
        if meanwhile and not meanwhile.answered:
            raise_blocked(
                MEANWHILE, meanwhile.outcome, [meanwhile, fact, seen], target.find_blocking_line()
            )
    submission_alone = (await lifecycle.observe(BrokerUnreachable)).submission
    if submission_alone is None:
        raise NoEvidence("the service does not start without a broker (TASK-17)")
    missed = submission_alone.meanwhile
    if missed and not missed.answered:
        evidence = [submission_alone.exchange, missed]
        raise_blocked(MEANWHILE, missed.outcome, evidence, submission_alone.stack)


@pytest.mark.requirement("CONC-10")
async def test_clients_that_leave_cost_no_capacity(
    client: Client, items: Database, upstream: Upstream, target: Target
) -> None:
    hold = await leave_while_calls_are_held(client, upstream)
    with expect_as_before(hold):
        for _ in range(LEAVING - 1):
            await leave_while_calls_are_held(client, upstream)
    async with client.in_flight() as send, items.locks.table_locked():
        requests = send(*(f"/items/{items.rows.pick_unused_id()}" for _ in range(READS)))
        await held((await items.locks.wait_for_reads(2)).waiting, "read", requests)
        for request in requests:
            await request.drop_connection()
    with expect_as_before(hold):
        await test_outbound_calls_overlap(client, upstream, target)
        await test_database_reads_overlap(client, items, target)


@contextmanager
def expect_as_before(hold: Hold) -> Iterator[None]:
    """What could be held before the clients left can be held still."""
    try:
        yield
    except NoEvidence as nothing:
        evidence = [*nothing.evidence, *hold.requests[-1:]]
        raise Violation(
            "as much at once as before the clients left", str(nothing), evidence
        ) from nothing


async def leave_while_calls_are_held(client: Client, upstream: Upstream) -> Hold:
    """Disconnect clients whose outbound calls are held."""
    async with client.in_flight() as send, upstream.holding() as hold:
        await call(OUTBOUND, send, hold, upstream)
        for request in send.pending:
            await request.drop_connection()
    return hold


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
                found = await shorten_program(search.history, found, find_violation)
            evidence = (*found.evidence, covered)
            raise Violation(found.expected, found.got, evidence, found.likely_cause)


@pytest.mark.requirement("CONC-12")
async def test_work_of_a_client_that_left(
    client: Client, upstream: Upstream, observe: Callable[..., None]
) -> None:
    async with client.in_flight() as send, upstream.holding() as hold:
        (request,) = send("/external-data")
        await held(await upstream.wait_for_requests(hold, 1), "outbound call", [request])
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
