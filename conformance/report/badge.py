"""Badge: the claim of a run as a small SVG image, in the usual flat style."""

from collections.abc import Sequence
from html import escape

from conformance.judging.result import RunResult
from conformance.judging.verdict import Status
from conformance.report.translations import translate
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

# Widths in pixels of letters in Verdana 11, in which such badges are laid out. `textLength` makes
# other fonts as wide.
_NARROW, _WIDE = dict.fromkeys("ijl", 3.0) | dict.fromkeys("ft r", 4.3), dict.fromkeys("mw", 9.9)
_USUAL, _CHINESE = 6.8, 11.0


def render_badge(runs: Sequence[RunResult], language: Language) -> str:
    """The image. Its title also says how many requirements are not applicable."""
    (run,) = runs
    value = choose_message(run)
    title = translate(value, language)
    if count := run.counts[Status.NOT_APPLICABLE]:
        title += translate(" ({count} not applicable)", language).format(count=count)
    return _draw_badge(
        translate(LABEL, language), translate(value, language), title, COLOURS[value]
    )


def choose_message(run: RunResult) -> str:
    """What the badge says of a run."""
    return "incomplete" if not run.is_complete else run.claim or "not established"


def _draw_badge(name: str, value: str, title: str, colour: str) -> str:
    first, second = (_measure_text(text) + 2 * PADDING for text in (name, value))
    whole, label = first + second, escape(f"{name}: {title}")
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img"\
 aria-label="{label}">
<title>{label}</title>
<linearGradient id="shade" x2="0" y2="100%">
<stop offset="0" stop-color="#bbb" stop-opacity=".1"/><stop offset="1" stop-opacity=".1"/>
</linearGradient>
<clipPath id="round"><rect width="{whole}" height="20" rx="3"/></clipPath>
<g clip-path="url(#round)">
<rect width="{first}" height="20" fill="{NAME_COLOUR}"/>
<rect x="{first}" width="{second}" height="20" fill="{colour}"/>
<rect width="{whole}" height="20" fill="url(#shade)"/>
</g>
<g fill="#fff" text-anchor="middle" font-size="11"\
 font-family="Verdana,Geneva,DejaVu Sans,sans-serif">
<text x="{first / 2:g}" y="14" textLength="{first - 2 * PADDING}">{escape(name)}</text>
<text x="{first + second / 2:g}" y="14" textLength="{second - 2 * PADDING}">{escape(value)}</text>
</g>
</svg>
"""


def _measure_text(text: str) -> int:
    widths = _NARROW | _WIDE
    return round(
        sum(widths.get(letter, _USUAL if letter.isascii() else _CHINESE) for letter in text)
    )
