"""How a run reaches Postgres, Redis and the upstream: started for the target, or the target's own.

One class for each way in which they are given. Each opens what it has; what it has not is None.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Set
from contextlib import ExitStack

from conformance.config.options import Options
from conformance.core.evidence import Journal
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BrokerAccess
from conformance.testbed.services import Services
from conformance.testbed.testbed_state import TestbedState
from conformance.testbed.upstream import LOCAL_ADDRESSES, Upstream


class ServiceAccess(ABC):
    """Opens the suite's own view of each service. All methods may run at the same time."""

    def __init__(self, journal: Journal, cleanup: ExitStack, task_ids: Set[str]) -> None:
        self._journal = journal
        self._cleanup = cleanup
        self._task_ids = task_ids  # of what was submitted, by the time of the cleanup
        self.described: dict[str, str] = {}  # each service in a few words

    @abstractmethod
    def open_database(self) -> Database | None:
        """The table, seen from the server."""

    @abstractmethod
    def open_broker(self) -> Broker | None:
        """The broker and result backend, seen from the server."""

    @abstractmethod
    def open_upstream(self) -> Upstream | None:
        """The server that the target fetches from. Raises WrongUsage where its port is taken."""

    def _start_upstream(self, port: int | None, addresses: tuple[str, ...]) -> Upstream:
        upstream = Upstream(self._journal, port, addresses)
        try:
            upstream.start()
        finally:
            self._cleanup.callback(upstream.stop)
        self.described["upstream"] = f"stub at {upstream.url}"
        return upstream

    def _clean_broker_up(self, access: BrokerAccess, *, owned: bool) -> None:
        if owned:
            self._cleanup.callback(redis_admin.drop_user, access)
        else:
            self._cleanup.callback(lambda: redis_admin.remove_tasks(access, set(self._task_ids)))


class StartedServices(ServiceAccess):
    """Servers of the suite's own, or given ones with a database and a user made for the run."""

    def __init__(
        self,
        services: Services,
        options: Options,
        journal: Journal,
        cleanup: ExitStack,
        task_ids: Set[str],
    ) -> None:
        super().__init__(journal, cleanup, task_ids)
        self._services = services
        self._is_given = bool(options.testbed.redis_url)
        self._upstream_port = options.testbed.upstream_port
        self.described = services.described

    def open_database(self) -> Database:
        """A database of the run's own."""
        self._services.open_postgres()
        return Database(self._services.make_database(), self._journal)

    def open_broker(self) -> Broker:
        """A user of the run's own on an empty logical database."""
        self._services.open_redis()
        access = redis_admin.create_user(self._services.redis_url)
        if self._is_given:
            self._clean_broker_up(access, owned=True)
        return Broker(access, self._journal, shared=False)

    def open_upstream(self) -> Upstream:
        """A stub on a free port, or on the one that was given."""
        return self._start_upstream(self._upstream_port, self._services.addresses)


class ExternalServices(ServiceAccess):
    """Services on which a target of somebody else's stands already."""

    origin: str  # whose they are, in a few words

    def open_database(self) -> Database | None:
        """The target's database, of which only rows of the suite's own are touched."""
        access = self._find_postgres()
        if access is None:
            return None
        database = Database(access, self._journal)
        self._cleanup.callback(lambda: asyncio.run(database.rows.delete_inserted()))
        version = asyncio.run(postgres_admin.read_version(access.admin_url))
        self.described["postgres"] = f"{version} ({self.origin})"
        return database

    def open_broker(self) -> Broker | None:
        """The target's logical database, of which only messages of the run's are touched."""
        access = self._find_redis()
        if access is None:
            return None
        self.described["redis"] = f"{redis_admin.read_version(access.admin_url)} ({self.origin})"
        self._clean_broker_up(access, owned=False)
        return Broker(access, self._journal, shared=True)

    @abstractmethod
    def _find_postgres(self) -> DatabaseAccess | None: ...

    @abstractmethod
    def _find_redis(self) -> BrokerAccess | None: ...


class PersistentServices(ExternalServices):
    """Those of a persistent testbed, which `conformance testbed` keeps."""

    def __init__(
        self, state: TestbedState, journal: Journal, cleanup: ExitStack, task_ids: Set[str]
    ) -> None:
        super().__init__(journal, cleanup, task_ids)
        self._state = state
        self.origin = f"testbed of process {state.pid}"

    def _find_postgres(self) -> DatabaseAccess:
        return self._state.postgres

    def _find_redis(self) -> BrokerAccess:
        return self._state.redis

    def open_upstream(self) -> Upstream:
        """The testbed's port, taken over for as long as the lease is held."""
        return self._start_upstream(self._state.upstream_port, self._state.addresses)


class GivenServices(ExternalServices):
    """Those that options name by an administrator's URL."""

    origin = "given"

    def __init__(
        self, options: Options, journal: Journal, cleanup: ExitStack, task_ids: Set[str]
    ) -> None:
        super().__init__(journal, cleanup, task_ids)
        self._options = options

    def _find_postgres(self) -> DatabaseAccess | None:
        url = self._options.testbed.database_url
        return asyncio.run(postgres_admin.adopt_database(url)) if url else None

    def _find_redis(self) -> BrokerAccess | None:
        url = self._options.testbed.redis_url
        if not url:
            return None
        redis_admin.check_rights(url, empty=False)
        return BrokerAccess(url, None, None)

    def open_upstream(self) -> Upstream | None:
        """A stub on the port that was given."""
        port = self._options.testbed.upstream_port
        return self._start_upstream(port, LOCAL_ADDRESSES) if port else None
