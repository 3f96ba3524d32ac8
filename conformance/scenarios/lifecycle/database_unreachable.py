"""A copy at whose database's address nothing listens from the start."""

from dataclasses import dataclass

from conformance.core.evidence import Exchange, LogLine
from conformance.scenarios.lifecycle.copies import find_start_failure, start_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.launch import Launch
from conformance.target.server import NotReady
from conformance.testbed import postgres_admin
from conformance.testbed.ports import claim_port
from conformance.testbed.postgres_admin import DatabaseAccess


@dataclass(frozen=True)
class StartWithoutDatabase:
    """What became of the copy's start."""

    failure: NotReady | None  # why it did not start; None where it answered all the same
    answer: Exchange | None  # of /async then
    lines: list[LogLine]


class DatabaseUnreachable(Scenario[StartWithoutDatabase]):
    """The copy is expected not to start."""

    requirements = frozenset({"LIFE-6"})

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartWithoutDatabase:
        """Run it; of the database only the names in its URL are used."""
        url = postgres_admin.replace_port(str(database.target_dsn), claim_port())
        variables = {"DATABASE_URL": url}
        async with start_copy(launch, "without a database", variables) as (target, client):
            failure = await find_start_failure(target)
            answer = None if failure else await client.get("/async")
            return StartWithoutDatabase(failure, answer, target.process.read_output())
