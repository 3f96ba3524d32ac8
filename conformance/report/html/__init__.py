"""HTML: results as one self-contained page, to read, to search and to print."""

from conformance.report.html.page import render_html

__all__ = ["render_html"]
