"""JSON as RFC 8259 has it, without the extensions of Python's parser."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

BYTE_ORDER_MARK = "\ufeff"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay texts here, as only the form of the document matters.
_checker = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def document_text(body: bytes) -> str:
    """Return the JSON document in a body of UTF-8, unchanged. Raise ValueError if it is none."""
    text = body.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
    try:
        _checker.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return text


def parts(value: Any) -> Iterator[tuple[int, Any]]:
    """Give every value inside a parsed document, and itself, with its level of nesting."""
    waiting = [(1, value)]
    while waiting:
        level, part = waiting.pop()
        yield level, part
        if isinstance(part, dict):
            waiting.extend((level + 1, member) for member in part.values())
        elif isinstance(part, list):
            waiting.extend((level + 1, member) for member in part)


def is_portable(part: Any) -> bool:
    """Say whether JSON in UTF-8 can carry a part: no NaN, no infinity, no half surrogate."""
    match part:
        case float():
            return math.isfinite(part)
        case str():
            return _is_text(part)
        case dict():
            return all(_is_text(name) for name in part)
    return True


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
