"""The routes of the target's application, read in a process of its own by its interpreter."""

import subprocess
from pathlib import Path

from conformance.core.decoding import decode_json
from conformance.core.errors import NoEvidence, NotApplicable, Unreadable
from conformance.core.observations import Route, RouteList
from conformance.target.launch import Launch
from conformance.testbed.bounded_run import ANSWER_LIMIT

SCRIPT = Path(__file__).parents[1] / "injected" / "routes.py"
ROUTES = "the application's list of routes"
NO_ROUTES = 4  # how the script ends for an application without routes


def read_routes(launch: Launch) -> RouteList:
    """The routes as an observation.

    Raises NotApplicable for an application that has no routes, such as a plain ASGI application.
    Raises NoEvidence if they could not be read this time: the import failed or took too long.
    Raises Unreadable if what came is no list of routes.
    """
    try:
        done = launch.run_script(SCRIPT.read_text("utf-8"), str(launch.options.target.app))
    except subprocess.TimeoutExpired as error:
        reason = f"its import did not end in {error.timeout:.0f} s"
        raise NoEvidence(f"the application's routes could not be read: {reason}") from error
    except OSError as error:
        raise NoEvidence(f"the application's routes could not be read: {error}") from error
    if done.status == NO_ROUTES and not done.answer:
        raise NotApplicable(
            "the application is not made with FastAPI: it has no attribute `routes`, and wraps"
            " nothing that has"
        )
    if not done.answer:
        raise NoEvidence(f"the application's routes could not be read: {done.last_line}")
    if done.has_long_answer:
        raise Unreadable(ROUTES, f"it is longer than {ANSWER_LIMIT // 2**20} MiB")
    try:
        routes = decode_routes(done.answer)
    except ValueError as error:
        raise Unreadable(ROUTES, error) from error
    described = "; ".join(
        f"{'async def' if route.coroutine else 'def'} {route.endpoint} for {route.path}"
        for route in routes
    )
    text = f"the application routes {described or 'nothing'}"
    return launch.journal.record(RouteList, text=text, routes=routes)


def decode_routes(answer: bytes) -> tuple[Route, ...]:
    """The routes that `injected/routes.py` has written. Raises ValueError for anything else.

    It runs in one process with the target's code, which may write there too.
    """
    try:
        return tuple(map(Route.from_json, decode_json(answer)))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"it is no list of routes ({type(error).__name__}: {error})") from error
