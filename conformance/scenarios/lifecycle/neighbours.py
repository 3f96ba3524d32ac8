"""What a copy stands on where its requests are held: a database, an upstream and a broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from conformance.scenarios.lifecycle.copies import (
    open_database,
    open_upstream,
    run_redis,
    use_database,
)
from conformance.target.launch import Launch
from conformance.testbed import redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES, BrokerAccess
from conformance.testbed.upstream import Upstream


@dataclass(frozen=True)
class Neighbours:
    """The services of a copy, each as the suite sees it, and the variables that name them."""

    items: Database
    broker: Broker | None  # None where there is none that the suite may stall
    upstream: Upstream | None  # None where the suite does not play it
    variables: Mapping[str, str]
    are_own: bool  # only copies of one scenario use the broker and the upstream


@asynccontextmanager
async def open_neighbours(launch: Launch, place: DatabaseAccess) -> AsyncIterator[Neighbours]:
    """Services of the scenario's own, so that nothing else is held: the database is given.

    Those of a target that somebody else has started are its own, as far as the suite sees them and
    may stall them.
    """
    async with AsyncExitStack() as stack:
        items = await stack.enter_async_context(open_database(place, launch))
        upstream, access, variables = launch.upstream, launch.broker, dict[str, str]()
        if launch.capabilities.starts_target:
            upstream = await stack.enter_async_context(open_upstream(launch))
            access = await stack.enter_async_context(_open_redis(launch))
            variables = use_database(place) | {"EXTERNAL_DATA_URL": upstream.url}
            variables |= dict.fromkeys(BROKER_VARIABLES, str(access.target_dsn))
        broker = None
        if access and access.user:
            broker = Broker(access, launch.journal)
            stack.push_async_callback(broker.close)
            await broker.open()
        are_own = launch.capabilities.starts_target
        yield Neighbours(items, broker, upstream, variables, are_own)


@asynccontextmanager
async def _open_redis(launch: Launch) -> AsyncIterator[BrokerAccess]:
    """A user of a Redis of its own."""
    assert launch.make_broker
    server = launch.make_broker("redis-to-be-stalled")
    async with run_redis(launch, server):
        yield await asyncio.to_thread(redis_admin.create_user, server.url)
