"""What a lifecycle scenario is: the requirements it serves, what it needs, and its run."""

from abc import ABC, abstractmethod
from enum import Enum
from typing import ClassVar, Generic, TypeVar

from conformance.target.launch import Launch
from conformance.testbed.postgres_admin import DatabaseAccess

R_co = TypeVar("R_co", covariant=True)


class DatabaseNeed(Enum):
    """Which database a scenario's copies stand on."""

    SHARED = "shared with other scenarios, for its rows and sessions are not looked at"
    OWN = "its own, in which the role may only read"
    OWN_WRITABLE = "its own, in which the role may write too"


class Scenario(ABC, Generic[R_co]):
    """The life of one or more copies of the target, from start to end."""

    requirements: ClassVar[frozenset[str]]  # the ids that are judged by what it observes
    database: ClassVar[DatabaseNeed] = DatabaseNeed.SHARED
    # Whether its copy is a further one even where the target is somebody else's, for it lacks
    # something. Other scenarios end such a target and start it again.
    is_apart: ClassVar[bool] = False

    @abstractmethod
    async def run(self, launch: Launch, database: DatabaseAccess) -> R_co:
        """Run it on a database, and return what was observed.

        Raises NotReady where a copy that had all it needs did not become ready, and NoEvidence
        where the situation could not be produced.
        """
