"""Stops of a copy that has requests in flight and idle clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conformance.client.http import Client, InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.evidence import Exchange, Fact, ProcessEvent, QueuedMessage
from conformance.core.observations import EndedSessions
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import Ending, watch_end
from conformance.scenarios.lifecycle.neighbours import Neighbours
from conformance.target.server import Target
from conformance.testbed.processes import Running

IDLE_CLIENTS = 3


class Load(StrEnum):
    """What a copy has when the signal comes."""

    READ = "a read"
    CALL = "an outbound call"
    SUBMISSION = "a submission"
    IDLE = "idle clients"


@dataclass(frozen=True)
class HeldRequest:
    """A request that is in flight when the signal comes."""

    load: Load
    is_held: bool  # whether it waited for what holds it
    seen: Sequence[Fact]  # that it did
    answer: Exchange
    # What the broker holds at the end, where this is a submission that only the copy's broker got.
    queued: Sequence[QueuedMessage] | None


@dataclass(frozen=True)
class StopUnderLoad:
    """How a copy ended that had requests in flight and idle clients when the signal came."""

    row: dict[str, Any]  # that was read
    requests: Sequence[HeldRequest]
    ending: Ending
    sessions_at_end: EndedSessions | None  # None where it had to be killed


class _Sent:
    def __init__(self, load: Load, request: PendingRequest, is_held: bool, *seen: Fact) -> None:
        self.load = load
        self.request = request
        self.is_held = is_held
        self.seen = seen

    def end(self, answer: Exchange, queued: Sequence[QueuedMessage] | None) -> HeldRequest:
        """The request with its answer, and the messages in its broker."""
        messages = queued if self.load is Load.SUBMISSION else None
        return HeldRequest(self.load, self.is_held, self.seen, answer, messages)


async def stop_under_load(
    loads: Collection[Load],
    neighbours: Neighbours,
    target: Target,
    client: Client,
    send: Callable[[Running], ProcessEvent],
) -> StopUnderLoad:
    """Stop a copy that has these loads. It has reacted for a while when they are released."""
    row = await neighbours.items.rows.insert()
    async with client.idle(IDLE_CLIENTS if Load.IDLE in loads else 0):
        async with client.in_flight() as ask, _hold(loads, row, neighbours, ask) as sent:
            lines = target.process.read_output()
            signalled = send(target.process)
            await _wait_for_reaction(target, [each.request for each in sent])
            await asyncio.sleep(timeouts.GRACE_WATCHED)
        answers = [await each.request.wait_for_answer() for each in sent]
        ending = await asyncio.to_thread(watch_end, target, signalled, lines)
    queued = None
    if neighbours.are_own and neighbours.broker:
        queued = await neighbours.broker.messages.list_messages()
    requests = [each.end(answer, queued) for each, answer in zip(sent, answers, strict=True)]
    sessions = None if ending.status is None else await neighbours.items.sessions.wait_until_ended()
    return StopUnderLoad(row, requests, ending, sessions)


@asynccontextmanager
async def _hold(
    loads: Collection[Load], row: dict[str, Any], neighbours: Neighbours, send: InFlightRequests
) -> AsyncIterator[list[_Sent]]:
    """Send each request once what holds it is there, and release all at the end.

    The submission comes last: it may block the event loop, so that nothing else is taken.
    """
    sent = []
    async with AsyncExitStack() as stack:
        if Load.READ in loads:
            await stack.enter_async_context(neighbours.items.locks.table_locked())
            (request,) = send(f"/items/{row['id']}")
            reads = await neighbours.items.locks.wait_for_reads(1)
            sent.append(_Sent(Load.READ, request, reads.waiting > 0, reads))
        if Load.CALL in loads and neighbours.upstream:
            hold = await stack.enter_async_context(neighbours.upstream.holding())
            (request,) = send("/external-data")
            arrived = await neighbours.upstream.wait_for_requests(hold, 1)
            sent.append(_Sent(Load.CALL, request, arrived > 0, *hold.requests))
        if Load.SUBMISSION in loads and neighbours.broker:
            await stack.enter_async_context(neighbours.broker.faults.writes_stalled())
            request = send.post("/process-data/", {"in flight": True})
            writes = await neighbours.broker.clients.wait_for_write()
            is_held = writes.waiting > 0 and not request.is_done
            sent.append(_Sent(Load.SUBMISSION, request, is_held, writes))
        yield sent


async def _wait_for_reaction(target: Target, requests: Sequence[PendingRequest]) -> None:
    """Wait until a copy acts on a signal: it listens no more, drops a request, or ends.

    One that shows nothing is waited for no longer than SIGNAL_DEADLINE.
    """

    async def has_reacted() -> bool:
        is_dropped = any(request.is_done for request in requests)
        return is_dropped or target.process.status is not None or target.is_port_free()

    await wait_until(has_reacted, timeouts.SIGNAL_DEADLINE)
