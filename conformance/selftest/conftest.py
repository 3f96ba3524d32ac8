"""Tiers of the self-tests, folders for runs, and records that no run has written.

Runs use embedded servers, except those of containers/.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from conformance.core import preload
from conformance.judging.result import RunResult
from conformance.selftest import tiers
from conformance.selftest.support import records
from conformance.selftest.support.suite import work_in_memory

os.environ["CONFORMANCE_SERVICES"] = "embedded"
work_in_memory()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the self-tests."""
    group = parser.getgroup("self-tests of the conformance suite")
    group.addoption(
        "--tier", choices=tiers.TIERS, default="quick", help="which tests run (default: quick)"
    )
    group.addoption(
        "--shard", metavar="K/N", default="1/1", help="run the K-th of N similar parts of the tier"
    )
    group.addoption(
        "--write-durations", action="store_true", help="record what each file takes (tier all)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and let pytest-xdist take files in the order of their tests."""
    # pytester takes every module out again that was first imported in a test. Of anyio there would
    # be two then, and httpcore would find no socket in a connection and not keep it.
    preload.settle_imports()
    anyio.run(anyio.sleep, 0)  # imports its backend
    config.addinivalue_line("markers", "thorough: runs in the tiers `rest` and `all` alone")
    # By itself it begins with the files that have most tests.
    config.option.loadscopereorder = False
    is_xdist_worker = hasattr(config, "workerinput")
    if config.option.write_durations and not is_xdist_worker:
        config.pluginmanager.register(tiers.DurationsWriter(config.rootpath))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the tier and shard. Those of the file that takes longest come first."""
    try:
        shard = tiers.parse_shard(config.option.shard)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    chosen = tiers.choose_tests(items, config.option.tier, shard)
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen


@pytest.fixture(scope="module")
def shared_place() -> Iterator[Path]:
    """An empty folder for the tests of a file. Unlike pytest's own, all users can enter it."""
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
def list_values(request: pytest.FixtureRequest) -> Callable[[str], list[Any]]:
    """A function that lists the values that a parameter has in this session's tests."""
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
