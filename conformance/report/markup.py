"""Markup: text that somebody else has made, in Markdown, as text that ends nothing, links nothing and calls nobody."""

import re
from collections.abc import Sequence
from html import escape

from conformance.report.terminal import one_line

LIMIT = 1_000  # characters of one text; the rest is counted, not shown
LINES = 12  # of evidence, or of ways to reproduce

# Letters, digits and marks that mean nothing to Markdown, HTML or GitHub within a sentence.
_HARMLESS = re.compile(r"[\w ,.;:()…§/-]*", re.ASCII)


def shown(text: str) -> str:
    """A text within a sentence: as it is where nothing in it could mean anything, else as code."""
    return text if _HARMLESS.fullmatch(text) and "__" not in text and "//" not in text else code(text)


def code(text: str) -> str:
    """A text as a span of code, between more backticks than it has in a row."""
    text = _cut(one_line(text)) or " "
    ticks = "`" * (_longest_run(text) + 1)
    return f"{ticks} {text} {ticks}" if text.startswith(("`", " ")) or text.endswith(("`", " ")) else f"{ticks}{text}{ticks}"


def cell(text: str) -> str:
    """The same within a table, whose cells a bar would end."""
    return shown(text).replace("|", "\\|")


def block(*texts: str, language: str = "text") -> str:
    """Texts as a block of code, a line each, in a fence that none of them can end."""
    lines = [_cut(one_line(text)) for text in texts]
    fence = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def some(texts: Sequence[str]) -> list[str]:
    """The first of many texts, and how many there are besides."""
    return [*texts[:LINES], *([f"… ({len(texts) - LINES} more)"] if len(texts) > LINES else [])]


def html(text: str) -> str:
    """A sentence of the specification's within HTML: its code as code, and nothing else as markup."""
    parts = escape(one_line(text)).split("`")
    return "".join(part if index % 2 == 0 else f"<code>{part}</code>" for index, part in enumerate(parts))


def _cut(text: str) -> str:
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}… ({len(text)} characters)"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
