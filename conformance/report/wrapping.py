"""Text in the columns of a terminal, in which a Chinese character takes two and may end a line."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

# What a line is not broken within: a run of narrow characters, or a wide one with the closing
# marks after it or an opening one before it.
_OPENING, _CLOSING = "（“《「", "，。、；：！？）”》」"
_WIDE = r"\u2e80-\u9fff\uff00-\uffef"
_PIECE = re.compile(
    rf"\s+|[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*"
)


def measure_width(text: str) -> int:
    """How many columns a text takes in a terminal."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def pad_text(text: str, columns: int) -> str:
    """Text filled with spaces to so many columns."""
    return text + " " * (columns - measure_width(text))


def wrap_text(text: str, columns: int) -> str:
    """The text in lines of at most so many columns, except where nothing can be broken."""
    return "\n".join(_wrap_pieces(_PIECE.findall(" ".join(text.split())), columns))


def _wrap_pieces(pieces: list[str], columns: int) -> Iterator[str]:
    line = ""
    for piece in pieces:
        if measure_width(line + piece.rstrip()) > columns and line.strip():
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()
