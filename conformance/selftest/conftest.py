"""Places for runs, and records that no run has written. Runs use embedded servers, but for those of test_containers."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.judging.result import RunResult
from conformance.selftest.support import records
from conformance.selftest.support.suite import work_in_memory

os.environ["CONFORMANCE_SERVICES"] = "embedded"
work_in_memory()


# Files that take half a minute and more, which begin first, the longest before the others: so that none is all that is left to do in the end. Those of
# containers do not begin at once, for CI makes their images meanwhile, nor those of the page, one of which has to end within 180 s.
LONG_FILES = (
    "test_faulty_services",
    "test_conforming_services",
    "test_cleanup",
    "test_containers",
    "test_page",
    "test_persistent_testbed",
    "test_targets",
    "test_html",
    "test_hostile",
    "test_repeat",
    "test_usage",
    "test_progress",
    "test_action",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist take files in the order of their tests. By itself it begins with those that have most tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; the others stay as they are."""
    rank = {name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


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


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """The values of a parameter that this session's tests have, in their order."""
    specs = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    return lambda name: [params[name] for params in specs if name in params]


@pytest.fixture
def mixed(place: Path) -> RunResult:
    """A record with failures, and with what could not be judged."""
    return records.write_mixed(place)


@pytest.fixture
def correct(place: Path) -> RunResult:
    """A record of a robust service."""
    return records.write_correct(place)


@pytest.fixture
def killed(place: Path) -> RunResult:
    """A record of a run that was killed before it judged anything."""
    return records.write_killed(place)


@pytest.fixture
def nasty(place: Path) -> RunResult:
    """A record in which everything that can be hostile is."""
    return records.write_nasty(place)


@pytest.fixture
def excluded(place: Path) -> RunResult:
    """A record of a robust service to which two requirements are not applicable."""
    return records.write_excluded(place)
