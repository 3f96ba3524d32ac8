"""Testimony: since when an endpoint is silent, which worked, and what the process printed."""

import pytest

from conformance.core import timeouts
from conformance.core.evidence import Exchange, FailureKind, Journal, LogLine
from conformance.judging.result import Silence
from conformance.session.testimony import Testimony, find_exception

URL, COPY = "http://127.0.0.1:1", "http://127.0.0.1:2"
PYTHON = [
    "ERROR:    Exception in ASGI application",
    "Traceback (most recent call last):",
    '  File "main.py", line 7, in read',
    "    return row[name]",
    "           ~~~^^^^^^",
    "KeyError: 'name'",
]
DUMP = [  # a stack that the suite asks for, with what the service prints next
    "Stack (most recent call first):",
    '  File "main.py", line 7 in read',
    '  File "main.py", line 99 in <module>',
    'INFO:     127.0.0.1:1 - "GET /external-data HTTP/1.1" 200 OK',
]
CHAINED = [
    *PYTHON[1:],
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "main.py", line 9, in read',
    "ValueError: no row",
]
GROUPED = [
    "  + Exception Group Traceback (most recent call last):",
    '  |   File "server.py", line 1, in run',
    "  | ExceptionGroup: unhandled errors (1 sub-exception)",
    "  +-+---------------- 1 ----------------",
    "    | Traceback (most recent call last):",
    '    |   File "main.py", line 7, in read',
    "    | KeyError: 'name'",
    "    +------------------------------------",
]
NODE = ["Error: no row", "    at read (main.js:7:3)", "    at run (server.js:1:1)"]
GO = ["2026/07/01 http: panic serving 127.0.0.1:5: no row", "goroutine 5 [running]:"]


class Bench:
    """A testimony over a target at URL, and the journal that tells it of facts."""

    def __init__(self) -> None:
        self.lines: list[LogLine] = []
        self.testimony = Testimony(lambda: {URL}, lambda: self.lines)
        self.journal = Journal(self.testimony.note)

    def exchange(
        self, status: int | None = 200, target: str = "/items/1", url: str = URL
    ) -> Exchange:
        """An exchange, unanswered in time without a status."""
        failure = None if status else "no complete answer within 5 s"
        return self.journal.record(
            Exchange,
            method="GET",
            url=url,
            target=target,
            sent=b"",
            sent_type=None,
            status=status,
            headers=(),
            body=b"",
            failure=failure,
            failure_kind=None if status else FailureKind.TIMED_OUT,
            ended=self.journal.now(),
        )

    def print(self, *texts: str, process: str = "server") -> list[LogLine]:
        """Lines of a process."""
        lines = [
            self.journal.record(LogLine, process=process, stream="stderr", text=text)
            for text in texts
        ]
        self.lines += lines if process == "server" else []
        return lines


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_endpoint_is_silent_since_its_first_exchange_without_an_answer(bench: Bench) -> None:
    bench.exchange()
    bench.testimony.requirement = "CONC-6"
    first = bench.exchange(None)
    bench.testimony.requirement = "DB-2"
    silence = Silence("GET /items/{item_id}", first.number, "CONC-6")
    assert bench.testimony.find_silence(bench.exchange(None, "/items/2?q=a")) == silence
    assert bench.testimony.find_silence(first) == silence


def test_a_success_ends_the_silence_and_another_answer_does_not(bench: Bench) -> None:
    first = bench.exchange(None)
    bench.exchange(422, "/items/abc")
    again = bench.testimony.find_silence(bench.exchange(None))
    assert again and again.exchange == first.number
    bench.exchange(200)
    later = bench.exchange(None)
    since = bench.testimony.find_silence(later)
    assert since and since.exchange == later.number


def test_an_answer_is_no_silence_and_endpoints_are_apart(bench: Bench) -> None:
    bench.exchange(None)
    assert bench.testimony.find_silence(bench.exchange(500)) is None
    other = bench.exchange(None, "/items/")
    since = bench.testimony.find_silence(other)
    assert since and (since.endpoint, since.exchange) == ("GET /items/", other.number)


def test_what_a_copy_does_is_no_matter_of_the_targets(bench: Bench) -> None:
    assert bench.testimony.find_silence(bench.exchange(None, url=COPY)) is None
    bench.exchange(200, url=COPY)
    assert not bench.testimony.is_in_doubt
    assert not bench.testimony.worked


def test_it_is_in_doubt_after_a_request_without_an_answer_and_knows_what_worked(
    bench: Bench,
) -> None:
    bench.exchange(200, "/sync")
    bench.exchange(500, "/async")
    assert not bench.testimony.is_in_doubt
    bench.exchange(None)
    assert bench.testimony.is_in_doubt
    assert bench.testimony.worked == {"GET /sync"}


@pytest.mark.parametrize(
    ("printed", "last"),
    [
        ([*PYTHON, "INFO: what follows"], "KeyError: 'name'"),
        (CHAINED, "ValueError: no row"),
        (GROUPED, "    | KeyError: 'name'"),
        (NODE, "Error: no row"),
        (GO, GO[0]),
        (PYTHON[:-1], None),
        (["INFO: 500 Internal Server Error"], None),
        (DUMP, None),
        ([*DUMP, *PYTHON], "KeyError: 'name'"),
        ([*PYTHON, *DUMP], "KeyError: 'name'"),
    ],
    ids=[
        *("Python", "chained", "a group", "Node", "Go", "cut off", "no exception", "a dump"),
        *("an exception after a dump", "an exception before a dump"),
    ],
)
def test_the_line_is_found_that_names_the_exception(
    bench: Bench, printed: list[str], last: str | None
) -> None:
    found = find_exception(bench.print(*printed))
    assert (found and found.text) == last


def test_what_was_printed_before_the_request_or_long_after_it_is_not_quoted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "LAST_WORDS_DEADLINE", 0.0)
    bench.print(*PYTHON)
    assert bench.testimony.find_last_words(bench.exchange(500)) is None


def test_a_5xx_quotes_the_process_and_another_answer_does_not(bench: Bench) -> None:
    failed, rejected = bench.exchange(500), bench.exchange(422)
    bench.print(*PYTHON)
    words = bench.testimony.find_last_words(failed)
    assert words and words.text == "KeyError: 'name'"
    assert bench.testimony.find_last_words(rejected) is None


def test_an_exchange_of_a_copy_quotes_the_copy(bench: Bench) -> None:
    failed = bench.exchange(503, url=COPY)
    bench.print(*PYTHON)
    bench.print(*NODE, process="server (to be stopped)")
    words = bench.testimony.find_last_words(failed)
    assert words and words.text == "Error: no row"
