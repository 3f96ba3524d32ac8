"""The model: what a correct answer is, as pure functions, and how a value differs from it."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

COLUMNS = ("id", "name", "description", "price", "quantity", "available", "created_at")

# RFC 3339, section 5.6: a T between date and time, and an offset. The table has microseconds, so
# further digits must be zeros.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6}0*)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Answer:
    """A status and the JSON value of a body.

    A `datetime` in the body stands for any text of RFC 3339 that names the same instant.
    """

    status: int
    body: Any


def sync_answer() -> Answer:
    """`GET /sync`, §2.1."""
    return Answer(200, {"message": "This is a synchronous endpoint"})


def async_answer() -> Answer:
    """`GET /async`, §2.2."""
    return Answer(200, {"message": "This is an asynchronous endpoint"})


def item_answer(row: Mapping[str, Any] | None) -> Answer:
    """`GET /items/{item_id}`, §3.2: the row as the table has it, or null if it has none."""
    return Answer(200, {"item": None if row is None else dict(row)})


def external_answer(document: Any) -> Answer:
    """`GET /external-data`, §4.2: the JSON document of the upstream."""
    return Answer(200, document)


def submission_answer(task_id: str) -> Answer:
    """`POST /process-data/`, §5.3."""
    return Answer(200, {"message": "Task submitted", "task_id": task_id})


def read_task_id(body: bytes) -> str | None:
    """The task id in the body of an answer to a submission, or None."""
    try:
        return str(json.loads(body)["task_id"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def task_result(data: Any) -> dict[str, Any]:
    """The result of a task, §5.2."""
    return {"message": "Task completed", "data": data}


def listing_answer(q: str | None) -> Answer:
    """`GET /items/`, §6.1."""
    return Answer(200, {"q": q})


def has_item_id_error(body: Any) -> bool:
    """Whether the body of a 422 has an error located at `["path", "item_id"]`, §3.2."""
    errors = body.get("detail") if isinstance(body, dict) else None
    return isinstance(errors, list) and any(
        isinstance(error, dict) and error.get("loc") == ["path", "item_id"] for error in errors
    )


def find_difference(expected: Any, got: Any, at: str = "$") -> str | None:
    """Find where two JSON values first differ in meaning.

    Returns a sentence such as `$.item.price: wanted 1, got 2`, or None if they do not differ.
    Numbers are compared by value, exactly and at any size, so that 1 equals 1.0. Booleans are not
    numbers. Texts are compared code point by code point. An expected `datetime` is compared with
    the instant that a text of RFC 3339 names.
    """
    match expected:
        case datetime():
            equal = isinstance(got, str) and parse_instant(got) == expected
        case bool() | None:
            equal = got is expected
        case int() | float():
            equal = (
                not isinstance(got, bool)
                and isinstance(got, int | float)
                and _are_equal_numbers(expected, got)
            )
        case str():
            equal = isinstance(got, str) and got == expected
        case Mapping() if isinstance(got, dict):
            return _find_object_difference(expected, got, at)
        case Sequence() if isinstance(got, list):
            return _find_array_difference(expected, got, at)
        case _:
            equal = False
    return None if equal else f"{at}: wanted {format_value(expected)}, got {format_value(got)}"


def parse_instant(text: str) -> datetime | None:
    """Parse a text of RFC 3339. Returns None for any other, such as one without an offset."""
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:  # the 30th of February
        return None


def format_value(value: Any, limit: int = 160) -> str:
    """Write a value as JSON for a person, shortened in the middle to about `limit` characters."""
    text = json.dumps(
        value,
        default=lambda other: other.isoformat() if isinstance(other, datetime) else str(other),
    )
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def _are_equal_numbers(expected: float, got: float) -> bool:
    both_are_nan = (
        isinstance(expected, float)
        and isinstance(got, float)
        and math.isnan(expected)
        and math.isnan(got)
    )
    return expected == got or both_are_nan


def _find_object_difference(
    expected: Mapping[str, Any], got: dict[str, Any], at: str
) -> str | None:
    if missing := [key for key in expected if key not in got]:
        return f"{at}: the member {format_value(missing[0])} is missing"
    if extra := [key for key in got if key not in expected]:
        return f"{at}: there is a member {format_value(extra[0])} that should not be"
    differences = (
        find_difference(value, got[key], f"{at}.{key}") for key, value in expected.items()
    )
    return next((found for found in differences if found), None)


def _find_array_difference(expected: Sequence[Any], got: list[Any], at: str) -> str | None:
    if len(expected) != len(got):
        return f"{at}: wanted {len(expected)} elements, got {len(got)}"
    differences = (
        find_difference(value, got[index], f"{at}[{index}]") for index, value in enumerate(expected)
    )
    return next((found for found in differences if found), None)


@dataclass
class World:
    """What surrounds the service: the rows, the document of the upstream, what is held or fails."""

    rows: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # by id
    document: Any = None
    reads_are_held: bool = False
    database_refuses: bool = False
    calls_are_held: bool = False
    upstream_fails: bool = False
    broker_denies: bool = False

    def answer_to_read(self, item_id: int) -> Answer:
        """The right answer to a read that no fault disturbs."""
        return item_answer(self.rows.get(item_id))

    def answer_to_call(self) -> Answer:
        """The right answer to `GET /external-data` if no fault disturbs it."""
        return external_answer(self.document)
