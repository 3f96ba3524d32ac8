"""Views: the formats in which results are shown. Each is a function from results to a text."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.core.errors import WrongUsage
from conformance.judging.result import RunResult
from conformance.report.annotations import render_annotations
from conformance.report.badge import render_badge
from conformance.report.ctrf import render_ctrf
from conformance.report.data import render_json
from conformance.report.html import render_html
from conformance.report.junit import render_junit
from conformance.report.markdown import render_markdown
from conformance.report.text import render_text
from conformance.spec.catalogue import Language

DEFAULT = "text"


@dataclass(frozen=True)
class Format:
    """One format: what it is, what renders it, and whether it can compare several runs."""

    help: str
    render: Callable[[Sequence[RunResult], Language], str]
    takes_several: bool = False


FORMATS = {
    "text": Format(
        "the summary that a run prints at its end (the default)", render_text, takes_several=True
    ),
    "html": Format("one self-contained HTML page", render_html, takes_several=True),
    "markdown": Format(
        "a page in Markdown, for a comment or a summary", render_markdown, takes_several=True
    ),
    "json": Format("data for programs (report.schema.json)", render_json, takes_several=True),
    "junit": Format("JUnit XML with a case for each requirement", render_junit),
    "ctrf": Format(
        "Common Test Report Format (ctrf.io), with ids, levels and sections as labels", render_ctrf
    ),
    "annotations": Format(
        "commands by which GitHub annotates a job, and code if a line is known",
        render_annotations,
    ),
    "badge": Format("an SVG badge with the claim", render_badge),
}


def write_views(runs: Sequence[RunResult], files: Mapping[str, str], language: Language) -> None:
    """Write each format to its file, or to the standard output for "-". Raises WrongUsage."""
    for name, file in files.items():
        if len(runs) > 1 and not FORMATS[name].takes_several:
            raise WrongUsage(f"--{name} shows one record; {len(runs)} were given")
        write_file(name, file, FORMATS[name].render(runs, language))


def reserve_file(name: str, file: Path) -> None:
    """Check early that a format can be written to a file, and empty it. Raises WrongUsage."""
    write_file(name, str(file), "")


def write_file(name: str, file: str, text: str) -> None:
    """Write a format to its file, or to the standard output for "-". Raises WrongUsage."""
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, "utf-8")
    except OSError as error:
        raise WrongUsage(
            f"--{name} must be a file that can be written; {file} cannot: {error.strerror}"
        ) from error
