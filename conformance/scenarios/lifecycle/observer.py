"""How a probe gets at what a lifecycle scenario observed, whenever and wherever that is run."""

from typing import Any, Protocol, TypeVar

from conformance.core.errors import NoEvidence
from conformance.core.observations import RouteList
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.target.server import NotReady

R = TypeVar("R")


class LifecycleObserver(Protocol):
    """Runs each scenario once, and hands over what it observed."""

    async def observe(self, scenario: type[Scenario[R]]) -> R:
        """What a scenario observed. Raises NoEvidence where its first copy did not start."""

    async def read_routes(self) -> RouteList:
        """The routes in the source. Raises NoEvidence where they cannot be read, Unreadable."""

    async def expect_all_started(self) -> None:
        """Raise NotReady where a copy did not start though it had a port and all its services."""


def explain_missing_copy(failure: NotReady) -> NoEvidence:
    """Why a scenario observed nothing. That its copy did not start is judged elsewhere."""
    lack = "another copy of the service, on another port, did not become ready"
    return NoEvidence(f"{lack}: {failure.got}")


AnyScenario = type[Scenario[Any]]
