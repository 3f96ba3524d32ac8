"""The model: what a correct answer is, as pure functions, and how an answer differs from it."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

COLUMNS = ("id", "name", "description", "price", "quantity", "available", "created_at")


# RFC 3339, section 5.6: a T between date and time, an offset, up to microseconds (the table's own precision) and zeros beyond.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6}0*)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Answer:
    """A status and the JSON value of a body; a `datetime` in the body stands for an instant in RFC 3339."""

    status: int
    body: Any


def sync_message() -> Answer:
    """`GET /sync`, §2.1."""
    return Answer(200, {"message": "This is a synchronous endpoint"})


def async_message() -> Answer:
    """`GET /async`, §2.2."""
    return Answer(200, {"message": "This is an asynchronous endpoint"})


def item(row: Mapping[str, Any] | None) -> Answer:
    """`GET /items/{item_id}`, §3.2: the row as the table holds it, or null."""
    return Answer(200, {"item": None if row is None else dict(row)})


def external_data(document: Any) -> Answer:
    """`GET /external-data`, §4.2: the upstream's JSON document."""
    return Answer(200, document)


def submitted(task_id: str) -> Answer:
    """`POST /process-data/`, §5.3."""
    return Answer(200, {"message": "Task submitted", "task_id": task_id})


def completed(data: Any) -> dict[str, Any]:
    """The result of a task, §5.2."""
    return {"message": "Task completed", "data": data}


def listing(q: str | None) -> Answer:
    """`GET /items/`, §6.1."""
    return Answer(200, {"q": q})


def names_item_id(body: Any) -> bool:
    """Whether a 422's body has an error located at `["path", "item_id"]`, §3.2."""
    errors = body.get("detail") if isinstance(body, dict) else None
    return isinstance(errors, list) and any(
        isinstance(error, dict) and error.get("loc") == ["path", "item_id"] for error in errors
    )


def difference(expected: Any, got: Any, at: str = "$") -> str | None:
    """Say where two JSON values first differ in meaning, as `$.path: wanted …, got …`; None where they do not.

    Numbers are compared as numbers (1 equals 1.0, exactly at any size), booleans are no numbers, texts are compared code
    point by code point, and an expected `datetime` with the instant that an RFC 3339 text names.
    """
    match expected:
        case datetime():
            equal = isinstance(got, str) and instant(got) == expected
        case bool() | None:
            equal = got is expected
        case int() | float():
            equal = (
                not isinstance(got, bool)
                and isinstance(got, int | float)
                and _equal_numbers(expected, got)
            )
        case str():
            equal = isinstance(got, str) and got == expected
        case Mapping() if isinstance(got, dict):
            return _object_difference(expected, got, at)
        case Sequence() if isinstance(got, list):
            return _array_difference(expected, got, at)
        case _:
            equal = False
    return None if equal else f"{at}: wanted {shown(expected)}, got {shown(got)}"


def instant(text: str) -> datetime | None:
    """The instant that an RFC 3339 text names, or None where it names none (no offset, or no time at all)."""
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:  # the 30th of February
        return None


def shown(value: Any, limit: int = 160) -> str:
    """A value as JSON for a person, shortened in the middle."""
    text = json.dumps(
        value,
        default=lambda other: other.isoformat() if isinstance(other, datetime) else str(other),
    )
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def _equal_numbers(expected: float, got: float) -> bool:
    both_are_nan = (
        isinstance(expected, float)
        and isinstance(got, float)
        and math.isnan(expected)
        and math.isnan(got)
    )
    return expected == got or both_are_nan


def _object_difference(expected: Mapping[str, Any], got: dict[str, Any], at: str) -> str | None:
    if missing := [key for key in expected if key not in got]:
        return f"{at}: the member {shown(missing[0])} is missing"
    if extra := [key for key in got if key not in expected]:
        return f"{at}: there is a member {shown(extra[0])} that should not be"
    differences = (difference(value, got[key], f"{at}.{key}") for key, value in expected.items())
    return next((found for found in differences if found), None)


def _array_difference(expected: Sequence[Any], got: list[Any], at: str) -> str | None:
    if len(expected) != len(got):
        return f"{at}: wanted {len(expected)} elements, got {len(got)}"
    differences = (
        difference(value, got[index], f"{at}[{index}]") for index, value in enumerate(expected)
    )
    return next((found for found in differences if found), None)


# The service's states


@dataclass
class World:
    """What surrounds the service at a moment: the rows, the upstream's document, and what is held or fails."""

    rows: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # by id
    document: Any = None
    reads_are_held: bool = False
    database_refuses: bool = False
    calls_are_held: bool = False
    upstream_fails: bool = False
    broker_denies: bool = False

    def answer_to_read(self, item_id: int) -> Answer:
        """The right answer to a read, where no fault disturbs it."""
        return item(self.rows.get(item_id))

    def answer_to_call(self) -> Answer:
        """The right answer to `GET /external-data`, where no fault disturbs it."""
        return external_data(self.document)
