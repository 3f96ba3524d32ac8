"""Lives: whole lives of further copies of the target, from start to end, lived in the background and recorded, not judged."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from conformance.client.http import Client, InFlight, Pending
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, WrongUsage
from conformance.core.evidence import Exchange, LogLine, ProcessEvent
from conformance.core.observations import (
    BlockingLine,
    EndedSessions,
    LockCount,
    SessionCount,
    TableSnapshot,
)
from conformance.core.polling import Pauses
from conformance.target.server import HOST, Launch, NotReady, Target
from conformance.testbed import postgres_admin
from conformance.testbed.database import Database
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.process_table import list_names
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import Hold, HoldMode

STARTING, STOPPING = "Starting up...", "Shutting down..."
IDLE_CLIENTS = 3


@dataclass
class Life:
    """What is known of a life; `failure` says why the rest is empty, where a copy that had all it needs did not begin."""

    looked_at_by: ClassVar[frozenset[str]]  # the requirements that are judged by it
    failure: NotReady | None = None


@dataclass
class Ending:
    """How a copy ended that was asked to stop by a signal."""

    signalled: ProcessEvent
    lines_at_signal: list[LogLine]
    status: int | None  # None: it had to be killed
    children: list[str]  # what was left of its group
    port_is_free: bool
    lines: list[LogLine]


@asynccontextmanager
async def copy(
    launch: Launch, name: str, variables: Mapping[str, str], port: int | None = None
) -> AsyncIterator[tuple[Target, Client]]:
    """A further copy of the target, which need not be ready, and a client of its own; it is killed in the end.

    Of a target that somebody else has started there is one alone, on its own settings: it is ended and started again.
    """
    if launch.control:
        await asyncio.to_thread(_end_existing, launch)
        target = await asyncio.to_thread(Target.again, launch)
    else:
        target = await asyncio.to_thread(Target.start, launch, f"server ({name})", variables, port)
    client = Client(target.url, launch.journal)
    await client.open()
    try:
        yield target, client
    finally:
        await asyncio.to_thread(target.kill)
        await client.close()


def _end_existing(launch: Launch) -> None:
    """See that a target that somebody else has started does not run."""
    assert launch.control
    try:
        running = launch.control.running()
    except WrongUsage:
        return
    running.send(signal.SIGTERM)
    running.wait_for_end(timeouts.STOP_DEADLINE)
    running.kill()


@asynccontextmanager
async def opened(place: DatabaseAccess, launch: Launch) -> AsyncIterator[Database]:
    """The suite's own session on a copy's database."""
    database = Database(place, launch.journal)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def begun(target: Target) -> NotReady | None:
    """Wait until a copy answers; why it does not, or None."""
    try:
        await asyncio.to_thread(target.ready)
    except NotReady as failure:
        return failure
    return None


async def end(target: Target, number: signal.Signals) -> Ending:
    """Send a signal and wait for the end."""
    lines = target.process.read_output()
    return await asyncio.to_thread(_ended, target, target.process.send(number), lines)


def _ended(target: Target, signalled: ProcessEvent, lines_at_signal: list[LogLine]) -> Ending:
    process = target.process
    status = process.wait_for_end(timeouts.STOP_DEADLINE)
    deadline = time.monotonic() + timeouts.STOP_DEADLINE
    pauses = Pauses()
    while not (is_free := target.port_is_free()) or process.children:
        if time.monotonic() > deadline:
            break
        time.sleep(pauses.next)  # what the process started may end a moment after it
    return Ending(
        signalled,
        lines_at_signal,
        status,
        list_names(process.children),
        is_free,
        process.read_output(),
    )


def on(place: DatabaseAccess) -> dict[str, str]:
    """The variable that puts a copy on a database of its own."""
    return {"DATABASE_URL": str(place.target_dsn)}


@dataclass
class StoppedLife(Life):
    """A copy that was started, read from a few times, and asked to stop by SIGTERM.

    That this copy began shows that another, which lacks something and does not begin, fails for that lack.
    """

    looked_at_by = frozenset(
        {"DB-7", "DB-8", "DB-9", "LIFE-1", "LIFE-2", "LIFE-3", "LIFE-6", "TASK-17"}
    )

    lines_at_first_answer: list[LogLine] = field(default_factory=list)
    sessions_at_first_answer: SessionCount | None = None
    reads: list[Exchange] = field(default_factory=list)
    table_before: TableSnapshot | None = None
    table_after: TableSnapshot | None = None
    sessions_at_signal: SessionCount | None = None
    ending: Ending | None = None
    sessions_at_end: EndedSessions | None = None


async def stopped(launch: Launch, place: DatabaseAccess) -> StoppedLife:
    """Live such a life on a database of its own, where the role may write, so that a read that writes succeeds in it."""
    life = StoppedLife()
    async with (
        opened(place, launch) as database,
        copy(launch, "to be stopped", on(place)) as (target, client),
    ):
        if failure := await begun(target):
            life.failure = failure
            return life
        life.lines_at_first_answer = target.lines_at_first_answer
        life.sessions_at_first_answer = await database.sessions.count_sessions()
        rows = [await database.rows.insert() for _ in range(3)]
        life.table_before = await database.rows.take_snapshot()
        life.reads = await client.all(
            *(f"/items/{row['id']}" for row in rows), f"/items/{database.rows.pick_unused_id()}"
        )
        life.table_after = await database.rows.take_snapshot()
        life.sessions_at_signal = await database.sessions.count_sessions()
        life.ending = await end(target, signal.SIGTERM)
        life.sessions_at_end = await database.sessions.wait_until_ended()
    return life


@dataclass
class KilledLife(Life):
    """A copy that took one submission and was killed as soon as it had answered."""

    looked_at_by = frozenset({"TASK-2", "TASK-5", "TASK-7"})

    submission: Exchange | None = None


async def killed(launch: Launch, place: DatabaseAccess) -> KilledLife:
    """Live such a life."""
    life = KilledLife()
    async with copy(launch, "to be killed", on(place)) as (target, client):
        if failure := await begun(target):
            life.failure = failure
            return life
        life.submission = await client.post("/process-data/", {"outlives": place.database})
        target.process.send(signal.SIGKILL)
    return life


@dataclass
class RestartedLife(Life):
    """Three copies on one port: the first asked to stop by SIGTERM over a read, the second killed, the third interrupted."""

    looked_at_by = frozenset({"LIFE-4", "LIFE-5", "LIFE-8", "LIFE-9"})

    row: dict[str, Any] = field(default_factory=dict)
    waiting: LockCount | None = None  # the read that is in flight when SIGTERM comes
    in_flight: Exchange | None = None  # and its answer
    terminated: Ending | None = None  # the first copy's, with a read in flight and idle clients
    sessions_at_end: EndedSessions | None = None
    after_stop: NotReady | None = None  # why the second copy did not begin
    after_kill: NotReady | None = None  # why the third did not
    interrupted: Ending | None = None
    sessions_after_interrupt: EndedSessions | None = None


async def restarted(launch: Launch, place: DatabaseAccess) -> RestartedLife:
    """Live such a life on a database of its own."""
    life = RestartedLife()
    name, port = "to be started again", claim_port()
    async with opened(place, launch) as database:
        life.row = await database.rows.insert()
        async with copy(launch, name, on(place), port) as (target, client):
            if failure := await begun(target):
                life.failure = failure
                return life
            await _terminate_over_a_read(life, database, target, client)
        async with copy(launch, name, on(place), port) as (target, _):
            life.after_stop = await begun(target)
        await database.sessions.wait_until_ended()  # those of a copy that was killed are abandoned
        async with copy(launch, name, on(place), port) as (target, client):
            life.after_kill = await begun(target)
            if life.after_kill is None:
                await client.get(f"/items/{life.row['id']}")
                life.interrupted = await end(target, signal.SIGINT)
                life.sessions_after_interrupt = await database.sessions.wait_until_ended()
    return life


async def _terminate_over_a_read(
    life: RestartedLife, database: Database, target: Target, client: Client
) -> None:
    async with client.idle(IDLE_CLIENTS):
        async with client.in_flight() as send, database.locks.table_locked():
            (read,) = send(f"/items/{life.row['id']}")
            life.waiting = await database.locks.wait_for_reads(1)
            lines = target.process.read_output()
            signalled = target.process.send(signal.SIGTERM)
            await _taken(target, read)
            await asyncio.sleep(timeouts.GRACE_WATCHED)
        life.in_flight = await read.answer()
        life.terminated = await asyncio.to_thread(_ended, target, signalled, lines)
    life.sessions_at_end = await database.sessions.wait_until_ended()


async def _taken(target: Target, read: Pending) -> None:
    """Wait until a copy acts on a signal: it listens no more, drops the read, or ends; one that shows nothing is not waited for."""
    deadline = time.monotonic() + timeouts.SIGNAL_DEADLINE
    pauses = Pauses()
    while (
        not (read.ended or target.process.status is not None or target.port_is_free())
        and time.monotonic() < deadline
    ):
        await asyncio.sleep(pauses.next)


@dataclass
class RefusedLife(Life):
    """A copy at whose database's address nothing listens from the start."""

    looked_at_by = frozenset({"LIFE-6"})

    refused: NotReady | None = None  # None: it answered all the same
    answer: Exchange | None = None
    lines: list[LogLine] = field(default_factory=list)


async def refused(launch: Launch, place: DatabaseAccess) -> RefusedLife:
    """Live such a life: nothing listens where its database should be."""
    life = RefusedLife()
    url = postgres_admin.replace_port(str(place.target_dsn), claim_port())
    async with copy(launch, "without a database", {"DATABASE_URL": url}) as (target, client):
        life.refused = await begun(target)
        if life.refused is None:
            life.answer = await client.get("/async")
        life.lines = target.process.read_output()
    return life


@dataclass
class UnansweredLife(Life):
    """A copy whose database takes its connections and never answers."""

    looked_at_by = frozenset({"LIFE-7"})

    connected: bool = False
    answer: Exchange | None = None


async def unanswered(launch: Launch, place: DatabaseAccess) -> UnansweredLife:
    """Live such a life."""
    life = UnansweredLife()
    async with _silent_server(launch.addresses) as (port, connected):
        url = postgres_admin.replace_port(str(place.target_dsn), port)
        async with copy(launch, "whose database is silent", {"DATABASE_URL": url}) as (
            target,
            client,
        ):
            with suppress(TimeoutError):
                await asyncio.wait_for(connected.wait(), timeouts.READY_DEADLINE)
            life.connected = connected.is_set()
            life.answer = await _answered(target, client, timeouts.SILENCE_WATCHED)
    return life


@asynccontextmanager
async def _silent_server(addresses: Sequence[str]) -> AsyncIterator[tuple[int, asyncio.Event]]:
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


async def _answered(target: Target, client: Client, seconds: float) -> Exchange | None:
    """An answer of a copy within some seconds, or None."""
    deadline = time.monotonic() + seconds
    pauses = Pauses()
    while (left := deadline - time.monotonic()) > 0 and target.process.status is None:
        if not target.port_is_free():
            async with client.in_flight() as send:
                (request,) = send("/async")
                exchange = await request.answer(left)
            return exchange if exchange.status is not None else None
        await asyncio.sleep(pauses.next)
    return None


@dataclass
class BrokerlessLife(Life):
    """A copy whose broker refuses its connections from the start, and that is sent a submission all the same."""

    looked_at_by = frozenset({"CONC-9", "TASK-10", "TASK-17"})

    refused: NotReady | None = None  # why it did not start
    answer: Exchange | None = None  # of /async, before the submission
    meanwhile: Exchange | None = (
        None  # of /async, while the submission was without an answer; the first that did not come, or the last
    )
    stack: BlockingLine | None = None  # where the event loop was stuck, if that did not come
    submission: Exchange | None = None


async def brokerless(launch: Launch, place: DatabaseAccess) -> BrokerlessLife:
    """Live such a life: nothing listens where its broker should be."""
    life = BrokerlessLife()
    url = f"redis://{HOST}:{claim_port()}/0"
    broker = dict.fromkeys(("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"), url)
    async with copy(launch, "without a broker", {**on(place), **broker}) as (target, client):
        life.refused = await begun(target)
        if life.refused is None:
            life.answer = await client.get("/async")
            async with client.in_flight() as send:
                submission = send.post("/process-data/", {"reached": False})
                life.meanwhile = await answered_meanwhile(send, submission)
                if life.meanwhile and not life.meanwhile.answered:
                    life.stack = await asyncio.to_thread(target.find_blocking_line)
                life.submission = await submission.answer(timeouts.REFUSAL_DEADLINE)
    return life


async def answered_meanwhile(send: InFlight, submission: Pending) -> Exchange | None:
    """An answer of /async while a submission has none: the first that did not come in time, or the last. None where it was over at once.

    The service may begin with the submission after the first of them, and be stuck in a later attempt of several.
    """
    meanwhile = None
    until = time.monotonic() + timeouts.RETRIES_WATCHED
    pauses = Pauses()
    while time.monotonic() < until:
        (request,) = send("/async")
        exchange = await request.answer(timeouts.UNBLOCKED_DEADLINE)
        if submission.ended:
            break
        meanwhile = exchange
        if not exchange.answered:
            break
        await asyncio.sleep(pauses.next)
    return meanwhile


@dataclass
class PatientLife(Life):
    """A copy whose upstream takes two requests, begins to answer one of them, and never ends that answer nor begins the other."""

    looked_at_by = frozenset({"UP-6"})

    unfinished: Hold | None = None  # of the answer that it began
    unanswered: Hold | None = None
    meanwhile: Exchange | None = None  # an answer of /async
    answer_to_unfinished: Exchange | None = None  # of /external-data
    answer_to_unanswered: Exchange | None = None


async def patient(launch: Launch, place: DatabaseAccess) -> PatientLife:
    """Live such a life."""
    life = PatientLife()
    upstream = Upstream(launch.journal, None, launch.addresses)
    await asyncio.to_thread(upstream.start)
    try:
        variables = {**on(place), "EXTERNAL_DATA_URL": upstream.url}
        async with copy(launch, "whose upstream is silent", variables) as (target, client):
            if failure := await begun(target):
                life.failure = failure
                return life
            await unheard(life, client, upstream)
    finally:
        await asyncio.to_thread(upstream.stop)
    return life


async def unheard(life: PatientLife, client: Client, upstream: Upstream) -> PatientLife:
    """What becomes of a call whose answer the upstream does not end, and of one that it does not answer."""
    async with client.in_flight() as send, upstream.holding(HoldMode.TRUNCATED) as life.unfinished:
        (first,) = send("/external-data")
        if not await upstream.wait_for_requests(life.unfinished, 1):
            return life
        async with upstream.holding(HoldMode.SILENT) as life.unanswered:
            (second,) = send("/external-data")
            await upstream.wait_for_requests(life.unanswered, 1)
            life.meanwhile = await client.get("/async")
            answers = (call.answer(timeouts.GIVE_UP_DEADLINE) for call in (first, second))
            life.answer_to_unfinished, life.answer_to_unanswered = await asyncio.gather(*answers)
    return life


# Every life and what lives it, those first that take longest or are needed first.
LIVES: dict[type[Life], Callable[[Launch, DatabaseAccess], Coroutine[Any, Any, Life]]] = {
    PatientLife: patient,
    KilledLife: killed,
    RestartedLife: restarted,
    StoppedLife: stopped,
    UnansweredLife: unanswered,
    BrokerlessLife: brokerless,
    RefusedLife: refused,
}


def never_began(failure: NotReady) -> NoEvidence:
    """Why nothing is known of a life; that it did not begin is judged elsewhere."""
    return NoEvidence(
        f"another copy of the service, on another port, did not become ready: {failure.got}"
    )


def goodbyes(seen: EndedSessions) -> bool:
    """Whether every session ended with a goodbye, as `sessions_ended` saw it."""
    return seen.all_disconnected
