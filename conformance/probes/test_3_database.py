"""Probes of section 3: rows as they are, ids as they must be, sessions opened and closed."""

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given

from conformance.client.http import Client, InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact
from conformance.core.observations import LockCount, RowCheck, TerminatedSessions
from conformance.core.polling import wait_until
from conformance.judging.assertions import (
    expect,
    expect_status,
    parse_body,
    require,
    require_situation,
)
from conformance.judging.leaks import Secrets, expect_no_leak
from conformance.scenarios.capacity import READS, ReadCapacity
from conformance.scenarios.lifecycle.broker_unreachable import BrokerUnreachable
from conformance.scenarios.lifecycle.copies import is_clean_disconnect
from conformance.scenarios.lifecycle.graceful_stop import GracefulStop
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.restart import Restart
from conformance.scenarios.stateful import read_until_recovered
from conformance.spec import model, strategies
from conformance.spec.strategies import AWKWARD_TEXT
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.database_rows import DatabaseRows
from conformance.testbed.upstream import Upstream

EDGES = (-(2**31), -1, 0, 2**31 - 1)  # of the column's type, and where signs change
FIRST_IDS = (1, 2, 3, 42, 100)  # under which a service may have rows of its own
PickId = Callable[[DatabaseRows], int]
PICK_ID: Mapping[str, PickId] = {
    "large": DatabaseRows.pick_unused_id,
    "small": DatabaseRows.pick_small_id,
}
UNENCODED = "!$&'()*+,;=:@"  # what a segment of a path may hold as it is (RFC 3986, 3.3)
INJECTIONS = [
    "1 OR 1=1",
    "1--",
    "(SELECT 2)",
    "1;DROP TABLE items",
    "1; DROP TABLE items; --",
    "1\tOR\t1=1",
    "1' OR '1'='1",
    "null::int",
]


@pytest.mark.requirement("DB-1")
async def test_an_existing_item_is_its_row(client: Client, items: Database) -> None:
    row = await items.rows.insert(
        name="Chair", description="of oak", price=49.5, quantity=3, available=False
    )
    check = await items.rows.check_row(row["id"])
    expect(await client.get(f"/items/{row['id']}"), model.whole_item_answer(row), check)


@pytest.mark.requirement("DB-1")
@pytest.mark.parametrize("item_id", EDGES)
async def test_an_item_may_have_any_id_of_the_columns_type(
    client: Client, items: Database, item_id: int
) -> None:
    row = await items.rows.find_or_insert(item_id)
    await expect_whole_row(client, items, item_id, row)


async def expect_row(
    client: Client, items: Database, item_id: int, row: Mapping[str, Any] | None
) -> None:
    """Expect this row of a read, or null if there is none."""
    exchange = await client.get(f"/items/{item_id}")
    expect(exchange, model.item_answer(row), await items.rows.check_row(item_id))


async def expect_whole_row(
    client: Client, items: Database, item_id: int, row: Mapping[str, Any] | None
) -> None:
    """Expect every column of this row of a read, or null if there is none."""
    answer = model.item_answer(None) if row is None else model.whole_item_answer(row)
    exchange = await client.get(f"/items/{item_id}")
    expect(exchange, answer, await items.rows.check_row(item_id))


@pytest.mark.requirement("DB-1")
async def test_an_item_may_have_a_small_id_and_a_large_one(
    client: Client, items: Database, seed: int
) -> None:
    for item_id in (*FIRST_IDS, *strategies.draw_ids(seed)):
        row = await items.rows.find_or_insert(item_id)
        await expect_whole_row(client, items, item_id, row)


@pytest.mark.requirement("DB-2")
@pytest.mark.parametrize("pick_id", PICK_ID.values(), ids=PICK_ID.keys())
async def test_an_absent_item_is_null(client: Client, items: Database, pick_id: PickId) -> None:
    await expect_row(client, items, pick_id(items.rows), None)


@pytest.mark.requirement("DB-3")
@given(values=strategies.row_values)
@example(
    values={
        "name": AWKWARD_TEXT,
        "description": AWKWARD_TEXT * 20,
        "quantity": 2**53 + 1,
        "price": 0.1,
    }
)
@example(values={"description": "x" * 100_000, "created_at": datetime(476, 9, 4, 12, tzinfo=UTC)})
@example(
    values={"name": "", "description": "", "quantity": -(2**63), "price": -0.0, "available": False}
)
async def test_values_survive_exactly(
    client: Client, items: Database, values: dict[str, object]
) -> None:
    row = await items.rows.insert(**values)
    exchange = await client.get(f"/items/{row['id']}")
    expect(exchange, model.whole_item_answer(row))


@pytest.mark.requirement("DB-4")
@pytest.mark.parametrize("pick_id", PICK_ID.values(), ids=PICK_ID.keys())
async def test_each_read_sees_the_table_as_it_is(
    client: Client, items: Database, pick_id: PickId
) -> None:
    item_id = pick_id(items.rows)
    await expect_row(client, items, item_id, None)
    await expect_row(client, items, item_id, await items.rows.insert(id=item_id))
    for price in (1.5, 2.5):
        row = await items.rows.update(item_id, price=price, name=f"costs {price}")
        await expect_row(client, items, item_id, row)
    await items.rows.delete(item_id)
    await expect_row(client, items, item_id, None)


@pytest.mark.requirement("DB-4")
async def test_a_row_that_is_older_than_the_process_is_read_as_it_is(
    client: Client, items: Database
) -> None:
    for old in await items.rows.list_older():
        item_id = old["id"]
        await expect_row(client, items, item_id, old)
        changed = await items.rows.update(item_id, name=f"{old['name']}, changed")
        await expect_row(client, items, item_id, changed)
        await items.rows.delete(item_id)
        await expect_row(client, items, item_id, None)
        await expect_row(client, items, item_id, await items.rows.insert(**old))


@pytest.mark.requirement("DB-4")
async def test_a_row_that_was_read_often_is_read_as_it_is(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    often = await read_often(client, f"/items/{row['id']}")
    silent = [read.summary for read in often if not read.answered]
    require_situation(
        not silent, f"not all of ten reads at once are answered (CONC-2): {silent[:1]}"
    )
    expect(often[0], model.item_answer(row))
    expect(often[-1], model.item_answer(row))
    await expect_row(client, items, row["id"], await items.rows.update(row["id"], price=3.5))


@pytest.mark.requirement("DB-4")
async def test_a_row_is_read_as_it_is_after_a_read_of_its_neighbour(
    client: Client, items: Database
) -> None:
    first, second, third = [await items.rows.insert() for _ in range(3)]  # one id after the other
    await expect_row(client, items, second["id"], second)
    changed = await items.rows.update(third["id"], price=4.5)
    await items.rows.delete(first["id"])
    await expect_row(client, items, third["id"], changed)
    await expect_row(client, items, first["id"], None)


@pytest.mark.requirement("DB-4")
@pytest.mark.stage("SCENARIOS")
async def test_a_read_knows_nothing_of_an_earlier_life_of_the_service(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.stops_target:  # its only life is judged by the other probes
        return
    for read in (await lifecycle.observe(Restart)).later_reads:
        expect(read.exchange, model.item_answer(read.row), read.check)


@pytest.mark.requirement("DB-4")
async def test_a_read_shares_nothing_with_one_that_began_before_a_change(
    client: Client, items: Database
) -> None:
    rows = [await items.rows.insert(), await items.rows.insert(id=items.rows.pick_small_id())]
    paths = [f"/items/{row['id']}" for row in rows]
    await client.get_in_turn(paths)  # which may be remembered, and must not be
    async with client.in_flight() as send:
        async with items.locks.reads_held():
            send(paths[0])
            seen = await items.locks.wait_for_reads(1)
            changed = [await items.rows.update(row["id"], name="changed since") for row in rows]
            late = send(*paths)
            await items.locks.wait_for_reads(3, at_most=timeouts.SECOND_READ_WATCHED)
        answers = [await read.wait_for_answer() for read in late]
    require_situation(seen.waiting > 0, "no read was held that began before the change")
    for answer, row in zip(answers, changed, strict=True):
        expect(answer, model.item_answer(row), seen, await items.rows.check_row(row["id"]))


@pytest.mark.requirement("DB-4")
@pytest.mark.injects_fault
@pytest.mark.worker("stopped")
async def test_a_read_sees_the_table_as_it_is_while_other_requests_are_held(
    client: Client, items: Database, upstream: Upstream | None, queue: Broker | None
) -> None:
    row = await items.rows.insert(id=items.rows.pick_small_id())
    await client.get(f"/items/{row['id']}")  # which may be remembered, and must not be
    async with client.in_flight() as send:
        if upstream:
            async with upstream.holding() as hold:
                send("/external-data")
                await upstream.wait_for_requests(hold, 1)
                late = await read_changed(send, items, row["id"], "an outbound call")
            await late.expect_changed()
        if queue and queue.access.user:
            async with queue.faults.writes_stalled():
                send.post("/process-data/", {})
                await queue.clients.wait_for_write()
                late = await read_changed(send, items, row["id"], "a submission")
            await late.expect_changed()


@dataclass(frozen=True)
class LateRead:
    """A read that began after a change, while another request was held."""

    read: PendingRequest
    changed: dict[str, Any]
    check: RowCheck

    async def expect_changed(self) -> None:
        """Expect the row after the change. What was held may have held the read as well."""
        expect(await self.read.wait_for_answer(), model.item_answer(self.changed), self.check)


async def read_changed(
    send: InFlightRequests, items: Database, item_id: int, held: str
) -> LateRead:
    """Change a row, then read it, while something is held.

    If no answer comes meanwhile, that is for CONC-3 and CONC-8 to judge.
    """
    changed = await items.rows.update(item_id, name=f"changed during {held}")
    (read,) = send(f"/items/{item_id}")

    async def has_answer() -> bool:
        return read.is_done

    await wait_until(has_answer, timeouts.SECOND_READ_WATCHED)
    return LateRead(read, changed, await items.rows.check_row(item_id))


@pytest.mark.requirement("DB-5")
@given(text=strategies.no_integers)
async def test_an_id_that_is_no_integer_is_rejected(client: Client, text: str) -> None:
    exchange = await client.get("/items/" + quote(text, safe=""))
    wanted = '422 with an error located at ["path", "item_id"]'
    expect_status(exchange, (422,), wanted)
    require(
        model.has_item_id_error(parse_body(exchange, wanted)), wanted, exchange.outcome, [exchange]
    )


@pytest.mark.requirement("DB-6")
@pytest.mark.parametrize("safe", ["", UNENCODED], ids=["encoded", "as it is"])
@pytest.mark.parametrize("text", INJECTIONS)
async def test_nothing_in_the_path_becomes_sql(
    client: Client, items: Database, text: str, safe: str
) -> None:
    await items.rows.insert()
    before = await items.rows.take_snapshot()
    exchange = await client.get("/items/" + quote(text, safe=safe))
    after = await items.rows.take_snapshot()
    expect_status(exchange, (422,), f"422, for {text!r} is no id", before)
    require(after.is_same_as(before), "the table as it was", after.text, [exchange, before, after])


@pytest.mark.requirement("DB-7")
@pytest.mark.stage("SCENARIOS")
async def test_connected_when_startup_has_finished(lifecycle: LifecycleObserver) -> None:
    seen = (await lifecycle.observe(GracefulStop)).sessions_at_first_answer
    require(
        seen.sessions > 0,
        "a session on the database when the first answer comes, before any read",
        seen.text,
        [seen],
    )


@pytest.mark.requirement("DB-8")
@pytest.mark.stage("SCENARIOS")
async def test_disconnected_at_shutdown(lifecycle: LifecycleObserver) -> None:
    observed = await lifecycle.observe(GracefulStop)
    seen = observed.sessions_at_end
    require_situation(
        observed.sessions_at_signal.sessions > 0,
        "the service had no session to close when SIGTERM came",
    )
    evidence = [observed.lost, observed.sessions_at_signal, observed.ending.signalled, seen]
    require(
        is_clean_disconnect(seen),
        "every session closed by a Terminate message after SIGTERM",
        seen.text,
        evidence,
    )
    why = "no read waited for the locked table, so none of its sessions could be ended before"
    require_situation(observed.lost.terminated > 0, why)


@pytest.mark.requirement("DB-9")
async def test_a_read_changes_nothing(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    before = await items.rows.take_snapshot()
    exchange = await client.get(f"/items/{row['id']}")
    after = await items.rows.take_snapshot()
    expect(exchange, model.item_answer(row))
    require(
        after.is_same_as(before),
        "no row changed or locked by a read",
        after.text,
        [before, exchange, after],
    )


@pytest.mark.requirement("DB-9")
@pytest.mark.stage("SCENARIOS")
async def test_a_read_by_a_role_that_may_write_changes_nothing(
    capabilities: Capabilities, lifecycle: LifecycleObserver
) -> None:
    if capabilities.stops_target:
        observed = await lifecycle.observe(GracefulStop)
        evidence = [observed.table_before, *observed.reads, observed.table_after]
        require(
            observed.table_after.is_same_as(observed.table_before),
            "no row changed or locked by a read",
            "rows with other versions after it",
            evidence,
        )


NO_IDS = {
    "beyond 32 bits": 2**31, "far below 32 bits": -(2**31) - 1,
    "beyond 64 bits": 2**63, "far below 64 bits": -(2**63) - 1,
    "of hundreds of digits": 10**300, "negative": -1, "zero": 0,
}  # fmt: skip


@pytest.mark.requirement("DB-10")
@pytest.mark.parametrize("number", NO_IDS.values(), ids=NO_IDS.keys())
async def test_an_integer_that_no_id_can_be_is_answered(client: Client, number: int) -> None:
    expect_status(
        await client.get(f"/items/{number}"), range(200, 500), "an answer with a status below 500"
    )


@pytest.mark.requirement("DB-10")
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("sign", [1, -1])
async def test_an_integer_that_no_id_can_be_is_not_cut_to_one(
    client: Client, items: Database | None, bits: int, sign: int
) -> None:
    if items is None:
        return
    row = await items.rows.insert()
    exchange = await client.get(f"/items/{row['id'] + sign * 2**bits}")
    if exchange.status in range(200, 300):
        expect(exchange, model.item_answer(None), await items.rows.check_row(row["id"]))


@pytest.mark.requirement("DB-11")
async def test_connections_are_reused(client: Client, items: Database) -> None:
    path = f"/items/{items.rows.pick_unused_id()}"
    await client.get(path)
    before = await items.sessions.list_sessions()
    rounds = 0
    while rounds < timeouts.ROUNDS_TO_REST:
        await client.get_in_turn([path] * 30)
        async with (
            client.in_flight() as send,
            items.locks.table_locked(),
        ):  # a session that lasts as long as its read is there as long as that is held
            send(path)
            waiting = await items.locks.wait_for_reads(1)
            after = await items.sessions.list_sessions()
        require_situation(waiting.waiting > 0, "no read waited for the locked table")
        if after.identities == before.identities:
            return
        # Reads that each use up one idle session open none until the last of them is gone.
        opened = set(after.identities) - set(before.identities)
        seen = [before, waiting, after]
        rounds, before = rounds + bool(opened), after
    raise Violation("reads that open no session", f"{len(opened)} opened by 31 reads", seen)


async def expect_read_until_recovered(client: Client, items: Database, *facts: Fact) -> None:
    """Expect reads to succeed within the rounds that an ordinary pool needs to replace sessions."""
    row = await items.rows.insert()
    expect(
        await read_until_recovered(client, f"/items/{row['id']}"), model.item_answer(row), *facts
    )


@pytest.mark.requirement("DB-12")
@pytest.mark.injects_fault
async def test_lost_connections_are_replaced(
    client: Client, items: Database, target: Target
) -> None:
    await client.get_all(*[f"/items/{items.rows.pick_unused_id()}"] * 5)
    await expect_read_until_recovered(client, items, await items.sessions.terminate_sessions())
    await ReadCapacity(client, items, target).expect_overlap_again("as before its sessions ended")


@pytest.mark.requirement("DB-13")
@pytest.mark.injects_fault
async def test_a_read_killed_in_flight_fails_alone(
    client: Client, items: Database, target: Target
) -> None:
    known = [await items.rows.insert() for _ in range(4)]
    await client.get_in_turn([f"/items/{row['id']}" for row in known])
    rows = [await items.rows.update(row["id"], name="changed since it was read") for row in known]
    before = await kill_one_of_several(rows, client, items)
    async with client.in_flight() as send:
        async with items.locks.table_locked():
            reads = send(*[f"/items/{rows[0]['id']}"] * READS)
            again = await items.locks.wait_for_reads(2)
            require(again.waiting >= 2, "reads that overlap again", again.text, [before, again])
            killed = await kill_reads(items, again)
        for read in reads:
            answer = await read.wait_for_answer()
            if answer.status not in range(500, 600):
                expect(answer, model.item_answer(rows[0]), killed)
    await expect_read_until_recovered(client, items, killed)
    capacity = ReadCapacity(client, items, target)
    await capacity.expect_overlap_again("as before reads were killed", before)


async def kill_one_of_several(
    rows: Sequence[Mapping[str, Any]], client: Client, items: Database
) -> LockCount:
    """Kill one read of several, and expect the others that wait to find their rows.

    Returns how many waited.
    """
    async with client.in_flight() as send:
        async with items.locks.table_locked():
            reads = send(*(f"/items/{row['id']}" for row in rows))
            seen = await items.locks.wait_for_reads(len(rows), at_most=timeouts.SECOND_READ_WATCHED)
            killed = await kill_reads(items, seen, at_most=1)

            async def is_noticed() -> bool:  # by the service, unless it reads once more
                is_repeated = await items.locks.count_held() >= seen.waiting
                return is_repeated or any(read.is_done for read in reads)

            await wait_until(is_noticed, timeouts.ANSWER_DEADLINE)
        answers = [await read.wait_for_answer() for read in reads]
    failed = [answer for answer in answers if answer.status in range(500, 600)]
    for answer, row in zip(answers, rows, strict=True):
        if answer not in failed:
            expect(answer, model.item_answer(row), killed)
    wanted = f"the rows of {len(rows) - killed.terminated} reads beside the one that was killed"
    got = f"{failed[-1].outcome if failed else ''}, {len(failed)} times"
    require(len(failed) <= killed.terminated, wanted, got, [*failed[-1:], seen, killed])
    return seen


async def kill_reads(
    items: Database, seen: LockCount, at_most: int | None = None
) -> TerminatedSessions:
    """End the sessions of reads that wait. Raises NoEvidence where no two of them do."""
    require_situation(
        seen.waiting >= 2, "no two reads waited for the locked table, so none could be killed"
    )
    killed = await items.sessions.terminate_sessions(only_waiting=True, at_most=at_most)
    require_situation(
        killed.terminated > 0, "no session of a read that waited was there to be terminated"
    )
    return killed


@pytest.mark.requirement("DB-14")
@pytest.mark.injects_fault
async def test_an_outage_is_survived(client: Client, items: Database, target: Target) -> None:
    row = await items.rows.insert()
    path = f"/items/{row['id']}"
    await client.get(path)  # which may be remembered, and must not be
    async with items.faults.logins_refused() as fact:
        reads = await client.get_all(*[path] * timeouts.FAILURES)
        others = [
            (await client.get("/async"), model.async_answer()),
            (await client.get("/items/?q=x"), model.listing_answer("x")),
        ]
    for read in reads:
        expect_status(
            read, range(500, 600), "5xx of a read while the database refuses the service", fact
        )
    for other, answer in others:
        expect(other, answer, fact)
    await expect_read_until_recovered(client, items, fact)
    await ReadCapacity(client, items, target).expect_overlap_again("as before the outage")
    if not target.is_alive:
        raise Violation("the same process after the outage", "it has ended", [fact, reads[0]])


@pytest.mark.requirement("DB-14")
@pytest.mark.stage("SCENARIOS")
async def test_a_restart_of_the_database_is_survived(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    if not capabilities.starts_target:
        return
    restarts = (await lifecycle.observe(BrokerUnreachable)).restarts
    seen = restarts.database if restarts else None
    if seen is None:
        raise NoEvidence("there was no copy whose database could be restarted")
    require_situation(
        seen.before.status == 200,
        f"a read fails even before the restart: {seen.before.summary}",
    )
    for read in seen.reads:
        wanted = "5xx of a read while the database restarts"
        expect_status(read, range(500, 600), wanted, seen.gone)
    for other in seen.others:
        expect(other, model.async_answer(), seen.gone)
    wanted = "200 of a read once the database takes sessions again"
    expect_status(seen.after, (200,), wanted, seen.gone, seen.ready)
    expect(seen.after, model.item_answer(seen.row), seen.gone, seen.ready)
    if not seen.is_alive:
        raise Violation("the same process after the restart", "it has ended", [seen.gone])


@pytest.mark.requirement("DB-14")
@pytest.mark.injects_fault
async def test_a_failover_to_a_read_only_server_is_survived(
    client: Client, items: Database
) -> None:
    row = await items.rows.insert()
    path = f"/items/{row['id']}"
    before = await client.get(path)
    require_situation(
        before.status == 200, f"a read fails even before the failover: {before.summary}"
    )
    async with items.faults.writes_refused() as fact:
        after = await read_until_recovered(client, path)
    expect_status(after, (200,), "200 of a read at a server that takes no writes", fact)
    expect(after, model.item_answer(row), fact)


@pytest.mark.requirement("DB-15")
async def test_no_transaction_is_left_open(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    reads = await client.get_all(*[f"/items/{row['id']}"] * 5)
    after_rows = await items.sessions.wait_until_no_transaction_is_open()
    absent = await client.get(f"/items/{items.rows.pick_unused_id()}")
    after_none = await items.sessions.wait_until_no_transaction_is_open()
    expect(reads[0], model.item_answer(row))
    for exchange, seen in ((reads[-1], after_rows), (absent, after_none)):
        require(
            not seen.idle_in_transaction,
            f"no session idle in a transaction {timeouts.TRANSACTION_DEADLINE} s after an answer",
            seen.text,
            [exchange, seen],
        )


@pytest.mark.requirement("DB-16")
@pytest.mark.injects_fault
async def test_the_table_may_grow_a_column(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    path = f"/items/{row['id']}"
    for exchange in await read_often(client, path):
        expect(exchange, model.item_answer(row))
    async with items.faults.column_added() as fact:
        for exchange in await client.get_all(*[path] * 10):
            expect(exchange, model.item_answer({**row, "colour": "oak"}), fact)
    for exchange in await client.get_all(*[path] * 10):
        expect(exchange, model.item_answer(row), fact)


async def read_often(client: Client, path: str) -> list[Exchange]:
    """READS_BEFORE_A_CHANGE times, ten at once, so that a pool uses all of its connections."""
    turns = [path] * (timeouts.READS_BEFORE_A_CHANGE // 10)
    return list(itertools.chain(*await asyncio.gather(*map(client.get_in_turn, [turns] * 10))))


@pytest.mark.requirement("DB-17")
@pytest.mark.injects_fault
async def test_error_answers_leak_nothing(
    client: Client, items: Database, secrets: Secrets
) -> None:
    async with items.faults.logins_refused() as fact:
        exchange = await client.get(f"/items/{items.rows.pick_unused_id()}")
    require_situation(exchange.answered, f"the read has no answer to look at: {exchange.summary}")
    expect_no_leak(exchange, secrets, fact)


@pytest.mark.requirement("DB-18")
async def test_values_that_are_no_numbers(
    client: Client, items: Database, observe: Callable[..., None]
) -> None:
    for price in (math.nan, math.inf):
        row = await items.rows.insert(price=price)
        exchange = await client.get(f"/items/{row['id']}")
        observe(f"a row with the price {price} is answered {exchange.outcome}", exchange)


@pytest.mark.requirement("DB-18")
async def test_the_size_of_the_pool(
    client: Client, items: Database, observe: Callable[..., None]
) -> None:
    await client.get_all(*[f"/items/{items.rows.pick_unused_id()}"] * 30)
    seen = await items.sessions.list_sessions()
    observe(f"after 30 reads at once {len(seen.identities)} sessions are open", seen)
