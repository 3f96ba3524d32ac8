"""The services of a run: its Postgres and its Redis, embedded, in containers or somebody else's, and what is made there."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.core.testbed_settings import ServiceKind, TestbedSettings
from conformance.testbed import embedded, postgres, redis
from conformance.testbed.embedded import Server
from conformance.testbed.upstream import LOOPBACK

if TYPE_CHECKING:  # importing it takes half a second, which those alone pay who want containers
    from conformance.testbed.containers import Engine

SOCKET = Path("/var/run/docker.sock")


class Services:
    """What the suite starts, or was given, for targets to stand on. It is removed by the caller's `cleanup`."""

    def __init__(
        self,
        settings: TestbedSettings,
        folder: Path,
        journal: Journal,
        cleanup: ExitStack,
        *,
        network: bool,
    ) -> None:
        """Choose where they run. Raises WrongUsage where containers are wanted and no daemon answers."""
        self._settings = settings
        self._folder = folder
        self._journal = journal
        self._cleanup = cleanup
        self._network = network
        self._where = "embedded"
        self.described: dict[str, str] = {}
        self.engine: Engine | None = None
        if (
            settings.services is ServiceKind.EMBEDDED
            or not settings.starts_services
            or (settings.database_url and settings.redis_url)
        ):
            return
        if (
            settings.services is ServiceKind.AUTO
            and not SOCKET.exists()
            and "DOCKER_HOST" not in os.environ
        ):
            self._do_without(WrongUsage(f"no Docker daemon listens at {SOCKET}"))
        else:
            self._reach()

    def _reach(self) -> None:
        try:
            from conformance.testbed.containers import Engine  # noqa: PLC0415

            self.engine = Engine(self._folder.name)
        except WrongUsage as error:
            self._do_without(error)
        else:
            self._where = "container"
            self._cleanup.callback(self.engine.close)

    def _do_without(self, reason: WrongUsage) -> None:
        """Go on with embedded servers, where that is left to us."""
        if self._settings.services is not ServiceKind.AUTO:
            raise reason
        self.engine, self._where = None, "embedded"
        self.described["containers"] = f"none: {reason}"

    def prepare(self) -> None:
        """See that the images are there, and make the network. Raises WrongUsage."""
        if self.engine is None:
            return
        try:
            if not self._settings.database_url:
                self.engine.fetch(self._settings.postgres_image, "--postgres-image")
            if not self._settings.redis_url:
                self.engine.fetch(self._settings.redis_image, "--redis-image")
        except WrongUsage as reason:
            self._do_without(reason)
            return
        for image, option in (
            (self._settings.target_image, "--target-image"),
            (self._settings.worker_image, "--worker-image"),
        ):
            if image:
                self.engine.fetch(image, option)
        if self._network:
            self.engine.open_network()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where on this machine a server of ours must listen that targets reach."""
        return (*LOOPBACK, self.engine.gateway) if self.engine and self._network else LOOPBACK

    def open_postgres(self) -> None:
        """Have a Postgres that answers; `database_url` is its administrator's."""
        url = self._settings.database_url
        if url:
            asyncio.run(postgres.check_rights(url))
        else:
            image = self._settings.postgres_image
            url = self._started(
                self.engine.postgres(image)
                if self.engine
                else embedded.Postgres(self._folder, self._journal)
            )
        self.database_url = url
        self.described["postgres"] = (
            f"{asyncio.run(postgres.version(url))} ({'given' if self._settings.database_url else self._where})"
        )

    def open_redis(self) -> None:
        """Have a Redis that answers; `redis_url` is its administrator's."""
        url = self._settings.redis_url
        if url:
            redis.check_rights(url, empty=True)
        else:
            url = self._started(
                self.engine.redis(self._settings.redis_image)
                if self.engine
                else embedded.Redis(self._folder, self._journal)
            )
        self.redis_url = url
        self.described["redis"] = (
            f"{redis.version(url)} ({'given' if self._settings.redis_url else self._where})"
        )

    def _started(self, server: Server) -> str:
        self._cleanup.callback(server.stop)
        server.ready()
        return server.url

    def make_place(self, *, may_write: bool = False) -> postgres.Place:
        """Make a database and a role for a target."""
        place = asyncio.run(postgres.create(self.database_url, may_write=may_write))
        if self._settings.database_url:  # a server of ours takes it with it
            self._cleanup.callback(lambda: asyncio.run(postgres.drop(self.database_url, place)))
        return place
