"""The source: the routes of an application, read in a process of its own with the target's interpreter."""

import json
import subprocess
from pathlib import Path

from conformance.core.errors import NoEvidence, NotApplicable
from conformance.core.evidence import Observation
from conformance.target.server import Launch

SCRIPT = Path(__file__).parents[1] / "injected" / "routes.py"
NO_ROUTES = 4  # how the script ends for an application without routes


def read(launch: Launch, folder: Path) -> Observation:
    """The routes as an observation, in its data under `routes`.

    Raises NotApplicable for an application that has no routes, as a plain ASGI application, and
    NoEvidence if they could not be read this time: the import failed or took too long.
    """
    answer = folder / "routes.json"
    try:
        done = launch.run_inside(
            SCRIPT.read_text("utf-8"), str(launch.options.target_app), str(answer)
        )
        routes = json.loads(answer.read_bytes())
    except subprocess.TimeoutExpired as error:
        raise NoEvidence(
            f"the application's routes could not be read: its import did not end in {error.timeout:.0f} s"
        ) from error
    except (OSError, ValueError) as error:
        if done.returncode == NO_ROUTES:
            raise NotApplicable(
                "the application is not made with FastAPI: it has no attribute `routes`, and wraps"
                " nothing that has"
            ) from error
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it ended silently"]
        raise NoEvidence(f"the application's routes could not be read: {lines[-1]}") from error
    text = "; ".join(
        f"{'async def' if route['coroutine'] else 'def'} {route['endpoint']} for {route['path']}"
        for route in routes
    )
    return launch.journal.observe(
        "source", f"the application routes {text or 'nothing'}", routes=routes
    )
