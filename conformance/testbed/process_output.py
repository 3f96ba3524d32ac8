"""What a process prints: lines, taken from its two streams."""

from collections import deque
from collections.abc import Sequence

from conformance.core import timeouts
from conformance.core.evidence import Journal, LogLine

LINE_LIMIT = 8192  # bytes of one line that are kept
SHARE_LIMIT = 2**20  # characters of the first lines that are kept, and of the last
STARTING, STOPPING = "Starting up...", "Shutting down..."  # in lines of which none may be lost


class Output:
    """The lines of two streams. Of a flood, the first and the last LINES_KEPT are kept.

    Of long lines that is fewer, so that neither share is larger than SHARE_LIMIT. Between the two,
    as many of the lines that say that the service starts or stops are kept.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._head: list[LogLine] = []
        self._middle: list[LogLine] = []
        self._tail: deque[LogLine] = deque()
        self._head_size = self._tail_size = 0  # characters

    def take_chunk(self, stream: str, chunk: bytes) -> None:
        """Take bytes of a stream. No bytes: it has ended, perhaps in the middle of a line."""
        chunk = chunk or b"\n" * bool(self._partial[stream])
        *lines, rest = (self._partial[stream] + chunk).split(b"\n")
        self._partial[stream] = rest[:LINE_LIMIT]
        for line in lines:
            text = line[:LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
            early = not self._tail and self._fits_head(text)
            fact = self._journal.record(
                LogLine, keep=early, process=self._name, stream=stream, text=text
            )
            if early:
                self._keep_first(fact)
            else:
                self._keep_last(fact)

    def _fits_head(self, text: str) -> bool:
        has_place = len(self._head) < timeouts.LINES_KEPT
        return has_place and self._head_size + len(text) <= SHARE_LIMIT

    def _keep_first(self, fact: LogLine) -> None:
        self._head.append(fact)
        self._head_size += len(fact.text)

    def _keep_last(self, fact: LogLine) -> None:
        self._tail.append(fact)
        self._tail_size += len(fact.text)
        while len(self._tail) > timeouts.LINES_KEPT or self._tail_size > SHARE_LIMIT:
            dropped = self._tail.popleft()
            self._tail_size -= len(dropped.text)
            self._drop(dropped)

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


def find_lines_saying(text: str, lines: Sequence[LogLine]) -> list[LogLine]:
    """The lines that contain a text."""
    return [line for line in lines if text in line.text]


def take_last_lines(lines: Sequence[LogLine], count: int) -> list[LogLine]:
    """The last lines that are not empty."""
    return [line for line in lines if line.text.strip()][-count:]


def take_last_texts(lines: Sequence[LogLine], count: int) -> list[str]:
    """The texts of the last lines that are not empty."""
    return [line.text for line in take_last_lines(lines, count)]
