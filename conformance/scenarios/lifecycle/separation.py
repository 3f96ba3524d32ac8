"""Whether a copy of somebody else's container really misses what its variables lead away from.

A container may have its settings from elsewhere, such as a file. What its copy does then says
nothing about a service without a database or a broker.
"""

from http import HTTPStatus

from conformance.client.http import Client
from conformance.client.task_ids import find_task_id
from conformance.core import timeouts
from conformance.core.errors import NoEvidence
from conformance.core.evidence import Exchange
from conformance.core.observations import TaskLocation
from conformance.core.polling import wait_until
from conformance.scenarios.lifecycle.copies import open_database
from conformance.target.container_copies import REMEDY
from conformance.target.launch import Launch
from conformance.testbed.broker import Broker
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES, BrokerAccess

WANTED = "the service must take it from there"


async def expect_missed_database(launch: Launch, database: DatabaseAccess, client: Client) -> None:
    """See that a copy whose DATABASE_URL leads elsewhere reads no row. Raises NoEvidence."""
    if launch.copies is None:
        return
    async with open_database(database, launch) as items:
        row = await items.rows.insert()
        read = await client.get(f"/items/{row['id']}")
    if read.status == HTTPStatus.OK and row["name"].encode() in read.body:
        lack = "a copy of the container reads its rows wherever its DATABASE_URL leads"
        raise NoEvidence(f"{lack}; {WANTED}: {REMEDY}")


async def expect_missed_broker(launch: Launch, submission: Exchange) -> None:
    """See that a copy without a broker has queued nothing in the target's. Raises NoEvidence."""
    task_id = find_task_id(submission)
    if launch.copies is None or task_id is None:
        return
    broker = Broker(BrokerAccess(launch.variables[BROKER_VARIABLES[0]], None, None), launch.journal)
    await broker.open()

    def is_found(seen: TaskLocation) -> bool:
        return seen.kept or seen.done

    try:
        seen = await wait_until(
            lambda: broker.messages.locate_task(task_id), timeouts.RESULT_DEADLINE, is_found
        )
    finally:
        await broker.close()
    if is_found(seen):
        lack = f"a copy of the container queues its tasks wherever its {BROKER_VARIABLES[0]} leads"
        raise NoEvidence(f"{lack}; {WANTED}: {REMEDY}")
