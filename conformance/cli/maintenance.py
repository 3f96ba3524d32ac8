"""`conformance bench` and `conformance evaluate`, for maintainers. The help does not list them."""

import argparse
import sys

from conformance.judging.verdict import Exit


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `bench` and `evaluate`."""
    timing = commands.add_parser("bench", description="Print where the time of a run goes.")
    timing.set_defaults(func=print_benchmark, parser=timing)
    parser = commands.add_parser(
        "evaluate", description="Evaluate the suite itself, and write the figures (in a checkout)."
    )
    parser.add_argument(
        "part",
        nargs="*",
        metavar="PART",
        help="matrix, whole, conforming, pairs, mutants, comparison, repeat, subsets"
        " (default: all); or fuzz alone, which feeds the suite what a target could say"
        " and writes no figures",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=3600.0,
        metavar="N",
        help="for how long `fuzz` goes on (default: an hour)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="what `fuzz` feeds (default: drawn, and printed)"
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=200,
        metavar="N",
        help="how many runs `repeat` makes (default: 200)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="of all but mutants and repeat, judge only what was not exact or is new",
    )
    parser.set_defaults(func=evaluate_suite, parser=parser)


def print_benchmark(_: argparse.Namespace) -> int:
    """Time a run on the reference; its exit status."""
    from conformance.cli import benchmark  # noqa: PLC0415 - it imports much

    return benchmark.main()


def evaluate_suite(chosen: argparse.Namespace) -> int:
    """Run parts of the evaluation; the exit status. An installed package has none of them."""
    try:
        from conformance.selftest.evaluation import evaluate  # noqa: PLC0415
        from conformance.selftest.fuzzing import fuzz  # noqa: PLC0415
    except ImportError as error:
        print(
            "conformance evaluate: must run in a checkout with the dependency group `dev` "
            f"installed: {error}",
            file=sys.stderr,
        )
        return Exit.WRONG_USAGE
    if chosen.part == ["fuzz"]:
        return fuzz.main(chosen.seconds, chosen.seed)
    return evaluate.main(chosen.part, runs=chosen.runs, again=chosen.again)
