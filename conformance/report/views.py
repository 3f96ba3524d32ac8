"""Views: the forms in which records are shown. Each is a function from reports to a text, and starts nothing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.errors import WrongUsage
from conformance.report import html, markdown
from conformance.report.reading import Report
from spec.catalogue import Language

DEFAULT = "markdown"


@dataclass(frozen=True)
class Form:
    """One form: what it is, what makes it, and whether it shows several records beside each other."""

    help: str
    render: Callable[[Sequence[Report], Language], str]
    takes_several: bool = False


FORMS = {
    "html": Form("one page that needs nothing else, to look at and to print", html.render, takes_several=True),
    "markdown": Form("a page in Markdown, for a comment or a summary", markdown.render, takes_several=True),
}


def write(reports: Sequence[Report], wanted: Mapping[str, str], language: Language) -> None:
    """Write each form that is wanted to its file, or to the standard output. Raises WrongUsage."""
    for form, file in wanted.items():
        if len(reports) > 1 and not FORMS[form].takes_several:
            raise WrongUsage(f"--{form} shows one record; {len(reports)} were given")
        text = FORMS[form].render(reports, language)
        if file == "-":
            sys.stdout.write(text)
            continue
        _put(form, Path(file), text)


def claim(form: str, file: Path) -> None:
    """See early that a form can be written to a file; one of an earlier run is emptied, for it is of that run. Raises WrongUsage."""
    _put(form, file, "")


def _put(form: str, file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise WrongUsage(f"--{form} wants a file that can be written; {file} cannot: {error.strerror}") from error
