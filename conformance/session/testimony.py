"""What a target has said and not said so far, for findings and for its recovery."""

import re
from collections import deque
from collections.abc import Callable, Collection, Sequence

from conformance.core import timeouts
from conformance.core.evidence import Exchange, Fact, LogLine
from conformance.core.polling import block_until
from conformance.judging.result import Silence
from conformance.testbed.stack_dump import HEADING

COPIES = "server ("  # how the names of the processes of copies begin
LINES_OF_COPIES = 1000  # the last ones that are kept
_GROUP = re.compile(r"^\s*\| ")  # what Python puts before the lines of an exception in a group
_STACK = re.compile(r"\s+(at |File )")  # a line of a stack, as Node, Java and Python write it


class Testimony:
    """Remembers which endpoints worked, since when one is silent, and what copies printed.

    `list_urls` returns the addresses that the target has had so far, and `read_output` the lines of
    the process at the last of them.
    """

    def __init__(
        self,
        list_urls: Callable[[], Collection[str]] = lambda: (),
        read_output: Callable[[], Sequence[LogLine]] = lambda: (),
    ) -> None:
        self._list_urls = list_urls
        self._read_output = read_output
        self._silences: dict[tuple[str, str], Silence] = {}  # by address and endpoint
        self._lines_of_copies: deque[LogLine] = deque(maxlen=LINES_OF_COPIES)
        self.requirement = ""  # that is being probed
        self.worked: set[str] = set()  # endpoints that have answered 2xx
        self.is_in_doubt = False  # whether something went wrong since this was set to False

    def note(self, fact: Fact) -> None:
        """Take a fact into account."""
        if isinstance(fact, Exchange) and fact.url in self._list_urls():
            self._note_exchange(fact)
        elif isinstance(fact, LogLine) and fact.process.startswith(COPIES):
            self._lines_of_copies.append(fact)

    def _note_exchange(self, exchange: Exchange) -> None:
        place = exchange.url, exchange.endpoint
        if exchange.answered and exchange.status in range(200, 300):
            self.worked.add(exchange.endpoint)
            self._silences.pop(place, None)
        elif not exchange.answered:
            self.is_in_doubt = True
            silence = Silence(exchange.endpoint, exchange.number, self.requirement)
            self._silences.setdefault(place, silence)

    def find_silence(self, exchange: Exchange) -> Silence | None:
        """Since when the endpoint of an exchange was silent. None if that was answered."""
        silence = self._silences.get((exchange.url, exchange.endpoint))
        if exchange.answered or silence is None or silence.exchange > exchange.number:
            return None
        return silence

    def find_last_words(self, exchange: Exchange) -> LogLine | None:
        """The exception that the process printed over an exchange that it answered by 5xx.

        A server may print it after the answer, so it is waited for where nobody caught it.
        """
        if exchange.answered and exchange.status is not None and exchange.status < 500:
            return None
        limit = timeouts.LAST_WORDS_DEADLINE if exchange.status == 500 else 0.0
        return block_until(lambda: self._look_for_last_words(exchange), limit)

    def _look_for_last_words(self, exchange: Exchange) -> LogLine | None:
        is_copy = exchange.url not in self._list_urls()
        lines = list(self._lines_of_copies) if is_copy else self._read_output()
        until = exchange.ended + timeouts.LAST_WORDS_DEADLINE
        return find_exception([line for line in lines if exchange.at <= line.at <= until])


def find_exception(lines: Sequence[LogLine]) -> LogLine | None:
    """The line that names the last exception whose stack was printed; None if there is none."""
    texts = [_GROUP.sub("", line.text) for line in lines]
    found, is_dump = None, False  # a stack that the suite has asked for names no exception
    for number, text in enumerate(texts):
        is_dump = text.startswith(HEADING) or (is_dump and _STACK.match(text) is not None)
        if is_dump:
            continue
        if text.startswith("panic: ") or " panic serving " in text:
            found = lines[number]
        elif _STACK.match(text) and (place := _find_message(texts, number)) is not None:
            found = lines[place]
    return found


def _find_message(texts: Sequence[str], number: int) -> int | None:
    """Where the message is of the stack that has this line. None if it is not there.

    Python prints it after the stack, others print it before.
    """
    is_python = texts[number].lstrip().startswith("File ")
    places = range(number + 1, len(texts)) if is_python else range(number - 1, -1, -1)
    return next((each for each in places if texts[each][:1].strip()), None)
