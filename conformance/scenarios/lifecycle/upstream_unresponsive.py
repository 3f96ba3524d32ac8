"""A copy whose upstream ends no answer, in every manner, and whose clients leave after that."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, UpstreamRequest
from conformance.scenarios.capacity import OUTBOUND, CallCapacity, ReadCapacity
from conformance.scenarios.leaving import expect_no_loss_by_leaving
from conformance.scenarios.lifecycle.copies import (
    open_database,
    open_upstream,
    start_copy,
    use_database,
    wait_until_ready,
)
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.scenarios.questions import AskedAgain, Need, ask_again, ask_each, list_questions
from conformance.target.launch import Launch
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.upstream_hold import HoldMode

ITEM = 1  # nobody changes it
# While this copy is looked at, others are whose broker is stalled or refuses it: the same one.
NOT_ASKED = (Need.UPSTREAM, Need.BROKER)

# What the upstream does in place of answering to the end.
MANNERS: Mapping[HoldMode, str] = {
    HoldMode.SILENT: "does not answer",
    HoldMode.TRUNCATED: "does not end its answer",
    HoldMode.HEAD_ALONE: "sends a head and nothing more",
    HoldMode.HALF_A_CHUNK: "stops in the middle of a chunk",
    HoldMode.DRIPPING_HEAD: "sends a byte of its head a second",
    HoldMode.DRIPPING_BODY: "sends a byte of its body a second",
    HoldMode.INTERIM: "sends an interim answer (103) a second",
    HoldMode.GIGABYTES: "sends 4 GiB, slowly",
}


@dataclass(frozen=True)
class CallGivenUp:
    """What became of one call that the upstream does not answer to the end."""

    manner: str  # what the upstream does
    made: list[UpstreamRequest]
    answer: Exchange  # of /external-data


@dataclass(frozen=True)
class CallsGivenUp:
    """What became of the calls that arrived, one in each manner, and of many more."""

    calls: list[CallGivenUp]
    meanwhile: list[AskedAgain]  # while all of them were outstanding
    afterwards: Exchange  # of /external-data, by an upstream that answers
    lost: Violation | None  # fewer calls at once than before

    @property
    def missing(self) -> list[str]:
        """The manners for which no call arrived."""
        seen = {call.manner for call in self.calls}
        return [manner for manner in MANNERS.values() if manner not in seen]


@dataclass(frozen=True)
class CopyObserved:
    """What became of the copy."""

    calls: CallsGivenUp | None  # None where no call arrived
    # What came of clients that left: less at once than before, or nothing that could be held.
    leaving: Violation | NoEvidence | None


class UpstreamUnresponsive(Scenario[CopyObserved]):
    """The copy's upstream ends no answer, and then its clients leave."""

    requirements = frozenset({"UP-6", "CONC-10"})
    database = DatabaseNeed.OWN

    async def run(self, launch: Launch, database: DatabaseAccess) -> CopyObserved:
        """Run it on a database."""
        name = "whose upstream is silent"
        async with open_upstream(launch) as upstream, open_database(database, launch) as items:
            variables = {**use_database(database), "EXTERNAL_DATA_URL": upstream.url}
            async with start_copy(launch, name, variables) as (target, client):
                await wait_until_ready(target)
                capacity = CallCapacity(client, upstream, target)
                calls = await watch_calls(capacity)
                reads = ReadCapacity(client, items, target)
                return CopyObserved(calls, await watch_leaving(capacity, reads, calls))


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
    """Make a call for each manner and wait for their answers. Returns None where none arrives.

    The calls that are made in addition fill what they can of the service's limits.
    """
    client, upstream = calls.client, calls.upstream
    asked = await ask_each(client, list_questions(ITEM, without=NOT_ASKED))
    waiting = []
    async with client.in_flight() as send, AsyncExitStack() as holds:
        for mode, manner in MANNERS.items():
            hold = await holds.enter_async_context(upstream.holding(mode))
            (call,) = send("/external-data")
            if not await upstream.wait_for_requests(hold, 1):
                break
            waiting.append((manner, hold, call))
        if not waiting:
            return None
        arrived = len(waiting)
        if arrived == len(MANNERS):
            more = await holds.enter_async_context(upstream.holding(HoldMode.SILENT))
            arrived += await calls.make_calls(timeouts.LOST_CALLS, send, more)
        outstanding = send.pending.copy()
        meanwhile = await ask_again(send, asked, timeouts.UNBLOCKED_DEADLINE)
        answers = (call.wait_for_answer(timeouts.GIVE_UP_DEADLINE) for call in outstanding)
        await asyncio.gather(*answers)
        given_up = [
            CallGivenUp(manner, hold.requests[:1], await call.wait_for_answer())
            for manner, hold, call in waiting
        ]
    client.forget_timeouts()
    afterwards = await client.get("/external-data")
    lost = await find_lost_calls(calls, min(OUTBOUND, arrived))
    return CallsGivenUp(given_up, meanwhile, afterwards, lost)


async def find_lost_calls(calls: CallCapacity, count: int) -> Violation | None:
    """Why so many calls at once are no longer possible; None where they are."""
    try:
        await calls.expect_calls_again(count, "as before calls without an answer")
    except Violation as violation:
        return violation
    return None
