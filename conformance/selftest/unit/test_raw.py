"""A raw connection: bytes as they are written, and answers in the order of the requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conformance.client.http import RequestSpec
from conformance.client.raw import connect, encode_request
from conformance.core import timeouts
from conformance.core.evidence import Exchange, FailureKind, Journal

GET = RequestSpec("GET", "/items/?q=1")


@asynccontextmanager
async def server(*answers: bytes, stays: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads once, sends these answers, and closes unless it stays."""
    received: list[bytes] = []
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        served.append(task)
        received.append(await reader.read(65536))
        for answer in answers:
            writer.write(answer)
        if stays:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", received
        await asyncio.gather(*served)


async def ask(url: str, *specs: RequestSpec) -> list[Exchange]:
    async with connect(url, Journal()) as connection:
        await connection.send(b"".join(encode_request(spec, url) for spec in specs))
        return [await connection.read_answer(spec) for spec in specs]


def answer(body: bytes, *lines: bytes) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *lines])
    return head + b"\r\n\r\n" + body


def test_a_request_has_the_headers_of_every_other_and_its_own() -> None:
    spec = RequestSpec("POST", "/process-data/", b"{}", "application/json", (("X-One", "1"),))
    assert encode_request(spec, "http://host:1") == (
        b"POST /process-data/ HTTP/1.1\r\nHost: host:1\r\nUser-Agent: curl/8.14.1\r\n"
        b"Accept: */*\r\nContent-Type: application/json\r\nX-One: 1\r\nContent-Length: 2\r\n\r\n{}"
    )
    chunked = RequestSpec("POST", "/", b"0\r\n\r\n", None, (("Transfer-Encoding", "chunked"),))
    assert b"Content-Length" not in encode_request(chunked, "http://host:1")


async def test_answers_that_come_together_are_told_apart() -> None:
    async with server(answer(b"one") + answer(b"two") + answer(b"three"), stays=True) as (url, got):
        seen = await ask(url, GET, GET, GET)
    assert [exchange.body for exchange in seen] == [b"one", b"two", b"three"]
    assert got[0].count(b"GET /items/?q=1 HTTP/1.1\r\n") == 3


async def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    head = RequestSpec("HEAD", "/async")
    async with server(answer(b"")[:-4] + b"\r\nX: 1\r\n\r\n" + answer(b"two")) as (url, _):
        first, second = await ask(url, head, GET)
    assert (first.status, first.body, second.body) == (200, b"", b"two")


async def test_interim_answers_are_passed_over_and_a_body_may_end_with_the_connection() -> None:
    async with server(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nX: \xe9\r\n\r\nabc") as (
        url,
        _,
    ):
        (seen,) = await ask(url, GET)
    assert (seen.status, seen.body, seen.answered) == (200, b"abc", True)
    assert seen.headers == (("x", "é"),)


@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"]
)
async def test_an_answer_that_is_none_or_not_complete_says_so(said: bytes) -> None:
    async with server(said) as (url, _):
        (seen,) = await ask(url, GET)
    assert seen.failure_kind is FailureKind.CLOSED_OR_NOT_HTTP
    assert not seen.answered


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "BODY_LIMIT", 100)
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000, stays=True) as (url, _):
        (seen,) = await ask(url, GET)
    assert seen.failure_kind is FailureKind.TOO_LARGE


async def test_what_never_ends_is_waited_for_as_long_as_any_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_DEADLINE", 0.2)
    async with server(b"HTTP/1.1 200 OK\r\n", stays=True) as (url, _):
        (seen,) = await ask(url, GET)
    assert seen.failure_kind is FailureKind.TIMED_OUT
