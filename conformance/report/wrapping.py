"""Columns: paragraphs in lines that a terminal can hold, in which a Chinese character is two columns wide and may end a line."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

# What a line is not broken within: a run of narrow characters, or a wide one with the closing marks after it or an opening one before it.
_OPENING, _CLOSING = "（“《「", "，。、；：！？）”》」"
_PIECE = re.compile(
    rf"\s+|[{_OPENING}]*(?:[\u2e80-\u9fff\uff00-\uffef]|[^\s\u2e80-\u9fff\uff00-\uffef{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*"
)


def width(text: str) -> int:
    """How many columns a text takes in a terminal."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def filled(text: str, limit: int) -> str:
    """The text in lines of at most so many columns, but for what cannot be broken; space is as good as any other."""
    return "\n".join(_lines(_PIECE.findall(" ".join(text.split())), limit))


def _lines(pieces: list[str], limit: int) -> Iterator[str]:
    line = ""
    for piece in pieces:
        if width(line + piece.rstrip()) > limit and line.strip():
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()
