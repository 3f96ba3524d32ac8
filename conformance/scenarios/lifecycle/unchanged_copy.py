"""A copy of a container of somebody else's, on the same settings: whether copies tell anything."""

from conformance.core.errors import NoEvidence
from conformance.scenarios.lifecycle.copies import find_start_failure, start_redirected_copy
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.container_copies import REMEDY
from conformance.target.launch import Launch
from conformance.target.redirection import UNCHANGED
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BROKER_VARIABLES


class UnchangedCopy(Scenario[None]):
    """What a further copy cannot do, it does not show of the target."""

    requirements = frozenset()
    is_apart = True

    async def run(self, launch: Launch, database: DatabaseAccess) -> None:
        """Raise NoEvidence where the copy does not start, or takes no submission."""
        where = (launch, "on the same settings", database, UNCHANGED)
        async with start_redirected_copy(*where) as (target, client):
            if failure := await find_start_failure(target):
                last = f" ({failure.last_words})" if failure.last_words else ""
                raise NoEvidence(
                    "a copy of the container, on its own settings and another port, must become "
                    f"ready, and it does not: {failure.got}{last}; {REMEDY}"
                )
            if launch.variables.keys().isdisjoint(BROKER_VARIABLES):
                return  # what it submits could not be removed
            submission = await client.post("/process-data/", {"copy": "on the same settings"})
            if submission.status not in range(200, 300):
                raise NoEvidence(
                    "a copy of the container, on its own settings, must take a submission, and "
                    f"it does not: {submission.outcome}; {REMEDY}"
                )
