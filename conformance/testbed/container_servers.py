"""PostgreSQL and Redis in containers, by testcontainers."""

import secrets
from contextlib import suppress

import docker.errors

from conformance.testbed.containers import (
    TROUBLE,
    Engine,
    as_broken_testbed,
    find_published_port,
)
from conformance.testbed.embedded import POSTGRES_SETTINGS, postgres_options
from conformance.testbed.ports import LOOPBACK
from conformance.testbed.server import wait_for_postgres, wait_for_redis

# The settings of only the embedded server: where it listens, and what PostgreSQL 15 does not know.
EMBEDDED_ONLY = ("listen_addresses", "unix_socket_directories", "scram_iterations")
SHARED_SETTINGS = {
    name: value for name, value in POSTGRES_SETTINGS.items() if name not in EMBEDDED_ONLY
}
REDIS_SETTINGS = {"save": "", "appendonly": "no", "loglevel": "warning"}


class _ContainerServer:
    """A server in a container of the run's own."""

    name: str
    inner_port: int

    def __init__(
        self, engine: Engine, image: str, command: list[str], environment: dict[str, str]
    ) -> None:
        with as_broken_testbed(f"start {image}"):
            self._container = engine.prepare_server(image, command, environment, self.inner_port)
            self._container.with_network_aliases(self.name)
            self._container.start()
        self.port = find_published_port(self._container.get_wrapped_container(), self.inner_port)
        engine.note_published(self.port, self.name, self.inner_port)

    def read_status(self) -> int | None:
        """The exit status, or None while it runs."""
        wrapped = self._container.get_wrapped_container()
        with as_broken_testbed(f"look at {self.name}"):
            wrapped.reload()
        if wrapped.status not in ("exited", "dead"):
            return None
        return int(wrapped.attrs["State"]["ExitCode"])

    def read_last_lines(self) -> list[str]:
        """What it printed last."""
        with suppress(*TROUBLE):
            output = self._container.get_wrapped_container().logs(tail=6)
            lines = output.decode("utf-8", "replace").splitlines()
            return [line for line in lines if line.strip()]
        return []

    def stop(self) -> None:
        """Remove the container and its volumes at once."""
        with (
            as_broken_testbed(f"remove the container of {self.name}"),
            suppress(docker.errors.NotFound),
        ):
            self._container.stop()


class ContainerPostgres(_ContainerServer):
    """A PostgreSQL of the run's own."""

    name, inner_port = "postgres", 5432

    def __init__(self, engine: Engine, image: str) -> None:
        self._password = secrets.token_hex(16)
        settings = postgres_options(SHARED_SETTINGS)
        environment = {"POSTGRES_PASSWORD": self._password, "POSTGRES_INITDB_ARGS": "--no-sync"}
        super().__init__(engine, image, ["postgres", *settings], environment)

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def wait_until_ready(self) -> None:
        """Wait until a query is answered. Raises BrokenTestbed."""
        wait_for_postgres(self)


class ContainerRedis(_ContainerServer):
    """A Redis of the run's own."""

    inner_port = 6379

    def __init__(self, engine: Engine, image: str, name: str = "redis") -> None:
        """Start it. Containers of the run's network reach it by its name."""
        self.name = name
        self._password = secrets.token_hex(16)
        settings = {**REDIS_SETTINGS, "requirepass": self._password}
        command = [word for name, value in settings.items() for word in (f"--{name}", value)]
        super().__init__(engine, image, command, {})

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def wait_until_ready(self) -> None:
        """Wait until the server answers. Raises BrokenTestbed."""
        wait_for_redis(self)
