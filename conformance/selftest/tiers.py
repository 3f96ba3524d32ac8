"""Tiers and shards: which tests run, in what order, and in which of several parts of a run.

Tier `quick` is the README's second command. What is marked `thorough`, and what needs containers or
a browser, is only in tier `rest`. `all` is both. A shard is a part of a tier: `--shard=2/4` is the
second of four. Shards are made equal by what their tests took when that was recorded.
"""

import json
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from conformance.selftest.evaluation import figures_page, slots
from conformance.selftest.evaluation.kill_matrix import Named

SELFTEST = Path(__file__).parent
DURATIONS = SELFTEST / "durations.json"  # of each file; written with --write-durations
TIERS = ("quick", "rest", "all")
# Files of which each test judges a row of a part of the figures, which have its duration.
ROW_FILES = {
    "process/test_faulty_services.py": "matrix",
    "process/test_conforming_services.py": "conforming",
}
# Folders of which no test is in the tier `quick`.
THOROUGH_FOLDERS = ("browser", "cage", "containers")
UNKNOWN = 10.0  # seconds of a file or row whose duration was never recorded

N = TypeVar("N", bound=Named)
U = TypeVar("U", bound=Hashable)


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a run. `number` counts from 1."""

    number: int
    count: int


class Unit(NamedTuple):
    """Tests that stay together: a file, whose tests share what they start, or a row."""

    file: str  # relative to this folder
    row: str  # "" for a whole file


def parse_shard(text: str) -> Shard:
    """Parse `K/N`. Raises ValueError."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    shard = Shard(*map(int, found.groups())) if found else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise ValueError(f"--shard must be K/N with K from 1 to N, not {text!r}")
    return shard


def mark_thorough(rows: Iterable[N], *, but: Collection[N]) -> list[Any]:
    """Return parameters of a test: each row, marked `thorough` if it is not in `but`."""
    return [
        pytest.param(row, id=row.name, marks=[] if row in but else [pytest.mark.thorough])
        for row in rows
    ]


def is_in_tier(item: pytest.Item, tier: str) -> bool:
    """Tell whether a test belongs to a tier."""
    is_thorough = (
        item.get_closest_marker("thorough") is not None or item.path.parent.name in THOROUGH_FOLDERS
    )
    return tier == "all" or is_thorough == (tier == "rest")


def find_unit(item: pytest.Item) -> Unit:
    """Return the unit that a test belongs to."""
    file = item.path.relative_to(SELFTEST).as_posix()
    return Unit(file, item.name if file in ROW_FILES else "")


def read_costs(units: Iterable[Unit]) -> dict[Unit, float]:
    """Return the seconds that each unit took when that was recorded."""
    files: dict[str, float] = json.loads(DURATIONS.read_text("utf-8"))
    rows = {file: figures_page.read_seconds(part) for file, part in ROW_FILES.items()}

    def cost(unit: Unit) -> float:
        if unit.row:
            name = unit.row.partition("[")[2].removesuffix("]")
            return rows[unit.file].get(name, UNKNOWN) / slots.SELFTEST_RUNS_AT_ONCE
        return files.get(unit.file, UNKNOWN)

    return {unit: cost(unit) for unit in units}


def split_into_shards(costs: Mapping[U, float], count: int) -> dict[U, int]:
    """Give each unit one of the numbers from 1 to `count`, so that the sums of costs are similar.

    The longest come first, each goes to the shard that has least so far.
    """
    loads = dict.fromkeys(range(1, count + 1), 0.0)
    shards = {}
    for unit in sorted(costs, key=lambda each: (-costs[each], str(each))):
        shards[unit] = min(loads, key=lambda number: loads[number])
        loads[shards[unit]] += costs[unit]
    return shards


def choose_tests(items: Sequence[pytest.Item], tier: str, shard: Shard) -> list[pytest.Item]:
    """Return the tests of a tier and shard, those of the file that takes longest first."""
    units = {item: find_unit(item) for item in items if is_in_tier(item, tier)}
    costs = read_costs(units.values())
    shards = split_into_shards(costs, shard.count)
    of_files: dict[str, float] = {}
    for unit, number in shards.items():
        if number == shard.number:
            of_files[unit.file] = of_files.get(unit.file, 0.0) + costs[unit]
    chosen = [item for item, unit in units.items() if shards[unit] == shard.number]
    return sorted(chosen, key=lambda item: -of_files[units[item].file])


class DurationsWriter:
    """A plugin that records what each file took. Rows have their durations in the figures."""

    def __init__(self, root: Path, file: Path = DURATIONS) -> None:
        self._root, self._file = root, file
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a step of a test took."""
        file = (self._root / report.nodeid.partition("::")[0]).relative_to(SELFTEST).as_posix()
        if file not in ROW_FILES:
            self._seconds[file] = self._seconds.get(file, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Write the durations, the longest first."""
        longest_first = sorted(self._seconds.items(), key=lambda each: -each[1])
        seconds = {name: round(each, 1) for name, each in longest_first}
        self._file.write_text(json.dumps(seconds, indent=1) + "\n", "utf-8")
