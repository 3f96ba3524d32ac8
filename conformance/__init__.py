"""The conformance suite: how the requirements of `spec` are checked against a target."""

import sys

__version__ = "0.1.0"

# pip refuses older ones. This is for a checkout that is run in place.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        f"conformance must be run with Python 3.11 or newer, and this is {sys.version.split()[0]}\n"
    )
    raise SystemExit(4)
