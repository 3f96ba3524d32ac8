"""What a copy stands on where its requests are held: a database, an upstream and a broker."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conformance.core.errors import WrongUsage
from conformance.scenarios.lifecycle.copies import open_database, use_database
from conformance.target.launch import Launch
from conformance.testbed import redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.embedded import EmbeddedRedis
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES, BrokerAccess
from conformance.testbed.server import Server
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
            upstream = await stack.enter_async_context(_open_upstream(launch))
            variables = use_database(place) | {"EXTERNAL_DATA_URL": upstream.url}
            with suppress(WrongUsage):  # there are no embedded servers here
                access = await stack.enter_async_context(_open_redis(launch))
                variables |= dict.fromkeys(BROKER_VARIABLES, str(access.target_dsn))
        broker = None
        if access and access.user:
            broker = Broker(access, launch.journal)
            stack.push_async_callback(broker.close)
            await broker.open()
        are_own = launch.capabilities.starts_target
        yield Neighbours(items, broker, upstream, variables, are_own)


@asynccontextmanager
async def _open_upstream(launch: Launch) -> AsyncIterator[Upstream]:
    upstream = Upstream(launch.journal, None, launch.addresses)
    await asyncio.to_thread(upstream.start)
    try:
        yield upstream
    finally:
        await asyncio.to_thread(upstream.stop)


@asynccontextmanager
async def _open_redis(launch: Launch) -> AsyncIterator[BrokerAccess]:
    """A user of a Redis of its own. Raises WrongUsage where there is none to be had."""
    folder = Path(tempfile.mkdtemp(dir=launch.stack_dump_folder.parent))
    try:
        server = await asyncio.to_thread(_start_redis, launch, folder)
        try:
            await asyncio.to_thread(server.wait_until_ready)
            yield await asyncio.to_thread(redis_admin.create_user, server.url)
        finally:
            await asyncio.to_thread(server.stop)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_redis(launch: Launch, folder: Path) -> Server:
    if launch.options.target.image:
        # Its import takes half a second.
        from conformance.testbed.container_servers import ContainerRedis  # noqa: PLC0415

        assert launch.engine
        image = launch.options.testbed.redis_image
        return ContainerRedis(launch.engine, image, name="redis-to-be-stalled")
    server = EmbeddedRedis(folder, launch.journal)
    launch.on_start(server.process)
    return server
