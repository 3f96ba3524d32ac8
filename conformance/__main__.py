"""The command `conformance`, and `python -m conformance`."""

import os
import sys


def main() -> int:
    """Run the command; the exit status."""
    keep_foreign_modules_out()
    from conformance.cli.main import main as run_command  # noqa: PLC0415 - after the line above

    try:
        status = run_command()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def keep_foreign_modules_out() -> None:
    """Import nothing from the folder of the caller or from what PYTHONPATH names.

    `python -m` looks in the current folder first, and a `celery.py` or a `redis.py` there would
    take the place of the package. What the target is started with keeps its PYTHONPATH.
    """
    own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    foreign = {os.path.realpath(path) for path in [os.curdir, *named]} - {own}
    sys.path[:] = [
        path
        for path in sys.path
        if os.path.realpath(path) not in foreign
        or os.path.basename(path) in ("site-packages", "dist-packages")  # noqa: PTH119
    ]


if __name__ == "__main__":
    sys.exit(main())
