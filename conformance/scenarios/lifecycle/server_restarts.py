"""What a copy, and a worker after it, make of restarts of servers that they have to themselves.

A restart of the broker is real: a time when nothing listens, and then a process with nothing in
memory. What was queued is lost with it, so only what comes afterwards counts.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from conformance.client.http import Client
from conformance.client.task_ids import find_task_id
from conformance.core import timeouts
from conformance.core.errors import NoEvidence
from conformance.core.evidence import Exchange, Fact, Observation, ProcessEvent, QueuedMessage
from conformance.core.observations import TaskResult
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import run_redis
from conformance.scenarios.stateful import read_until_recovered
from conformance.target.launch import Launch
from conformance.target.server import Target
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.database_relay import DatabaseRelay
from conformance.testbed.embedded import RestartableRedis
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.processes import Running
from conformance.testbed.redis_admin import BrokerAccess

PATH = "/process-data/"
AFTERWARDS = 3  # submissions after an outage


@dataclass(frozen=True)
class BrokerOutage:
    """Submissions during a time when nothing listened at the broker's address, and afterwards."""

    gone: Observation
    meanwhile: Exchange
    afterwards: list[Exchange]
    messages: list[QueuedMessage]  # in the broker then
    is_alive: bool  # whether the copy's process runs


@dataclass(frozen=True)
class DatabaseOutage:
    """Answers before, during and after a restart of the database."""

    row: dict[str, Any]
    before: Exchange  # of a read
    gone: Observation
    reads: list[Exchange]  # while nothing listens, and while the server starts up
    others: list[Exchange]  # of /async, at the same times
    ready: Observation
    after: Exchange  # of a read
    is_alive: bool


@dataclass(frozen=True)
class WorkerResult:
    """What became of a task."""

    value: Any
    seen: TaskResult
    evidence: list[Fact]


@dataclass(frozen=True)
class WorkerAlone:
    """A worker that was started when no web process ran any more, and what it did."""

    submission: Exchange
    killed: ProcessEvent  # the copy
    result: WorkerResult
    after_restart: WorkerResult | None  # of another task; None where the first was not done


@dataclass(frozen=True)
class RestartsObserved:
    """All that was observed. The worker may be why nothing could be observed of one."""

    broker: list[BrokerOutage]
    database: DatabaseOutage | None  # None where the copy knows its server by its certificate
    worker: WorkerAlone | NoEvidence


@dataclass(frozen=True)
class RestartWatch:
    """A copy that runs, and its servers. The broker does not run yet."""

    launch: Launch
    variables: Mapping[str, str]  # of the copy, which the worker gets too
    server: RestartableRedis
    relay: DatabaseRelay | None  # before the database
    items: Database
    target: Target
    client: Client

    async def run(self, early: Exchange) -> RestartsObserved:
        """Let the broker begin to listen after a submission, and restart all that there is."""
        gone = self._observe("nothing listens at the broker's address")
        async with self._broker_running() as broker:
            outages = [await self._submit_afterwards(broker, gone, early)]
        gone = self._observe("the broker has ended, and nothing listens at its address")
        async with AsyncExitStack() as stack:
            async with self.client.in_flight() as send:
                submission = send.post(PATH, {"reached": False})
                await wait_until(lambda: _is_done(submission), timeouts.BROKER_AWAY)
                broker = await stack.enter_async_context(self._broker_running())
                meanwhile = await submission.wait_for_answer(timeouts.REFUSAL_DEADLINE)
            outages.append(await self._submit_afterwards(broker, gone, meanwhile))
            database = await self._restart_database(self.relay) if self.relay else None
            worker = await self._watch_worker(broker, stack)
        return RestartsObserved(outages, database, worker)

    def _observe(self, text: str) -> Observation:
        return self.launch.journal.observe("fault", text)

    @asynccontextmanager
    async def _broker_running(self) -> AsyncIterator[Broker]:
        """One life of the broker, which begins with nothing in memory."""
        async with run_redis(self.launch, self.server):
            access = BrokerAccess(self.server.url, self.server.url, None)
            broker = Broker(access, self.launch.journal)
            self._observe("the broker listens, with nothing in memory")
            try:
                await broker.open()
                yield broker
            finally:
                await broker.close()

    async def _submit_afterwards(
        self, broker: Broker, gone: Observation, meanwhile: Exchange
    ) -> BrokerOutage:
        self.client.forget_timeouts()
        exchanges = [
            await self.client.post(PATH, {"again": number}) for number in range(AFTERWARDS)
        ]
        messages = await broker.messages.list_messages()
        return BrokerOutage(gone, meanwhile, exchanges, messages, self.target.is_alive)

    async def _restart_database(self, relay: DatabaseRelay) -> DatabaseOutage:
        row = await self.items.rows.insert()
        path = f"/items/{row['id']}"
        self.client.forget_timeouts()
        before = await self.client.get(path)
        async with relay.server_gone() as gone:
            reads = [await self.client.get(path)]
            others = [await self.client.get("/async")]
        reads.append(await self.client.get(path))
        others.append(await self.client.get("/async"))
        ready = relay.finish_startup()
        self.client.forget_timeouts()
        after = await read_until_recovered(self.client, path)
        is_alive = self.target.is_alive
        return DatabaseOutage(row, before, gone, reads, others, ready, after, is_alive)

    async def _watch_worker(
        self, broker: Broker, stack: AsyncExitStack
    ) -> WorkerAlone | NoEvidence:
        """Have a worker do what the copy left, and then a task that comes after a restart.

        `stack` holds this life of the broker.
        """
        self.client.forget_timeouts()
        kept = await self.client.post(PATH, {"comes": "after a restart"})
        submission = await self.client.post(PATH, {"outlives": "its web process"})
        taken = await broker.messages.take_message(find_task_id(kept) or "")
        killed = self.target.process.send(signal.SIGKILL)
        await asyncio.to_thread(self.target.kill)
        task_id = find_task_id(submission)
        if not self.launch.capabilities.has_worker:
            return NoEvidence("there is no worker")
        if task_id is None:
            return NoEvidence("the copy took no submission after the restarts (TASK-11)")
        try:
            process = await asyncio.to_thread(
                self.launch.start_worker, "worker (alone)", self.variables
            )
        except NoEvidence as reason:
            return reason
        try:
            limit = timeouts.FIRST_RESULT_DEADLINE
            result = await _wait_for_result(broker, task_id, limit, process)
            await broker.messages.wait_until_acknowledged(task_id)
            await stack.aclose()
            after = None
            if result.seen.is_success and taken:
                after = await self._restart_broker(*taken, find_task_id(kept) or "", process)
        finally:
            await asyncio.to_thread(process.kill)
        return WorkerAlone(submission, killed, result, after)

    async def _restart_broker(
        self, key: bytes, message: bytes | str, task_id: str, process: Running
    ) -> WorkerResult:
        """Begin a new life of the broker with one message, and wait for its result."""
        gone = self._observe("the broker has ended, and nothing listens at its address")
        await asyncio.sleep(timeouts.BROKER_AWAY)
        async with self._broker_running() as broker:
            await broker.messages.put_message(key, message)
            limit = timeouts.RECONNECT_DEADLINE
            return await _wait_for_result(broker, task_id, limit, process, gone)


async def _is_done(submission: Any) -> bool:
    return bool(submission.is_done)


async def _wait_for_result(
    broker: Broker, task_id: str, limit: float, process: Running, *facts: Fact
) -> WorkerResult:
    value, seen = await broker.results.wait_for_result(task_id, limit)
    return WorkerResult(value, seen, [*facts, *take_last_lines(process.read_output(), 3)])
