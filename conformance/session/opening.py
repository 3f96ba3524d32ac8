"""Opening a run: the testbed and the target, made ready in the background."""

import asyncio

from conformance.cage import machine
from conformance.cage.bubblewrap import Cage
from conformance.client.http import Client
from conformance.config.options import Options
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.session.environment import Environment
from conformance.session.resources import Resources
from conformance.session.service_access import (
    GivenServices,
    PersistentServices,
    ServiceAccess,
    StartedServices,
)
from conformance.session.submissions import Submissions
from conformance.target.capabilities import Capabilities
from conformance.target.diagnose import explain_errors_alone, explain_failed_start
from conformance.target.external import control_target, control_worker, copy_target
from conformance.target.launch import Launch
from conformance.target.server import NotReady, Target, try_ports
from conformance.target.worker import Worker
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.redis_admin import BrokerAccess
from conformance.testbed.services import Services
from conformance.testbed.testbed_state import TestbedState, find_testbed
from conformance.testbed.upstream import Upstream

KEYS_SHOWN, KEY_SHOWN = 5, 40  # keys of a stranger's settings, and characters of one


class Opening:
    """Opens what a run needs: `open_services`, then `open_environment`. Each takes seconds."""

    def __init__(
        self,
        options: Options,
        journal: Journal,
        resources: Resources,
        submissions: Submissions,
    ) -> None:
        """Choose the services. Raises WrongUsage where a persistent testbed cannot be had."""
        self._options = options
        self._journal = journal
        self._resources = resources
        self.capabilities = Capabilities.of(options)
        self.services = Services(
            options.testbed,
            resources.folder,
            journal,
            resources.cleanup,
            network=bool(options.target.image),
        )
        self._state = self._lease_testbed()
        self._access = self._choose_access(submissions)
        self.url: str | None = None  # of the target, once it is started

    def _lease_testbed(self) -> TestbedState | None:
        if self.capabilities.starts_target:
            return None
        state = find_testbed(self._options.testbed)
        if state:
            self._resources.cleanup.enter_context(state.leased())
        return state

    def _choose_access(self, submissions: Submissions) -> ServiceAccess:
        common = (self._journal, self._resources.cleanup, submissions.keys())
        if self.capabilities.starts_target:
            return StartedServices(self.services, self._options, *common)
        if self._state:
            return PersistentServices(self._state, *common)
        return GivenServices(self._options, *common)

    @property
    def described(self) -> dict[str, str]:
        """The services and the cage in a few words each, as far as they are open."""
        return {**self.services.described, **self._access.described, **self._describe_cage()}

    def _describe_cage(self) -> dict[str, str]:
        isolation = self._options.isolation
        if not isolation.untrusted:
            return {}
        said = [machine.describe_cage() if isolation.caged else machine.NO_CAGE]
        if isolation.ignored:
            shown = ", ".join(each[:KEY_SHOWN] for each in isolation.ignored[:KEYS_SHOWN])
            more = ", …" if len(isolation.ignored) > KEYS_SHOWN else ""
            said.append(f"not read of its settings: {shown}{more}")
        return {"cage": "; ".join(said)}

    def open_services(self) -> tuple[Database | None, Broker | None, Upstream | None]:
        """Open all three at the same time. Raises WrongUsage, BrokenTestbed, OSError."""
        self.services.prepare()
        pool, access = self._resources.pool, self._access
        database = pool.submit(access.open_database)
        broker = pool.submit(access.open_broker)
        upstream = pool.submit(access.open_upstream)
        return database.result(), broker.result(), upstream.result()

    def open_environment(
        self, database: Database | None, broker: Broker | None, upstream: Upstream | None
    ) -> Environment:
        """Start or find the target, and wait until it answers. Raises NotReady, WrongUsage."""
        launch = self._build_launch(
            build_variables(database, broker, upstream), upstream, broker.access if broker else None
        )
        for control in (launch.external, launch.external_worker):
            if control:
                self._resources.cleanup.callback(control.close)
        worker = Worker(launch)
        target, first_status = try_ports(lambda: self._open_target(launch))
        early = len(upstream.requests) if upstream else 0
        if self._state and upstream:
            check_testbed_reached(target, self._state, upstream)
        if first_status >= 500 and (mistake := explain_errors_alone(launch)):
            raise mistake
        client = Client(target.url, self._journal)
        return Environment(launch, target, client, worker, database, broker, upstream, early)

    def _build_launch(
        self, variables: dict[str, str], upstream: Upstream | None, broker: BrokerAccess | None
    ) -> Launch:
        external = control_target(self._options, self._journal)
        run = self._resources.folder.name
        return Launch(
            self._options,
            self.capabilities,
            {"TMPDIR": str(self._resources.scratch), **variables},
            self._resources.stack_dump_folder,
            self._journal,
            self._resources.add_process,
            engine=self.services.engine,
            external=external,
            external_worker=control_worker(self._options, self._journal),
            copies=copy_target(external, self._options, run, self._journal),
            upstream=None if self.capabilities.starts_target else upstream,
            broker=None if self.capabilities.starts_target else broker,
            addresses=self._state.addresses if self._state else self.services.addresses,
            make_broker=self.services.make_spare_redis if self.capabilities.starts_target else None,
            cage=self._make_cage() if self._options.isolation.caged else None,
        )

    def _make_cage(self) -> Cage:
        """Raises WrongUsage."""
        target = self._options.target
        needs_python = target.app or self._options.worker.app
        return Cage(
            target.directory,
            shown=machine.list_folders(target.python, target.directory) if needs_python else (),
            start_folder=self._resources.stack_dump_folder,
            mark={"TMPDIR": str(self._resources.scratch)},
        )

    def _open_target(self, launch: Launch) -> tuple[Target, int]:
        """A target that is ready, and the status of its first answer. Raises PortTaken too."""
        is_ours = self.capabilities.starts_target
        target = Target.start_copy(launch) if is_ours else Target.find_external(launch)
        self.url = target.url
        return target, self._wait_until_ready(launch, target)

    def _wait_until_ready(self, launch: Launch, target: Target) -> int:
        try:
            return target.wait_until_ready()
        except NotReady as failure:
            mistake = None if self._resources.is_closing else explain_failed_start(launch, failure)
            raise mistake or failure from None


def build_variables(
    database: Database | None, broker: Broker | None, upstream: Upstream | None
) -> dict[str, str]:
    """The variables of the contract that do not differ between copies of the target."""
    variables = {}
    if database:
        variables["DATABASE_URL"] = database.access.target_dsn or database.access.admin_url
    if broker:
        url = broker.access.target_dsn or broker.access.admin_url
        variables |= dict.fromkeys(redis_admin.BROKER_VARIABLES, url)
    if upstream:
        variables["EXTERNAL_DATA_URL"] = upstream.url
    return variables


def check_testbed_reached(target: Target, state: TestbedState, upstream: Upstream) -> None:
    """See that the service uses the testbed. Raises WrongUsage.

    One that answers well and reaches nothing of the testbed uses other services.
    """
    health = target.check_health(("GET", "/external-data", None))
    reached = (
        bool(upstream.requests),
        asyncio.run(postgres_admin.has_sessions(state.postgres)),
        redis_admin.has_connections(state.redis),
    )
    if health.is_well and not any(reached):
        raise WrongUsage(
            f"the service at {target.url} answers, and reaches neither Postgres, nor Redis, nor "
            f"the upstream of the testbed of process {state.pid}: start it with the environment "
            "that this has printed, or say --testbed none"
        )
