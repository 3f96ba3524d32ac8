"""Progress, in a pseudo-terminal: the line is there, fits, goes on, and leaves nothing."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance.judging.verdict import Status
from conformance.pytest_plugin.progress import (
    CLOSING,
    OPENING,
    Line,
    find_news,
    format_line,
    is_wanted,
)
from conformance.report.terminal import KNOWN
from conformance.selftest.support.suite import SERVICES, judge, left_behind
from conformance.selftest.support.terminal import Screen, Seen, opened, watch
from conformance.spec.catalogue import catalogue

pytest_plugins = ["pytester"]

HANGS = ("--target-app", f"{SERVICES}:answers_async_alone", "--only", "END-2", "DEP-1")
FAILED = "FAIL  DEP-1  Without `q` the answer is null"
ENDING = re.compile(r"  (\d+\.\d) s$")


def waits(screen: Screen) -> bool:
    """Whether a probe waits for the answer that never comes."""
    return "DEP-1" in screen.rows[-1]


def opens(screen: Screen) -> bool:
    """Whether the testbed is on its way."""
    return OPENING in screen.rows[-1]


def seconds(screen: Screen, beginning: str) -> list[float]:
    """What the lines that begin so said of the time."""
    return [
        float(ending[1])
        for line in screen.lines
        if line.startswith(beginning) and (ending := ENDING.search(line))
    ]


def expect_nothing_of_the_line(seen: Seen) -> None:
    """No row that has stayed is one of the line's."""
    assert not [row for row in seen.screen.rows if ENDING.search(row)], seen.screen.rows


@pytest.fixture(scope="module")
def wide(shared_place: Path) -> Seen:
    """A run in a wide terminal, on a folder that is given as a word of its own."""
    return watch(shared_place, 120, *HANGS, "--target-dir", str(shared_place), "-rp")


def test_the_line_says_where_the_run_is(wide: Seen) -> None:
    assert wide.status == 1
    shown = [ENDING.sub("", line) for line in wide.screen.lines if ENDING.search(line)]
    assert list(dict.fromkeys(shown)) == [
        OPENING,
        "2 Endpoints  END-2 `/async` answers its message exactly  0/2",
        "6 Dependencies  DEP-1 Without `q` the answer is null  1/2",
        CLOSING,
    ]


def test_the_seconds_go_on_while_a_probe_waits(wide: Seen) -> None:
    told = seconds(wide.screen, "6 Dependencies")
    assert told == sorted(told)
    assert told[-1] - told[0] > 4  # of the 5 in which no answer comes
    assert len(set(told)) > 15


def test_a_failure_stands_above_the_line_as_soon_as_it_is_found(wide: Seen) -> None:
    assert wide.screen.rows.count(FAILED) == 1
    assert wide.output.index(FAILED) < wide.output.index(CLOSING)
    assert wide.screen.rows.index(FAILED) < next(
        number for number, row in enumerate(wide.screen.rows) if "= conformance =" in row
    )


def test_nothing_is_left_on_the_line_and_the_rest_is_pytests(wide: Seen) -> None:
    expect_nothing_of_the_line(wide)
    assert "probes/test_" not in wide.output.split("= conformance =")[0].split("collected")[1]
    assert any(
        row.startswith("PASS conformance/probes/test_2_endpoints.py") for row in wide.screen.rows
    )  # which -rp asks for
    assert re.search(r"=+ 1 (FAIL|passed), 1 (FAIL|passed) in .*s =+", wide.screen.rows[-2])


LISTED = '[[known-failures]]\nid = "DEP-1"\nreason = "as agreed"\n'


@pytest.fixture(scope="module")
def narrow(shared_place: Path) -> Seen:
    """A run in a narrow terminal of a service whose failure is known."""
    folder = shared_place / "narrow"
    folder.mkdir()
    (folder / "conformance.toml").write_text(LISTED, "utf-8")
    return watch(
        folder,
        44,
        f"--target-app={SERVICES}:blocks",
        f"--target-dir={folder}",
        "--only",
        "END-2",
        "DEP-1",
    )


def test_a_known_failure_is_no_news(narrow: Seen) -> None:
    assert narrow.status == 0, narrow.output
    assert "FAIL" not in narrow.output.split("= conformance =")[0]


@pytest.mark.parametrize(
    ("status", "subject"),
    [
        (Status.FAIL, "DEP-1"),
        (Status.ERROR, "the suite"),
        (KNOWN, None),
        (Status.INCONCLUSIVE, None),
        (Status.PASS, None),
        (None, None),
    ],
)
def test_each_failure_and_the_first_error_are_news(status: str | None, subject: str | None) -> None:
    assert find_news(status, catalogue()["DEP-1"]) == subject


def test_in_a_narrow_terminal_the_line_is_cut_and_fills_no_second_row(narrow: Seen) -> None:
    shown = [line for line in narrow.screen.lines if ENDING.search(line)]
    assert any(
        re.fullmatch(r"6 Dependencies  DEP-1 Without.*…  1/2  \d+\.\d s", line) for line in shown
    ), shown
    assert max(map(len, shown)) < 44
    expect_nothing_of_the_line(narrow)


@pytest.mark.parametrize("when", [opens, pytest.param(waits, marks=pytest.mark.thorough)])
def test_ctrl_c_ends_the_line_too(place: Path, when: Callable[[Screen], bool]) -> None:
    seen = watch(place, 100, *HANGS, interrupt=when)
    assert seen.status == 2, seen.output
    assert any("ended by SIGINT" in row for row in seen.screen.rows), seen.output
    expect_nothing_of_the_line(seen)
    assert not left_behind(place)


def test_without_a_terminal_pytest_writes_its_letters_and_nothing_is_written_again(
    place: Path,
) -> None:
    finished = judge(place, "--target-app", f"{SERVICES}:blocks", "--only", "END-2", "DEP-1")
    assert "\r" not in finished.output
    assert "\x1b" not in finished.output
    assert re.search(r"test_2_endpoints.py \. .*\n.*test_6_dependencies.py F ", finished.output)


def test_a_terminal_that_cannot_erase_gets_pytests_letters(place: Path) -> None:
    seen = watch(
        place,
        100,
        "--target-app",
        f"{SERVICES}:blocks",
        "--only",
        "END-2",
        "DEP-1",
        env={"TERM": "dumb"},
    )
    assert "\x1b" not in seen.output
    assert any(re.search(r"test_6_dependencies.py F ", row) for row in seen.screen.rows)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ends = opened(100)
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), True),
        (("-q",), True),
        (("-q", "-q"), False),
        (("-v",), False),
        (("-s",), False),
        (("--capture=sys",), True),
        (("--pdb",), False),
        (("--setup-show",), False),
        (("--color=no",), True),
    ],
)
def test_the_line_is_for_those_who_ask_for_nothing_else(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    terminal: tuple[int, int],
    arguments: tuple[str, ...],
    wanted: bool,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    config = pytester.parseconfig(*arguments)
    with os.fdopen(os.dup(terminal[1]), "w") as stream:
        assert is_wanted(config, stream) is wanted


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "3 Database  DB-2 An absent item is null  61/235  7.4 s"),
        (55, "3 Database  DB-2 An absent item is null  61/235  7.4 s"),
        (54, "3 Database  DB-2 An absent item is nu…  61/235  7.4 s"),
        (20, "3 D…  61/235  7.4 s"),
        (16, "61/235  7.4 s"),
        (5, "61/2"),
        (0, ""),
    ],
)
def test_where_the_run_is_gives_way(width: int, line: str) -> None:
    assert format_line("3 Database  DB-2 An absent item is null", "61/235  7.4 s", width) == line


def test_the_line_ends_once_with_its_thread_and_survives_its_terminal() -> None:
    ours, theirs = opened(100)
    with os.fdopen(theirs, "w") as stream:
        line = Line(stream, lambda: 1.0)
        line.show("here")
        assert os.read(ours, 100) == b"\r\x1b[Khere  1.0 s"
        os.close(ours)
        line.show("there")
        line.end()
        line.end()
    assert "progress" not in [thread.name for thread in threading.enumerate()]
