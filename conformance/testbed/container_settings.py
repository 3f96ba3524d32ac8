"""The settings of a container that somebody else has made, and those of a copy of it.

A copy disturbs nobody: it has no name in its networks, no label by which another program would
know it, no restart policy, and no right to write to what it shares with the original.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.testbed.ports import LOOPBACK

ANONYMOUS = re.compile("[0-9a-f]{64}")  # the name of a volume that nobody has named
SHARED = ("bind", "volume")  # kinds of mounts
# A container's own: what would name the copy like the original.
OWN = ("Hostname", "MacAddress", "Labels")


@dataclass(frozen=True)
class ContainerSettings:
    """What the daemon says of a container."""

    attributes: Mapping[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """Its variables, those of its image among them."""
        pairs = (line.partition("=") for line in self.attributes["Config"]["Env"] or ())
        return {name: value for name, _, value in pairs}

    @property
    def network_mode(self) -> str:
        """Its first network, or "host", "none" or "container:ID"."""
        return str(self.attributes["HostConfig"]["NetworkMode"])

    @property
    def is_in_host_network(self) -> bool:
        """Whether its ports are those of this machine."""
        return self.network_mode == "host"

    @property
    def further_networks(self) -> list[str]:
        """The names of its networks besides the first."""
        first = {self.network_mode, "bridge" if self.network_mode == "default" else None}
        return [
            name
            for name, network in self._networks.items()
            if not first & {name, network["NetworkID"]}
        ]

    @property
    def _networks(self) -> Mapping[str, Any]:
        networks: Mapping[str, Any] = self.attributes["NetworkSettings"]["Networks"]
        return networks

    def find_inner_port(self, host: str, port: int) -> int | None:
        """The port inside that an address of this machine, or of the container's, leads to."""
        published = self.attributes["NetworkSettings"]["Ports"] or {}
        for inner, bindings in published.items():
            number, _, protocol = inner.partition("/")
            outer = {binding["HostPort"] for binding in bindings or ()}
            if protocol == "tcp" and str(port) in outer:
                return int(number)
        addresses = {network["IPAddress"] for network in self._networks.values()}
        return port if host in addresses else None

    def make_copy(
        self, variables: Mapping[str, str], ports: Mapping[int, int], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """The settings of a copy, as the daemon takes them.

        `variables` replace those of the container. `ports` maps ports of the copy to those of
        127.0.0.1 on which they are published.
        """
        config = self.attributes["Config"]
        kept = {name: value for name, value in config.items() if name not in OWN}
        environment = {**self.environment, **variables}
        return {
            **kept,
            "Image": self.attributes["Image"],  # its name may mean another one by now
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Labels": dict(labels),
            "HostConfig": {
                **self.attributes["HostConfig"],
                "PortBindings": _publish_ports(ports),
                "PublishAllPorts": False,
                "Binds": None,
                "VolumesFrom": None,
                "Mounts": self._share_mounts(),
                "RestartPolicy": {"Name": "no"},
                "AutoRemove": False,  # its exit status is read after its end
                "ContainerIDFile": "",
            },
        }

    def _share_mounts(self) -> list[dict[str, Any]]:
        """Its mounts. What it shares with others may only be read; what is its own is new."""
        asked = self.attributes["HostConfig"].get("Mounts") or ()
        own: Sequence[dict[str, Any]] = [each for each in asked if each["Type"] not in SHARED]
        shared = [
            {
                "Type": mount["Type"],
                "Source": mount["Name"] if mount["Type"] == "volume" else mount["Source"],
                "Target": mount["Destination"],
                "ReadOnly": True,
            }
            for mount in self.attributes["Mounts"]
            if mount["Type"] in SHARED and not ANONYMOUS.fullmatch(mount.get("Name", ""))
        ]
        return [*own, *shared]


def _publish_ports(ports: Mapping[int, int]) -> dict[str, Any]:
    return {
        f"{inner}/tcp": [{"HostIp": LOOPBACK, "HostPort": str(port)}]
        for inner, port in ports.items()
    }
