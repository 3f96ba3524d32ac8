"""A copy whose upstream takes two requests: it begins one answer and ends neither."""

import asyncio
from dataclasses import dataclass

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.evidence import Exchange, UpstreamRequest
from conformance.scenarios.lifecycle.copies import start_copy, use_database, wait_until_ready
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.launch import Launch
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import HoldMode


@dataclass(frozen=True)
class CallsGivenUp:
    """What became of two calls that the upstream does not answer to the end."""

    unfinished: list[UpstreamRequest]  # the request whose answer was begun
    unanswered: list[UpstreamRequest]
    meanwhile: Exchange  # an answer of /async
    answer_to_unfinished: Exchange  # of /external-data
    answer_to_unanswered: Exchange


class UpstreamUnresponsive(Scenario[CallsGivenUp | None]):
    """The copy has an upstream of its own, so that the target's is not held for long."""

    requirements = frozenset({"UP-6"})

    async def run(self, launch: Launch, database: DatabaseAccess) -> CallsGivenUp | None:
        """Run it on a database. Returns None where a call did not arrive."""
        upstream = Upstream(launch.journal, None, launch.addresses)
        await asyncio.to_thread(upstream.start)
        try:
            variables = {**use_database(database), "EXTERNAL_DATA_URL": upstream.url}
            name = "whose upstream is silent"
            async with start_copy(launch, name, variables) as (target, client):
                await wait_until_ready(target)
                return await watch_calls(client, upstream)
        finally:
            await asyncio.to_thread(upstream.stop)


async def watch_calls(client: Client, upstream: Upstream) -> CallsGivenUp | None:
    """Make both calls and wait for their answers. Returns None where a call does not arrive."""
    async with client.in_flight() as send, upstream.holding(HoldMode.TRUNCATED) as unfinished:
        (first,) = send("/external-data")
        if not await upstream.wait_for_requests(unfinished, 1):
            return None
        async with upstream.holding(HoldMode.SILENT) as unanswered:
            (second,) = send("/external-data")
            await upstream.wait_for_requests(unanswered, 1)
            meanwhile = await client.get("/async")
            answers = (call.wait_for_answer(timeouts.GIVE_UP_DEADLINE) for call in (first, second))
            to_unfinished, to_unanswered = await asyncio.gather(*answers)
    if not unanswered.arrived:
        return None
    began, silent = unfinished.requests[:1], unanswered.requests[:1]
    return CallsGivenUp(began, silent, meanwhile, to_unfinished, to_unanswered)
