"""A copy whose broker refuses its connections from the start, and that is sent a submission."""

import asyncio
from dataclasses import dataclass

from conformance.client.http import InFlightRequests, PendingRequest
from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.observations import BlockingLine
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import find_start_failure, start_redirected_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.lifecycle.separation import expect_missed_broker
from conformance.target.launch import Launch
from conformance.target.redirection import Redirection
from conformance.target.server import NotReady
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES


@dataclass(frozen=True)
class Submission:
    """A submission that cannot reach the broker, and what else was asked while it had no answer."""

    exchange: Exchange
    meanwhile: Exchange | None  # of /async; see `ask_meanwhile`
    stack: BlockingLine | None  # where the event loop was stuck, if that did not come


@dataclass(frozen=True)
class StartWithoutBroker:
    """What became of the copy."""

    failure: NotReady | None  # why it did not start
    answer: Exchange | None  # of /async, before the submission
    submission: Submission | None


class BrokerUnreachable(Scenario[StartWithoutBroker]):
    """Nothing listens where the broker should be."""

    requirements = frozenset({"CONC-9", "HTTP-7", "TASK-10", "TASK-17"})
    is_apart = True

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartWithoutBroker:
        """Run it on a database."""
        where = (launch, "without a broker", database, Redirection(BROKER_VARIABLES))
        async with start_redirected_copy(*where) as (target, client):
            failure = await find_start_failure(target)
            if failure:
                return StartWithoutBroker(failure, None, None)
            answer = await client.get("/async")
            async with client.in_flight() as send:
                submission = send.post("/process-data/", {"reached": False})
                meanwhile = await ask_meanwhile(send, submission)
                stack = None
                if meanwhile and not meanwhile.answered:
                    stack = await asyncio.to_thread(target.find_blocking_line)
                exchange = await submission.wait_for_answer(timeouts.REFUSAL_DEADLINE)
            await expect_missed_broker(launch, exchange)
            return StartWithoutBroker(None, answer, Submission(exchange, meanwhile, stack))


async def ask_meanwhile(send: InFlightRequests, submission: PendingRequest) -> Exchange | None:
    """An answer of /async while a submission has none: the first that did not come, or the last.

    None where the submission was answered at once. The service may begin with the submission after
    the first of them, and be stuck in a later attempt of several.
    """
    seen: list[Exchange] = []

    async def is_over() -> bool:
        (request,) = send("/async")
        exchange = await request.wait_for_answer(timeouts.UNBLOCKED_DEADLINE)
        if submission.is_done:
            return True
        seen.append(exchange)
        return not exchange.answered

    await wait_until(is_over, timeouts.RETRIES_WATCHED)
    return seen[-1] if seen else None
