"""The Postgres and the Redis of a run: embedded, in containers, or given by the caller."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.core.testbed_settings import ServiceKind, TestbedSettings
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.embedded import EmbeddedPostgres, EmbeddedRedis, RestartableRedis
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.server import Server
from conformance.testbed.upstream import LOCAL_ADDRESSES

if TYPE_CHECKING:  # its import takes half a second, which only those pay who want containers
    from conformance.testbed.containers import Engine

SOCKET = Path("/var/run/docker.sock")
GIVEN = "given"


class Services:
    """The servers that targets use. The caller's `cleanup` stops those that are started here."""

    def __init__(
        self,
        settings: TestbedSettings,
        folder: Path,
        journal: Journal,
        cleanup: ExitStack,
        *,
        network: bool,
    ) -> None:
        """Choose where the servers run.

        With `network`, containers of a target can reach them. Raises WrongUsage where
        containers are wanted and no daemon answers.
        """
        self._settings = settings
        self._folder = folder
        self._journal = journal
        self._cleanup = cleanup
        self._network = network
        self._where = "embedded"
        self.described: dict[str, str] = {}
        self.database_url = settings.database_url or ""
        self.redis_url = settings.redis_url or ""
        self.engine: Engine | None = None
        self._choose_engine()

    def _choose_engine(self) -> None:
        settings = self._settings
        has_both = settings.database_url and settings.redis_url
        if settings.services is ServiceKind.EMBEDDED or not settings.starts_services or has_both:
            return
        has_daemon = SOCKET.exists() or "DOCKER_HOST" in os.environ
        if settings.services is ServiceKind.AUTO and not has_daemon:
            self._use_embedded(WrongUsage(f"no Docker daemon listens at {SOCKET}"))
        else:
            self._connect_to_daemon()

    def _connect_to_daemon(self) -> None:
        try:
            from conformance.testbed.containers import Engine  # noqa: PLC0415

            self.engine = Engine(self._folder.name)
        except WrongUsage as error:
            self._use_embedded(error)
        else:
            self._where = "container"
            self._cleanup.callback(self.engine.close)

    def _use_embedded(self, reason: WrongUsage) -> None:
        """Go on with embedded servers, if the caller left the choice to the suite."""
        if self._settings.services is not ServiceKind.AUTO:
            raise reason
        self.engine, self._where = None, "embedded"
        self.described["containers"] = f"none: {reason}"

    def prepare(self) -> None:
        """See that the images are there, and make the network. Raises WrongUsage."""
        if self.engine is None:
            return
        settings = self._settings
        try:
            if not settings.database_url:
                self.engine.fetch_image(settings.postgres_image, "--postgres-image")
            if not settings.redis_url:
                self.engine.fetch_image(settings.redis_image, "--redis-image")
        except WrongUsage as reason:
            self._use_embedded(reason)
            return
        for image, option in (
            (settings.target_image, "--target-image"),
            (settings.worker_image, "--worker-image"),
        ):
            if image:
                self.engine.fetch_image(image, option)
        if self._network:
            self.engine.open_network()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where on this machine a server of the suite must listen, so that targets reach it."""
        return (
            (*LOCAL_ADDRESSES, self.engine.network.gateway)
            if self.engine and self._network
            else LOCAL_ADDRESSES
        )

    def open_postgres(self) -> None:
        """Have a Postgres that answers. Its administrator's URL is then in `database_url`.

        Raises WrongUsage, BrokenTestbed.
        """
        where = GIVEN
        if self._settings.database_url:
            asyncio.run(postgres_admin.check_rights(self.database_url))
        else:
            self.database_url, where = self._start_server(self._make_postgres()), self._where
        version = asyncio.run(postgres_admin.read_version(self.database_url))
        self.described["postgres"] = f"{version} ({where})"

    def open_redis(self) -> None:
        """Have a Redis that answers. Its administrator's URL is then in `redis_url`.

        Raises WrongUsage, BrokenTestbed.
        """
        where = GIVEN
        if self._settings.redis_url:
            redis_admin.check_rights(self.redis_url, empty=True)
        else:
            self.redis_url, where = self._start_server(self._make_redis()), self._where
        self.described["redis"] = f"{redis_admin.read_version(self.redis_url)} ({where})"

    def make_spare_redis(self, name: str) -> RestartableRedis:
        """A Redis for copies of a target, which nobody else uses. `name` is of one in a run.

        It is not started yet. It is embedded wherever the others run. Raises WrongUsage.
        """
        return RestartableRedis(name, self._folder, self._journal, self.addresses)

    def make_database(self, *, may_write: bool = False) -> DatabaseAccess:
        """Make a database and a role for a target. Raises BrokenTestbed."""
        create = postgres_admin.create_database(self.database_url, may_write=may_write)
        access = asyncio.run(create)
        if self._settings.database_url:  # a server of the suite's own takes it with it
            self._cleanup.callback(
                lambda: asyncio.run(postgres_admin.drop_database(self.database_url, access))
            )
        return access

    def _make_postgres(self) -> Server:
        if self.engine is None:
            return EmbeddedPostgres(self._folder, self._journal)
        from conformance.testbed.container_servers import ContainerPostgres  # noqa: PLC0415

        return ContainerPostgres(self.engine, self._settings.postgres_image)

    def _make_redis(self) -> Server:
        if self.engine is None:
            return EmbeddedRedis(self._folder, self._journal)
        from conformance.testbed.container_servers import ContainerRedis  # noqa: PLC0415

        return ContainerRedis(self.engine, self._settings.redis_image)

    def _start_server(self, server: Server) -> str:
        self._cleanup.callback(server.stop)
        server.wait_until_ready()
        return server.url
