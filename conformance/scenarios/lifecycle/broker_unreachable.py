"""A copy at whose broker's address nothing listens at first. Then its servers are restarted."""

import asyncio
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.observations import BlockingLine
from conformance.core.urls import replace_address
from conformance.scenarios.lifecycle.copies import (
    find_start_failure,
    open_database,
    run_redis,
    start_copy,
    start_redirected_copy,
)
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.lifecycle.separation import expect_missed_broker
from conformance.scenarios.lifecycle.server_restarts import RestartsObserved, RestartWatch
from conformance.scenarios.questions import (
    AskedAgain,
    Need,
    ask_each,
    ask_meanwhile,
    list_questions,
)
from conformance.target.launch import HOST, Launch
from conformance.target.redirection import Redirection
from conformance.target.server import NotReady, Target
from conformance.testbed.database_relay import DatabaseRelay
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
    restarts: RestartsObserved | None = None  # where it, or a copy with a broker, started


class BrokerUnreachable(Scenario[StartWithoutBroker]):
    """Nothing listens where the broker should be, until the copy was asked for a submission.

    The broker is one of the copy's own, and its database is behind a port of its own. So both can
    be restarted, and nobody else loses them. Of a container of somebody else's, nothing is.
    """

    requirements = frozenset(
        {
            *("CONC-9", "DB-14", "HTTP-7"),
            *("TASK-2", "TASK-7", "TASK-10", "TASK-11", "TASK-12", "TASK-17"),
        }
    )
    is_apart = True

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartWithoutBroker:
        """Run it on a database."""
        if launch.make_broker is None:
            return await self._observe_redirected(launch, database)
        server = launch.make_broker("redis-to-be-restarted")
        dsn, relay = str(database.target_dsn), None
        if "sslmode=verify" not in dsn:
            relay = DatabaseRelay(dsn, launch.journal, launch.addresses)
            dsn = replace_address(dsn, HOST, relay.port)
        variables = {"DATABASE_URL": dsn, **dict.fromkeys(BROKER_VARIABLES, server.url)}
        listening = relay.listening() if relay else nullcontext()
        async with listening, open_database(database, launch) as items:
            async with start_copy(launch, "without a broker", variables) as (target, client):
                watch = RestartWatch(launch, variables, server, relay, items, target, client)
                observed = await self._observe_start(watch)
            if observed.failure is None:
                return observed
            return replace(observed, restarts=await self._observe_with_broker(watch))

    async def _observe_redirected(
        self, launch: Launch, database: DatabaseAccess
    ) -> StartWithoutBroker:
        where = (launch, "without a broker", database, Redirection(BROKER_VARIABLES))
        async with start_redirected_copy(*where) as (target, client):
            failure = await find_start_failure(target)
            if failure:
                return StartWithoutBroker(failure, None, None)
            answer = await client.get("/async")
            submission = await submit_without_broker(target, client)
            await expect_missed_broker(launch, submission.exchange)
        return StartWithoutBroker(None, answer, submission)

    async def _observe_start(self, watch: RestartWatch) -> StartWithoutBroker:
        failure = await find_start_failure(watch.target)
        if failure:
            return StartWithoutBroker(failure, None, None)
        answer = await watch.client.get("/async")
        submission = await submit_without_broker(watch.target, watch.client)
        restarts = await watch.run(submission.exchange)
        return StartWithoutBroker(None, answer, submission, restarts)

    async def _observe_with_broker(self, watch: RestartWatch) -> RestartsObserved | None:
        """Observe the restarts on a copy that has its broker from the start."""
        name = "whose servers are restarted"
        async with AsyncExitStack() as first_life:
            await first_life.enter_async_context(run_redis(watch.launch, watch.server))
            async with start_copy(watch.launch, name, watch.variables) as (target, client):
                if await find_start_failure(target):
                    return None
                await first_life.aclose()
                early = await client.post("/process-data/", {"reached": False})
                return await replace(watch, target=target, client=client).run(early)


async def submit_without_broker(target: Target, client: Client) -> Submission:
    """Send a submission while nothing listens, and ask for other answers meanwhile."""
    asked = await ask_each(client, list_questions(ITEM, without=NOT_ASKED))
    async with client.in_flight() as send:
        submission = send.post("/process-data/", {"reached": False})
        answerable = [each for each in asked if each.alone.answered]
        meanwhile = await ask_meanwhile(send, [submission], answerable)
        stack = None
        if meanwhile and not meanwhile.exchange.answered:
            stack = await asyncio.to_thread(target.find_blocking_line)
        exchange = await submission.wait_for_answer(timeouts.REFUSAL_DEADLINE)
    return Submission(exchange, meanwhile, stack)
