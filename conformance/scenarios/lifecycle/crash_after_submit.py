"""A copy that takes one submission and is killed as soon as it has answered."""

import signal

from conformance.core.evidence import Exchange
from conformance.scenarios.lifecycle.copies import start_copy, use_database, wait_until_ready
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.launch import Launch
from conformance.testbed.postgres_admin import DatabaseAccess


class CrashAfterSubmit(Scenario[Exchange]):
    """Observes the submission."""

    requirements = frozenset({"TASK-2", "TASK-5", "TASK-7"})

    async def run(self, launch: Launch, database: DatabaseAccess) -> Exchange:
        """Run it on a database."""
        variables = use_database(database)
        async with start_copy(launch, "to be killed", variables) as (target, client):
            await wait_until_ready(target)
            submission = await client.post("/process-data/", {"outlives": database.database})
            target.process.send(signal.SIGKILL)
        return submission
