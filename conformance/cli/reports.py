"""`conformance report` and `conformance diff`: what records say."""

import argparse
import sys
from pathlib import Path

from conformance.cli.arguments import add_language
from conformance.core.errors import WrongUsage
from conformance.judging.verdict import Exit
from conformance.report import diff_views, views
from conformance.report.diff import WORSE, compare_runs
from conformance.report.record_reader import read_record


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report` and `diff`."""
    reporting = commands.add_parser(
        "report", help="show the records of runs, in the formats that are asked for"
    )
    reporting.add_argument(
        "record",
        nargs="+",
        type=Path,
        metavar="RECORD",
        help="a file that --record has written; several are compared",
    )
    for form, what in views.FORMATS.items():
        _add_format(reporting, form, what.help)
    add_language(reporting)
    reporting.set_defaults(func=show_records, parser=reporting)
    comparing = commands.add_parser(
        "diff",
        help="say what changed from one record to another; exit status 1 if it got worse",
        description=WORSE,
    )
    for name, which in (("old", "older"), ("new", "newer")):
        comparing.add_argument(name, type=Path, metavar=name.upper(), help=f"the {which} record")
    for form, (help_text, _) in diff_views.FORMATS.items():
        _add_format(comparing, form, help_text)
    add_language(comparing)
    comparing.set_defaults(func=show_difference, parser=comparing)


def _add_format(parser: argparse.ArgumentParser, form: str, what: str) -> None:
    parser.add_argument(
        f"--{form}", metavar="FILE", help=f"write {what} (- for the standard output)"
    )


def show_records(chosen: argparse.Namespace) -> int:
    """Show records; the exit status."""
    wanted = {form: getattr(chosen, form) for form in views.FORMATS if getattr(chosen, form)}
    try:
        views.write_views(
            [read_record(path) for path in chosen.record],
            wanted or {views.DEFAULT: "-"},
            chosen.lang,
        )
    except WrongUsage as error:
        print(f"conformance report: {error}", file=sys.stderr)
        return Exit.WRONG_USAGE
    return Exit.PASSED


def show_difference(chosen: argparse.Namespace) -> int:
    """Say what changed from one record to another; the exit status, 1 if it got worse."""
    wanted = {form: getattr(chosen, form) for form in diff_views.FORMATS if getattr(chosen, form)}
    try:
        found = compare_runs(read_record(chosen.old), read_record(chosen.new))
        for form, file in wanted.items():
            views.write_file(form, file, diff_views.FORMATS[form][1](found, chosen.lang))
    except WrongUsage as error:
        print(f"conformance diff: {error}", file=sys.stderr)
        return Exit.WRONG_USAGE
    if "-" not in wanted.values():
        print(diff_views.render_text(found, chosen.lang), end="")
    return Exit.FAILED if found.is_worse else Exit.PASSED
