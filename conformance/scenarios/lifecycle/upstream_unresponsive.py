"""A copy whose upstream takes requests and ends no answer, and whose clients leave after that."""

import asyncio
from dataclasses import dataclass

from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, UpstreamRequest
from conformance.scenarios.capacity import OUTBOUND, CallCapacity, ReadCapacity
from conformance.scenarios.leaving import expect_no_loss_by_leaving
from conformance.scenarios.lifecycle.copies import (
    open_database,
    start_copy,
    use_database,
    wait_until_ready,
)
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.scenarios.questions import AskedAgain, Need, ask_again, ask_each, list_questions
from conformance.target.launch import Launch
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import HoldMode

ITEM = 1  # nobody changes it
# While this copy is looked at, others are whose broker is stalled or refuses it: the same one.
NOT_ASKED = (Need.UPSTREAM, Need.BROKER)


@dataclass(frozen=True)
class CallsGivenUp:
    """What became of two calls that the upstream does not answer to the end, and of many more."""

    unfinished: list[UpstreamRequest]  # the request whose answer was begun
    unanswered: list[UpstreamRequest]
    meanwhile: list[AskedAgain]  # while all of them were outstanding
    answer_to_unfinished: Exchange  # of /external-data
    answer_to_unanswered: Exchange
    lost: Violation | None  # fewer calls at once than before


@dataclass(frozen=True)
class CopyObserved:
    """What became of the copy."""

    calls: CallsGivenUp | None  # None where a call did not arrive
    # What came of clients that left: less at once than before, or nothing that could be held.
    leaving: Violation | NoEvidence | None


class UpstreamUnresponsive(Scenario[CopyObserved]):
    """The copy has an upstream of its own, so that the target's is not held for long."""

    requirements = frozenset({"UP-6", "CONC-10"})
    database = DatabaseNeed.OWN

    async def run(self, launch: Launch, database: DatabaseAccess) -> CopyObserved:
        """Run it on a database."""
        upstream = Upstream(launch.journal, None, launch.addresses)
        await asyncio.to_thread(upstream.start)
        try:
            variables = {**use_database(database), "EXTERNAL_DATA_URL": upstream.url}
            name = "whose upstream is silent"
            async with (
                open_database(database, launch) as items,
                start_copy(launch, name, variables) as (target, client),
            ):
                await wait_until_ready(target)
                capacity = CallCapacity(client, upstream, target)
                calls = await watch_calls(capacity)
                reads = ReadCapacity(client, items, target)
                return CopyObserved(calls, await watch_leaving(capacity, reads, calls))
        finally:
            await asyncio.to_thread(upstream.stop)


async def watch_leaving(
    calls: CallCapacity, reads: ReadCapacity, before: CallsGivenUp | None
) -> Violation | NoEvidence | None:
    """What came of clients that left: less at once than before, or nothing that could be held."""
    if before and before.lost:
        return NoEvidence("calls without an answer had cost capacity before clients left (UP-6)")
    try:
        await expect_no_loss_by_leaving(calls, reads)
    except (Violation, NoEvidence) as failure:
        return failure
    return None


async def watch_calls(calls: CallCapacity) -> CallsGivenUp | None:
    """Make the calls and wait for their answers. Returns None where one does not arrive.

    The calls that are made in addition to the first two fill what they can of the service's limits.
    """
    client, upstream = calls.client, calls.upstream
    asked = await ask_each(client, list_questions(ITEM, without=NOT_ASKED))
    async with client.in_flight() as send, upstream.holding(HoldMode.TRUNCATED) as unfinished:
        (first,) = send("/external-data")
        if not await upstream.wait_for_requests(unfinished, 1):
            return None
        async with upstream.holding(HoldMode.SILENT) as unanswered:
            (second,) = send("/external-data")
            if not await upstream.wait_for_requests(unanswered, 1):
                return None
            async with upstream.holding(HoldMode.SILENT) as more:
                arrived = await calls.make_calls(timeouts.LOST_CALLS, send, more)
                outstanding = send.pending.copy()
                meanwhile = await ask_again(send, asked, timeouts.UNBLOCKED_DEADLINE)
                answers = (call.wait_for_answer(timeouts.GIVE_UP_DEADLINE) for call in outstanding)
                await asyncio.gather(*answers)
    return CallsGivenUp(
        unfinished.requests[:1],
        unanswered.requests[:1],
        meanwhile,
        await first.wait_for_answer(),
        await second.wait_for_answer(),
        await find_lost_calls(calls, min(OUTBOUND, arrived)),
    )


async def find_lost_calls(calls: CallCapacity, count: int) -> Violation | None:
    """Why so many calls at once are no longer possible; None where they are."""
    try:
        await calls.expect_calls_again(count, "as before calls without an answer")
    except Violation as violation:
        return violation
    return None
