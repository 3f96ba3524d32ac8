"""Containers: PostgreSQL and Redis by testcontainers, published on 127.0.0.1 alone, and the network of a run's containers.

Whatever is made carries the label `conformance.run`, by which the guard removes it should the suite be killed. Testcontainers'
own reaper is not started unless it is asked for (TESTCONTAINERS_RYUK_DISABLED=false): it publishes a port on every interface.
"""

import errno
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import docker.models.containers
import docker.models.networks
import requests
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient, get_docker_host
from testcontainers.core.network import Network

from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.testbed import embedded
from conformance.testbed.guard import LABEL

TROUBLE = (docker.errors.DockerException, requests.RequestException, OSError)
LOOPBACK = "127.0.0.1"
DEFAULT_HOST = "unix:///var/run/docker.sock"
# Settings that the embedded server alone has: where it listens, and what PostgreSQL 15 does not know.
POSTGRES_SETTINGS = {
    name: value
    for name, value in embedded.POSTGRES_SETTINGS.items()
    if name not in ("listen_addresses", "unix_socket_directories", "scram_iterations")
}
REDIS_SETTINGS = {"save": "", "appendonly": "no", "loglevel": "warning"}

if "TESTCONTAINERS_RYUK_DISABLED" not in os.environ:
    testcontainers_config.ryuk_disabled = True


class Engine:
    """The Docker daemon of this machine, and what one run has made there."""

    def __init__(self, run: str) -> None:
        """Reach the daemon. Raises WrongUsage, in one sentence, where it does not answer."""
        self.labels = {LABEL: run}
        self._network: Network | None = None
        self._published: dict[
            int, str
        ] = {}  # ports on this machine, and where they lead in the network
        self.client = reached()

    def fetch(self, image: str, option: str) -> None:
        """See that an image is there. Raises WrongUsage where it is not, and cannot be pulled."""
        try:
            self.client.images.get(image)
        except docker.errors.ImageNotFound:
            try:
                self.client.images.pull(
                    image, tag=None if re.search("[:@][^/]+$", image) else "latest"
                )
            except TROUBLE as error:
                raise WrongUsage(
                    f"{option} wants an image that is there or can be pulled; {image} cannot be: {_said(error)}"
                ) from error
        except TROUBLE as error:
            raise WrongUsage(
                f"{option} wants an image; the daemon does not tell of {image}: {_said(error)}"
            ) from error

    def open_network(self) -> None:
        """Make a network that the run's containers share, where they find each other by name."""
        with blaming_the_testbed("make a network"):
            self._network = Network(docker_network_kw={"labels": self.labels}).create()
            network: docker.models.networks.Network = self.client.networks.get(
                str(self._network.id)
            )
            self.network_name = str(network.name)
            self.gateway = str(network.attrs["IPAM"]["Config"][0]["Gateway"])

    def server(
        self, image: str, command: list[str], environment: dict[str, str], inner: int
    ) -> DockerContainer:
        """A container that is not made yet, with a port that will be published on a free one of 127.0.0.1."""
        container = DockerContainer(image, env=environment, labels=self.labels).with_command(
            command
        )
        bindings: Any = {f"{inner}/tcp": (LOOPBACK,)}
        container.ports = bindings
        if self._network:
            container.with_network(self._network)
        return container

    def made(
        self,
        image: str,
        command: list[str] | None,
        environment: dict[str, str],
        ports: Mapping[int, int],
    ) -> docker.models.containers.Container:
        """A container of the run's network that is made and not started, with ports that are published on these of 127.0.0.1."""
        bindings: Any = {f"{inner}/tcp": (LOOPBACK, port) for inner, port in ports.items()}
        return _docker(self.client.api.api_version).create(
            image,
            command=command,
            environment=environment,
            ports=bindings,
            labels=self.labels,
            network=self.network_name,
        )

    def postgres(self, image: str) -> "Postgres":
        """Start a PostgreSQL."""
        return Postgres(self, image)

    def redis(self, image: str) -> "Redis":
        """Start a Redis."""
        return Redis(self, image)

    def publish(self, port: int, name: str, inner: int) -> None:
        """Note where a port of this machine leads in the network."""
        self._published[port] = f"{name}:{inner}"

    def seen_from_inside(self, value: str) -> str:
        """A text in which addresses on this machine's loopback are written as a container of the network reaches them."""

        def address(match: re.Match[str]) -> str:
            port = int(match[1])
            return self._published.get(port, f"{self.gateway}:{port}")

        return re.sub(rf"(?<=[@/]){re.escape(LOOPBACK)}:(\d+)", address, value)

    def close(self) -> None:
        """Remove the network, when nothing is in it any more."""
        with blaming_the_testbed("remove a network"):
            if self._network:
                self._network.remove()
        self.client.close()


def reached() -> docker.DockerClient:
    """A client of the daemon of this machine. Raises WrongUsage, in one sentence, where it does not answer."""
    where = get_docker_host() or DEFAULT_HOST
    _knock(where)
    try:
        client = _docker().client
        client.ping()
    except TROUBLE as error:
        raise WrongUsage(
            f"containers want a Docker daemon that answers; at {where}: {_said(error)}"
        ) from error
    return client


def _docker(version: str | None = None) -> DockerClient:
    """Testcontainers' client, which does not ask the environment for a proxy, but for the version of the API where that is not given.

    No daemon of this machine is behind one; and pytest changes the environment at each probe, so that a thread that reads all of it may fail.
    """
    client = DockerClient(version=version)
    client.client.api.trust_env = False
    return client


class _Server:
    """A server in a container of the run's own."""

    name: str
    inner_port: int

    def __init__(
        self, engine: Engine, image: str, command: list[str], environment: dict[str, str]
    ) -> None:
        with blaming_the_testbed(f"start {image}"):
            self._container = engine.server(image, command, environment, self.inner_port)
            self._container.with_network_aliases(self.name)
            self._container.start()
        self.port = published(self._container.get_wrapped_container(), self.inner_port)
        engine.publish(self.port, self.name, self.inner_port)

    def status(self) -> int | None:
        """The exit status where it has ended."""
        wrapped = self._container.get_wrapped_container()
        with blaming_the_testbed(f"look after {self.name}"):
            wrapped.reload()
        return (
            int(wrapped.attrs["State"]["ExitCode"])
            if wrapped.status in ("exited", "dead")
            else None
        )

    def last_lines(self) -> list[str]:
        """What it printed last."""
        with suppress(*TROUBLE):
            said = self._container.get_wrapped_container().logs(tail=6).decode("utf-8", "replace")
            return [line for line in said.splitlines() if line.strip()]
        return []

    def stop(self) -> None:
        """Remove the container at once, and its volumes; its data is thrown away."""
        with (
            blaming_the_testbed(f"remove the container of {self.name}"),
            suppress(docker.errors.NotFound),
        ):
            self._container.stop()


class Postgres(_Server):
    """A PostgreSQL of the run's own."""

    name, inner_port = "postgres", 5432

    def __init__(self, engine: Engine, image: str) -> None:
        self._password = secrets.token_hex(16)
        settings = [
            word for name, value in POSTGRES_SETTINGS.items() for word in ("-c", f"{name}={value}")
        ]
        environment = {"POSTGRES_PASSWORD": self._password, "POSTGRES_INITDB_ARGS": "--no-sync"}
        super().__init__(engine, image, ["postgres", *settings], environment)

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"postgresql://postgres:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def ready(self) -> None:
        """Wait until a query answers."""
        embedded.wait_for_postgres(self)


class Redis(_Server):
    """A Redis of the run's own."""

    name, inner_port = "redis", 6379

    def __init__(self, engine: Engine, image: str) -> None:
        self._password = secrets.token_hex(16)
        settings = {**REDIS_SETTINGS, "requirepass": self._password}
        super().__init__(
            engine,
            image,
            [word for name, value in settings.items() for word in (f"--{name}", value)],
            {},
        )

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    def ready(self) -> None:
        """Wait until the server answers."""
        embedded.wait_for_redis(self)


def published(container: docker.models.containers.Container, inner: int) -> int:
    """The port of this machine that leads to a container's."""
    with blaming_the_testbed("look up a published port"):
        container.reload()
        bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{inner}/tcp") or []
    if not bindings:
        raise BrokenTestbed(
            f"the container of {container.attrs['Config']['Image']} ended, or publishes no port {inner}: {_last_words(container)}"
        )
    return int(bindings[0]["HostPort"])


@contextmanager
def blaming_the_testbed(work: str) -> Iterator[None]:
    """Whatever the daemon answers to the suite's own work is the testbed's trouble, never the target's."""
    try:
        yield
    except TROUBLE as error:
        raise BrokenTestbed(f"Docker did not let the suite {work}: {_said(error)}") from error


def _last_words(container: docker.models.containers.Container) -> str:
    with suppress(*TROUBLE):
        return " / ".join(container.logs(tail=3).decode("utf-8", "replace").strip().splitlines())
    return "nothing is known of its output"


def _knock(where: str) -> None:
    """See that something listens at a daemon's address on this machine. Raises WrongUsage, in one sentence, where it does not."""
    parts = urlsplit(where)
    if parts.scheme == "unix":
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(parts.path)
        except OSError as error:
            raise WrongUsage(
                f"containers want a Docker daemon that answers; {why_not(where, error)}"
            ) from error
    elif parts.scheme != "npipe":
        raise WrongUsage(
            f"containers want a Docker daemon on this machine, for their ports are published on {LOOPBACK}; it is at {where}"
        )


def why_not(where: str, error: OSError) -> str:
    """Why a socket lets nobody in."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not use {where}, whose group it may join"
    return f"none listens at {where}"


def _said(error: BaseException) -> str:
    explanation: Callable[[], str] | str | None = getattr(error, "explanation", None)
    return str(explanation or error).splitlines()[0].strip()
