"""HTML: records as one page that needs nothing else, to look at, to search and to print."""

from conformance.report.html.page import render

__all__ = ["render"]
