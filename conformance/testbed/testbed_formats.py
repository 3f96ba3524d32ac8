"""How `conformance testbed` prints the environment of a target: for a shell, dotenv, Compose."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from conformance.testbed.redis_admin import BROKER_VARIABLES
from conformance.testbed.testbed_state import TestbedState

if TYPE_CHECKING:
    from conformance.testbed.containers import Engine


def make_variables(state: TestbedState) -> dict[str, str]:
    """The environment variables of a target and its worker."""
    return {
        "DATABASE_URL": str(state.postgres.target_dsn),
        **dict.fromkeys(BROKER_VARIABLES, str(state.redis.target_dsn)),
        "EXTERNAL_DATA_URL": state.upstream_url,
        "PYTHONUNBUFFERED": "1",
    }


def format_for_shell(variables: Mapping[str, str], _engine: "Engine | None") -> str:
    """Commands of a shell."""
    return "\n".join(f"export {name}='{value}'" for name, value in variables.items())


def format_as_dotenv(variables: Mapping[str, str], _engine: "Engine | None") -> str:
    """Lines of an env file."""
    return "\n".join(f"{name}='{value}'" for name, value in variables.items())


def format_for_compose(variables: Mapping[str, str], engine: "Engine | None") -> str:
    """A file for Docker Compose.

    Its service joins the network of the containers, or uses that of the machine if there are
    none.
    """
    inside = {
        name: engine.translate_addresses(value) if engine else value
        for name, value in variables.items()
    }
    lines = ["services:", "  web: &conformance", "    environment:"]
    lines += [f"      {name}: {json.dumps(value)}" for name, value in inside.items()]
    if engine is None:
        return "\n".join([*lines, "    network_mode: host"])
    lines += [
        "    networks: [conformance]",
        "networks:",
        "  conformance:",
        "    external: true",
        f"    name: {engine.network.name}",
    ]
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Mapping[str, str], "Engine | None"], str]] = {
    "shell": format_for_shell,
    "dotenv": format_as_dotenv,
    "compose": format_for_compose,
}
