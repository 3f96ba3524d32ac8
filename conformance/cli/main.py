"""The command `conformance`: what the requirements are, a run from any folder, many runs, their reports, a testbed that stands."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from conformance import __version__
from conformance.config.options import COMMAND, FLAGS, PROJECT, read
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.pytest_plugin.interrupts import SIGNALS
from conformance.report import diff_views, views
from conformance.report.diff import WORSE, compare_runs
from conformance.report.record_reader import read_record
from conformance.report.translations import translate
from conformance.report.wrapping import wrap_text
from conformance.spec.catalogue import (
    FOLDER,
    Language,
    Level,
    Requirement,
    catalogue,
    folder,
    sections,
)

PACKAGE = Path(__file__).parents[1]
WIDTH = 100
OF_A_TESTBED = (
    "--services",
    "--postgres-image",
    "--redis-image",
    "--database-url",
    "--redis-url",
    "--upstream-port",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the subcommands; the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["run"]:  # everything after it is pytest's
        run(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="conformance", description="Conformance of asynchronous FastAPI services."
    )
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the requirements")
    listing.add_argument(
        "--level", choices=[level.lower() for level in Level], help="those of one level"
    )
    _add_language(listing)
    explaining = commands.add_parser(
        "explain", help="explain requirements: what, why, and the usual cause of failing"
    )
    explaining.add_argument("id", nargs="+")
    _add_language(explaining)
    commands.add_parser(
        "run", help="judge a target; takes the options of `pytest` (see `conformance run --help`)"
    )
    commands.add_parser("bench", help="print where the time of a run goes")
    keeping = commands.add_parser(
        "testbed", help="start the services for a target of yours, and keep them until Ctrl-C"
    )
    for flag in FLAGS:
        if flag.name in OF_A_TESTBED:
            keeping.add_argument(flag.name, metavar=flag.metavar, help=flag.help)
    keeping.add_argument(
        "--format",
        choices=("shell", "dotenv", "compose"),
        default="shell",
        help="how the environment is printed",
    )
    keeping.add_argument(
        "--state",
        metavar="FILE",
        help="what tells runs of it (default: a file of this user's among the temporary ones)",
    )
    _add_reports(commands)
    verifying = commands.add_parser(
        "verify", help="judge a target again and again; takes the options of a run as well"
    )
    verifying.add_argument("count", type=int, metavar="N", help="how many runs")
    verifying.add_argument(
        "--at-once",
        type=int,
        metavar="K",
        help="how many of those that are made beside each other (default: two a core)",
    )
    verifying.add_argument("--json", metavar="FILE", type=Path, help="write the figures")
    proving = commands.add_parser(
        "prove", help="prove the suite itself, and write the figures (from a checkout)"
    )
    proving.add_argument(
        "part", nargs="*", help="matrix, whole, variants, mutants, peer, repeat (default: all)"
    )
    proving.add_argument(
        "--runs",
        type=int,
        default=200,
        metavar="N",
        help="how many runs `repeat` makes (default: 200)",
    )
    proving.add_argument(
        "--again",
        action="store_true",
        help="of matrix, whole and peer, judge only what was not exact or is new",
    )
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.command != "verify":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if chosen.command == "prove":
        return prove(chosen.part, runs=chosen.runs, again=chosen.again)
    if chosen.command == "verify":
        from conformance.session import repeat

        return repeat.main(
            chosen.count,
            repeat.AT_ONCE if chosen.at_once is None else chosen.at_once,
            chosen.json,
            rest,
        )
    if chosen.command == "list":
        print("\n".join(listed(Level(chosen.level.upper()) if chosen.level else None, chosen.lang)))
        return 0
    if chosen.command == "explain":
        return explain(chosen.id, chosen.lang)
    if chosen.command == "report":
        return report(chosen)
    if chosen.command == "diff":
        return diff(chosen)
    if chosen.command == "testbed":
        return keep_testbed(chosen)
    from conformance.cli import bench

    return bench.main()


def _add_language(parser: argparse.ArgumentParser) -> None:
    languages = ", ".join(Language)
    parser.add_argument(
        "--lang",
        type=_language,
        default=Language.EN,
        metavar="LANGUAGE",
        help=f"one of {languages} (default: en)",
    )


def _language(text: str) -> Language:
    try:
        return Language(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"wanted one of {', '.join(Language)}, got {text!r}"
        ) from error


def _add_reports(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands that show records."""
    reporting = commands.add_parser(
        "report", help="show records that runs have written, in the forms that are asked for"
    )
    reporting.add_argument(
        "record",
        nargs="+",
        type=Path,
        metavar="RECORD",
        help="what --record has written; several are compared",
    )
    for form, what in views.FORMATS.items():
        reporting.add_argument(
            f"--{form}", metavar="FILE", help=f"write {what.help} (- for the standard output)"
        )
    _add_language(reporting)
    comparing = commands.add_parser(
        "diff",
        help="say what changed from one record to another; status 1 where it got worse",
        description=WORSE,
    )
    for name, which in (("old", "older"), ("new", "newer")):
        comparing.add_argument(name, type=Path, metavar=name.upper(), help=f"the {which} record")
    for form, (help_text, _) in diff_views.FORMATS.items():
        comparing.add_argument(
            f"--{form}", metavar="FILE", help=f"write {help_text} (- for the standard output)"
        )
    _add_language(comparing)


def run(arguments: Sequence[str]) -> NoReturn:
    """Become pytest on the probes, with the project's own settings, wherever we are."""
    settings = next(
        path for path in (PROJECT / "pyproject.toml", PACKAGE / "pyproject.toml") if path.is_file()
    )
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(settings),
        "-p",
        "conformance.pytest_plugin.plugin",
        str(PACKAGE / "probes"),
    ]
    os.execve(sys.executable, [*argv, *arguments], {**os.environ, COMMAND: "conformance run"})


def report(chosen: argparse.Namespace) -> int:
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
        return 4
    return 0


def diff(chosen: argparse.Namespace) -> int:
    """Say what changed from one record to another; 1 where it got worse."""
    wanted = {form: getattr(chosen, form) for form in diff_views.FORMATS if getattr(chosen, form)}
    try:
        found = compare_runs(read_record(chosen.old), read_record(chosen.new))
        for form, file in wanted.items():
            views.write_file(form, file, diff_views.FORMATS[form][1](found, chosen.lang))
    except WrongUsage as error:
        print(f"conformance diff: {error}", file=sys.stderr)
        return 4
    if "-" not in wanted.values():
        print(diff_views.render_text(found, chosen.lang), end="")
    return int(found.is_worse)


def keep_testbed(chosen: argparse.Namespace) -> int:
    """Keep a testbed until an interrupt; the exit status."""
    from conformance.testbed import persistent

    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    file = Path(chosen.state).absolute() if chosen.state else persistent.default_file()
    given = {
        name: getattr(chosen, name.removeprefix("--").replace("-", "_")) for name in OF_A_TESTBED
    }
    try:
        persistent.keep(read(given, (), Path.cwd(), catalogue()), chosen.format, file)
    except (WrongUsage, BrokenTestbed) as error:
        print(f"conformance testbed: {error}", file=sys.stderr)
        return 4 if isinstance(error, WrongUsage) else 3
    return 0


def prove(parts: Sequence[str], *, runs: int, again: bool) -> int:
    """Run parts of the proof, which a checkout has and an installed package has not; the exit status."""
    try:
        from conformance.selftest.evaluation import evaluate
    except ImportError as error:
        print(
            f"conformance prove wants a checkout with what its tests need (pip install -e '.[dev]'); {error}",
            file=sys.stderr,
        )
        return 4
    return evaluate.main(parts, runs=runs, again=again)


def listed(level: Level | None, language: Language = Language.EN) -> list[str]:
    """The requirements, a line each, under their sections."""
    lines: list[str] = []
    for section in sections(language):
        chosen = [
            item
            for item in catalogue(language).values()
            if item.section == section.number and level in (None, item.level)
        ]
        if chosen:
            lines += ["", f"{section.number} {section.title}"]
        lines += [f"  {item.id:<8} {item.level:<7} {item.sentence}" for item in chosen]
    return lines[1:]


def explain(names: Sequence[str], language: Language) -> int:
    """Print what is known of each requirement; 4 where one does not exist."""
    known = catalogue(language)
    if unknown := [name for name in names if name.upper() not in known]:
        print(
            f"conformance explain wants ids of requirements; there is no {unknown[0]!r}. See 'conformance list'",
            file=sys.stderr,
        )
        return 4
    print("\n\n".join(explained(known[name.upper()], language) for name in names))
    return 0


def explained(requirement: Requirement, language: Language = Language.EN) -> str:
    """A requirement as a few paragraphs."""
    where = (
        f"{(folder(language) / requirement.document).relative_to(FOLDER.parent)}:{requirement.line}"
    )
    paragraphs = [
        requirement.text,
        translate("Why it matters: {}", language).format(requirement.why),
        translate("Usual cause of failing: {}", language).format(requirement.usual_cause),
        *(
            [translate("How to fix: {}", language).format(requirement.mend)]
            if requirement.mend
            else []
        ),
        translate("Seen through: {}. Written in {}.", language).format(
            ", ".join(requirement.channels), where
        ),
        translate("Check it alone: {}", language).format(f"pytest --only {requirement.id}"),
    ]
    title = f"{requirement.id}  {requirement.level}  {requirement.sentence}  {requirement.source}"
    return "\n\n".join([title, *(wrap_text(paragraph, WIDTH) for paragraph in paragraphs)])


if __name__ == "__main__":
    sys.exit(main())
