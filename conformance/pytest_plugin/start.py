"""Becoming pytest on the probes, wherever the caller is."""

import os
import sys
from collections.abc import Iterable

import pytest

from conformance.config.paths import PACKAGE, PROBES, PROJECT, PYTEST_SETTINGS

# The caller's settings for pytest are for the caller's own tests: `-n auto` or a coverage plugin
# there would change a verdict here. A single run can be given the same words directly.
FOR_OTHER_TESTS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def run_pytest(arguments: Iterable[str]) -> int:
    """Run pytest on the probes in this process; the exit status.

    Settings, root folder and the limit for conftest files are all given, so that pytest looks
    for none of them in the current folder or in that of the target.
    """
    for name in FOR_OTHER_TESTS:
        os.environ.pop(name, None)
    sys.argv = [
        "pytest",
        f"--config-file={PYTEST_SETTINGS}",
        f"--rootdir={PROJECT}",
        f"--confcutdir={PACKAGE}",
        str(PROBES),
        *arguments,
    ]
    return int(pytest.console_main())
