"""Markup: HTML as a type. Text becomes HTML in one place.

There it is escaped, and its control characters are made visible.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import accumulate, groupby

from conformance.core.printing import escape_unprintable
from conformance.report.translations import translate
from conformance.spec.catalogue import Language

VOID = {"meta", "link", "input"}
ESCAPED = 8  # letters, about
_JOINT = re.compile(r"(?<=[.:/_])(?=\w)")
_LINK = re.compile(r"\[([^]]+)]\([^)]+\)")


class Markup(str):
    """HTML, as against text."""

    __slots__ = ()


Content = Markup | str | Iterable["Content"] | None


@dataclass(frozen=True)
class Translator:
    """The page's own words in one language."""

    language: Language

    def __call__(self, text: str, **values: object) -> str:
        """A text of the page's own, with values put in."""
        return translate(text, self.language).format(**values)

    def cut(self, text: str, limit: int) -> list[Markup | str]:
        """No more of a text than the limit. If it is cut, its length is added."""
        fits = _count_fitting(text, limit)
        if fits == len(text):
            return [text]
        return [
            text[:fits],
            element(
                "span", self("… cut, of {count} characters", count=f"{len(text):,}"), class_="cut"
            ),
        ]

    def name(self, text: str, limit: int) -> Content:
        """A name, cut in the same way, that may break between its parts."""
        parts = [
            part
            for piece in self.cut(text, limit)
            for part in ([piece] if isinstance(piece, Markup) else _JOINT.split(piece))
        ]
        return [[Markup("<wbr>") if number else None, part] for number, part in enumerate(parts)]


def element(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` is the attribute class, `data_x` is data-x.

    True is an attribute without a value. None and False are no attribute.
    """
    opening = f"<{name}{''.join(_write_attribute(*pair) for pair in attributes.items())}>"
    return Markup(opening if name in VOID else f"{opening}{join_content(content)}</{name}>")


def join_content(content: Content) -> Markup:
    """Content one after another. All that is not markup is text."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    return (
        _escape_text(content)
        if isinstance(content, str)
        else Markup("".join(map(join_content, content)))
    )


def render_prose(text: str) -> list[Markup | str]:
    """A sentence of the specification: its code is code, its links are their words."""
    parts = _LINK.sub(r"\1", text).split("`")
    return [
        element("code", part) if number % 2 else part for number, part in enumerate(parts) if part
    ]


def definition_list(pairs: Mapping[str, Content], **attributes: str) -> Markup:
    """Terms and what is known of them, without those that have no content."""
    items = [
        element("div", element("dt", term), element("dd", value))
        for term, value in pairs.items()
        if value
    ]
    return element("dl", items, **attributes)


def _count_fitting(text: str, limit: int) -> int:
    """How many letters of a text fit, where an unprintable one takes the room of its escape."""
    if text[:limit].isprintable():
        return min(len(text), limit)
    ends = accumulate(1 if letter.isprintable() else ESCAPED for letter in text[:limit])
    return sum(end <= limit for end in ends)


def _escape_text(text: str) -> Markup:
    """Text as HTML.

    What cannot be seen is shown as its escape, in an element that tells it from the same letters.
    """
    if text.isprintable():
        return Markup(escape(text, quote=False))
    runs = (
        (can_be_seen, "".join(letters)) for can_be_seen, letters in groupby(text, str.isprintable)
    )
    return Markup(
        "".join(
            escape(run, quote=False)
            if can_be_seen
            else f'<span class="c">{escape_unprintable(run)}</span>'
            for can_be_seen, run in runs
        )
    )


def _write_attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(escape_unprintable(str(value)))}"'
