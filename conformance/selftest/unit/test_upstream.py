"""The upstream stub: what it answers, what a request gets while it is held, and what it records."""

import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from threading import Timer

import h11
import httpx
import pytest

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.core.evidence import Fact, Journal
from conformance.core.polling import wait_until
from conformance.testbed import upstream as stub_module
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import ENDLESS, ENDLESS_HTTP_1_0, EndlessAnswer, HoldMode
from conformance.testbed.upstream_replies import STATUS_LINE_START, TARGET, Reply, make_reply

LONG = 10.0  # seconds that nothing here takes, even on a busy machine


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A stub that listens."""
    stub = Upstream(Journal())
    stub.start()
    yield stub
    stub.stop()


class Caller:
    """A connection to the stub, on which nothing is read ahead."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def ask(self, target: str = "/posts", body: bytes = b"", version: str = "1.1") -> None:
        """Send a request."""
        head = f"POST {target} HTTP/{version}\r\nHost: stub\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)

    def send(self, content: bytes) -> None:
        """Send any bytes."""
        self._writer.write(content)

    async def read_all(self) -> bytes:
        """Everything until the stub closes the connection."""
        return await asyncio.wait_for(self._reader.read(), LONG)

    async def read_answer(self) -> bytes:
        """One answer with its length, on a connection that stays open."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), LONG)
        sizes = [line for line in head.splitlines() if line.startswith(b"Content-Length")]
        return head + await self._reader.readexactly(int(sizes[0].split()[1]))

    async def read_for(self, seconds: float) -> bytes:
        """What comes within so many seconds."""
        received = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                received += await asyncio.wait_for(self._reader.read(65536), left)
            except TimeoutError:
                break
        return received

    def leave(self) -> None:
        """Close the connection."""
        self._writer.close()


@asynccontextmanager
async def call(upstream: Upstream) -> AsyncIterator[Caller]:
    """A connection to the stub."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


async def ask(upstream: Upstream, target: str = "/posts") -> bytes:
    """The whole answer to one request."""
    async with call(upstream) as caller:
        caller.ask(target)
        return await caller.read_all()


def parse_body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


# Answers


async def test_it_answers_an_empty_list_unless_it_has_other_replies(upstream: Upstream) -> None:
    before = await ask(upstream)
    with upstream.answering(make_reply(1), make_reply(2)):
        bodies = [parse_body(await ask(upstream)) for _ in range(3)]
    assert bodies == [b"1", b"2", b"2"]
    assert parse_body(before) == parse_body(await ask(upstream)) == b"[]"
    assert before.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")


async def test_replies_that_were_not_needed_are_forgotten(upstream: Upstream) -> None:
    with upstream.answering(make_reply(1), make_reply(2), make_reply(3)):
        assert parse_body(await ask(upstream)) == b"1"
    assert parse_body(await ask(upstream)) == b"[]"


async def test_an_inner_reply_stands_in_for_an_outer_one(upstream: Upstream) -> None:
    with upstream.answering(make_reply("outer")):
        with upstream.answering(Reply(status=503)):
            assert (await ask(upstream)).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert parse_body(await ask(upstream)) == b'"outer"'


@pytest.mark.parametrize(
    ("cut", "ends_with"), [(None, b"\r\n\r\nabc"), (2, b"\r\n\r\nab"), (0, b"\r\n\r\n")]
)
async def test_an_answer_can_end_early(
    upstream: Upstream, cut: int | None, ends_with: bytes
) -> None:
    with upstream.answering(Reply(body=b"abc", cut=cut)):
        answer = await ask(upstream)
    assert b"Content-Length: 3\r\n" in answer
    assert answer.endswith(ends_with)


async def test_a_connection_can_be_closed_without_an_answer(upstream: Upstream) -> None:
    with upstream.answering(Reply(cut=-1)):
        assert await ask(upstream) == b""


async def test_a_connection_can_be_reset(upstream: Upstream) -> None:
    with upstream.answering(Reply(cut=-1, is_reset=True)), pytest.raises(ConnectionResetError):
        await ask(upstream)


async def test_no_content_has_no_length(upstream: Upstream) -> None:
    with upstream.answering(Reply(status=204, body=b"")):
        assert b"Content-Length" not in await ask(upstream)


@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_a_body_in_chunks_is_the_same_body(upstream: Upstream, size: int) -> None:
    reply = replace(make_reply("déjà vu"), chunk=size)
    with upstream.answering(reply):
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", upstream.url) as response,
        ):
            parts = [part async for part in response.aiter_raw()]
    assert b"".join(parts) == reply.body
    assert {len(part) for part in parts[:-1]} <= {size}
    assert "Content-Length" not in response.headers


# What it records


async def test_a_request_is_recorded_with_its_connection() -> None:
    facts: list[Fact] = []
    upstream = Upstream(Journal(facts.append))
    upstream.start()
    await ask(upstream, "/posts?tag=a%20b")
    await ask(upstream)
    upstream.stop()
    assert facts == upstream.requests
    first, second = upstream.requests
    assert (first.method, first.target) == ("POST", "/posts?tag=a%20b")
    assert first.headers == (("host", "stub"), ("content-length", "0"))
    assert [fact.connection for fact in (first, second)] == [1, 2]
    assert first.summary == "the upstream received POST /posts?tag=a%20b (upstream request 1)"


@pytest.mark.parametrize("content", [b"\x16\x03\x01 no HTTP\r\n\r\n", b"GET /posts HTTP/1.1\r\nHo"])
async def test_what_is_no_whole_request_is_not_recorded(upstream: Upstream, content: bytes) -> None:
    async with call(upstream) as caller:
        caller.send(content)
    assert parse_body(await ask(upstream)) == b"[]"
    assert len(upstream.requests) == 1


async def test_a_request_is_recorded_once_its_body_has_come(upstream: Upstream) -> None:
    async with call(upstream) as caller:
        caller.send(b"POST /posts HTTP/1.1\r\nHost: stub\r\nContent-Length: 4\r\n\r\nab")
        assert await caller.read_for(0.1) == b""
        assert not upstream.requests
        caller.send(b"cd")
        assert parse_body(await caller.read_all()) == b"[]"
    assert len(upstream.requests) == 1


def test_the_url_of_the_target_has_a_query(upstream: Upstream) -> None:
    assert upstream.url == f"http://127.0.0.1:{upstream.port}{TARGET}"


# Holds


async def test_a_held_request_is_answered_once_the_block_ends(upstream: Upstream) -> None:
    async with call(upstream) as caller:
        async with upstream.holding() as hold:
            caller.ask()
            assert await upstream.wait_for_requests(hold, 1) == 1
            assert hold.requests == upstream.requests
            assert await caller.read_for(0.1) == b""
        assert parse_body(await caller.read_all()) == b"[]"
    assert (hold.most, hold.arrived, hold.given_up) == (1, 1, 0)


@pytest.mark.parametrize(
    ("mode", "at_the_most"),
    [
        (HoldMode.TRICKLE, b"HTTP/1.1 200 OK\r\n"),
        (HoldMode.TRICKLE_HEAD, STATUS_LINE_START),
        (HoldMode.SILENT, b""),
    ],
)
async def test_a_held_request_gets_the_bytes_of_its_mode_and_then_the_rest(
    upstream: Upstream, mode: HoldMode, at_the_most: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "KEPT_AWAKE", 0.01)
    async with call(upstream) as caller:
        async with upstream.holding(mode) as hold:
            caller.ask()
            await upstream.wait_for_requests(hold, 1)
            held = b""
            while len(held) < len(at_the_most):
                held += await caller.read_for(0.05)
            held += await caller.read_for(0.1)
            assert held.startswith(at_the_most)
            assert mode is HoldMode.TRICKLE or held == at_the_most
        assert held + await caller.read_all() == Reply().encode()


async def test_an_answer_that_has_begun_lacks_its_last_byte_while_it_is_held(
    upstream: Upstream,
) -> None:
    async with call(upstream) as caller:
        async with upstream.holding(HoldMode.TRUNCATED) as hold:
            caller.ask()
            await upstream.wait_for_requests(hold, 1)
            assert await caller.read_for(0.2) == Reply().encode()[:-1]
        assert await caller.read_all() == Reply().encode()[-1:]


async def test_a_client_of_http_1_0_is_sent_no_chunks_and_its_connection_is_closed(
    upstream: Upstream,
) -> None:
    reply = replace(make_reply("déjà vu"), chunk=5)
    with upstream.answering(reply), upstream.keeping_alive():
        async with call(upstream) as caller:
            caller.ask(version="1.0")
            head, _, body = (await caller.read_all()).partition(b"\r\n\r\n")
    assert body == reply.body
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [(HoldMode.INTERIM, rb"$"), (HoldMode.HALF_A_CHUNK, rb"(?!.*chunked).*Content-Length: 16\r\n")],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_client_of_http_1_0_waits_without_interim_answers_and_chunks(
    upstream: Upstream, mode: HoldMode, wanted: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, answers in (("ENDLESS", ENDLESS), ("ENDLESS_HTTP_1_0", ENDLESS_HTTP_1_0)):
        quick = {mode: replace(answers[mode], pause=0.01)}
        monkeypatch.setattr(f"conformance.testbed.upstream.{name}", quick)
    async with call(upstream) as caller:
        async with upstream.holding(mode) as hold:
            caller.ask(version="1.0")
            assert await upstream.wait_for_requests(hold, 1) == 1
            seen = await caller.read_for(0.2)
        seen += await caller.read_all()
    assert re.match(wanted, seen, re.DOTALL)
    with pytest.raises(h11.RemoteProtocolError):
        parse_as_client(seen)


@pytest.mark.parametrize("mode", ENDLESS, ids=lambda mode: mode.name)
async def test_an_endless_answer_goes_on_until_it_is_released_and_ends_incomplete(
    upstream: Upstream, mode: HoldMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    manner = replace(ENDLESS[mode], pause=0.01)
    monkeypatch.setattr("conformance.testbed.upstream.ENDLESS", {mode: manner})
    wanted = manner.start + manner.more * 3
    async with call(upstream) as caller:
        async with upstream.holding(mode) as hold:
            caller.ask()
            assert await upstream.wait_for_requests(hold, 1) == 1
            seen = b""
            while len(seen) < len(wanted):
                seen += await caller.read_for(0.05)
        seen += await caller.read_all()
    assert seen.startswith(wanted)
    with pytest.raises(h11.RemoteProtocolError):
        parse_as_client(seen)
    assert (hold.arrived, hold.given_up) == (1, 0)


def parse_as_client(answer: bytes) -> None:
    """Read an answer to its end. Raises RemoteProtocolError if it has none."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "stub")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(answer)
    parser.receive_data(b"")
    while not isinstance(parser.next_event(), h11.EndOfMessage):
        pass


async def test_an_endless_answer_is_not_piled_up_for_a_client_that_does_not_read(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    more = b" " * 2**20
    manner = EndlessAnswer(b"", more, pause=0.001)
    monkeypatch.setattr("conformance.testbed.upstream.ENDLESS", {HoldMode.GIGABYTES: manner})
    write = asyncio.StreamWriter.write

    def count(writer: asyncio.StreamWriter, data: bytes) -> None:
        if data == more:
            written.append(writer.transport.get_write_buffer_size())
        write(writer, data)

    monkeypatch.setattr(asyncio.StreamWriter, "write", count)
    async with call(upstream) as caller, upstream.holding(HoldMode.GIGABYTES) as hold:
        caller.ask()
        await upstream.wait_for_requests(hold, 1)

        async def is_stuck() -> bool:
            before = len(written)
            await asyncio.sleep(0.05)
            return before == len(written) > 0

        assert await wait_until(is_stuck, LONG)
        assert not any(written)


async def test_a_client_that_gives_an_endless_answer_up_is_counted(upstream: Upstream) -> None:
    async with upstream.holding(HoldMode.DRIPPING_BODY) as hold:
        async with call(upstream) as leaves:
            leaves.ask()
            await upstream.wait_for_requests(hold, 1)

        async def count_given_up() -> int:
            return hold.given_up

        assert await wait_until(count_given_up, LONG) == 1


async def test_the_reply_of_a_held_request_is_the_one_of_its_arrival(upstream: Upstream) -> None:
    async with call(upstream) as caller:
        async with upstream.holding() as hold:
            with upstream.answering(make_reply("at arrival")):
                caller.ask()
                await upstream.wait_for_requests(hold, 1)
        assert parse_body(await caller.read_all()) == b'"at arrival"'


async def test_the_reply_of_an_undecided_request_is_the_one_of_its_release(
    upstream: Upstream,
) -> None:
    async with call(upstream) as caller:
        with upstream.answering(make_reply("at arrival")):
            async with upstream.holding(HoldMode.TRICKLE_HEAD) as hold:
                caller.ask()
                await upstream.wait_for_requests(hold, 1)
                with upstream.answering(make_reply("at release")):
                    upstream.release(hold)
                    assert parse_body(await caller.read_all()) == b'"at release"'


async def test_replies_in_turn_go_to_held_requests_in_the_order_of_their_arrival(
    upstream: Upstream,
) -> None:
    async with call(upstream) as first, call(upstream) as second:
        with upstream.answering(make_reply(1), make_reply(2)):
            async with upstream.holding() as hold:
                first.ask()
                await upstream.wait_for_requests(hold, 1)
                second.ask()
                await upstream.wait_for_requests(hold, 2)
            bodies = [parse_body(await caller.read_all()) for caller in (first, second)]
    assert [json.loads(body) for body in bodies] == [1, 2]


async def test_what_arrives_after_a_release_is_answered_at_once(upstream: Upstream) -> None:
    async with upstream.holding() as hold:
        upstream.release(hold)
        assert parse_body(await ask(upstream)) == b"[]"
    assert hold.arrived == 0


async def test_an_outer_hold_goes_on_after_an_inner_one(upstream: Upstream) -> None:
    async with call(upstream) as first, call(upstream) as second:
        async with upstream.holding() as outer:
            async with upstream.holding() as inner:
                first.ask()
                assert await upstream.wait_for_requests(inner, 1) == 1
            assert parse_body(await first.read_all()) == b"[]"
            second.ask()
            assert await upstream.wait_for_requests(outer, 1) == 1
            assert await second.read_for(0.1) == b""
        assert parse_body(await second.read_all()) == b"[]"
    assert (outer.arrived, inner.arrived) == (1, 1)


async def test_a_client_that_leaves_while_it_is_held_is_counted(upstream: Upstream) -> None:
    async with call(upstream) as stays, call(upstream) as leaves:
        async with upstream.holding() as hold:
            stays.ask()
            leaves.ask()
            assert await upstream.wait_for_requests(hold, 2) == 2
            leaves.leave()

            async def count_given_up() -> int:
                return hold.given_up

            assert await wait_until(count_given_up, LONG) == 1
            assert (hold.most, hold.arrived) == (2, 2)
        assert parse_body(await stays.read_all()) == b"[]"


async def test_those_that_left_do_not_count_among_those_held_at_once(upstream: Upstream) -> None:
    async with upstream.holding() as hold:
        async with call(upstream) as leaves:
            leaves.ask()
            await upstream.wait_for_requests(hold, 1)

        async def count_given_up() -> int:
            return hold.given_up

        await wait_until(count_given_up, LONG)
        async with call(upstream) as stays:
            stays.ask()

            async def count_arrived() -> int:
                return hold.arrived

            assert await wait_until(count_arrived, LONG, lambda seen: seen == 2) == 2
            assert hold.most == 1
            upstream.release(hold)
            await stays.read_all()


async def test_arrivals_are_waited_for_until_one_is_late(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ARRIVAL_DEADLINE", 0.5)
    monkeypatch.setattr(timeouts, "ARRIVAL_OF_EACH", 0.1)
    monkeypatch.setattr(timeouts, "DEADLINE_AFTER_A_MISSED_ONE", 0.2)
    async with upstream.holding() as hold:
        began = time.monotonic()
        assert await upstream.wait_for_requests(hold, 3) == 0
        assert time.monotonic() - began >= 0.8  # the time of each is added to that of the first
        began = time.monotonic()
        assert await upstream.wait_for_requests(hold, 3) == 0
        assert 0.2 <= time.monotonic() - began < 0.8  # less than before, for they were late
        async with call(upstream) as caller:
            caller.ask()
            assert await upstream.wait_for_requests(hold, 1) == 1
            began = time.monotonic()
            assert await upstream.wait_for_requests(hold, 2) == 1
            assert time.monotonic() - began >= 0.5  # as at first, for one was in time
            upstream.release(hold)
            await caller.read_all()


async def test_arrivals_are_not_waited_for_once_a_client_has_left(upstream: Upstream) -> None:
    async with upstream.holding() as hold:
        async with call(upstream) as caller:
            caller.ask()
            await upstream.wait_for_requests(hold, 1)
        began = time.monotonic()
        assert await upstream.wait_for_requests(hold, 2) == 1
        assert time.monotonic() - began < timeouts.ARRIVAL_DEADLINE


# Connections


async def test_a_connection_ends_with_its_answer(upstream: Upstream) -> None:
    assert b"Connection: close\r\n" in await ask(upstream)


async def test_connections_can_be_kept_for_further_requests(upstream: Upstream) -> None:
    with upstream.keeping_alive():
        async with call(upstream) as caller:
            for _ in range(2):
                caller.ask()
                assert b"Connection: keep-alive\r\n" in await caller.read_answer()
            closed = upstream.close_idle()
            assert closed.summary == "the upstream closed 1 idle connections (fault check 1)"
            assert await caller.read_all() == b""
    assert [request.connection for request in upstream.requests] == [1, 1]


async def test_idle_connections_are_closed_when_the_block_ends(upstream: Upstream) -> None:
    async with call(upstream) as caller:
        with upstream.keeping_alive():
            caller.ask()
            await caller.read_answer()
        assert await caller.read_all() == b""
    assert b"Connection: close\r\n" in await ask(upstream)


async def test_a_connection_that_is_in_use_is_not_closed_as_idle(upstream: Upstream) -> None:
    async with call(upstream) as caller:
        with upstream.keeping_alive():
            async with upstream.holding() as hold:
                caller.ask()
                await upstream.wait_for_requests(hold, 1)
                upstream.close_idle()
                upstream.release(hold)
                assert parse_body(await caller.read_answer()) == b"[]"


async def test_it_refuses_connections_and_listens_on_the_same_port_again(
    upstream: Upstream,
) -> None:
    port = upstream.port
    with upstream.refusing(), pytest.raises(ConnectionRefusedError):
        await ask(upstream)
    assert upstream.port == port
    assert parse_body(await ask(upstream)) == b"[]"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be bound twice")
def test_nobody_else_gets_the_port_while_nothing_listens(upstream: Upstream) -> None:
    with (
        upstream.refusing(),
        socket.socket() as other,
        pytest.raises(OSError, match="Address already in use"),
    ):
        other.bind(("127.0.0.1", upstream.port))


@contextmanager
def listening_on(port: int) -> Iterator[socket.socket]:
    """A server of somebody else's, which takes a port that nobody listens on."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other


async def test_it_waits_until_its_port_is_free_again(upstream: Upstream) -> None:
    with listening_on_after(upstream, seconds=0.2):
        pass
    assert parse_body(await ask(upstream)) == b"[]"


async def test_a_listener_that_lives_on_in_a_copy_is_waited_for(upstream: Upstream) -> None:
    assert upstream._server
    copy = upstream._server.sockets[0].dup()  # as a process has it that is just being started
    timer = Timer(0.2, copy.close)
    timer.start()
    with upstream.refusing(), pytest.raises(ConnectionRefusedError):
        await ask(upstream)
    timer.join()
    assert parse_body(await ask(upstream)) == b"[]"


@contextmanager
def listening_on_after(upstream: Upstream, seconds: float) -> Iterator[None]:
    """Have the stub's port taken until some time after it wants to listen again."""
    with ExitStack() as stack, upstream.refusing():
        other = stack.enter_context(listening_on(upstream.port))
        timer = Timer(seconds, other.close)
        timer.start()
        stack.callback(timer.join)
        yield


def test_a_port_that_is_lost_is_no_fault_of_the_target(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:
        lost = r"cannot have port \d+ again .*, which process"
        monkeypatch.setattr(timeouts, "BOOT_DEADLINE", 1.0)
        with pytest.raises(BrokenTestbed, match=lost), upstream.refusing():
            stack.enter_context(listening_on(upstream.port))
        monkeypatch.undo()
        with pytest.raises(BrokenTestbed, match="cannot have port"), upstream.answering():
            pass


async def test_a_flood_of_connections_leaves_room_for_others(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub_module, "MOST_CONNECTIONS", 2)
    async with call(upstream) as first, call(upstream) as second, call(upstream) as third:
        assert await third.read_all() == b""
        for caller in (first, second):
            caller.ask()
            assert parse_body(await caller.read_all()) == b"[]"


async def test_a_flood_of_requests_is_kept_up_to_a_limit(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub_module, "MOST_REQUESTS", 2)
    answers = [await ask(upstream) for _ in range(4)]
    assert [bool(answer) for answer in answers] == [True, True, False, False]
    assert len(upstream.requests) == 2


async def test_the_heads_of_a_flood_are_kept_up_to_a_limit(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub_module, "MOST_HEADS", 5000)
    answers = [await ask(upstream, "/" + "x" * 2000) for _ in range(4)]
    assert [bool(answer) for answer in answers] == [True, True, False, False]


def test_a_port_of_the_callers_that_is_taken_is_wrong_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        upstream = Upstream(Journal(), port)
        sentence = f"--upstream-port must be a free port; {port} is taken ("
        with pytest.raises(WrongUsage, match=f"^{re.escape(sentence)}"):
            upstream.start()
        upstream.stop()


def test_an_inner_block_gives_the_replies_of_the_outer_one_back(upstream: Upstream) -> None:
    with upstream.answering(make_reply("outer 1"), make_reply("outer 2")):
        assert fetch(upstream) == "outer 1"
        with upstream.answering(make_reply("inner")):
            assert fetch(upstream) == "inner"
        assert fetch(upstream) == "outer 2"


def fetch(upstream: Upstream) -> object:
    """The JSON that the upstream answers."""
    return httpx.get(upstream.url, trust_env=False, verify=False).json()  # noqa: S501 - no TLS


async def test_nothing_answers_once_it_is_stopped() -> None:
    upstream = Upstream(Journal())
    upstream.start()
    async with call(upstream) as caller:
        await ask(upstream)  # so that the connection above was taken
        upstream.stop()
        assert await caller.read_all() == b""
    upstream.stop()  # once more, without effect
    with pytest.raises(ConnectionRefusedError):
        await ask(upstream)
