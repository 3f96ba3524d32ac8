"""What a copy of somebody else's container has of it, and what it must not have. None is made."""

from typing import Any

import pytest

from conformance.core.errors import BrokenTestbed, NoEvidence
from conformance.core.evidence import Journal
from conformance.core.urls import replace_address
from conformance.target.container_copies import ContainerCopies
from conformance.target.redirection import UNCHANGED, Redirection
from conformance.testbed.container_settings import ContainerSettings

VOLUME = "f" * 64
URL = "http://localhost:8080"
DATABASE = "postgresql://role:secret@postgres:5432/shop?application_name=web"


def inspected(**host: Any) -> dict[str, Any]:
    """What the daemon says of a container of Docker Compose."""
    mounts = [
        {"Type": "bind", "Source": "/home/me/shop", "Destination": "/srv", "RW": True},
        {"Type": "volume", "Name": "shop_data", "Source": "/var/lib", "Destination": "/data"},
        {"Type": "volume", "Name": VOLUME, "Source": "/var/lib", "Destination": "/cache"},
    ]
    return {
        "Image": "sha256:1234",
        "Config": {
            "Hostname": "0123456789ab",
            "Image": "shop:latest",
            "User": "1000",
            "Cmd": ["serve"],
            "Entrypoint": ["/entry"],
            "WorkingDir": "/srv",
            "Env": [f"DATABASE_URL={DATABASE}", "PORT=8000", "EMPTY="],
            "Labels": {"com.docker.compose.service": "web"},
            "Volumes": {"/cache": {}},
        },
        "HostConfig": {
            "NetworkMode": "shop_default",
            "ExtraHosts": ["host.docker.internal:host-gateway"],
            "Memory": 2**28,
            "RestartPolicy": {"Name": "always"},
            "AutoRemove": True,
            "Binds": ["/home/me/shop:/srv"],
            "Mounts": [{"Type": "tmpfs", "Target": "/tmp"}],  # noqa: S108 - of a container
            "PortBindings": {"8000/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            **host,
        },
        "Mounts": mounts,
        "NetworkSettings": {
            "Ports": {
                "8000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],  # noqa: S104 - of a container
                "9000/tcp": None,
                "8001/udp": [{"HostIp": "", "HostPort": "8081"}],
            },
            "Networks": {
                "shop_default": {"NetworkID": "a1", "IPAddress": "172.20.0.3"},
                "metrics": {"NetworkID": "b2", "IPAddress": "172.21.0.3"},
            },
        },
    }


def copy_of(attributes: dict[str, Any], **variables: str) -> dict[str, Any]:
    settings = ContainerSettings(attributes)
    return settings.make_copy(variables, {8000: 12345}, {"conformance.run": "run-1"})


def test_a_copy_runs_the_same_on_other_variables() -> None:
    copy = copy_of(inspected(), DATABASE_URL="postgresql://elsewhere")
    kept = ("User", "Cmd", "Entrypoint", "WorkingDir", "Volumes")
    assert {name: copy[name] for name in kept} == {
        name: inspected()["Config"][name] for name in kept
    }
    assert copy["Image"] == "sha256:1234"
    assert copy["Env"] == ["DATABASE_URL=postgresql://elsewhere", "PORT=8000", "EMPTY="]
    host = copy["HostConfig"]
    assert (host["NetworkMode"], host["Memory"]) == ("shop_default", 2**28)
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]


def test_a_copy_is_mistaken_for_the_original_by_nobody() -> None:
    copy = copy_of(inspected())
    assert copy["Labels"] == {"conformance.run": "run-1"}
    assert "Hostname" not in copy
    assert "NetworkingConfig" not in copy  # so it has none of the original's names there
    host = copy["HostConfig"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "12345"}]}
    assert host["RestartPolicy"] == {"Name": "no"}
    assert not host["AutoRemove"]


def test_a_copy_may_only_read_what_it_shares() -> None:
    host = copy_of(inspected())["HostConfig"]
    assert host["Binds"] is None
    assert host["VolumesFrom"] is None
    assert host["Mounts"] == [
        {"Type": "tmpfs", "Target": "/tmp"},  # noqa: S108 - of a container
        {"Type": "bind", "Source": "/home/me/shop", "Target": "/srv", "ReadOnly": True},
        {"Type": "volume", "Source": "shop_data", "Target": "/data", "ReadOnly": True},
    ]


@pytest.mark.parametrize(
    ("mode", "further"),
    [
        ("shop_default", ["metrics"]),
        ("b2", ["shop_default"]),
        ("default", ["shop_default", "metrics"]),
    ],
)
def test_a_copy_joins_all_networks(mode: str, further: list[str]) -> None:
    assert ContainerSettings(inspected(NetworkMode=mode)).further_networks == further


def test_the_network_that_is_the_default_is_joined_once() -> None:
    attributes = inspected(NetworkMode="default")
    attributes["NetworkSettings"]["Networks"] = {"bridge": {"NetworkID": "c3", "IPAddress": ""}}
    assert ContainerSettings(attributes).further_networks == []


@pytest.mark.parametrize(
    ("host", "port", "inner"),
    [
        ("127.0.0.1", 8080, 8000),
        ("127.0.0.1", 8081, None),
        ("127.0.0.1", 9000, None),
        ("172.21.0.3", 9000, 9000),
    ],
)
def test_the_port_inside_is_the_one_that_the_address_leads_to(
    host: str, port: int, inner: int | None
) -> None:
    assert ContainerSettings(inspected()).find_inner_port(host, port) == inner


class ExistingDouble:
    """A container of somebody else's, whose copies are only noted."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.settings = ContainerSettings(attributes)
        self.made: dict[str, Any] = {}

    def start_copy(self, _name: str, settings: dict[str, Any], *_: Any) -> None:
        """Note the settings."""
        self.made = settings

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the copy that was made."""
        return dict(line.split("=", 1) for line in self.made["Env"])


def copies(existing: Any, url: str = URL) -> ContainerCopies:
    return ContainerCopies(existing, url, "run-1", Journal())


def test_nothing_listens_at_an_address_of_the_copys_own() -> None:
    existing = ExistingDouble(inspected())
    url, _ = copies(existing).start("copy", Redirection(("DATABASE_URL",)))
    assert existing.environment["DATABASE_URL"].startswith("postgresql://role:secret@127.0.0.1:")
    assert existing.environment["DATABASE_URL"].endswith("/shop?application_name=web")
    assert existing.environment["PORT"] == "8000"
    (bound,) = existing.made["HostConfig"]["PortBindings"]["8000/tcp"]
    assert url == f"http://127.0.0.1:{bound['HostPort']}"


def test_a_server_of_the_suite_is_where_the_upstream_is() -> None:
    attributes = inspected()
    attributes["Config"]["Env"].append("EXTERNAL_DATA_URL=http://172.20.0.1:4000/posts?userId=1")
    existing = ExistingDouble(attributes)
    copies(existing).start("copy", Redirection(("DATABASE_URL",), 5000))
    assert existing.environment["DATABASE_URL"] == DATABASE.replace(
        "postgres:5432", "172.20.0.1:5000"
    )


def test_in_the_network_of_the_machine_a_copy_has_a_port_of_its_own() -> None:
    existing = ExistingDouble(inspected(NetworkMode="host"))
    url, _ = copies(existing).start("copy", Redirection(("DATABASE_URL",), 5000))
    assert url == f"http://127.0.0.1:{existing.environment['PORT']}"
    assert existing.environment["PORT"] != "8000"
    assert existing.made["HostConfig"]["PortBindings"] == {}
    assert "@127.0.0.1:5000/" in existing.environment["DATABASE_URL"]


@pytest.mark.parametrize(
    ("host", "removed", "redirection", "url", "lack"),
    [
        ({}, "", Redirection(("REDIS_URL", "CELERY_BROKER_URL")), URL, "REDIS_URL or CELERY_BROK"),
        ({}, "", Redirection(("DATABASE_URL",), 5000), URL, "must have EXTERNAL_DATA_URL"),
        ({}, "", UNCHANGED, "http://localhost:8000", "must have a port that the container publis"),
        ({"NetworkMode": "host"}, "PORT=8000", UNCHANGED, URL, "must have PORT"),
    ],
)
def test_settings_that_do_not_say_how_are_no_evidence(
    host: dict[str, str], removed: str, redirection: Redirection, url: str, lack: str
) -> None:
    attributes = inspected(**host)
    kept = [line for line in attributes["Config"]["Env"] if line != removed]
    attributes["Config"]["Env"] = kept
    with pytest.raises(NoEvidence, match=lack) as raised:
        copies(ExistingDouble(attributes), url).start("copy", redirection)
    assert "--target-image" in str(raised.value)


def test_a_copy_that_the_daemon_refuses_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise BrokenTestbed("Docker did not let the suite start a copy: no such image")

    existing = ExistingDouble(inspected())
    monkeypatch.setattr(existing, "start_copy", refuse)
    with pytest.raises(NoEvidence, match=r"no such image; .*--target-image"):
        copies(existing).start("copy", UNCHANGED)


@pytest.mark.parametrize(
    ("url", "host", "changed"),
    [
        ("redis://user:p%40ss@redis:6379/0", "127.0.0.1", "redis://user:p%40ss@127.0.0.1:1/0"),
        ("https://shop/a?b=c", "::1", "https://[::1]:1/a?b=c"),
    ],
)
def test_another_address_leaves_the_rest_of_a_url(url: str, host: str, changed: str) -> None:
    assert replace_address(url, host, 1) == changed
