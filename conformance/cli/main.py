"""The command `conformance`: its sub-commands, and which file each is in."""

import sys
from collections.abc import Sequence

from conformance import __version__
from conformance.cli import maintenance, repeat, reports, requirements, run, testbed
from conformance.cli.arguments import Parser

MODULES = (run, requirements, reports, testbed, repeat, maintenance)
FOR_MAINTAINERS = "For maintainers: conformance bench, conformance evaluate PART… --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the sub-commands; the exit status."""
    parser = make_parser()
    chosen, rest = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)
    if rest and not chosen.takes_more:
        chosen.parser.error(f"unknown arguments: {' '.join(rest)}")
    return int(chosen.func(chosen, rest) if chosen.takes_more else chosen.func(chosen))


def make_parser() -> Parser:
    """The parser of the whole command. Each module adds its own sub-commands.

    A sub-command sets `func`, which takes what was chosen and returns the exit status, and
    `parser`. One that `takes_more` is given the remaining arguments as well.
    """
    parser = Parser(
        prog="conformance",
        description="Conformance of asynchronous FastAPI services.",
        epilog=FOR_MAINTAINERS,
    )
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    parser.set_defaults(takes_more=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in MODULES:
        module.add_commands(commands)
    return parser
