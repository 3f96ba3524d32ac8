"""Output: lines are kept as they come, and of a flood the first and the last."""

import pytest

from conformance.core import timeouts
from conformance.core.evidence import Fact, Journal
from conformance.testbed import process_output
from conformance.testbed.process_output import Output


def print_lines(*texts: str) -> tuple[list[str], list[Fact]]:
    """The lines that are kept of what a process prints, and what is recorded."""
    recorded: list[Fact] = []
    output = Output("server", Journal(recorded.append))
    output.take_chunk("stdout", "".join(f"{text}\n" for text in texts).encode())
    kept = [line.text for line in output.lines]
    output.close()
    return kept, recorded


def test_of_many_lines_the_first_and_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "LINES_KEPT", 2)
    kept, recorded = print_lines(*"abcdef")
    assert kept == ["a", "b", "e", "f"]
    assert [line.number for line in recorded] == [1, 2, 5, 6]


def test_of_long_lines_fewer_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_output, "SHARE_LIMIT", 10)
    kept, _ = print_lines("a" * 6, "b" * 6, "c", "d" * 6, "e" * 4, "f")
    assert kept == ["a" * 6, "e" * 4, "f"]


def test_a_line_may_come_in_pieces_and_without_an_end() -> None:
    output = Output("server", Journal())
    for piece in (b"on", b"e\r\ntw", b"o", b""):
        output.take_chunk("stderr", piece)
    assert [line.text for line in output.lines] == ["one", "two"]
