"""Look for an application, in the target's own interpreter, and say in JSON why it is none.

It runs as a script whose arguments are MODULE:ATTR and the path of a file for the answer: null
where the application is there and can be called as ASGI, else one sentence.
"""

import importlib
import inspect
import json
import sys


def look(name: str) -> "str | None":
    """Why there is no ASGI application of this name; None where there is one."""
    module, attribute = name.split(":", 1)
    try:
        found = importlib.import_module(module)
    except BaseException as error:  # whatever its import raises
        return f"{module} does not import: {type(error).__name__}: {error}".splitlines()[0]
    for part in attribute.split("."):
        if not hasattr(found, part):
            return f"{module} has no attribute {attribute}"
        found = getattr(found, part)
    return (
        None
        if is_application(found)
        else f"{name} is not an ASGI application: {type(found).__name__}"
    )


def is_application(found: object) -> bool:
    """Whether it can be called with a scope and two callables, and is a coroutine function then."""
    is_plain = inspect.isroutine(found) or inspect.isclass(found)
    call = found if is_plain else getattr(found, "__call__", None)  # noqa: B004 - its signature
    try:
        inspect.signature(call).bind(None, None, None)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return inspect.iscoroutinefunction(call) or not inspect.isroutine(found)


if __name__ == "__main__":
    sys.path.insert(0, "")
    with open(sys.argv[2], "w") as file:
        json.dump(look(sys.argv[1]), file)
