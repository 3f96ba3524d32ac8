"""The conformance suite: how the requirements of `spec` are checked against a target."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # pip refuses older ones; this is for a checkout that is run in place
    sys.stderr.write(
        "conformance wants Python 3.11 or newer, this is %d.%d; run it with a newer interpreter\n" % sys.version_info[:2]
    )
    raise SystemExit(4)
