"""A copy at whose database's address nothing listens from the start."""

from dataclasses import dataclass

from conformance.core.evidence import Exchange, LogLine
from conformance.scenarios.lifecycle.copies import find_start_failure, start_redirected_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.scenarios.lifecycle.separation import expect_missed_database
from conformance.target.launch import Launch
from conformance.target.redirection import Redirection
from conformance.target.server import NotReady
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
    is_apart = True

    async def run(self, launch: Launch, database: DatabaseAccess) -> StartWithoutDatabase:
        """Run it; of the database only the names in its URL are used."""
        where = (launch, "without a database", database, Redirection(("DATABASE_URL",)))
        async with start_redirected_copy(*where) as (target, client):
            failure = await find_start_failure(target)
            answer = None if failure else await client.get("/async")
            if answer:
                await expect_missed_database(launch, database, client)
            return StartWithoutDatabase(failure, answer, target.process.read_output())
