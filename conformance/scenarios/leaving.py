"""Clients that leave while what they have asked for is held, and what that costs."""

from dataclasses import dataclass

from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.observations import LockCount
from conformance.core.polling import wait_until
from conformance.scenarios.capacity import OUTBOUND, CallCapacity, ReadCapacity, expect_held

ROUNDS = 2
CALLS = timeouts.LOST_CALLS // ROUNDS
SINCE = "as before clients left"


@dataclass(frozen=True)
class _Held:
    """What could be held before the clients left."""

    calls: int
    reads: LockCount


async def expect_no_loss_by_leaving(calls: CallCapacity, reads: ReadCapacity) -> None:
    """Expect as much at once after clients have left as before.

    Raises Violation, and NoEvidence where nothing could be held.
    """
    first = await _hold_and_leave(calls, reads)
    try:
        for _ in range(ROUNDS - 1):
            await _hold_and_leave(calls, reads, last_first=True)
    except NoEvidence as nothing:
        raise Violation(f"requests that are held {SINCE}", str(nothing)) from nothing
    await calls.expect_calls_again(min(OUTBOUND, first.calls), SINCE)
    await reads.expect_overlap_again(SINCE, first.reads)


async def _hold_and_leave(
    calls: CallCapacity, reads: ReadCapacity, *, last_first: bool = False
) -> _Held:
    """Hold calls and reads until their clients have left, in order or those that came last first.

    The last ones still wait for their turn in the service.
    """
    locks = reads.items.locks
    path = f"/items/{(await reads.items.rows.insert())['id']}"
    async with (
        calls.client.in_flight() as send,
        calls.upstream.holding() as hold,
        locks.table_locked(),
    ):
        arrived = await calls.make_calls(CALLS, send, hold)
        requests = send(*[path] * timeouts.FAILURES)
        seen = await locks.wait_for_reads(2)
        await expect_held(seen.waiting, "read", requests)
        for request in reversed(send.pending) if last_first else send.pending:
            await request.drop_connection()

        async def is_noticed() -> bool:
            return hold.given_up >= arrived and not await locks.count_held()

        await wait_until(is_noticed, timeouts.LEAVING_WATCHED)
    return _Held(arrived, seen)
