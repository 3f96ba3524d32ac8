"""A copy whose database takes its connections and never answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import start_redirected_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.lifecycle.separation import expect_missed_database
from conformance.target.launch import Launch
from conformance.target.redirection import Redirection
from conformance.target.server import Target
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess


@dataclass(frozen=True)
class StartOnSilence:
    """What became of the copy's start."""

    is_connected: bool  # whether it connected to its database
    answer: Exchange | None  # of /async within SILENCE_WATCHED after that


class DatabaseUnresponsive(Scenario[StartOnSilence]):
    """The copy is expected not to be ready."""

    requirements = frozenset({"LIFE-7"})
    is_apart = True

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartOnSilence:
        """Run it; of the database only the names in its URL are used."""
        async with _serve_silence(launch.addresses) as (port, connected):
            redirection = Redirection(("DATABASE_URL",), port)
            where = (launch, "whose database is silent", database, redirection)
            async with start_redirected_copy(*where) as (target, client):
                with suppress(TimeoutError):
                    await asyncio.wait_for(connected.wait(), timeouts.READY_DEADLINE)
                answer = await _find_answer(target, client, timeouts.SILENCE_WATCHED)
                await asyncio.to_thread(target.expect_own_port)
                if answer:
                    await expect_missed_database(launch, database, client)
                return StartOnSilence(connected.is_set(), answer)


@asynccontextmanager
async def _serve_silence(addresses: Sequence[str]) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """The port of a server that never answers, and an event that the first connection sets."""
    connected = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connected.set()

    port = claim_port()
    server = await asyncio.start_server(accept, addresses, port)
    try:
        yield port, connected
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def _find_answer(target: Target, client: Client, seconds: float) -> Exchange | None:
    """An answer of a copy within some seconds, or None."""
    deadline = time.monotonic() + seconds

    async def is_decided() -> bool:
        return target.process.status is not None or not target.is_port_free()

    await wait_until(is_decided, seconds)
    left = deadline - time.monotonic()
    if left <= 0 or target.process.status is not None:
        return None
    async with client.in_flight() as send:
        (request,) = send("/async")
        exchange = await request.wait_for_answer(left)
    return exchange if exchange.status is not None else None
