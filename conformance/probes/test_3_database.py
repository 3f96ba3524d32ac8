"""Probes of section 3: rows as they are, ids as they must be, sessions opened and closed."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.errors import Violation
from conformance.core.evidence import Fact
from conformance.core.observations import LockCount, TerminatedSessions
from conformance.core.polling import wait_until
from conformance.judging.assertions import (
    expect,
    expect_status,
    parse_body,
    require,
    require_situation,
)
from conformance.scenarios.capacity import READS, ReadCapacity
from conformance.scenarios.lifecycle.copies import is_clean_disconnect
from conformance.scenarios.lifecycle.graceful_stop import GracefulStop
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.stateful import read_until_recovered
from conformance.spec import model, strategies
from conformance.spec.strategies import AWKWARD_TEXT
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.database import Database

EDGES = (-(2**31), -1, 0, 2**31 - 1)  # of the column's type, and where signs change
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
    expect(await client.get(f"/items/{row['id']}"), model.item_answer(row), check)


@pytest.mark.requirement("DB-1")
@pytest.mark.parametrize("item_id", EDGES)
async def test_an_item_may_have_any_id_of_the_columns_type(
    client: Client, items: Database, item_id: int
) -> None:
    row = await items.rows.find_or_insert(item_id)
    expect(
        await client.get(f"/items/{item_id}"),
        model.item_answer(row),
        await items.rows.check_row(item_id),
    )


@pytest.mark.requirement("DB-2")
async def test_an_absent_item_is_null(client: Client, items: Database) -> None:
    absent = items.rows.pick_unused_id()
    exchange = await client.get(f"/items/{absent}")
    expect(exchange, model.item_answer(None), await items.rows.check_row(absent))


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
    expect(exchange, model.item_answer(row))


@pytest.mark.requirement("DB-4")
async def test_each_read_sees_the_table_as_it_is(client: Client, items: Database) -> None:
    item_id = items.rows.pick_unused_id()
    path = f"/items/{item_id}"
    expect(await client.get(path), model.item_answer(None), await items.rows.check_row(item_id))
    row = await items.rows.insert(id=item_id)
    expect(await client.get(path), model.item_answer(row), await items.rows.check_row(item_id))
    for price in (1.5, 2.5):
        row = await items.rows.update(item_id, price=price, name=f"costs {price}")
        expect(await client.get(path), model.item_answer(row), await items.rows.check_row(item_id))
    await items.rows.delete(item_id)
    expect(await client.get(path), model.item_answer(None), await items.rows.check_row(item_id))


@pytest.mark.requirement("DB-4")
async def test_a_read_shares_nothing_with_one_that_began_before_a_change(
    client: Client, items: Database
) -> None:
    row = await items.rows.insert()
    path = f"/items/{row['id']}"
    async with client.in_flight() as send:
        async with items.locks.reads_held():
            send(path)
            seen = await items.locks.wait_for_reads(1)
            changed = await items.rows.update(row["id"], name="changed since")
            (late,) = send(path)
            await items.locks.wait_for_reads(2, at_most=timeouts.SECOND_READ_WATCHED)
        answer = await late.wait_for_answer()
    require_situation(seen.waiting > 0, "no read was held that began before the change")
    expect(answer, model.item_answer(changed), seen, await items.rows.check_row(row["id"]))


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
@pytest.mark.parametrize("text", INJECTIONS)
async def test_nothing_in_the_path_becomes_sql(client: Client, items: Database, text: str) -> None:
    await items.rows.insert()
    before = await items.rows.take_snapshot()
    exchange = await client.get("/items/" + quote(text, safe=""))
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
    evidence = [observed.sessions_at_signal, observed.ending.signalled, seen]
    require(
        is_clean_disconnect(seen),
        "every session closed by a Terminate message after SIGTERM",
        seen.text,
        evidence,
    )


@pytest.mark.requirement("DB-9")
async def test_a_read_changes_nothing(
    client: Client,
    items: Database,
    capabilities: Capabilities,
    lifecycle: LifecycleObserver,
) -> None:
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
    if capabilities.stops_target:
        # In that scenario the role may write, so an attempt to do so succeeds.
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


@pytest.mark.requirement("DB-11")
async def test_connections_are_reused(client: Client, items: Database) -> None:
    path = f"/items/{items.rows.pick_unused_id()}"
    for _ in range(timeouts.ROUNDS_TO_REST):
        await client.get(path)
        before = await items.sessions.list_sessions()
        require_situation(bool(before.identities), "the service has no session between two reads")
        await client.get_in_turn([path] * 30)
        async with (
            client.in_flight() as send,
            items.locks.table_locked(),
        ):  # a session that lasts as long as its read is there as long as that is held
            send(path)
            waiting = await items.locks.wait_for_reads(1)
            after = await items.sessions.list_sessions()
        require_situation(waiting.waiting > 0, "no read waited for the locked table")
        if not (new := set(after.identities) - set(before.identities)):
            break
    require(
        not new,
        "no session that was not there after the first read",
        f"{len(new)} opened since",
        [before, waiting, after],
    )


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
    rows = [await items.rows.insert() for _ in range(4)]
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
    spared = seen.waiting - killed.terminated
    wanted = f"the rows of {spared} reads that waited beside the one that was killed"
    got = f"{failed[-1].outcome if failed else ''}, {len(failed)} times"
    require(len(failed) <= len(rows) - spared, wanted, got, [*failed[-1:], seen, killed])
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


@pytest.mark.requirement("DB-15")
async def test_no_transaction_is_left_open(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    reads = await client.get_all(
        *[f"/items/{row['id']}"] * 5, f"/items/{items.rows.pick_unused_id()}"
    )
    seen = await items.sessions.wait_until_no_transaction_is_open()
    expect(reads[0], model.item_answer(row))
    require(
        not seen.idle_in_transaction,
        f"no session idle in a transaction {timeouts.TRANSACTION_DEADLINE} s after an answer",
        seen.text,
        [reads[0], seen],
    )


@pytest.mark.requirement("DB-16")
@pytest.mark.injects_fault
async def test_the_table_may_grow_a_column(client: Client, items: Database) -> None:
    row = await items.rows.insert()
    path = f"/items/{row['id']}"
    before = await client.get_all(*[path] * 10)
    async with items.faults.column_added() as fact:
        exchanges = await client.get_all(*[path] * 10)
    expect(before[0], model.item_answer(row))
    for exchange in exchanges:
        expect(exchange, model.item_answer({**row, "colour": "oak"}), fact)


@pytest.mark.requirement("DB-17")
@pytest.mark.injects_fault
async def test_error_answers_leak_nothing(client: Client, items: Database) -> None:
    async with items.faults.logins_refused() as fact:
        exchange = await client.get(f"/items/{items.rows.pick_unused_id()}")
    require_situation(exchange.answered, f"the read has no answer to look at: {exchange.summary}")
    text = exchange.body.decode("utf-8", "replace")
    leaked = [secret for secret in items.access.secrets if secret in text]
    require(
        not leaked,
        "an error answer without password, role, port, SQL and traceback",
        f"{leaked[:1]} in {text[:200]}",
        [exchange, fact],
    )


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
