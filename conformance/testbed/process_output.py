"""What a process prints: lines, taken from its two streams."""

from collections import deque
from collections.abc import Sequence

from conformance.core import timeouts
from conformance.core.evidence import Journal, LogLine

LINE_LIMIT = 8192  # bytes of one line that are kept
STARTING, STOPPING = "Starting up...", "Shutting down..."  # in lines of which none may be lost


class Output:
    """The lines of two streams.

    Of a flood, the first and the last LINES_KEPT are kept, and between them as many of those that
    say that the service starts or stops.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._head: list[LogLine] = []
        self._middle: list[LogLine] = []
        self._tail: deque[LogLine] = deque()

    def take_chunk(self, stream: str, chunk: bytes) -> None:
        """Take bytes of a stream. No bytes: it has ended, perhaps in the middle of a line."""
        chunk = chunk or b"\n" * bool(self._partial[stream])
        *lines, rest = (self._partial[stream] + chunk).split(b"\n")
        self._partial[stream] = rest[:LINE_LIMIT]
        for line in lines:
            text = line[:LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
            early = len(self._head) < timeouts.LINES_KEPT
            fact = self._journal.record(
                LogLine, keep=early, process=self._name, stream=stream, text=text
            )
            (self._head if early else self._tail).append(fact)
            if len(self._tail) > timeouts.LINES_KEPT:
                self._drop(self._tail.popleft())

    def _drop(self, line: LogLine) -> None:
        """Drop a line of a flood, unless it is one that must not be lost."""
        is_wanted = STARTING in line.text or STOPPING in line.text
        if is_wanted and len(self._middle) < timeouts.LINES_KEPT:
            self._middle.append(line)
            self._journal.keep(line)

    @property
    def lines(self) -> list[LogLine]:
        """All lines that are kept, in order."""
        return [*self._head, *self._middle, *self._tail]

    def close(self) -> None:
        """Hand the last lines to the journal too."""
        for line in self._tail:
            self._journal.keep(line)


def saying(text: str, lines: Sequence[LogLine]) -> list[LogLine]:
    """The lines that contain a text."""
    return [line for line in lines if text in line.text]


def take_last_lines(lines: Sequence[LogLine], count: int) -> list[LogLine]:
    """The last lines that are not empty."""
    return [line for line in lines if line.text.strip()][-count:]


def take_last_texts(lines: Sequence[LogLine], count: int) -> list[str]:
    """The texts of the last lines that are not empty."""
    return [line.text for line in take_last_lines(lines, count)]
