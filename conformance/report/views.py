"""Views: the forms in which records are shown. Each is a function from reports to a text, and starts nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.core.errors import WrongUsage
from conformance.report import annotations, badge, ctrf, data, html, junit, markdown, text
from conformance.report.record_reader import Report
from conformance.spec.catalogue import Language

DEFAULT = "text"


@dataclass(frozen=True)
class Form:
    """One form: what it is, what makes it, and whether it shows several records beside each other."""

    help: str
    render: Callable[[Sequence[Report], Language], str]
    takes_several: bool = False


FORMS = {
    "text": Form(
        "the page that a run prints at its end, which is shown where no form is asked for",
        text.render,
        takes_several=True,
    ),
    "html": Form(
        "one page that needs nothing else, to look at and to print", html.render, takes_several=True
    ),
    "markdown": Form(
        "a page in Markdown, for a comment or a summary", markdown.render, takes_several=True
    ),
    "json": Form("data for programs (report.schema.json)", data.render, takes_several=True),
    "junit": Form("JUnit XML with a case for each requirement", junit.render),
    "ctrf": Form(
        "Common Test Report Format (ctrf.io), with ids, levels and sections as labels", ctrf.render
    ),
    "annotations": Form(
        "commands by which GitHub annotates a job, and code where a line is known",
        annotations.render,
    ),
    "badge": Form("an SVG badge that says the claim", badge.render),
}


def write(reports: Sequence[Report], wanted: Mapping[str, str], language: Language) -> None:
    """Write each form that is wanted to its file, or to the standard output. Raises WrongUsage."""
    for form, file in wanted.items():
        if len(reports) > 1 and not FORMS[form].takes_several:
            raise WrongUsage(f"--{form} shows one record; {len(reports)} were given")
        put(form, file, FORMS[form].render(reports, language))


def reserve(form: str, file: Path) -> None:
    """See early that a form can be written to a file; one of an earlier run is emptied, for it is of that run. Raises WrongUsage."""
    put(form, str(file), "")


def put(form: str, file: str, shown: str) -> None:
    """Write a form to its file, or to the standard output. Raises WrongUsage."""
    if file == "-":
        sys.stdout.write(shown)
        return
    try:
        Path(file).write_text(shown, "utf-8")
    except OSError as error:
        raise WrongUsage(
            f"--{form} wants a file that can be written; {file} cannot: {error.strerror}"
        ) from error
