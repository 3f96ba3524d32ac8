"""The whole life of a target: which lines count, what grows, and that a flood loses no line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from conformance.core import timeouts
from conformance.core.evidence import Fact, Journal, LogLine, ProcessEvent
from conformance.core.observations import HeldCounts, find_growing
from conformance.core.polling import block_until
from conformance.scenarios.lifecycle.whole_life import Life
from conformance.testbed.process_output import STARTING, STOPPING, Output, find_lines_saying
from conformance.testbed.process_table import count_held
from conformance.testbed.processes import Process, Running


def line(at: float, text: str) -> LogLine:
    return Journal().record(LogLine, at=at, process="server", stream="stdout", text=text)


def sent(at: float) -> ProcessEvent:
    return Journal().record(ProcessEvent, at=at, process="server", event="was sent SIGTERM")


def process(lines: list[LogLine], status: int | None, first_signal: ProcessEvent | None) -> Running:
    double = SimpleNamespace(status=status, first_signal=first_signal, read_output=lambda: lines)
    return cast("Running", double)


def looks(*counts: dict[str, int]) -> list[HeldCounts]:
    journal = Journal()
    return [journal.record(HeldCounts, text="", counts=each) for each in counts]


def test_a_line_after_the_first_signal_was_asked_for() -> None:
    lines = [line(1, STARTING), line(2, STOPPING), line(4, STOPPING)]
    life = Life.of(process(lines, None, sent(3)))
    assert life.unasked_lines == lines[:2]
    assert not life.ended_by_itself


def test_without_a_signal_no_line_was_asked_for() -> None:
    lines = [line(1, STARTING), line(2, STOPPING)]
    assert Life.of(process(lines, None, None)).unasked_lines == lines
    assert Life.of(process(lines, 1, None)).ended_by_itself
    assert not Life.of(process(lines, 0, sent(3))).ended_by_itself


def test_a_flood_loses_no_line_that_says_that_the_service_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeouts, "LINES_KEPT", 3)
    facts: list[Fact] = []
    output = Output("server", Journal(facts.append))
    words = [*"abcdef", STARTING, *"ghi", f"INFO {STOPPING}", *"jklm"]
    output.take_chunk("stdout", "".join(f"{word}\n" for word in words).encode())
    output.close()
    kept = [*"abc", STARTING, f"INFO {STOPPING}", *"klm"]
    assert [each.text for each in output.lines] == kept
    assert [cast("Any", fact).text for fact in facts] == kept
    assert len(find_lines_saying(STARTING, output.lines)) == 1


@pytest.mark.parametrize(
    ("counts", "growing"),
    [
        (({"threads": 1, "descriptors": 5}, {"threads": 2, "descriptors": 5}), ["threads"]),
        (({"threads": 1}, {"threads": 2}, {"threads": 2}), []),
        (({"threads": 1}, {"threads": 2}, {"threads": 1}, {"threads": 3}), []),
        (({"threads": 1}, {"threads": 2}, {"threads": 5}), ["threads"]),
        (({"threads": 1}, {}), []),  # it could not be seen any more
    ],
)
def test_what_grows_grows_at_each_look(
    counts: tuple[dict[str, int], ...], growing: list[str]
) -> None:
    assert find_growing(looks(*counts)) == growing


@pytest.mark.parametrize(
    ("counts", "grows"),
    [
        ((1, 2, 3, 4, 5), True),
        ((6, 12, 18, 14, 20, 26), True),  # something else was closed once
        ((6, 12, 12, 18, 18, 24), True),
        ((1, 2, 2), True),  # one look alone
        ((1, 2, 2, 2), False),
        ((1, 2, 3, 2, 1, 2), False),
    ],
)
def test_one_look_without_growth_proves_little(counts: tuple[int, ...], grows: bool) -> None:
    seen = looks(*({"descriptors": count} for count in counts))
    assert find_growing(seen, still=2) == (["descriptors"] if grows else [])


@pytest.fixture
def parent_and_child(tmp_path: Path) -> Iterator[Process]:
    child = "import time; print('there', flush=True); time.sleep(60)"
    # Under a shell that runs its commands in the background, SIGINT is ignored until it is handled.
    handle = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    start = f"subprocess.run([sys.executable, '-c', {child!r}])"
    parent = f"import signal, subprocess, sys; {handle}; {start}"
    argv = [sys.executable, "-c", parent]
    started = Process("server", argv, Journal(), env=dict(os.environ), cwd=tmp_path)
    yield started
    started.kill()


def test_an_interrupt_reaches_the_whole_group(parent_and_child: Process) -> None:
    block_until(parent_and_child.read_output, timeouts.READY_DEADLINE)
    (child,) = parent_and_child.children
    event = parent_and_child.interrupt()
    assert parent_and_child.wait_for_end(timeouts.STOP_DEADLINE) is not None
    assert not block_until(
        lambda: parent_and_child.children, timeouts.STOP_DEADLINE, lambda left: not left
    )
    assert not child.is_running()
    assert parent_and_child.first_signal is event
    assert event.event == "was sent SIGINT with its whole process group"


def test_what_a_process_holds_is_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        counts = count_held([psutil.Process(other.pid), psutil.Process()])
        assert counts["processes"] == 2
        assert counts["threads"] >= 2
        assert counts["descriptors"] >= 3
        other.kill()
    assert count_held([psutil.Process(os.getpid())])["processes"] == 1
