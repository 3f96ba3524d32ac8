"""The upstream stub: replies in turn, requests that are held, and connections that are refused."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_hold import HoldMode
from conformance.testbed.upstream_replies import Reply, make_reply


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    stub = Upstream(Journal())
    stub.start()
    yield stub
    stub.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as opened:  # noqa: S501 - no TLS
        yield opened


def fetch(upstream: Upstream) -> object:
    """The JSON that the upstream answers."""
    return httpx.get(upstream.url, trust_env=False).json()


def test_replies_come_in_turn_and_the_last_one_stays(upstream: Upstream) -> None:
    with upstream.answering(make_reply(1), make_reply(2)):
        assert [fetch(upstream) for _ in range(3)] == [1, 2, 2]
    assert fetch(upstream) == []


def test_an_inner_block_gives_the_replies_of_the_outer_one_back(upstream: Upstream) -> None:
    with upstream.answering(make_reply("outer 1"), make_reply("outer 2")):
        assert fetch(upstream) == "outer 1"
        with upstream.answering(make_reply("inner")):
            assert fetch(upstream) == "inner"
        assert fetch(upstream) == "outer 2"


async def test_requests_are_held_until_the_block_ends(
    upstream: Upstream, client: httpx.AsyncClient
) -> None:
    async with upstream.holding() as hold:
        calls = [asyncio.create_task(client.get(upstream.url)) for _ in range(3)]
        assert await upstream.wait_for_requests(hold, 3) == 3
        assert not any(call.done() for call in calls)
    assert [(await call).json() for call in calls] == [[], [], []]


async def test_a_wait_that_timed_out_makes_the_next_one_shorter(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "ARRIVAL_DEADLINE", 0.2)
    monkeypatch.setattr(timeouts, "ARRIVAL_OF_EACH", 0.0)
    monkeypatch.setattr(timeouts, "DEADLINE_AFTER_A_MISSED_ONE", 0.01)
    clock = asyncio.get_running_loop().time
    async with upstream.holding() as hold:
        began = clock()
        assert await upstream.wait_for_requests(hold, 1) == 0
        first, began = clock() - began, clock()
        assert await upstream.wait_for_requests(hold, 1) == 0
        assert clock() - began < 0.2 <= first


async def test_a_client_that_gives_up_ends_the_wait(
    upstream: Upstream, client: httpx.AsyncClient
) -> None:
    async with upstream.holding(HoldMode.SILENT) as hold:
        call = asyncio.create_task(client.get(upstream.url, timeout=0.2))
        assert await upstream.wait_for_requests(hold, 2) == 1
        with pytest.raises(httpx.ReadTimeout):
            await call
    assert hold.given_up == 1


async def test_a_truncated_answer_has_all_but_its_last_byte(upstream: Upstream) -> None:
    async with upstream.holding(HoldMode.TRUNCATED) as hold:
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: upstream\r\n\r\n")
        whole = Reply().encode()
        assert await reader.readexactly(len(whole) - 1) == whole[:-1]
        assert hold.arrived == 1
    assert await reader.read() == whole[-1:]
    writer.close()


def test_nothing_listens_while_connections_are_refused(upstream: Upstream) -> None:
    with upstream.refusing(), pytest.raises(httpx.ConnectError):
        fetch(upstream)
    assert fetch(upstream) == []


def test_a_port_that_is_taken_is_wrong_usage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stub = Upstream(Journal(), port)
        sentence = f"--upstream-port must be a free port; {port} is taken ("
        with pytest.raises(WrongUsage, match=f"^{re.escape(sentence)}"):
            stub.start()
        stub.stop()
