"""`conformance testbed`: services for a target that the caller starts."""

import argparse
import signal
import sys
from pathlib import Path

from conformance.cli.arguments import add_run_options, find_given_options
from conformance.config.definitions import OF_A_TESTBED
from conformance.config.options import read_options
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.core.signals import SIGNALS
from conformance.judging.verdict import Exit
from conformance.spec.catalogue import catalogue


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `testbed`."""
    parser = commands.add_parser(
        "testbed", help="start the services for a target of yours, and keep them until Ctrl-C"
    )
    add_run_options(parser, OF_A_TESTBED)
    parser.add_argument(
        "--format",
        choices=("shell", "dotenv", "compose"),
        default="shell",
        help="how the environment of the target is printed (default: shell)",
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="the file that later runs read (default: conformance-testbed-UID.json in the "
        "temporary folder)",
    )
    parser.set_defaults(func=keep_testbed, parser=parser)


def keep_testbed(chosen: argparse.Namespace) -> int:
    """Keep a testbed until an interrupt; the exit status."""
    from conformance.testbed import persistent, testbed_state  # noqa: PLC0415 - not for `list`

    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    file = Path(chosen.state).absolute() if chosen.state else testbed_state.default_file()
    try:
        options = read_options(find_given_options(chosen, OF_A_TESTBED), Path.cwd(), catalogue())
        persistent.keep_testbed(options.testbed, chosen.format, file)
    except (WrongUsage, BrokenTestbed) as error:
        print(f"conformance testbed: {error}", file=sys.stderr)
        return Exit.WRONG_USAGE if isinstance(error, WrongUsage) else Exit.ERROR
    return Exit.PASSED
