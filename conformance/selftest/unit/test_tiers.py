"""Tiers and shards: each test is in one of two tiers, and in one shard of a tier."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.selftest import tiers
from conformance.selftest.evaluation import figures_page, slots
from conformance.selftest.tiers import SELFTEST, DurationsWriter, Shard, Unit


def make_item(file: str, name: str, *, thorough: bool = False) -> Any:
    """Make what the tiers look at of a test."""
    marker = pytest.mark.thorough.mark if thorough else None
    return SimpleNamespaceWithHash(
        path=SELFTEST / file, name=name, get_closest_marker=lambda _: marker
    )


class SimpleNamespaceWithHash(SimpleNamespace):
    """A namespace that can be a key, as an item of pytest's can."""

    __hash__ = object.__hash__  # type: ignore[assignment]


ROWS = "process/test_faulty_services.py"
ITEMS = [
    make_item("unit/test_quick.py", "test_one"),
    make_item("unit/test_quick.py", "test_another"),
    make_item("process/test_slow.py", "test_slow", thorough=True),
    make_item("browser/test_page.py", "test_page"),
    make_item("process/test_mixed.py", "test_quick_one"),
    make_item("process/test_mixed.py", "test_slow_one", thorough=True),
    make_item(ROWS, "test_a_row[first]"),
    make_item(ROWS, "test_a_row[second]"),
    make_item(ROWS, "test_a_row[third]", thorough=True),
]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Durations of those files and rows."""
    files = {"unit/test_quick.py": 1.0, "process/test_slow.py": 50.0, "process/test_mixed.py": 30.0}
    (tmp_path / "durations.json").write_text(json.dumps(files))
    monkeypatch.setattr(tiers, "DURATIONS", tmp_path / "durations.json")
    rows = {"first": 9.0, "second": 3.0, "third": 90.0}
    monkeypatch.setattr(figures_page, "read_seconds", lambda _: rows)
    monkeypatch.setattr(slots, "SELFTEST_RUNS_AT_ONCE", 3)


WHOLE = Shard(1, 1)


@pytest.mark.usefixtures("recorded")
def test_each_test_is_in_one_of_two_tiers_and_in_all() -> None:
    quick, rest = (tiers.choose_tests(ITEMS, tier, WHOLE) for tier in ("quick", "rest"))
    assert len(quick) == 5
    assert len(rest) == 4
    assert {*quick, *rest} == set(ITEMS)
    assert set(tiers.choose_tests(ITEMS, "all", WHOLE)) == set(ITEMS)


@pytest.mark.usefixtures("recorded")
def test_the_file_that_takes_longest_comes_first_and_tests_of_a_file_stay_in_order() -> None:
    chosen = tiers.choose_tests(ITEMS, "all", WHOLE)
    assert [item.name for item in chosen] == [
        "test_slow",
        "test_a_row[first]",  # 34 s, of all three rows at three at once
        "test_a_row[second]",
        "test_a_row[third]",
        "test_quick_one",
        "test_slow_one",
        "test_page",  # 10 s, which were never recorded
        "test_one",
        "test_another",
    ]


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("count", [2, 3, 20])
def test_each_test_is_in_one_shard_and_a_file_is_in_one_whole(count: int) -> None:
    shards = [tiers.choose_tests(ITEMS, "all", Shard(each + 1, count)) for each in range(count)]
    assert Counter(item for shard in shards for item in shard) == Counter(ITEMS)
    files = [{item.path for item in shard if item.path.name != Path(ROWS).name} for shard in shards]
    assert max(Counter(file for shard in files for file in shard).values()) == 1


def test_shards_take_similar_time() -> None:
    costs = {"a": 60.0, "b": 50.0, "c": 40.0, "d": 30.0, "e": 20.0}
    assert tiers.split_into_shards(costs, 2) == {"a": 1, "b": 2, "c": 2, "d": 1, "e": 1}


@pytest.mark.usefixtures("recorded")
def test_what_was_never_recorded_has_a_cost_too() -> None:
    units = [Unit("unit/test_new.py", ""), Unit(ROWS, "test_a_row[new]")]
    assert tiers.read_costs(units) == {units[0]: 10.0, units[1]: 10.0 / 3}


def test_a_shard_is_a_number_of_a_count() -> None:
    assert tiers.parse_shard("2/4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "a/b", "", "-1/4", "1/4/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"--shard must be K/N with K from 1 to N, not {text!r}")
    ):
        tiers.parse_shard(text)


def test_durations_are_of_files_the_longest_first(tmp_path: Path) -> None:
    writer = DurationsWriter(SELFTEST.parents[1], tmp_path / "durations.json")
    for nodeid, duration in (
        ("unit/test_a.py::test_one", 1.0),
        ("process/test_b.py::test_two[x]", 2.04),
        ("unit/test_a.py::test_one", 0.5),
        (f"{ROWS}::test_a_row[first]", 99.0),
    ):
        report: Any = SimpleNamespace(nodeid=f"conformance/selftest/{nodeid}", duration=duration)
        writer.pytest_runtest_logreport(report)
    writer.pytest_sessionfinish()
    written = json.loads((tmp_path / "durations.json").read_text())
    assert list(written.items()) == [("process/test_b.py", 2.0), ("unit/test_a.py", 1.5)]


def test_all_files_with_tests_have_their_durations_recorded() -> None:
    files = {path.relative_to(SELFTEST).as_posix() for path in SELFTEST.rglob("test_*.py")}
    recorded = json.loads(tiers.DURATIONS.read_text("utf-8"))
    assert recorded.keys() <= files
    assert tiers.ROW_FILES.keys() <= files


def test_no_test_file_imports_another() -> None:
    for path in SELFTEST.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            assert not [name for name in names if ".test_" in name], path
