"""The conformance suite: how the requirements of `spec` are checked against a target."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - pip refuses older ones; this is for a checkout that is run in place
    sys.stderr.write(
        f"conformance wants Python 3.11 or newer, this is {sys.version.split()[0]}; run it with a newer interpreter\n"
    )
    raise SystemExit(4)
