"""A copy at whose database's address nothing listens from the start."""

from dataclasses import dataclass

from conformance.core.evidence import Exchange, LogLine
from conformance.scenarios.lifecycle.copies import find_start_failure, start_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.launch import Launch
from conformance.target.server import NotReady
from conformance.testbed import postgres
from conformance.testbed.embedded import free_port


@dataclass(frozen=True)
class StartWithoutDatabase:
    """What became of the copy's start."""

    failure: NotReady | None  # why it did not start; None where it answered all the same
    answer: Exchange | None  # of /async then
    lines: list[LogLine]


class DatabaseUnreachable(Scenario[StartWithoutDatabase]):
    """The copy is expected not to start."""

    requirements = frozenset({"LIFE-6"})

    async def run(self, launch: Launch, database: postgres.Place) -> StartWithoutDatabase:
        """Run it; of the database only the names in its URL are used."""
        variables = {"DATABASE_URL": postgres.at_port(str(database.target_url), free_port())}
        async with start_copy(launch, "without a database", variables) as (target, client):
            failure = await find_start_failure(target)
            answer = None if failure else await client.get("/async")
            return StartWithoutDatabase(failure, answer, target.process.output())
