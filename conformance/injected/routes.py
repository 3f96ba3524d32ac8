"""Read an application's routes in the target's own interpreter, and write them as one line of JSON.

It runs as `python -c` in the target's folder, with MODULE:ATTR and the path of a file for the
answer. It imports nothing of the suite. Each route has its path, its methods, whether its endpoint
is a coroutine function, and its dependencies (FastAPI's `Depends`): each has a name, parameters and
whether it is a coroutine function.
"""

import functools
import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

NO_ROUTES = 4  # exit status: the application is none that has routes


def is_coroutine(call: Any) -> bool:
    """Whether a call of this is awaited, as Starlette sees it: through partials and `__call__`."""
    while isinstance(call, functools.partial):
        call = call.func
    if not inspect.isroutine(call) and not inspect.isclass(call):
        call = type(call).__call__
    return inspect.iscoroutinefunction(call)


def routed(application: Any) -> Any:
    """The object with the routes: the application, or what a chain of middleware wraps."""
    for _ in range(20):
        if hasattr(application, "routes"):
            return application
        application = getattr(application, "app", None)
    raise SystemExit(NO_ROUTES)


def dependencies(dependant: Any) -> Iterator[dict[str, Any]]:
    """Every dependency of a route, those of dependencies included."""
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
        yield from dependencies(child)


def below(application: Any) -> Any:
    """The routes that an application or a route holds.

    Newer FastAPI keeps an included router as an `_IncludedRouter`.
    """
    candidates = getattr(application, "effective_candidates", None)
    if candidates is None:
        return getattr(application, "routes", None) or ()
    return [getattr(candidate, "starlette_route", None) or candidate for candidate in candidates()]


def routes(application: Any, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Every route, those of mounted and included applications too."""
    for route in below(application):
        path = prefix + (getattr(route, "path", None) or "")
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None:
            yield from routes(route, path)
            continue
        yield {
            "path": path,
            "methods": sorted(getattr(route, "methods", None) or ()),
            "endpoint": getattr(endpoint, "__name__", type(endpoint).__name__),
            "coroutine": is_coroutine(endpoint),
            "dependencies": list(dependencies(getattr(route, "dependant", None))),
        }


def main(target: str, answer: str) -> None:
    """Import the application and write what its routes are."""
    module, attribute = target.split(":", 1)
    found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    with open(answer, "w") as file:
        json.dump(list(routes(routed(found))), file)


sys.path.insert(0, "")
main(*sys.argv[1:])
