"""In which variables a copy of the target has another address than the target."""

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.core.urls import replace_address
from conformance.testbed.ports import claim_port


@dataclass(frozen=True)
class Redirection:
    """Variables of the contract, and the port that their addresses get."""

    variables: tuple[str, ...] = ()
    port: int | None = None  # of a server of the suite's own; None where nothing listens

    def change_address(self, variables: Mapping[str, str], host: str) -> dict[str, str]:
        """Those variables that are there, with the port on this host."""
        port = self.port or claim_port()
        return {
            name: replace_address(variables[name], host, port)
            for name in self.variables
            if name in variables
        }


UNCHANGED = Redirection()
