"""One fixture: a place for a run. Runs use embedded servers, but for those of test_containers."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["CONFORMANCE_SERVICES"] = "embedded"


@pytest.fixture(scope="module")
def shared_place() -> Iterator[Path]:
    """An empty folder for the tests of a file, which every user of the machine can enter (pytest's own cannot be)."""
    with tempfile.TemporaryDirectory(prefix="selftest-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def place() -> Iterator[Path]:
    """The same for one test."""
    with tempfile.TemporaryDirectory(prefix="selftest-") as name:
        Path(name).chmod(0o711)
        yield Path(name)
