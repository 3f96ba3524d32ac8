"""Lifecycle scenarios of a run: in the background on copies, or in turn on the one target."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from conformance.core.errors import BrokenTestbed, NoEvidence
from conformance.core.evidence import Exchange
from conformance.core.observations import RouteList
from conformance.scenarios.lifecycle.catalogue import SCENARIOS
from conformance.scenarios.lifecycle.crash_after_submit import CrashAfterSubmit
from conformance.scenarios.lifecycle.observer import AnyScenario, explain_missing_copy
from conformance.scenarios.lifecycle.scenario import DatabaseNeed, Scenario
from conformance.scenarios.lifecycle.unchanged_copy import UnchangedCopy
from conformance.spec.catalogue import Channel, Requirement
from conformance.target.launch import Launch
from conformance.target.routes import read_routes
from conformance.target.server import NotReady, try_ports
from conformance.testbed.database import Database
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.services import Services

R = TypeVar("R")


class BackgroundScenarios:
    """Scenarios on copies that the suite starts. They begin when this is made."""

    def __init__(
        self,
        launch: Launch,
        services: Services,
        selected: Collection[Requirement],
        threads: Executor,
    ) -> None:
        ids = {requirement.id for requirement in selected}
        needed = [scenario for scenario in SCENARIOS if scenario.requirements & ids]
        self._launch = launch
        self._services = services
        self._routes: Future[RouteList] | None = None
        if launch.capabilities.reads_source and _need_source(selected):
            self._routes = threads.submit(read_routes, launch)
        shared = services.make_database() if needed else None
        self._futures: dict[AnyScenario, Future[Any]] = {
            scenario: threads.submit(self._run, scenario, shared) for scenario in needed
        }

    def _run(self, scenario: AnyScenario, shared: DatabaseAccess | None) -> Any:
        place = shared
        if scenario.database is not DatabaseNeed.SHARED:
            may_write = scenario.database is DatabaseNeed.OWN_WRITABLE
            place = self._services.make_database(may_write=may_write)
        assert place
        database = place
        return try_ports(lambda: asyncio.run(scenario().run(self._launch, database)))

    async def observe(self, scenario: type[Scenario[R]]) -> R:
        """What a scenario observed. Raises NoEvidence where its first copy did not start."""
        try:
            observed: R = await asyncio.wrap_future(self._futures[scenario])
        except NotReady as failure:
            raise explain_missing_copy(failure) from failure
        return observed

    async def read_routes(self) -> RouteList:
        """The routes in the application's source. Raises NoEvidence where they cannot be read."""
        assert self._routes
        return await asyncio.wrap_future(self._routes)

    def wait_for_submission(self) -> Exchange | None:
        """Wait for the end of the scenario that submits a task, which needs that no worker runs.

        Returns the submission, or None where there is none.
        """
        return _find_submission(self._futures.get(CrashAfterSubmit))

    async def expect_all_started(self) -> None:
        """Raise NotReady where a copy did not start though it had a port and all its services.

        Raises NoEvidence where a scenario could not be observed to its end.
        """
        for future in self._futures.values():
            await asyncio.wrap_future(future)


class ScenariosInTurn:
    """Scenarios on a target that somebody else has started. Each is run when it is asked for."""

    def __init__(
        self, launch: Launch, database: Database | None, restart: Callable[[], object]
    ) -> None:
        self._launch = launch
        self._database = database
        self._restart = restart  # the target, whatever became of it
        self._futures: dict[AnyScenario, Future[Any]] = {}

    async def observe(self, scenario: type[Scenario[R]]) -> R:
        """What a scenario observed. Raises NoEvidence where the target did not start for it."""
        if scenario not in self._futures:
            self._futures[scenario] = await self._run(scenario)
        try:
            observed: R = self._futures[scenario].result()
        except NotReady as failure:
            raise explain_missing_copy(failure) from failure
        return observed

    async def _run(self, scenario: AnyScenario) -> Future[Any]:
        if self._launch.external is None:
            raise NoEvidence("the suite has no control over the target's process")
        assert self._database
        if scenario.is_apart and scenario is not UnchangedCopy:
            await self.observe(UnchangedCopy)
        done: Future[Any] = Future()
        try:
            done.set_result(await scenario().run(self._launch, self._database.access))
        except (NotReady, NoEvidence, BrokenTestbed) as failure:
            done.set_exception(failure)
        finally:
            if not scenario.is_apart:
                await asyncio.to_thread(self._restart)
        return done

    async def read_routes(self) -> RouteList:
        """Raises NoEvidence: the source is elsewhere."""
        raise NoEvidence("the application's source is not where the suite could read it")

    def wait_for_submission(self) -> Exchange | None:
        """The submission of that scenario, if it was run. Nothing goes on in the background."""
        return _find_submission(self._futures.get(CrashAfterSubmit))

    async def expect_all_started(self) -> None:
        """Raise NotReady where the target did not start for a scenario.

        Raises NoEvidence where a scenario could not be observed to its end.
        """
        for scenario, future in self._futures.items():
            if not scenario.is_apart:  # a copy that cannot be made is not the target's fault
                future.result()


def _find_submission(future: Future[Exchange] | None) -> Exchange | None:
    """The submission that a scenario observed once it has ended, if it did."""
    return None if future is None or future.exception() else future.result()


def _need_source(selected: Collection[Requirement]) -> bool:
    return any(Channel.SOURCE in requirement.channels for requirement in selected)
