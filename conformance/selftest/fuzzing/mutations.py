"""Mutations of bytes and of JSON values, all of them drawn from one generator of a seed."""

import json
import random
from typing import Any

MOST = 200_000  # bytes of one mutated text
SPECIAL = (
    b"\x00", b"\r", b"\n", b"\r\n", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\xe2\x80\xae",
    b"\x1b[2J", b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"%s", b"##[error]x",
    b"</script>", b"::error::", b"NaN", b"1e999", b"-0", b"9" * 5000, b"\xef\xbb\xbf",
    b"\\ud800", b"=", b";", b" ", b"\t",
)  # fmt: skip


def make_draw(*names: object) -> random.Random:
    """What draws: the same for the same names, whichever process asks."""
    return random.Random("/".join(map(str, names)))  # noqa: S311 - no secret


def nest(depth: int, kind: str = "[") -> Any:
    """A value that is nested so many levels deep."""
    value: Any = None
    for _ in range(depth):
        value = [value] if kind == "[" else {"a": value}
    return value


def draw_odd_value(draw: random.Random) -> Any:
    """A value where another was expected."""
    return draw.choice(
        (
            lambda: None,
            lambda: True,
            lambda: draw.choice((0, -1, 2**31, 2**63, 10**30, 10**4000, -0.0, 0.1, 1e308)),
            lambda: draw.choice((float("nan"), float("inf"))),
            lambda: draw.choice(("", " ", "null", "\ud800", "\x00\x1b[2J", "x" * 5000, "é中")),
            lambda: draw.choice(([], {}, [[]], [{}], [None] * 300, {"": ""})),
            lambda: nest(draw.choice((5, 100, 300, 630)), draw.choice("[{")),
            lambda: {"$ref": draw.choice(("#", "#/", "#/a/0", "http://x/y", 7, None))},
            lambda: {
                "__type__": draw.choice(("datetime", "uuid", "decimal", "bytes", [], None)),
                "__value__": draw.choice(("x", 1, None, {"hex": "0"}, "2020-01-01")),
            },
        )
    )()


def mutate_value(draw: random.Random, value: Any, depth: int = 0) -> Any:
    """The value, with one place of it changed."""
    if not isinstance(value, dict | list) or not value or depth > 12 or draw.random() < 0.15:
        return draw_odd_value(draw)
    if isinstance(value, list):
        index = draw.randrange(len(value))
        changed = mutate_value(draw, value[index], depth + 1)
        return draw.choice(
            (
                [*value[:index], changed, *value[index + 1 :]],
                value[:index] + value[index + 1 :],
                [*value, *value[index:]],
            )
        )
    name = draw.choice(list(value))
    match draw.randrange(6):
        case 0:
            return {key: each for key, each in value.items() if key != name}
        case 1:
            return {**value, draw.choice(("", "\ud800", "x" * 300, "$ref")): value[name]}
        case _:
            return {**value, name: mutate_value(draw, value[name], depth + 1)}


def mutate_bytes(draw: random.Random, content: bytes) -> bytes:
    """The bytes, with some changes of many kinds."""
    for _ in range(draw.choice((1, 1, 2, 5))):
        content = _change_place(draw, content)[:MOST]
    return content


def _change_place(draw: random.Random, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    to = min(len(content), at + draw.choice((0, 1, 3, 50)))
    match draw.randrange(6):
        case 0:
            return content[:at] + draw.choice(SPECIAL) + content[to:]
        case 1:
            return content[:at] + draw.randbytes(draw.randrange(8)) + content[to:]
        case 2:
            return content[:at] + content[at:to] * draw.randrange(2000) + content[to:]
        case 3:
            return content[:at]
        case 4:
            return content[at:] + content[:at]
        case _:
            return b"[" * draw.choice((1, 700, 50_000)) + content


def encode_value(draw: random.Random, value: Any) -> bytes:
    """The value as JSON in UTF-8, now and then in another way."""
    try:
        text = json.dumps(value, ensure_ascii=draw.random() < 0.7)
    except RecursionError:
        text = "[" * 900 + "]" * 900
    codec = draw.choice(("utf-8",) * 8 + ("utf-16", "latin-1"))
    return text.encode(codec, "surrogatepass" if codec.startswith("utf") else "replace")


def draw_encoded(draw: random.Random, value: Any) -> bytes:
    """Something like the value, as bytes: changed before or after it was encoded, or both."""
    if draw.random() < 0.7:
        value = mutate_value(draw, value)
    encoded = encode_value(draw, value)
    return mutate_bytes(draw, encoded) if draw.random() < 0.3 else encoded
