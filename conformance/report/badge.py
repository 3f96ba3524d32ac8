"""Badge: the claim of a record as a small SVG image, in the usual flat style."""

from collections.abc import Sequence
from html import escape

from conformance.report.record_reader import Report
from conformance.report.translations import said
from conformance.spec.catalogue import Language

LABEL = "conformance"
NAME_COLOUR = "#444d56"
COLOURS = {
    "robust": "#1a7f37",
    "core": "#4d7c0f",
    "not established": "#b42318",
    "incomplete": "#595959",
}  # white on each: 4.5:1 or more
PADDING = 6

# Widths in pixels of letters in Verdana 11, by which such badges are laid out; `textLength` holds other fonts to them.
_NARROW, _WIDE = dict.fromkeys("ijl", 3.0) | dict.fromkeys("ft r", 4.3), dict.fromkeys("mw", 9.9)
_USUAL, _CHINESE = 6.8, 11.0


def render(reports: Sequence[Report], language: Language) -> str:
    """The image."""
    (report,) = reports
    value = message(report)
    return _drawn(said(LABEL, language), said(value, language), COLOURS[value])


def message(report: Report) -> str:
    """What the badge says of a record."""
    return "incomplete" if not report.is_complete else report.claim or "not established"


def _drawn(name: str, value: str, colour: str) -> str:
    first, second = (_width(text) + 2 * PADDING for text in (name, value))
    whole, title = first + second, escape(f"{name}: {value}")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="{title}">
<title>{title}</title>
<linearGradient id="shade" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/><stop offset="1" stop-opacity=".1"/></linearGradient>
<clipPath id="round"><rect width="{whole}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{first}" height="20" fill="{NAME_COLOUR}"/>
<rect x="{first}" width="{second}" height="20" fill="{colour}"/>
<rect width="{whole}" height="20" fill="url(#shade)"/>
</g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">
<text x="{first / 2:g}" y="14" textLength="{first - 2 * PADDING}">{escape(name)}</text>
<text x="{first + second / 2:g}" y="14" textLength="{second - 2 * PADDING}">{escape(value)}</text>
</g>
</svg>
"""


def _width(text: str) -> int:
    widths = _NARROW | _WIDE
    return round(
        sum(widths.get(letter, _USUAL if letter.isascii() else _CHINESE) for letter in text)
    )
