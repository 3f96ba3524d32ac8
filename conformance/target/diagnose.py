"""Whose fault it is that a target did not start: the caller's, or the target's own."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from conformance.core.decoding import decode_json
from conformance.core.errors import WrongUsage
from conformance.target.launch import Launch
from conformance.target.server import NotReady

SCRIPT = Path(__file__).parents[1] / "injected" / "look.py"
LONGEST = 500  # characters of a reason, which the target's own code may have written
UVICORN_STARTUP_FAILED = 3  # uvicorn.main.STARTUP_FAILURE: found, and its lifespan failed


def explain_failed_start(launch: Launch, failure: NotReady) -> WrongUsage | None:
    """The caller's mistake behind a first start that failed; None where the target is to blame."""
    options = launch.options
    if not launch.capabilities.starts_target:
        return _explain_silent_url(launch, failure)
    if failure.status is None:
        return None
    ended = f"{failure.got}. Its last lines: {failure.last_words}"
    if options.target.image:
        found = failure.status == UVICORN_STARTUP_FAILED
        wanted = "--target-image must be an image that goes on serving"
        return None if found else WrongUsage(f"{wanted}; {ended}")
    if options.target.command:
        return WrongUsage(f"--target-command must be a command that goes on serving; {ended}")
    if (reason := find_import_problem(launch)) is not None:
        wanted = "--target-app must be MODULE:ATTR of an ASGI application"
        return WrongUsage(f"{wanted}, looked up in {options.target.directory}; {reason}")
    if failure.status == UVICORN_STARTUP_FAILED:
        return None
    return WrongUsage(f"--target-app must be an application that uvicorn can serve; {ended}")


def _explain_silent_url(launch: Launch, failure: NotReady) -> WrongUsage | None:
    if not failure.nothing_listens:
        return None
    url = launch.options.target.url
    return WrongUsage(
        f"--target-url must be the URL of a service that answers; nothing listens at {url}"
    )


def explain_errors_alone(launch: Launch) -> WrongUsage | None:
    """Why uvicorn answers 500 to everything, where what it serves is no ASGI application."""
    is_served_here = launch.options.target.app and not launch.options.target.image
    reason = find_import_problem(launch) if is_served_here else None
    wanted = "--target-app must be MODULE:ATTR of an ASGI application"
    return WrongUsage(f"{wanted}; {reason}") if reason else None


def find_import_problem(launch: Launch) -> str | None:
    """Why the target's interpreter finds no ASGI application there; None where it finds one."""
    found: Any = None
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = launch.run_script(SCRIPT.read_text("utf-8"), str(launch.options.target.app))
        found = decode_json(done.answer) if done.answer else None
    return found[:LONGEST] if isinstance(found, str) else None
