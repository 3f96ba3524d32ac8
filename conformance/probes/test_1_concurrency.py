"""Probes of section 1: what is held at the same time, and what answers meanwhile. Order decides, never time."""

import pytest

from conformance import allowances
from conformance.client import Client, Pending
from conformance.errors import NoEvidence
from conformance.evidence import Exchange, Fact
from conformance.expectations import blocked, expect, expect_same, expect_status, no_evidence_unless
from conformance.target import Target
from conformance.testbed.postgres import Database
from conformance.testbed.upstream import Upstream
from spec import model

OUTBOUND = ["/external-data"] * 20
READS = 15  # more than a pool of 10
SUBMISSION = "/process-data/"


@pytest.mark.requirement("CONC-1")
async def test_outbound_calls_overlap(client: Client, upstream: Upstream, target: Target) -> None:
    async with client.in_flight() as send, upstream.holding() as hold:
        requests = send(*OUTBOUND)
        arrived = await upstream.arrived(hold, len(OUTBOUND))
        await held(arrived, "outbound call", requests)
        if arrived < len(OUTBOUND):
            got = f"{arrived} of them, while the others waited for these to be answered"
            blocked(f"{len(OUTBOUND)} outbound calls at the upstream at once", got, hold.requests[-3:], target.blocking_line())


@pytest.mark.requirement("CONC-2")
async def test_database_reads_overlap(client: Client, items: Database, target: Target) -> None:
    async with client.in_flight() as send, items.locked():
        requests = send(*(f"/items/{items.unused_id()}" for _ in range(5)))
        seen = await items.waiting(2)
        await held(seen.data["waiting"], "read", requests)
        if seen.data["waiting"] < 2:
            blocked("at least 2 reads waiting for the table at once", seen.text, [seen], target.blocking_line())


async def held(count: int, what: str, requests: list[Pending]) -> None:
    """At least one of the requests is held. Raises NoEvidence, with what became of the first of them, where none is."""
    if count == 0:
        became = (await requests[0].answer(allowances.DEADLINE_AFTER_A_MISSED_ONE)).summary
        raise NoEvidence(f"no {what} could be held: {became}")


@pytest.mark.requirement("CONC-3")
async def test_held_outbound_calls_delay_no_other_endpoint(
    client: Client, items: Database | None, upstream: Upstream, target: Target
) -> None:
    item = f"/items/{items.unused_id() if items else 1}"
    alone = await answered_alone(client, "/async", "/sync", "/items/?q=meanwhile", item, SUBMISSION)
    async with client.in_flight() as send, upstream.holding() as hold:
        requests = send(*OUTBOUND)
        arrived = await upstream.arrived(hold, len(OUTBOUND))
        await held(arrived, "outbound call", requests)
        situation = f"while outbound calls are held ({arrived} of {len(OUTBOUND)} have arrived)"
        for exchange in alone:
            await expect_same_meanwhile(exchange, situation, hold.requests[-1], client, target)


@pytest.mark.requirement("CONC-4")
async def test_held_reads_delay_no_endpoint_that_needs_no_table(client: Client, items: Database, target: Target) -> None:
    alone = await answered_alone(client, "/async", "/sync", "/items/?q=meanwhile", "/external-data", SUBMISSION, "/items/abc")
    async with client.in_flight() as send, items.locked():
        requests = send(*(f"/items/{items.unused_id()}" for _ in range(READS)))
        seen = await items.waiting(2)
        await held(seen.data["waiting"], "read", requests)
        for exchange in alone:
            await expect_same_meanwhile(exchange, f"while {READS} reads are outstanding", seen, client, target)
        no_evidence_unless(not any(read.ended for read in requests), "a read of the locked table ended before it was let go")


async def answered_alone(client: Client, *paths: str) -> list[Exchange]:
    """What each path answers while nothing is held. Raises NoEvidence where one does not answer even so."""
    alone = [await request(path, client) for path in paths]
    for exchange in alone:
        no_evidence_unless(exchange.answered, f"it does not answer even while nothing is held: {exchange.summary}")
    return alone


async def request(path: str, client: Client) -> Exchange:
    """A submission, or a GET of any other path."""
    return await (client.post(SUBMISSION, {}) if path == SUBMISSION else client.get(path))


async def expect_same_meanwhile(alone: Exchange, situation: str, fact: Fact, client: Client, target: Target) -> None:
    """The endpoint answers now what it answered alone; where the event loop is stuck instead, the line is named."""
    exchange = await request(alone.target, client)
    if not exchange.answered:
        blocked(f"an answer of {alone.target} {situation}", exchange.outcome, [exchange, fact], target.blocking_line())
    if alone.target in (SUBMISSION, "/external-data"):  # each has an id of its own; an upstream that is not ours may change
        expect_status(exchange, (alone.status or 0,), f"{alone.status} of {alone.target} {situation}, as without", alone, fact)
    else:
        expect_same(exchange, alone)


@pytest.mark.requirement("CONC-5")
async def test_different_kinds_of_io_overlap(client: Client, items: Database, upstream: Upstream, target: Target) -> None:
    async with client.in_flight() as send, items.locked(), upstream.holding() as hold:
        requests = send(f"/items/{items.unused_id()}")
        seen = await items.waiting(1)
        await held(seen.data["waiting"], "read", requests)
        send("/external-data")
        if not await upstream.arrived(hold, 1):
            got = "a read that waits, and no outbound call"
            blocked("an outbound call at the upstream while a read waits for the table", got, [seen], target.blocking_line())


@pytest.mark.requirement("CONC-6")
async def test_every_held_request_ends_with_its_own_answer(client: Client, items: Database) -> None:
    rows = [await items.add() for _ in range(8)]
    async with client.in_flight() as send:
        async with items.locked():
            requests = send(*(f"/items/{row['id']}" for row in rows))
            seen = await items.waiting(2)
            await held(seen.data["waiting"], "read", requests)
        for read, row in zip(requests, rows, strict=True):
            expect(await read.answer(), model.item(row), seen)
