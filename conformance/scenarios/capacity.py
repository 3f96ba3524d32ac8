"""Capacity: how many calls and reads are outstanding at once, and that all of them end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from conformance.client.http import Client, InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact
from conformance.core.observations import LockCount
from conformance.judging.assertions import raise_blocked
from conformance.scenarios.questions import SUBMISSION
from conformance.target.server import Target
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import Hold

OUTBOUND = 20
# Calls made at once. On a busy machine a client may take 0.3 s before it connects, and none should
# spend its own 5 s on the others'.
BATCH = 4
READS = 15  # more than a pool of 10
ROWS = 3  # that so many reads read


@dataclass(frozen=True)
class CallCapacity:
    """Outbound calls that the upstream holds."""

    client: Client
    upstream: Upstream
    target: Target

    @asynccontextmanager
    async def calls_held(self, count: int = OUTBOUND) -> AsyncIterator[Hold]:
        """Expect so many at the upstream at once while the block lasts, and all to end after it.

        Where the event loop is stuck instead, the line is named. Raises NoEvidence where no call
        arrives.
        """
        async with self.client.in_flight() as send:
            async with self.upstream.holding() as hold:
                await self._expect_arrival(count, send, hold)
                yield hold
            await expect_to_end(send.pending, "outbound calls", hold.requests[-1:])

    async def expect_calls_again(self, count: int, since: str) -> None:
        """Expect so many at once, as before something, and all to end."""
        try:
            async with self.calls_held(count):
                pass
        except NoEvidence as nothing:
            wanted = f"{count} outbound calls at once {since}"
            raise Violation(wanted, str(nothing), nothing.evidence) from nothing

    async def make_calls(self, count: int, send: InFlightRequests, hold: Hold) -> int:
        """Have so many calls made, a few at a time as long as they arrive.

        Returns how many are held. Raises NoEvidence where none is.
        """
        arrived = sent = 0
        while sent < count and arrived == sent:
            requests = send(*["/external-data"] * min(BATCH, count - sent))
            sent += len(requests)
            arrived = await self.upstream.wait_for_requests(hold, sent)
            await expect_held(arrived, "outbound call", requests)
        send(*["/external-data"] * (count - sent))
        return arrived

    async def _expect_arrival(self, count: int, send: InFlightRequests, hold: Hold) -> None:
        calling = asyncio.create_task(self.make_calls(count, send, hold))
        stack = None
        while not calling.done():
            before = hold.most
            await asyncio.wait([calling], timeout=timeouts.STUCK_AFTER)
            is_stuck = hold.most < count and (calling.done() or hold.most == before)
            if is_stuck and not stack:  # later, a client's own timeout may have let the loop go
                stack = await asyncio.to_thread(self.target.find_blocking_line)
        arrived = await calling
        if arrived < count:
            got = f"{arrived} of them, and no other while these were unanswered"
            raise_blocked(
                f"{count} outbound calls at the upstream at once", got, hold.requests[-3:], stack
            )


@dataclass(frozen=True)
class ReadCapacity:
    """Reads that the locked table holds."""

    client: Client
    items: Database
    target: Target

    async def expect_overlap(self, paths: Sequence[str], at_least: int = 2) -> None:
        """Expect so many of the reads to wait for the table at once, and all to end.

        Where the event loop is stuck instead, the line is named. Raises NoEvidence where none
        waits.
        """
        async with self.client.in_flight() as send:
            async with self.items.locks.table_locked():
                requests = send(*paths)
                seen = await self.items.locks.wait_for_reads(at_least)
                await expect_held(seen.waiting, "read", requests)
                if seen.waiting < at_least:
                    await expect_none_answered(requests)
                    wanted = f"at least {at_least} reads waiting for the table at once"
                    stack = self.target.find_blocking_line()
                    raise_blocked(wanted, seen.text, [seen], stack)
            await expect_to_end(requests, "reads", [seen])

    async def measure_overlap(self) -> LockCount:
        """How many of BATCH reads wait for the table at once, 2 at most.

        Raises NoEvidence where none does.
        """
        path = f"/items/{(await self.items.rows.insert())['id']}"
        async with self.client.in_flight() as send, self.items.locks.table_locked():
            requests = send(*[path] * BATCH)
            seen = await self.items.locks.wait_for_reads(2)
            await expect_held(seen.waiting, "read", requests)
        return seen

    async def expect_overlap_again(self, since: str, before: LockCount | None = None) -> None:
        """Expect 2 of READS reads at once, as before something, and all to end.

        Where 2 were not seen to wait before, one will do.
        """
        rows = [await self.items.rows.insert() for _ in range(ROWS)]
        paths = [f"/items/{row['id']}" for row in rows] * (READS // ROWS)
        try:
            await self.expect_overlap(paths, min(2, before.waiting) if before else 1)
        except NoEvidence as nothing:
            wanted = f"{READS} reads at once {since}"
            raise Violation(wanted, str(nothing), nothing.evidence) from nothing


async def expect_submissions_again(client: Client, since: str, *facts: Fact) -> None:
    """Expect a few submissions at once to succeed, as before something."""
    answers = await asyncio.gather(*(client.post(SUBMISSION, {}) for _ in range(BATCH)))
    _expect_successes(answers, f"submissions at once {since}", facts)


async def expect_to_end(
    requests: Sequence[PendingRequest], what: str, facts: Sequence[Fact]
) -> None:
    """Expect each of the requests, which nothing holds any more, to end with a success."""
    answers = await asyncio.gather(*(request.wait_for_answer() for request in requests))
    _expect_successes(answers, f"{what} once they are held no more", facts)


def _expect_successes(answers: Sequence[Exchange], what: str, facts: Sequence[Fact]) -> None:
    failed = [each for each in answers if not each.answered or each.status not in range(200, 300)]
    if failed:
        wanted = f"a success of each of {len(answers)} {what}"
        got = f"{failed[0].outcome}, {len(failed)} times"
        raise Violation(wanted, got, [failed[0], *facts])


async def expect_none_answered(reads: Sequence[PendingRequest]) -> None:
    """Raise NoEvidence where a read is answered with a row while the table is locked."""
    for read in reads:
        if read.is_done and (answer := await read.wait_for_answer()).status == 200:
            why = "a read was answered although the table was locked (DB-4)"
            raise NoEvidence(f"{why}: {answer.summary}", evidence=[answer])


async def expect_held(count: int, what: str, requests: Sequence[PendingRequest]) -> None:
    """Expect at least one of the requests to be held.

    Raises NoEvidence, with what became of the first of them, where none is.
    """
    if count == 0:
        became = await requests[0].wait_for_answer(timeouts.DEADLINE_AFTER_A_MISSED_ONE)
        raise NoEvidence(f"no {what} could be held: {became.summary}", evidence=[became])
