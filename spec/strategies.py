"""Hypothesis strategies for the inputs that requirements quantify over."""

import random
import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

# What UTF-8 can encode: every code point except the surrogates.
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

# The text of Postgres can have every code point except U+0000.
AWKWARD = (
    "'", '"', "\\", "\u2028", "\x01", "\x7f", "😀", "e\u0301", "é", "\ufeff", "<b>", "%s", "{}",
    "\r\n", "\t", " ", "\u200b", "\u200d", "\u202e", "\u2066", "\xad", "\x85", "\ufffe", "\ue000",
)  # fmt: skip
# All of them in one text, with which every run begins: a random example may miss any of them.
AWKWARD_TEXT = "".join(AWKWARD)
stored_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
    st.lists(st.sampled_from(AWKWARD), max_size=8).map("".join),
)

int8 = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0]),
)
# Those that RFC 3339 can write in any zone. Its years have four digits, so the first and the last
# day are excluded. Hypothesis requires bounds without a zone.
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001

# The values of a row except its id, in the types of schema.sql.
row_values = st.fixed_dictionaries(
    {
        "name": stored_text,
        "description": st.none() | stored_text,
        "price": st.floats(allow_nan=False, allow_infinity=False),
        "quantity": int8,
        "available": st.booleans(),
        "created_at": instants,
    }
)


def draw_ids(seed: int) -> list[int]:
    """Positive ids, one of each number of digits that the type of `items.id` can hold."""
    drawn = random.Random(seed)  # noqa: S311 - ids, no secret
    return [drawn.randrange(10**digits, min(10 ** (digits + 1), 2**31)) for digits in range(10)]


big_integers = st.one_of(
    st.integers(-(10**27), 10**27),
    st.sampled_from([2**53 + 1, 2**63, 2**64 + 1, 10**26 + 7, -(10**26) - 7]),
)
scalars = (
    st.none()
    | st.booleans()
    | big_integers
    | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text
)

# The JSON decoder of Celery (kombu.utils.json) gives objects with this member a meaning of its own,
# so plain data does not have it.
RESERVED_MEMBER = "__type__"
member_names = unicode_text.filter(lambda name: name != RESERVED_MEMBER)


def _nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children, max_size=4) | st.dictionaries(member_names, children, max_size=4)


json_values = st.recursive(scalars, _nested, max_leaves=12)
json_objects = st.dictionaries(member_names, json_values, max_size=5)

# Spellings whose meaning as integers is the implementation's choice: digits of any script with
# signs, points, underscores and space.
_ARGUABLE = re.compile(r"[\s\d+\-._]*[eE]?[\s\d+\-._]*")


def is_no_integer(text: str) -> bool:
    """Whether a text is certainly not an integer.

    It is also one path segment to every client and server.
    """
    return bool(text) and "/" not in text and _ARGUABLE.fullmatch(text) is None


no_integers = st.one_of(
    unicode_text,
    st.sampled_from(
        [
            "abc",
            "null",
            "true",
            "NaN",
            "0x1f",
            "1a",
            "one",
            "1 2 x",
            "%",
            "\x00a",
            "id=1",
            "[1]",
            "{}",
            "😀",
        ]
    ),
).filter(lambda text: is_no_integer(text) and "\n" not in text)  # `$` in a router ends a path there

query_texts = st.one_of(
    unicode_text,
    st.sampled_from(
        [
            "+",
            "%26",
            "&",
            "=",
            "a=b&q=c",
            "😀",
            "\x00",
            " ",
            "  a  ",
            "%",
            "%2B",
            "é",
            "e\u0301",
            "A",
            ";",
            "#",
            "?",
        ]
    ),
)
