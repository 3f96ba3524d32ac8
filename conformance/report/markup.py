"""Text of others in Markdown: it ends nothing, links nothing and mentions nobody."""

import re
from collections.abc import Sequence
from html import escape

from conformance.core.printing import escape_unprintable

LIMIT = 1_000  # characters of one text; of the rest only the length is shown
LINES = 12  # of evidence, or of ways to reproduce

# Letters, digits and marks that mean nothing to Markdown, HTML or GitHub within a sentence.
_HARMLESS = re.compile(r"(?!.*(//|www\.|gh-))[a-z0-9 ,.;:()…§/-]*", re.IGNORECASE)


def quote_inline(text: str) -> str:
    """A text within a sentence: as it is if nothing in it could have a meaning, else as code."""
    return text if _HARMLESS.fullmatch(text) and len(text) <= LIMIT else quote_code(text)


def quote_code(text: str) -> str:
    """A text as a span of code, between more backticks than it has in a row."""
    text = shorten(text) or " "
    ticks = "`" * (_longest_run(text) + 1)
    needs_spaces = text.startswith(("`", " ")) or text.endswith(("`", " "))
    return f"{ticks} {text} {ticks}" if needs_spaces else f"{ticks}{text}{ticks}"


def quote_cell(text: str) -> str:
    """A text within a table, in which a bar would end its cell."""
    return quote_inline(text).replace("|", "\\|")


def quote_block(*texts: str, language: str = "text") -> str:
    """Texts as a block of code, a line each, in a fence that none of them can end."""
    lines = [escape_unprintable(text) for text in texts]
    fence = "`" * max(3, _longest_run("\n".join(lines)) + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def shorten_list(texts: Sequence[str]) -> list[str]:
    """The first of many texts, each shortened, and how many more there are."""
    more = [f"… ({len(texts) - LINES} more)"] if len(texts) > LINES else []
    return [*map(shorten, texts[:LINES]), *more]


def shorten(text: str) -> str:
    """As much of a text as is shown of one, in one line."""
    line = escape_unprintable(text[: LIMIT + 1])
    return line if len(line) <= LIMIT else f"{line[:LIMIT]}… ({len(text)} characters)"


def quote_html(text: str) -> str:
    """A sentence of the specification within HTML: its code as code, and nothing else as markup."""
    parts = escape(escape_unprintable(text)).split("`")
    return "".join(
        part if index % 2 == 0 else f"<code>{part}</code>" for index, part in enumerate(parts)
    )


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
