"""A copy whose broker refuses its connections from the start, and that is sent a submission."""

import asyncio
from dataclasses import dataclass

from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.observations import BlockingLine
from conformance.scenarios.lifecycle.copies import find_start_failure, start_copy, use_database
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.questions import (
    AskedAgain,
    Need,
    ask_each,
    ask_meanwhile,
    list_questions,
)
from conformance.target.launch import HOST, Launch
from conformance.target.server import NotReady
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES

ITEM = 1  # nobody changes it
# The upstream is the target's, and other probes have it hold or fail what it is asked meanwhile.
NOT_ASKED = (Need.BROKER, Need.UPSTREAM)


@dataclass(frozen=True)
class Submission:
    """A submission that cannot reach the broker, and what else was asked while it had no answer."""

    exchange: Exchange
    meanwhile: AskedAgain | None  # the first that was not answered as before; see `ask_meanwhile`
    stack: BlockingLine | None  # where the event loop was stuck, if it had no answer


@dataclass(frozen=True)
class StartWithoutBroker:
    """What became of the copy."""

    failure: NotReady | None  # why it did not start
    answer: Exchange | None  # of /async, before the submission
    submission: Submission | None


class BrokerUnreachable(Scenario[StartWithoutBroker]):
    """Nothing listens where the broker should be."""

    requirements = frozenset({"CONC-9", "TASK-10", "TASK-17"})

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartWithoutBroker:
        """Run it on a database."""
        url = f"redis://{HOST}:{claim_port()}/0"
        variables = {**use_database(database), **dict.fromkeys(BROKER_VARIABLES, url)}
        async with start_copy(launch, "without a broker", variables) as (target, client):
            failure = await find_start_failure(target)
            if failure:
                return StartWithoutBroker(failure, None, None)
            answer = await client.get("/async")
            asked = await ask_each(client, list_questions(ITEM, without=NOT_ASKED))
            async with client.in_flight() as send:
                submission = send.post("/process-data/", {"reached": False})
                meanwhile = await ask_meanwhile(
                    send, [submission], [each for each in asked if each.alone.answered]
                )
                stack = None
                if meanwhile and not meanwhile.exchange.answered:
                    stack = await asyncio.to_thread(target.find_blocking_line)
                exchange = await submission.wait_for_answer(timeouts.REFUSAL_DEADLINE)
            return StartWithoutBroker(None, answer, Submission(exchange, meanwhile, stack))
