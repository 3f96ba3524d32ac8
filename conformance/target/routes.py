"""The routes of the target's application, read in a process of its own by its interpreter."""

import json
import subprocess
from pathlib import Path

from conformance.core.errors import NoEvidence, NotApplicable
from conformance.core.observations import Route, RouteList
from conformance.target.launch import Launch

SCRIPT = Path(__file__).parents[1] / "injected" / "routes.py"
NO_ROUTES = 4  # how the script ends for an application without routes


def read_routes(launch: Launch, folder: Path) -> RouteList:
    """The routes as an observation.

    Raises NotApplicable for an application that has no routes, such as a plain ASGI application.
    Raises NoEvidence if they could not be read this time: the import failed or took too long.
    """
    answer = folder / "routes.json"
    try:
        done = launch.run_script(
            SCRIPT.read_text("utf-8"), str(launch.options.target.app), str(answer)
        )
        routes = tuple(map(Route.from_json, json.loads(answer.read_bytes())))
    except subprocess.TimeoutExpired as error:
        reason = f"its import did not end in {error.timeout:.0f} s"
        raise NoEvidence(f"the application's routes could not be read: {reason}") from error
    except (OSError, ValueError) as error:
        if done.returncode == NO_ROUTES:
            raise NotApplicable(
                "the application is not made with FastAPI: it has no attribute `routes`, and wraps"
                " nothing that has"
            ) from error
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it ended silently"]
        raise NoEvidence(f"the application's routes could not be read: {lines[-1]}") from error
    described = "; ".join(
        f"{'async def' if route.coroutine else 'def'} {route.endpoint} for {route.path}"
        for route in routes
    )
    text = f"the application routes {described or 'nothing'}"
    return launch.journal.record(RouteList, text=text, routes=routes)
