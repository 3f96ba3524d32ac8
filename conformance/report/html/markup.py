"""Markup: HTML as a type. Text becomes HTML in one place, where it is escaped and its control characters are made visible."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from itertools import accumulate, groupby

from conformance.report.terminal import one_line
from conformance.report.translations import said
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
class Say:
    """The page's own words in one language, with values put in."""

    language: Language

    def __call__(self, text: str, **values: object) -> str:
        """A text of the page's own."""
        return said(text, self.language).format(**values)

    def cut(self, text: str, limit: int) -> list[Markup | str]:
        """No more of a text than the limit; what was cut has its length said."""
        fits = _fitting(text, limit)
        if fits == len(text):
            return [text]
        return [
            text[:fits],
            element(
                "span", self("… cut, of {count} characters", count=f"{len(text):,}"), class_="cut"
            ),
        ]

    def name(self, text: str, limit: int) -> Content:
        """A name, cut likewise, that may break where its parts meet."""
        parts = [
            part
            for piece in self.cut(text, limit)
            for part in ([piece] if isinstance(piece, Markup) else _JOINT.split(piece))
        ]
        return [[Markup("<wbr>") if number else None, part] for number, part in enumerate(parts)]


def element(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` is the attribute class, `data_x` is data-x; True is an attribute without a value, None and False are none."""
    opening = f"<{name}{''.join(_attribute(*pair) for pair in attributes.items())}>"
    return Markup(opening if name in VOID else f"{opening}{joined(content)}</{name}>")


def joined(content: Content) -> Markup:
    """Content one after another, of which all that is not markup is text."""
    if content is None:
        return Markup()
    if isinstance(content, Markup):
        return content
    return _text(content) if isinstance(content, str) else Markup("".join(map(joined, content)))


def prose(text: str) -> list[Markup | str]:
    """A sentence of the specification: what stands between backticks is code, a link is its words."""
    parts = _LINK.sub(r"\1", text).split("`")
    return [
        element("code", part) if number % 2 else part for number, part in enumerate(parts) if part
    ]


def facts(pairs: Mapping[str, Content], **attributes: str) -> Markup:
    """Terms and what is known of them; those of which nothing is are left out."""
    told = [
        element("div", element("dt", term), element("dd", value))
        for term, value in pairs.items()
        if value
    ]
    return element("dl", told, **attributes)


def _fitting(text: str, limit: int) -> int:
    """How many letters of a text fit, where one that is shown as its escape takes as much room as that."""
    if text[:limit].isprintable():
        return min(len(text), limit)
    ends = accumulate(1 if letter.isprintable() else ESCAPED for letter in text[:limit])
    return sum(end <= limit for end in ends)


def _text(text: str) -> Markup:
    """Text as HTML. What cannot be seen is shown as its escape, in an element of its own, so that it differs from the same letters."""
    if text.isprintable():
        return Markup(escape(text, quote=False))
    runs = (
        (can_be_seen, "".join(letters)) for can_be_seen, letters in groupby(text, str.isprintable)
    )
    return Markup(
        "".join(
            escape(run, quote=False) if can_be_seen else f'<span class="c">{one_line(run)}</span>'
            for can_be_seen, run in runs
        )
    )


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(one_line(str(value)))}"'
