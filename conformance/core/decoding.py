"""Where bytes of a target become values: JSON is decoded and checked here and nowhere else.

What a target sends may be nested, long or odd enough to break code that expects the usual. Here
that is always a ValueError, whose text says what is wrong.
"""

import json
from typing import Any, NoReturn

# Levels of nesting. TASK-16 sends 600, and the interpreter's own limit is 1000 for all that calls
# each other: what is decoded must be encoded again for the record, from deep inside of a probe.
DEEPEST = 640


def decode_json(
    encoded: bytes | str, *, strict: bool = False, hook: Any = None, limit: int = DEEPEST
) -> Any:
    """The value of a JSON text in UTF-8. Raises ValueError for all that cannot be read.

    `strict` keeps to RFC 8259, which has no NaN and no Infinity. `hook` is called with each object
    and returns what stands for it; whatever it raises is a ValueError here.
    """
    text = encoded.decode("utf-8") if isinstance(encoded, bytes) else encoded
    try:
        value = json.loads(text, parse_constant=_reject_constant if strict else None)
        _check_depth(value, text, limit)
        return value if hook is None else json.loads(text, object_hook=hook)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {limit} levels deep") from error
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _check_depth(value: Any, text: str, limit: int) -> None:
    """Raise RecursionError for a value that is nested too deeply."""
    if text.count("[") + text.count("{") <= limit:
        return
    level, depth = [value], 0
    while level := [child for each in level for child in _list_containers(each)]:
        depth += 1
        if depth >= limit:
            raise RecursionError


def _list_containers(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [child for child in children if isinstance(child, dict | list)]


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")
