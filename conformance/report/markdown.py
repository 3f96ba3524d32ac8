"""Markdown: a page for a pull request's comment or a step's summary."""

from collections.abc import Sequence

from conformance.report.reading import Report
from spec.catalogue import Language


def render(reports: Sequence[Report], language: Language) -> str:  # noqa: ARG001
    """The page."""
    return "".join(f"## {report.target}\n\n{report.sentence}\n" for report in reports)
