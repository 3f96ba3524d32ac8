"""Copies of the target that a scenario starts, and how a copy ends that is asked to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.core.evidence import LogLine, ProcessEvent
from conformance.core.observations import EndedSessions
from conformance.core.polling import block_until
from conformance.target.launch import HOST, Launch
from conformance.target.redirection import Redirection
from conformance.target.server import NotReady, Target
from conformance.testbed.database import Database
from conformance.testbed.embedded import RestartableRedis
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.process_output import STARTING, find_lines_saying
from conformance.testbed.process_table import describe_listener, list_names
from conformance.testbed.upstream import Upstream


@dataclass(frozen=True)
class Ending:
    """How a copy ended that was asked to stop by a signal."""

    signalled: ProcessEvent
    lines_at_signal: list[LogLine]
    status: int | None  # None where it had to be killed
    children: list[str]  # the names of the processes that were left of its group
    port_is_free: bool
    lines: list[LogLine]  # all that it printed
    listener: str = ""  # who listens on its port still, as far as that can be seen


@asynccontextmanager
async def start_copy(
    launch: Launch, name: str, variables: Mapping[str, str], port: int | None = None
) -> AsyncIterator[tuple[Target, Client]]:
    """A further copy of the target, which need not be ready, and a client of its own.

    The copy is killed in the end. A target that somebody else has started has no copies: it is
    ended and started again, on its own settings.
    """
    if launch.capabilities.starts_target:
        full_name = f"server ({name})"
        target = await asyncio.to_thread(Target.start_copy, launch, full_name, variables, port)
    else:
        await asyncio.to_thread(_end_external, launch)
        target = await asyncio.to_thread(Target.restart_external, launch)
    async with _open_client(launch, target) as client:
        yield target, client


@asynccontextmanager
async def start_redirected_copy(
    launch: Launch, name: str, database: DatabaseAccess, redirection: Redirection
) -> AsyncIterator[tuple[Target, Client]]:
    """A further copy of the target, which finds another address in some variables.

    The copy is killed in the end. A container of somebody else's runs on beside it; its copy is on
    the container's own database. Raises NoEvidence where such a copy cannot be started.
    """
    full_name = f"server ({name})"
    if launch.copies:
        where = (launch, full_name, redirection)
        target = await asyncio.to_thread(Target.copy_container, *where)
    else:
        variables = use_database(database)
        variables |= redirection.change_address({**launch.variables, **variables}, HOST)
        target = await asyncio.to_thread(Target.start_copy, launch, full_name, variables)
    async with _open_client(launch, target) as client:
        yield target, client


@asynccontextmanager
async def _open_client(launch: Launch, target: Target) -> AsyncIterator[Client]:
    """A client of a copy, which is killed in the end."""
    client = Client(target.url, launch.journal)
    try:
        yield client
    finally:
        await asyncio.to_thread(target.kill)
        await client.close()


def _end_external(launch: Launch) -> None:
    """See that a target that somebody else has started does not run."""
    assert launch.external
    try:
        running = launch.external.find_running()
    except WrongUsage:
        return
    running.send(signal.SIGTERM)
    running.wait_for_end(timeouts.STOP_DEADLINE)
    running.kill()


@asynccontextmanager
async def open_database(place: DatabaseAccess, launch: Launch) -> AsyncIterator[Database]:
    """The suite's own session on a copy's database. In somebody else's, no row is left."""
    database = Database(place, launch.journal)
    await database.open()
    try:
        yield database
    finally:
        if not launch.capabilities.starts_target:
            await database.rows.delete_inserted()
        await database.close()


@asynccontextmanager
async def open_upstream(launch: Launch) -> AsyncIterator[Upstream]:
    """An upstream of the copies' own, so that the target's is not held for long."""
    upstream = Upstream(launch.journal, None, launch.addresses)
    await asyncio.to_thread(upstream.start)
    try:
        yield upstream
    finally:
        await asyncio.to_thread(upstream.stop)


@asynccontextmanager
async def run_redis(launch: Launch, server: RestartableRedis) -> AsyncIterator[None]:
    """One life of a Redis of the copies' own, which begins with nothing in memory."""
    await asyncio.to_thread(server.start)
    launch.on_start(server.process)
    try:
        await asyncio.to_thread(server.wait_until_ready)
        yield
    finally:
        await asyncio.to_thread(server.stop)


def use_database(place: DatabaseAccess) -> dict[str, str]:
    """The variable of the contract that puts a copy on a database."""
    return {"DATABASE_URL": str(place.target_dsn)}


async def wait_until_it_says_it_starts(launch: Launch, target: Target) -> list[LogLine]:
    """What a copy has printed when it says that it starts, to which nothing was sent so far.

    That is waited for as long as a first answer is, where what it prints can be read.
    """

    def is_decided() -> bool:
        says_it = find_lines_saying(STARTING, target.process.read_output())
        return target.process.status is not None or bool(says_it)

    if launch.capabilities.reads_output:
        await asyncio.to_thread(block_until, is_decided, timeouts.READY_DEADLINE)
    return target.process.read_output()


async def wait_until_ready(target: Target) -> None:
    """Wait until a copy answers. Raises NotReady."""
    await asyncio.to_thread(target.wait_until_ready)


async def find_start_failure(target: Target) -> NotReady | None:
    """Wait until a copy answers; why it does not, or None."""
    try:
        await wait_until_ready(target)
    except NotReady as failure:
        return failure
    return None


async def stop(target: Target) -> Ending:
    """Send SIGTERM to its process alone, as a supervisor does, and wait for the end."""
    lines = target.process.read_output()
    return await asyncio.to_thread(watch_end, target, target.process.send(signal.SIGTERM), lines)


async def interrupt(target: Target) -> Ending:
    """Send SIGINT to all of its processes, as a terminal does, and wait for the end."""
    lines = target.process.read_output()
    return await asyncio.to_thread(watch_end, target, target.process.interrupt(), lines)


def watch_end(target: Target, signalled: ProcessEvent, lines_at_signal: list[LogLine]) -> Ending:
    """Wait for the end of a copy that was sent a signal, of its children and of its listening."""
    process = target.process
    status = process.wait_for_end(timeouts.STOP_DEADLINE)

    def is_gone() -> bool:
        return target.is_port_free() and not process.children

    if status is not None:
        block_until(is_gone, timeouts.STOP_DEADLINE)  # a child may end a moment after it
    is_free, children = target.is_port_free(), list_names(process.children)
    listener = "" if is_free else describe_listener(target.port)
    printed = process.read_output()
    return Ending(signalled, lines_at_signal, status, children, is_free, printed, listener)


def is_clean_disconnect(seen: EndedSessions) -> bool:
    """Whether every session ended with a Terminate message, as `wait_until_ended` saw it."""
    return seen.all_disconnected
