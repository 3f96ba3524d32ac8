"""Reads an application's routes in the target's own interpreter and writes them as JSON.

Run as `python -c` with MODULE:ATTR and the path of a pipe or file for the answer, in the target's
folder. It imports nothing of the suite. Each route is given with its path, its methods, whether its
endpoint is a coroutine function, and its dependencies (FastAPI's `Depends`). Each of these has its
name, its parameters and whether it is a coroutine function.
"""

import functools
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

NO_ROUTES = 4  # exit status: the application has none, nor does anything that it wraps


def is_coroutine(call: Any) -> bool:
    """Whether a call of this is awaited. As in Starlette, partials and `__call__` count."""
    while isinstance(call, functools.partial):
        call = call.func
    if not inspect.isroutine(call) and not inspect.isclass(call):
        call = type(call).__call__
    return inspect.iscoroutinefunction(call)


def find_routed(application: Any) -> Any:
    """The object with the routes: the application, or what a chain of middleware wraps."""
    for _ in range(20):
        if hasattr(application, "routes"):
            return application
        application = getattr(application, "app", None)
    raise SystemExit(NO_ROUTES)


def list_dependencies(dependant: Any) -> Iterator[dict[str, Any]]:
    """Every dependency of a route, with their own dependencies."""
    for child in getattr(dependant, "dependencies", ()):
        call = child.call
        names = [
            field.alias for field in (*child.query_params, *child.path_params, *child.header_params)
        ]
        yield {
            "name": getattr(call, "__name__", type(call).__name__),
            "coroutine": is_coroutine(call),
            "parameters": names,
        }
        yield from list_dependencies(child)


def list_children(application: Any) -> Any:
    """The routes of an application, a route or a newer FastAPI's `_IncludedRouter`."""
    candidates = getattr(application, "effective_candidates", None)
    if candidates is None:
        return getattr(application, "routes", None) or ()
    return [getattr(candidate, "starlette_route", None) or candidate for candidate in candidates()]


def list_routes(application: Any, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Every route, also of mounted and included applications."""
    for route in list_children(application):
        path = prefix + (getattr(route, "path", None) or "")
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None:
            yield from list_routes(route, path)
            continue
        yield {
            "path": path,
            "methods": sorted(getattr(route, "methods", None) or ()),
            "endpoint": getattr(endpoint, "__name__", type(endpoint).__name__),
            "coroutine": is_coroutine(endpoint),
            "dependencies": list(list_dependencies(getattr(route, "dependant", None))),
        }


def main(target: str, answer: str) -> None:
    """Import the application and write what its routes are."""
    module, attribute = target.split(":", 1)
    found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    with open(answer, "w") as file:
        json.dump(list(list_routes(find_routed(found))), file)


sys.path.insert(0, "")
main(*sys.argv[1:])
