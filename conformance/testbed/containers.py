"""The Docker daemon, and the network and containers that one run makes there.

Every container publishes its ports on 127.0.0.1 only, and carries the label `conformance.run`, by
which the guard removes it if the suite is killed. The reaper of testcontainers is not started
unless TESTCONTAINERS_RYUK_DISABLED=false asks for it: it publishes a port on every interface.
"""

import errno
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
from conformance.testbed.guard import LABEL
from conformance.testbed.ports import LOOPBACK

TROUBLE = (docker.errors.DockerException, requests.RequestException, OSError)
DEFAULT_HOST = "unix:///var/run/docker.sock"
NEEDS_DAEMON = "containers need a Docker daemon"

if "TESTCONTAINERS_RYUK_DISABLED" not in os.environ:
    testcontainers_config.ryuk_disabled = True


@dataclass(frozen=True)
class RunNetwork:
    """The network of a run's containers."""

    made: Network
    name: str
    gateway: str  # the address of this machine in it


class Engine:
    """The Docker daemon of this machine, and what one run has made there."""

    def __init__(self, run: str) -> None:
        """Connect to the daemon. Raises WrongUsage if it does not answer."""
        self.labels = {LABEL: run}
        self._opened: RunNetwork | None = None
        # Ports on this machine, and the addresses in the network to which they lead.
        self._published: dict[int, str] = {}
        self.client = connect_to_daemon()

    def fetch_image(self, image: str, option: str) -> None:
        """See that an image is there, or pull it. Raises WrongUsage."""
        try:
            self.client.images.get(image)
        except docker.errors.ImageNotFound:
            self._pull_image(image, option)
        except TROUBLE as error:
            raise WrongUsage(
                f"{option} must be an image; the daemon does not know whether {image} is there: "
                f"{text_of(error)}"
            ) from error

    def _pull_image(self, image: str, option: str) -> None:
        has_tag = re.search("[:@][^/]+$", image)
        try:
            self.client.images.pull(image, tag=None if has_tag else "latest")
        except TROUBLE as error:
            raise WrongUsage(
                f"{option} must be an image that is there or can be pulled; "
                f"{image} cannot be: {text_of(error)}"
            ) from error

    def open_network(self) -> None:
        """Make a network of the run's containers, where they find each other by name."""
        with as_broken_testbed("make a network"):
            made = Network(docker_network_kw={"labels": self.labels}).create()
            network: docker.models.networks.Network = self.client.networks.get(str(made.id))
            gateway = str(network.attrs["IPAM"]["Config"][0]["Gateway"])
            self._opened = RunNetwork(made, str(network.name), gateway)

    @property
    def network(self) -> RunNetwork:
        """The network that `open_network` has made."""
        assert self._opened, "`open_network` comes first"
        return self._opened

    def prepare_server(
        self, image: str, command: list[str], environment: dict[str, str], inner: int
    ) -> DockerContainer:
        """A container that is not made yet. Its port will be published on a free one."""
        container = DockerContainer(image, env=environment, labels=self.labels)
        container.with_command(command)
        bindings: Any = {f"{inner}/tcp": (LOOPBACK,)}
        container.ports = bindings
        if self._opened:
            container.with_network(self._opened.made)
        return container

    def create_container(
        self,
        image: str,
        command: list[str] | None,
        environment: dict[str, str],
        ports: Mapping[int, int],
    ) -> docker.models.containers.Container:
        """Make a container of the run's network, and do not start it.

        `ports` maps ports of the container to those of 127.0.0.1 on which they are published.
        """
        bindings: Any = {f"{inner}/tcp": (LOOPBACK, port) for inner, port in ports.items()}
        return _make_client(self.client.api.api_version).create(
            image,
            command=command,
            environment=environment,
            ports=bindings,
            labels=self.labels,
            network=self.network.name,
        )

    def note_published(self, port: int, name: str, inner: int) -> None:
        """Note to which container's port a port of this machine leads."""
        self._published[port] = f"{name}:{inner}"

    def translate_addresses(self, value: str) -> str:
        """A text whose loopback addresses are replaced by what containers of the network use."""

        def translate(match: re.Match[str]) -> str:
            port = int(match[1])
            return self._published.get(port, f"{self.network.gateway}:{port}")

        return re.sub(rf"(?<=[@/]){re.escape(LOOPBACK)}:(\d+)", translate, value)

    def close(self) -> None:
        """Remove the network. No container may be in it any more."""
        with as_broken_testbed("remove a network"):
            if self._opened:
                self._opened.made.remove()
        self.client.close()


def connect_to_daemon() -> docker.DockerClient:
    """A client of this machine's daemon. Raises WrongUsage if it does not answer."""
    address = get_docker_host() or DEFAULT_HOST
    _check_address(address)
    try:
        client = _make_client().client
        client.ping()
    except TROUBLE as error:
        raise WrongUsage(
            f"{NEEDS_DAEMON} that answers; the one at {address} does not: {text_of(error)}"
        ) from error
    return client


def _make_client(version: str | None = None) -> DockerClient:
    """Testcontainers' client. It asks the daemon for the version of its API if none is given.

    It reads no proxy from the environment. No daemon of this machine is behind one, and pytest
    changes the environment at each probe: a thread that reads all of it may fail.
    """
    client = DockerClient(version=version)
    client.client.api.trust_env = False
    return client


def create_from_settings(
    settings: Mapping[str, Any], networks: Sequence[str]
) -> docker.models.containers.Container:
    """Make a container of settings that the daemon understands, and do not start it.

    `networks` are the names of those that it joins besides the one in its settings. It has a
    client of its own. Raises one of TROUBLE.
    """
    client = _make_client().client
    container = None
    try:
        made = client.api.create_container_from_config(settings)
        container = client.containers.get(made["Id"])
        for network in networks:
            client.networks.get(network).connect(container)
    except TROUBLE:
        if container:
            container.remove(force=True, v=True)
        client.close()
        raise
    return container


def find_published_port(container: docker.models.containers.Container, inner: int) -> int:
    """The port of this machine that leads to a container's port. Raises BrokenTestbed."""
    with as_broken_testbed("look up a published port"):
        container.reload()
        bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{inner}/tcp") or []
    if not bindings:
        raise BrokenTestbed(
            f"the container of {container.attrs['Config']['Image']} ended, or publishes no port "
            f"{inner}; its last lines: {_read_last_lines(container)}"
        )
    return int(bindings[0]["HostPort"])


@contextmanager
def as_broken_testbed(work: str) -> Iterator[None]:
    """Raise BrokenTestbed if the daemon fails at the suite's own work: no fault of the target's."""
    try:
        yield
    except TROUBLE as error:
        raise BrokenTestbed(f"Docker did not let the suite {work}: {text_of(error)}") from error


def _read_last_lines(container: docker.models.containers.Container) -> str:
    with suppress(*TROUBLE):
        return " / ".join(container.logs(tail=3).decode("utf-8", "replace").strip().splitlines())
    return "unknown"


def _check_address(address: str) -> None:
    """See that something listens at a daemon's address on this machine. Raises WrongUsage."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(parts.path)
        except OSError as error:
            raise WrongUsage(
                f"{NEEDS_DAEMON} that answers; {explain_refusal(address, error)}"
            ) from error
    elif parts.scheme != "npipe":
        raise WrongUsage(
            f"{NEEDS_DAEMON} on this machine, since their ports are published on {LOOPBACK}; "
            f"it is at {address}"
        )


def explain_refusal(address: str, error: OSError) -> str:
    """Why a socket does not let this user connect."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not use {address}: join the group that owns it"
    return f"none listens at {address}"


def text_of(error: BaseException) -> str:
    """The first line of an error of the daemon's."""
    explanation: Callable[[], str] | str | None = getattr(error, "explanation", None)
    return str(explanation or error).splitlines()[0].strip()
