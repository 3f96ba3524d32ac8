"""Markup: text that somebody else has made, in Markdown, as text that ends nothing, links nothing and calls nobody."""

import re
from collections.abc import Sequence
from html import escape

from conformance.report.terminal import one_line

LIMIT = 1_000  # characters of one text; the rest is counted, not shown
LINES = 12  # of evidence, or of ways to reproduce

# Letters, digits and marks that mean nothing to Markdown, HTML or GitHub within a sentence.
_HARMLESS = re.compile(r"(?!.*(//|www\.|gh-))[a-z0-9 ,.;:()…§/-]*", re.IGNORECASE)


def shown(text: str) -> str:
    """A text within a sentence: as it is where nothing in it could mean anything, else as code."""
    return text if _HARMLESS.fullmatch(text) and len(text) <= LIMIT else code(text)


def code(text: str) -> str:
    """A text as a span of code, between more backticks than it has in a row."""
    text = cut(text) or " "
    ticks = "`" * (_longest_run(text) + 1)
    return (
        f"{ticks} {text} {ticks}"
        if text.startswith(("`", " ")) or text.endswith(("`", " "))
        else f"{ticks}{text}{ticks}"
    )


def cell(text: str) -> str:
    """The same within a table, whose cells a bar would end."""
    return shown(text).replace("|", "\\|")


def block(*texts: str, language: str = "text") -> str:
    """Texts as a block of code, a line each, in a fence that none of them can end."""
    lines = [one_line(text) for text in texts]
    fence = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def some(texts: Sequence[str]) -> list[str]:
    """The first of many texts, and how many there are besides."""
    return [
        *map(cut, texts[:LINES]),
        *([f"… ({len(texts) - LINES} more)"] if len(texts) > LINES else []),
    ]


def html(text: str) -> str:
    """A sentence of the specification's within HTML: its code as code, and nothing else as markup."""
    parts = escape(one_line(text)).split("`")
    return "".join(
        part if index % 2 == 0 else f"<code>{part}</code>" for index, part in enumerate(parts)
    )


def cut(text: str) -> str:
    """As much of a text as is shown of one, in a line."""
    line = one_line(text[: LIMIT + 1])
    return line if len(line) <= LIMIT else f"{line[:LIMIT]}… ({len(text)} characters)"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
