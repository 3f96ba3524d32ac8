"""A copy whose upstream takes a request in each manner of not answering, and ends none."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
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
    """What became of the calls that arrived, one in each manner."""

    calls: list[CallGivenUp]
    meanwhile: Exchange  # an answer of /async
    afterwards: Exchange  # of /external-data, by an upstream that answers

    @property
    def missing(self) -> list[str]:
        """The manners for which no call arrived."""
        seen = {call.manner for call in self.calls}
        return [manner for manner in MANNERS.values() if manner not in seen]


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
    """Make a call for each manner and wait for their answers. Returns None where none arrives."""
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
        meanwhile = await client.get("/async")
        answers = (call.wait_for_answer(timeouts.GIVE_UP_DEADLINE) for _, _, call in waiting)
        given_up = [
            CallGivenUp(manner, hold.requests[:1], answer)
            for (manner, hold, _), answer in zip(
                waiting, await asyncio.gather(*answers), strict=True
            )
        ]
    return CallsGivenUp(given_up, meanwhile, await client.get("/external-data"))
