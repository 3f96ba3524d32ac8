"""`conformance run`: judge a target from any folder."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches

from conformance.cli.arguments import add_run_options, find_given_options
from conformance.config.definitions import DEFINITIONS, write_arguments

CLOSE = 0.85  # of two names, as difflib counts; no option of pytest's is as close to one of ours
USAGE = "conformance run [OPTION…] [OPTION OF PYTEST…]"
EPILOG = """
Each option may stand in conformance.toml of the target's folder, or in [tool.conformance] of
its pyproject.toml, without the dashes. The command line wins. `--only`, `--record`, `--html`
and the others are `--conformance-only` and so on where pytest is started in another way.

All other options are pytest's: conformance run --pytest-help
"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `run`."""
    parser = commands.add_parser(
        "run",
        help="judge a target",
        usage=USAGE,
        description="Judge a target. Without a target, judge the bundled reference.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_run_options(parser)
    parser.add_argument("--pytest-help", action="store_true", help="show the options of pytest")
    parser.set_defaults(func=run_probes, parser=parser, takes_more=True)


def run_probes(chosen: argparse.Namespace, rest: Sequence[str]) -> int:
    """Become pytest on the probes; the exit status."""
    from conformance.pytest_plugin.start import run_pytest  # noqa: PLC0415 - imports pytest

    for word in rest:
        if similar := find_similar_option(word):
            chosen.parser.error(f"unknown option {word!r} (did you mean {similar})")
    words = [*write_arguments(find_given_options(chosen), for_pytest=True), *rest]
    return run_pytest(["--help", *words] if chosen.pytest_help else words)


def find_similar_option(word: str) -> str | None:
    """The option of ours that a word is a mistake for; None for a word of pytest's."""
    name = word.partition("=")[0]
    return next(iter(get_close_matches(name, DEFINITIONS, 1, CLOSE)), None)
