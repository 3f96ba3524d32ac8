"""Copies of a target in a container of somebody else's, on settings that differ in addresses."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.core.errors import BrokenTestbed, NoEvidence
from conformance.core.evidence import Journal
from conformance.core.urls import find_port, replace_address
from conformance.target.redirection import Redirection
from conformance.testbed.guard import LABEL
from conformance.testbed.ports import LOOPBACK, claim_port
from conformance.testbed.processes import Running

if TYPE_CHECKING:
    from conformance.testbed.docker_process import ExistingContainer

REMEDY = (
    "start the container as the guide says, on what `conformance testbed --format compose` prints, "
    "or pass --target-image IMAGE in place of --target-url and --container"
)


class ContainerCopies:
    """Starts containers of the suite's own that are like the target's."""

    def __init__(self, existing: "ExistingContainer", url: str, run: str, journal: Journal) -> None:
        """`url` is the target's. `run` is the name of the run's folder, for the copies' label."""
        self._settings = existing.settings
        self._existing = existing
        self._url = url
        self._labels = {LABEL: run}
        self._journal = journal

    def start(self, name: str, redirection: Redirection) -> tuple[str, Running]:
        """Start a copy: its URL, and its process.

        Raises NoEvidence where the container's settings do not say how, or the daemon refuses.
        """
        port = claim_port()
        changed = self._redirect(redirection)
        published = {}
        if self._settings.is_in_host_network:
            changed |= self._move_port(port)
        else:
            published[self._find_inner_port()] = port
        settings = self._settings.make_copy(changed, published, self._labels)
        networks = self._settings.further_networks
        try:
            process = self._existing.start_copy(name, settings, networks, self._journal)
        except BrokenTestbed as error:
            raise NoEvidence(f"{error}; {REMEDY}") from error
        return replace_address(self._url, LOOPBACK, port), process

    def _redirect(self, redirection: Redirection) -> dict[str, str]:
        """The variables that differ. Raises NoEvidence where the container has none of them."""
        host = LOOPBACK if redirection.port is None else self._find_this_machine()
        changed = redirection.change_address(self._settings.environment, host)
        if redirection.variables and not changed:
            raise NoEvidence(
                f"the container's environment must have {' or '.join(redirection.variables)}, so "
                f"that a copy can be given another address, and it has none; {REMEDY}"
            )
        return changed

    def _find_this_machine(self) -> str:
        """The host by which the container reaches servers of the suite. Raises NoEvidence."""
        if self._settings.is_in_host_network:
            return LOOPBACK
        upstream = self._settings.environment.get("EXTERNAL_DATA_URL", "")
        if host := urlsplit(upstream).hostname:
            return host
        raise NoEvidence(
            "the container's environment must have EXTERNAL_DATA_URL, whose host is this machine "
            f"as the container reaches it, and it has none; {REMEDY}"
        )

    def _move_port(self, port: int) -> dict[str, str]:
        """The variable that gives a copy in this machine's network a port of its own."""
        if "PORT" in self._settings.environment:
            return {"PORT": str(port)}
        raise NoEvidence(
            "the container is in this machine's network, so its environment must have PORT, "
            f"by which a copy listens elsewhere, and it has none; {REMEDY}"
        )

    def _find_inner_port(self) -> int:
        parts = urlsplit(self._url)
        inner = self._settings.find_inner_port(str(parts.hostname), find_port(self._url))
        if inner is None:
            raise NoEvidence(
                "--target-url must have a port that the container publishes, so that a copy can "
                f"publish it too, and {find_port(self._url)} is none; {REMEDY}"
            )
        return inner
