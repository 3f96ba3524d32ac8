"""The client against small servers: what it sends and records, and when it stops waiting."""

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from conformance.client.http import Client, PendingRequest, RequestSpec
from conformance.client.received import Allowance
from conformance.core import timeouts
from conformance.core.evidence import Exchange, Fact, FailureKind, Journal, as_plain
from conformance.core.polling import wait_until
from conformance.testbed.ports import claim_port

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWER = HEAD + b"Content-Length: 2\r\n\r\n{}"
ENDLESS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
A_MEBIBYTE = b"100000\r\n" + b"x" * 2**20 + b"\r\n"

USUAL, SHORTER = 0.6, 0.3  # seconds

Behaviour = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection of a server, and the requests that came on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.requests: list[str] = []
        self.is_closed_by_client = False

    async def read_request(self) -> bool:
        """Read a request with its body. Returns whether one came."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            self.is_closed_by_client = True
            return False
        sizes = [line.split()[1] for line in head.splitlines() if line.startswith("Content-Length")]
        body = await self.reader.readexactly(int(sizes[0])) if sizes else b""
        self.requests.append(head + body.decode())
        return True


class Server:
    """A server on loopback that does the same on each of its connections."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.connections: list[Connection] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        connection = Connection(reader, writer)
        self.connections.append(connection)
        try:
            await self._behave(connection)
        except ConnectionError:
            connection.is_closed_by_client = True
        finally:
            writer.close()

    @property
    def requests(self) -> list[str]:
        """The first line of each request."""
        return [
            request.split("\r\n")[0]
            for connection in self.connections
            for request in connection.requests
        ]


@asynccontextmanager
async def serving(behave: Behaviour) -> AsyncIterator[tuple[Server, Client]]:
    """A server, and a client of it."""
    server = Server(behave)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(server.serve(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    client = Client(server.url, Journal())
    try:
        yield server, client
    finally:
        await client.close()
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer(connection: Connection) -> None:
    while await connection.read_request():
        connection.writer.write(ANSWER)


async def stay_silent(connection: Connection) -> None:
    while await connection.read_request():
        pass


async def close_at_once(connection: Connection) -> None:
    await connection.read_request()


async def reset(connection: Connection) -> None:
    await connection.read_request()
    raw = connection.writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def speak_no_http(connection: Connection) -> None:
    await connection.read_request()
    connection.writer.write(b"220 mail.example ESMTP\r\n")


async def break_off_the_body(connection: Connection) -> None:
    await connection.read_request()
    connection.writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")


async def never_end_the_body(connection: Connection) -> None:
    await connection.read_request()
    connection.writer.write(ENDLESS)
    while not connection.reader.at_eof():
        connection.writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0.02)


async def trickle_the_head(connection: Connection) -> None:
    await connection.read_request()
    for letter in ANSWER:
        connection.writer.write(bytes([letter]))
        await asyncio.sleep(0.02)


async def send_too_much(connection: Connection) -> None:
    await connection.read_request()
    connection.writer.write(ENDLESS)
    while not connection.reader.at_eof():
        connection.writer.write(A_MEBIBYTE)
        await connection.writer.drain()


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter limits, of which those of an unresponsive endpoint are the shortest."""
    monkeypatch.setattr(timeouts, "ANSWER_DEADLINE", USUAL)
    monkeypatch.setattr(timeouts, "DEADLINE_AFTER_A_MISSED_ONE", SHORTER)


# What it records


async def test_an_answer_is_recorded_whole() -> None:
    async with serving(answer) as (server, client):
        exchange = await client.get("/async?q=%20")
    assert (exchange.method, exchange.url, exchange.target) == ("GET", server.url, "/async?q=%20")
    assert (exchange.status, exchange.body) == (200, b"{}")
    assert exchange.headers == (("content-type", "application/json"), ("content-length", "2"))
    assert (exchange.failure, exchange.failure_kind) == (None, None)
    assert exchange.answered
    assert not exchange.is_broken_off
    assert 0 <= exchange.at < exchange.ended


@pytest.mark.usefixtures("short_limits")
@pytest.mark.parametrize(
    ("behave", "status", "kind", "failure"),
    [
        (stay_silent, None, FailureKind.TIMED_OUT, "no complete answer within 1 s"),
        (trickle_the_head, None, FailureKind.TIMED_OUT, "no complete answer within 1 s"),
        (
            never_end_the_body,
            200,
            FailureKind.TIMED_OUT,
            "no complete answer within 1 s: the body does not end",
        ),
        (reset, None, FailureKind.RESET, "no answer: the connection was reset"),
        (
            close_at_once,
            None,
            FailureKind.CLOSED_OR_NOT_HTTP,
            "no answer: the connection was closed or carried no HTTP",
        ),
        (
            speak_no_http,
            None,
            FailureKind.CLOSED_OR_NOT_HTTP,
            "no answer: the connection was closed or carried no HTTP",
        ),
        (
            break_off_the_body,
            200,
            FailureKind.CLOSED_OR_NOT_HTTP,
            "the answer broke off: the connection was closed or carried no HTTP",
        ),
        (send_too_much, 200, FailureKind.TOO_LARGE, "the body goes on after 4 MiB"),
    ],
)
async def test_a_failure_has_its_kind_and_its_text(
    behave: Behaviour, status: int | None, kind: FailureKind, failure: str
) -> None:
    async with serving(behave) as (_, client):
        exchange = await client.get("/async")
    assert (exchange.status, exchange.failure_kind, exchange.failure) == (status, kind, failure)
    assert not exchange.answered
    assert exchange.is_broken_off is (kind not in (FailureKind.TIMED_OUT, FailureKind.TOO_LARGE))
    assert client.has_lost_connection is exchange.is_broken_off


async def test_a_connection_that_is_refused_is_a_failure_of_its_own_kind() -> None:
    client = Client(f"http://127.0.0.1:{claim_port()}", Journal())
    exchange = await client.get("/async")
    await client.close()
    assert exchange.failure_kind is FailureKind.REFUSED
    assert exchange.failure == "no answer: the connection was refused"
    assert exchange.is_broken_off


async def test_a_body_that_is_too_large_is_kept_up_to_the_limit() -> None:
    async with serving(send_too_much) as (server, client):
        exchange = await client.get("/async")
        assert 0 < len(exchange.body) <= timeouts.BODY_LIMIT
        (connection,) = server.connections
        await wait_until(lambda: is_closed(connection), 5)
        assert await is_closed(connection)


async def is_closed(connection: Connection) -> bool:
    return connection.is_closed_by_client or connection.reader.at_eof()


def send_body(headers: bytes, body: bytes) -> Behaviour:
    """Answer each request with this body and these lines of the head."""
    size = f"Content-Length: {len(body)}\r\n\r\n".encode()

    async def behave(connection: Connection) -> None:
        while await connection.read_request():
            connection.writer.write(HEAD + headers + size + body)

    return behave


@pytest.mark.parametrize(
    ("header", "value"),
    [("X: é".encode(), "é"), ("X: é".encode("latin-1"), "é"), (b"X: \xff\xfe", "ÿþ")],
)
async def test_a_header_may_have_any_byte(header: bytes, value: str) -> None:
    async with serving(send_body(header + b"\r\n", b"{}")) as (_, client):
        exchange = await client.get("/async")
    assert exchange.answered
    assert dict(exchange.headers)["x"] == value


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        (b"gzip", gzip.compress),
        (b"X-GZIP", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda body: zlib.compress(body, wbits=-15)),
        (b"identity", bytes),
        (b"gzip, identity", gzip.compress),
    ],
)
async def test_the_content_coding_of_a_body_is_undone(
    coding: bytes, encode: Callable[[bytes], bytes]
) -> None:
    body = b"a long body " * 20_000
    behave = send_body(b"Content-Encoding: " + coding + b"\r\n", encode(body))
    async with serving(behave) as (_, client):
        exchange = await client.get("/async")
    assert exchange.answered
    assert exchange.body == body


@pytest.mark.parametrize(
    ("coding", "body", "failure"),
    [
        (
            b"gzip, gzip",
            gzip.compress(gzip.compress(bytes(8_000_000))),
            "its content coding is gzip, gzip, and none was asked for",
        ),
        (b"br", b"{}", "its content coding is br, and none was asked for"),
        (b"gzip", b"{}", "Error -3 while decompressing data: incorrect header check"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_the_targets_failure(
    coding: bytes, body: bytes, failure: str
) -> None:
    async with serving(send_body(b"Content-Encoding: " + coding + b"\r\n", body)) as (_, client):
        exchange = await client.get("/async")
    assert exchange.failure_kind is FailureKind.UNREADABLE
    assert exchange.failure == f"its answer could not be read: {failure}"
    assert not exchange.is_broken_off


async def test_a_small_body_that_unpacks_to_a_large_one_is_kept_up_to_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    async with serving(send_body(b"Content-Encoding: gzip\r\n", bomb)) as (_, client):
        exchange = await client.get("/async")
    assert exchange.failure_kind is FailureKind.TOO_LARGE
    assert len(exchange.body) <= timeouts.BODY_LIMIT


async def test_the_bodies_of_one_probe_have_a_limit_together() -> None:
    async with serving(send_body(b"", bytes(2**20))) as (_, client):
        client._allowance = Allowance(2**20 + 1)
        first, second = [await client.get("/async") for _ in range(2)]
        client.begin_probe("DB-1")
        third = await client.get("/async")
    assert first.answered
    assert second.failure == "the bodies of this probe's answers take more than 64 MiB"
    assert third.answered


async def test_answers_that_announce_another_without_end_are_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeouts, "ANSWER_DEADLINE", SHORTER)

    async def announce(connection: Connection) -> None:
        await connection.read_request()
        while not connection.reader.at_eof():
            connection.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
            await connection.writer.drain()

    async with serving(announce) as (_, client):
        exchange = await client.get("/async")
    assert exchange.failure_kind is FailureKind.TIMED_OUT


@pytest.mark.usefixtures("short_limits")
async def test_a_record_has_the_text_of_a_failure_alone() -> None:
    facts: list[Fact] = []
    async with serving(stay_silent) as (server, _):
        client = Client(server.url, Journal(facts.append))
        await client.get("/async")
        await client.close()
    (plain,) = map(as_plain, facts)
    assert plain["failure"] == "no complete answer within 1 s"
    assert "failure_kind" not in plain
    assert json.dumps(plain, default=str)


# What it sends


async def test_requests_look_like_those_of_a_common_tool() -> None:
    async with serving(answer) as (server, client):
        await client.get("/items/?q=a", headers=(("Accept", "text/html"),))
        await client.post("/process-data/", {"a": 1})
    (get,), (post,) = (connection.requests for connection in server.connections)
    assert get.splitlines()[0] == "GET /items/?q=a HTTP/1.1"
    assert {"User-Agent: curl/8.14.1", "Accept: text/html"} <= set(get.splitlines())
    assert "conformance" not in get.lower()
    assert "Content-Type: application/json" in post.splitlines()
    assert post.endswith('\r\n\r\n{"a": 1}')


async def test_a_post_without_a_body_says_that_it_has_none() -> None:
    async with serving(answer) as (server, client):
        await client.send(RequestSpec("POST", "/process-data/"))
        await client.send(RequestSpec("DELETE", "/process-data/"))
    post, delete = (connection.requests[0] for connection in server.connections)
    assert "Content-Length: 0" in post.splitlines()
    assert "Content-Type" not in post
    assert "Content-Length" not in delete


async def test_each_request_has_a_connection_of_its_own() -> None:
    async with serving(answer) as (server, client):
        exchanges = await client.get_all("/a", "/b", "/c")
        assert [exchange.target for exchange in exchanges] == ["/a", "/b", "/c"]
        assert [len(connection.requests) for connection in server.connections] == [1, 1, 1]


async def test_requests_in_turn_share_one_connection() -> None:
    async with serving(answer) as (server, client):
        exchanges = await client.get_in_turn(["/a", "/b", "/c"])
        assert [exchange.target for exchange in exchanges] == ["/a", "/b", "/c"]
        assert [len(connection.requests) for connection in server.connections] == [3]


async def test_idle_connections_stay_open_until_the_block_ends() -> None:
    async with serving(answer) as (server, client):
        async with client.idle(3):
            assert [len(connection.requests) for connection in server.connections] == [1, 1, 1]
            await asyncio.sleep(0.05)
            assert not any([await is_closed(each) for each in server.connections])
        for connection in server.connections:
            assert await wait_until(lambda each=connection: is_closed(each), 5)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [("/items/7?q=/a", "GET /items"), ("/async", "GET /async"), ("/items/?q=a", "GET /items")],
)
def test_requests_of_one_endpoint_have_the_same_first_segment(path: str, endpoint: str) -> None:
    assert RequestSpec("GET", path).endpoint == endpoint


# Time limits


@pytest.mark.usefixtures("short_limits")
async def test_an_endpoint_that_timed_out_has_a_shorter_limit_until_it_answers() -> None:
    behaviour = [stay_silent, stay_silent, answer, answer]

    async def behave(connection: Connection) -> None:
        await behaviour.pop(0)(connection)

    spec, other = RequestSpec("GET", "/items/1"), RequestSpec("GET", "/async")
    same = RequestSpec("GET", "/items/2")
    async with serving(behave) as (_, client):
        await client.get("/items/1")
        assert [client.time_limit_for(each) for each in (spec, same, other)] == [
            SHORTER,
            SHORTER,
            USUAL,
        ]
        client.begin_probe("DB-2")
        exchange = await client.get("/items/2")
        assert exchange.ended - exchange.at < USUAL
        client.begin_probe("DB-3")
        assert (await client.get("/items/1")).answered
        assert client.time_limit_for(spec) == USUAL


@pytest.mark.usefixtures("short_limits")
async def test_a_requirement_is_decided_by_the_first_answer_that_timed_out() -> None:
    async with serving(stay_silent) as (server, client):
        client.begin_probe("END-1")
        first = await client.get("/sync")
        client.begin_probe("END-1")  # another probe of it
        assert await client.get("/async") is first
        assert server.requests == ["GET /sync HTTP/1.1"]
        client.begin_probe("END-2")
        assert await client.get("/async") is not first
        assert server.requests == ["GET /sync HTTP/1.1", "GET /async HTTP/1.1"]


async def test_an_answer_that_broke_off_decides_nothing_for_the_next_request() -> None:
    async with serving(close_at_once) as (server, client):
        await client.get("/sync")
        await client.get("/async")
        assert len(server.requests) == 2


@pytest.mark.usefixtures("short_limits")
async def test_a_target_that_was_started_again_is_asked_again() -> None:
    async with serving(stay_silent) as (_, client), serving(answer) as (server, _):
        timed_out = await client.get("/sync")
        client.switch_to(server.url)
        exchange = await client.get("/sync")
        assert exchange.answered
        assert (timed_out.url != exchange.url) is True
        assert exchange.url == server.url == client.url


@pytest.mark.usefixtures("short_limits")
async def test_what_timed_out_in_another_situation_is_asked_again_for_as_long_as_any() -> None:
    behaviour = [stay_silent, answer]

    async def behave(connection: Connection) -> None:
        await behaviour.pop(0)(connection)

    async with serving(behave) as (_, client):
        await client.get("/async")
        client.forget_timeouts()
        assert client.time_limit_for(RequestSpec("GET", "/async")) == USUAL
        assert (await client.get("/async")).answered


# Requests in flight


async def test_requests_in_flight_are_all_sent_before_any_is_answered() -> None:
    go = asyncio.Event()

    async def answer_later(connection: Connection) -> None:
        await connection.read_request()
        await go.wait()
        connection.writer.write(ANSWER)

    async with serving(answer_later) as (server, client), client.in_flight() as send:
        pending = [*send("/a", "/b"), send.post("/c", {})]
        assert await wait_until(lambda: count(server), 5, lambda seen: seen == 3) == 3
        assert not any(request.is_done for request in pending)
        go.set()
        exchanges = [await request.wait_for_answer() for request in pending]
        assert [exchange.target for exchange in exchanges] == ["/a", "/b", "/c"]
        assert all(exchange.answered for exchange in exchanges)
        assert all(request.is_done for request in pending)


async def count(server: Server) -> int:
    return len(server.requests)


@pytest.mark.usefixtures("short_limits")
async def test_the_limit_of_a_request_in_flight_begins_when_it_is_waited_for() -> None:
    async with serving(stay_silent) as (_, client), client.in_flight() as send:
        (request,) = send("/async")
        await asyncio.sleep(USUAL + 0.1)
        assert not request.is_done
        exchange = await request.wait_for_answer(0.1)
        assert exchange.failure_kind is FailureKind.TIMED_OUT
        assert exchange.ended - exchange.at >= USUAL + 0.1


@pytest.mark.usefixtures("short_limits")
async def test_a_limit_that_a_probe_sets_says_nothing_of_the_endpoint() -> None:
    async with serving(stay_silent) as (_, client), client.in_flight() as send:
        short, usual = send("/async", "/async")
        await short.wait_for_answer(0.05)
        await short.wait_for_answer()  # as the end of the block does
        assert client.time_limit_for(RequestSpec("GET", "/async")) == USUAL
        await usual.wait_for_answer()
        assert client.time_limit_for(RequestSpec("GET", "/async")) == SHORTER


async def test_the_block_waits_for_the_answers_also_after_an_exception() -> None:
    async def answer_slowly(connection: Connection) -> None:
        await connection.read_request()
        await asyncio.sleep(0.2)
        connection.writer.write(ANSWER)

    async with serving(answer_slowly) as (_, client):
        sent: list[PendingRequest] = []

        async def fail_over_a_request() -> None:
            async with client.in_flight() as send:
                sent.extend(send("/async"))
                raise KeyError

        with pytest.raises(KeyError):
            await fail_over_a_request()
        assert sent[0].is_done
        assert (await sent[0].task).answered


@pytest.mark.usefixtures("short_limits")
async def test_a_connection_that_is_dropped_is_closed_and_nothing_is_recorded() -> None:
    facts: list[Fact] = []
    async with serving(stay_silent) as (server, _):
        client = Client(server.url, Journal(facts.append))
        async with client.in_flight() as send:
            (request,) = send("/async")
            assert await wait_until(lambda: count(server), 5) == 1
            await request.drop_connection()
            assert request.is_done
            assert await wait_until(lambda: is_closed(server.connections[0]), 5)
        await client.close()
    assert not facts


async def test_a_request_that_is_dropped_before_it_was_sent_does_not_hang() -> None:
    async with serving(answer) as (server, client), client.in_flight() as send:
        (request,) = send("/async")
        await request.drop_connection()
        with pytest.raises(asyncio.CancelledError):
            await request.wait_for_answer()
        assert not server.connections


def test_a_failure_that_was_read_from_a_record_has_no_kind() -> None:
    values = {"method": "GET", "url": "http://127.0.0.1", "target": "/", "sent": b""}
    exchange = Exchange(
        number=1,
        at=0.0,
        sent_type=None,
        status=None,
        headers=(),
        body=b"",
        failure="no answer: the connection was reset",
        ended=1.0,
        **values,  # type: ignore[arg-type]
    )
    assert exchange.failure_kind is None
    assert not exchange.answered
    assert exchange.outcome == "no answer: the connection was reset"
