"""The source: the routes of an application, read in a process of its own with the target's interpreter."""

import json
import subprocess
from pathlib import Path

from conformance.core.errors import NoEvidence
from conformance.core.observations import Route, RouteList
from conformance.target.server import Launch

SCRIPT = Path(__file__).parents[1] / "injected" / "routes.py"


def read(launch: Launch, folder: Path) -> RouteList:
    """The routes as an observation. Raises NoEvidence where they cannot be read."""
    answer = folder / "routes.json"
    try:
        done = launch.run_inside(
            SCRIPT.read_text("utf-8"), str(launch.options.target_app), str(answer)
        )
        routes = tuple(map(Route.from_json, json.loads(answer.read_bytes())))
    except subprocess.TimeoutExpired as error:
        raise NoEvidence(
            f"the application's routes could not be read: its import did not end in {error.timeout:.0f} s"
        ) from error
    except (OSError, ValueError) as error:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [
            "it has no attribute `routes`, and wraps nothing that has"
        ]
        raise NoEvidence(f"the application's routes could not be read: {said[0]}") from error
    text = "; ".join(
        f"{'async def' if route.coroutine else 'def'} {route.endpoint} for {route.path}"
        for route in routes
    )
    return launch.journal.record(
        RouteList, text=f"the application routes {text or 'nothing'}", routes=routes
    )
