"""Probes of section 1: what is held at the same time, and what answers meanwhile. Order decides, never time."""

from contextlib import AsyncExitStack

import pytest

from conformance.client import Client
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
    async with upstream.holding() as hold, client.sending(*OUTBOUND):
        arrived = await upstream.arrived(hold, len(OUTBOUND))
        if arrived < len(OUTBOUND):
            got = f"{arrived} of them, while the others waited for these to be answered"
            blocked(f"{len(OUTBOUND)} outbound calls at the upstream at once", got, hold.requests[-3:], target.blocking_line())


@pytest.mark.requirement("CONC-2")
async def test_database_reads_overlap(client: Client, items: Database, target: Target) -> None:
    paths = [f"/items/{items.unused_id()}" for _ in range(5)]
    async with items.locked(), client.sending(*paths):
        seen = await items.waiting(2)
        if seen.data["waiting"] < 2:
            blocked("at least 2 reads waiting for the table at once", seen.text, [seen], target.blocking_line())


@pytest.mark.requirement("CONC-3")
async def test_held_outbound_calls_delay_no_other_endpoint(
    client: Client, items: Database | None, upstream: Upstream, target: Target
) -> None:
    item = f"/items/{items.unused_id() if items else 1}"
    alone = [await request(path, client) for path in ("/async", "/sync", "/items/?q=meanwhile", item, SUBMISSION)]
    async with upstream.holding() as hold, client.sending(*OUTBOUND):
        arrived = await upstream.arrived(hold, len(OUTBOUND))
        no_evidence_unless(arrived > 0, "no outbound call arrived at the upstream, so none could be held")
        situation = f"while outbound calls are held ({arrived} of {len(OUTBOUND)} have arrived)"
        for exchange in alone:
            await expect_same_meanwhile(exchange, situation, hold.requests[-1], client, target)


@pytest.mark.requirement("CONC-4")
async def test_held_reads_delay_no_endpoint_that_needs_no_table(client: Client, items: Database, target: Target) -> None:
    paths = ("/async", "/sync", "/items/?q=meanwhile", "/external-data", SUBMISSION, "/items/abc")
    alone = [await request(path, client) for path in paths]
    reads = [f"/items/{items.unused_id()}" for _ in range(READS)]
    async with items.locked(), client.sending(*reads):
        seen = await items.waiting(2)
        no_evidence_unless(seen.data["waiting"] > 0, "no read waited for the locked table, so none could be held")
        for exchange in alone:
            await expect_same_meanwhile(exchange, f"while {READS} reads are held", seen, client, target)


async def request(path: str, client: Client) -> Exchange:
    """A submission, or a GET of any other path."""
    return await (client.post(SUBMISSION, {}) if path == SUBMISSION else client.get(path))


async def expect_same_meanwhile(alone: Exchange, situation: str, fact: Fact, client: Client, target: Target) -> None:
    """The endpoint answers now what it answered alone; where the event loop is stuck instead, the line is named."""
    exchange = await request(alone.target, client)
    if not exchange.answered:
        blocked(f"an answer of {alone.target} {situation}", exchange.outcome, [exchange, fact], target.blocking_line())
    if alone.target == SUBMISSION:  # each has an id of its own
        expect_status(exchange, (alone.status or 0,), f"{alone.status} of {SUBMISSION} {situation}, as without", alone, fact)
    else:
        expect_same(exchange, alone)


@pytest.mark.requirement("CONC-5")
async def test_different_kinds_of_io_overlap(client: Client, items: Database, upstream: Upstream, target: Target) -> None:
    async with items.locked(), client.sending(f"/items/{items.unused_id()}"):
        seen = await items.waiting(1)
        no_evidence_unless(seen.data["waiting"] > 0, "no read waited for the locked table, so none could be held")
        async with upstream.holding() as hold, client.sending("/external-data"):
            if not await upstream.arrived(hold, 1):
                got = "a read that waits, and no outbound call"
                blocked("an outbound call at the upstream while a read waits for the table", got, [seen], target.blocking_line())


@pytest.mark.requirement("CONC-6")
async def test_every_held_request_ends_with_its_own_answer(client: Client, items: Database) -> None:
    rows = [await items.add() for _ in range(8)]
    paths = [f"/items/{row['id']}" for row in rows]
    async with AsyncExitStack() as stack:
        lock = await stack.enter_async_context(AsyncExitStack())
        await lock.enter_async_context(items.locked())
        requests = await stack.enter_async_context(client.sending(*paths))
        seen = await items.waiting(2)
        no_evidence_unless(seen.data["waiting"] > 0, "no read waited for the locked table, so none could be held")
        await lock.aclose()
        for request, row in zip(requests, rows, strict=True):
            expect(await request.answer(), model.item(row), seen)
