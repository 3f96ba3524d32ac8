"""`conformance repeat`: judge the same target again and again."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from conformance.cli.arguments import add_run_options, find_given_options


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `repeat`."""
    parser = commands.add_parser(
        "repeat",
        help="judge the same target N times, and name each verdict that was not always the same",
        epilog="All other options are those of a run: conformance run --help",
        usage="conformance repeat N [--at-once K] [--json FILE] [OPTION OF A RUN…]",
    )
    parser.add_argument("count", type=int, metavar="N", help="how many runs")
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="K",
        help="how many of the parallel runs at a time (default: two for each core)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures")
    add_run_options(parser)
    parser.set_defaults(func=repeat_run, parser=parser, takes_more=True)


def repeat_run(chosen: argparse.Namespace, rest: Sequence[str]) -> int:
    """Make the runs; the exit status."""
    from conformance.session import repeat  # noqa: PLC0415 - `list` need not import it

    at_once = repeat.AT_ONCE if chosen.at_once is None else chosen.at_once
    given = find_given_options(chosen)
    return repeat.main(chosen.count, at_once, chosen.json, given, rest)
