"""Probes of section 2: messages, media type, independence, and a process that outlives requests."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from conformance.client.http import JSON, Client, RequestSpec
from conformance.core import timeouts
from conformance.core.evidence import Exchange
from conformance.core.urls import find_port, make_tls_context
from conformance.judging.assertions import (
    expect,
    expect_same,
    expect_status,
    raise_blocked,
    require,
    require_situation,
)
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.spec import model
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.database import Database
from conformance.testbed.process_output import STARTING, find_lines_saying
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_replies import Reply

INVALID_ID = "/items/abc"
ABSENT_ITEM = "/items/654321"  # the suite has no row there
SUCCESS = range(200, 300)
# What browsers accept.
BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

# Whether the endpoint of a path is a coroutine function.
COROUTINES = {
    "/sync": False,
    "/async": True,
    "/items/{item_id}": True,
    "/external-data": True,
    "/process-data/": True,
}


@pytest.mark.requirement("END-1")
async def test_sync_answers_its_message_exactly(client: Client) -> None:
    expect(await client.get("/sync"), model.sync_answer())


@pytest.mark.requirement("END-2")
async def test_async_answers_its_message_exactly(client: Client) -> None:
    expect(await client.get("/async"), model.async_answer())


@pytest.mark.requirement("END-3")
@pytest.mark.parametrize(
    "path",
    ["/sync", "/async", "/items/", ABSENT_ITEM, INVALID_ID, "/external-data", "/process-data/"],
)
async def test_answers_are_application_json(
    client: Client, capabilities: Capabilities, path: str
) -> None:
    exchange = await (client.post(path, {}) if path == "/process-data/" else client.get(path))
    is_error = path in (INVALID_ID, ABSENT_ITEM)
    succeeds = exchange.status in SUCCESS or is_error or not capabilities.stops_target
    require_situation(succeeds, f"there is no success to look at: {exchange.summary}")
    expect_json(exchange)


@pytest.mark.requirement("END-3")
@pytest.mark.parametrize(
    "path",
    ["/sync", "/async", "/items/", ABSENT_ITEM, INVALID_ID, "/external-data", "/process-data/"],
)
async def test_a_browser_gets_the_same(client: Client, path: str) -> None:
    wanted = (
        RequestSpec("POST", path, b"{}", JSON)
        if path == "/process-data/"
        else RequestSpec("GET", path)
    )
    usual = await client.send(wanted)
    exchange = await client.send(replace(wanted, headers=(("Accept", BROWSERS),)))
    expect_json(exchange)
    if usual.status in SUCCESS:
        expect_status(
            exchange, SUCCESS, f"a success, as without the header Accept: {BROWSERS}", usual
        )


@pytest.mark.requirement("END-3")
async def test_an_existing_item_is_application_json(client: Client, items: Database | None) -> None:
    if items:  # else `/items/1` above, whatever it is
        expect_json(await client.get(f"/items/{(await items.rows.insert())['id']}"))


@pytest.mark.requirement("END-3")
async def test_the_upstreams_media_type_is_not_relayed(
    client: Client, upstream: Upstream | None
) -> None:
    if upstream:  # else `/external-data` above, whatever its upstream says
        with upstream.answering(Reply(body=b"[1]", headers=(("Content-Type", "text/plain"),))):
            expect_json(await client.get("/external-data"))


def expect_json(exchange: Exchange) -> None:
    """Expect the media type of JSON of a success, or of the rejection of an id."""
    if exchange.status in SUCCESS or exchange.target == INVALID_ID:
        require(
            exchange.media_type == "application/json",
            "the media type application/json",
            repr(exchange.media_type),
            [exchange],
        )


@pytest.mark.requirement("END-4")
async def test_answers_depend_on_nothing_that_went_before(
    client: Client, items: Database | None
) -> None:
    item = f"/items/{(await items.rows.insert())['id']}" if items else ABSENT_ITEM
    paths = [
        path
        for number in range(10)
        for path in (
            *("/sync", "/async", f"/items/?q={number}", INVALID_ID),
            item if number % 2 else "/items/",
        )
    ]
    alone = {path: await client.get(path) for path in dict.fromkeys(paths)}
    at_once = await client.get_all(*paths)
    back = paths[::-1]
    on_one_connection = await client.get_in_turn(paths + back)
    for path, exchange in zip(paths * 2 + back, at_once + on_one_connection, strict=True):
        expect_same(exchange, alone[path])


async def _an_id_that_is_no_integer(client: Client, _: object) -> None:
    await client.get(INVALID_ID)


async def _an_id_beyond_every_integer(client: Client, _: object) -> None:
    await client.get("/items/" + "9" * 400)


async def _an_id_below_every_integer(client: Client, _: object) -> None:
    await client.get("/items/-" + "9" * 400)


async def _a_body_that_is_no_object(client: Client, _: object) -> None:
    await client.post("/process-data/", [1])


async def _a_body_that_is_no_json(client: Client, _: object) -> None:
    await client.post_bytes("/process-data/", b'{"a": \xff')


async def _a_path_that_is_not_there(client: Client, _: object) -> None:
    await client.get("/nowhere")


async def _a_head_of_20_kb(client: Client, _: object) -> None:
    text = "a" * 20_000
    await client.get(f"/items/{text}")
    await client.get("/async", (("X-Long", text),))


async def _bytes_that_are_no_http(client: Client, _: object) -> None:
    with suppress(
        OSError, TimeoutError
    ):  # whatever the target makes of it, what counts is that it goes on
        reader, writer = await asyncio.open_connection(
            urlsplit(client.url).hostname,
            find_port(client.url),
            ssl=make_tls_context(client.url),
        )
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        if writer.can_write_eof():  # TLS cannot
            writer.write_eof()
        await asyncio.wait_for(reader.read(timeouts.BODY_LIMIT), timeouts.HANG_UP_DEADLINE)
        writer.close()


async def _an_upstream_that_answers_an_error(client: Client, upstream: Upstream) -> None:
    with upstream.answering(Reply(status=500, body=b'{"error": true}')):
        await client.get("/external-data")


async def _an_upstream_that_answers_no_json(client: Client, upstream: Upstream) -> None:
    with upstream.answering(Reply(body=b"<html>")):
        await client.get("/external-data")


async def _an_upstream_that_answers_no_gzip(client: Client, upstream: Upstream) -> None:
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    with upstream.answering(Reply(body=b"not compressed", headers=headers)):
        await client.get("/external-data")


async def _an_upstream_that_hangs_up(client: Client, upstream: Upstream) -> None:
    with upstream.answering(Reply(cut=-1)):
        await client.get("/external-data")


async def _an_upstream_that_is_not_there(client: Client, upstream: Upstream) -> None:
    with upstream.refusing():
        await client.get("/external-data")


FAULTS_OF_THE_UPSTREAM = [
    _an_upstream_that_answers_an_error,
    _an_upstream_that_answers_no_json,
    _an_upstream_that_answers_no_gzip,
    _an_upstream_that_hangs_up,
    _an_upstream_that_is_not_there,
]
FAULTS_OF_A_REQUEST = [
    _an_id_that_is_no_integer,
    _an_id_beyond_every_integer,
    _an_id_below_every_integer,
    _a_body_that_is_no_object,
    _a_body_that_is_no_json,
    _a_path_that_is_not_there,
    _a_head_of_20_kb,
    _bytes_that_are_no_http,
]
FAULTS = [*FAULTS_OF_A_REQUEST, *FAULTS_OF_THE_UPSTREAM]


SAME_AFTER_A_FAULT = ("/sync", "/async", "/items/?q=a", INVALID_ID)


@pytest.mark.requirement("END-4")
async def test_answers_are_the_same_after_requests_that_failed(
    client: Client, upstream: Upstream | None
) -> None:
    alone = [await client.get(path) for path in SAME_AFTER_A_FAULT]

    async def expect_same_again() -> None:
        for path, before in zip(SAME_AFTER_A_FAULT, alone, strict=True):
            expect_same(await client.get(path), before)

    for fault in FAULTS_OF_A_REQUEST:
        await fault(client, None)
        await expect_same_again()
    if upstream:
        for upstreams_fault in FAULTS_OF_THE_UPSTREAM:
            await upstreams_fault(client, upstream)
            await expect_same_again()


@pytest.mark.requirement("END-5")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
async def test_no_fault_of_a_request_ends_the_process(
    client: Client,
    upstream: Upstream,
    target: Target,
    fault: Callable[[Client, Upstream], Awaitable[None]],
) -> None:
    target.note_family()
    lines_before = len(find_lines_saying(STARTING, target.process.read_output()))
    await fault(client, upstream)
    async with client.in_flight() as send:  # it is sent whatever became of the request before
        (asked,) = send("/async")
        exchange = await asked.wait_for_answer()
    what = fault.__name__.strip("_").replace("_", " ")
    ended = target.process.wait_for_end(0.0 if exchange.answered else timeouts.DEATH_DEADLINE)
    require(
        ended is None,
        f"the process to run on after {what}",
        f"it ended with status {ended}",
        [exchange, *target.process.read_output()[-4:]],
    )
    wanted = f"the process to answer /async with 200 after {what}"
    if not exchange.answered:
        stack = await asyncio.to_thread(target.find_blocking_line)
        raise_blocked(wanted, f"it runs on: {exchange.outcome}", [exchange], stack)
    again = find_lines_saying(STARTING, target.process.read_output())[lines_before:]
    replaced = target.find_replaced()
    require(
        not again and not replaced,
        f"the same process to serve after {what}",
        f"another, for {replaced or 'the service'} ended behind the process that was started",
        [*again, exchange],
    )
    expect_status(exchange, (200,), wanted)


@pytest.mark.requirement("END-6")
async def test_sync_is_a_plain_function_and_what_does_io_a_coroutine_function(
    lifecycle: LifecycleObserver,
) -> None:
    seen = await lifecycle.read_routes()
    for path, coroutine in COROUTINES.items():
        wanted = f"{'a coroutine' if coroutine else 'a plain'} function for {path}"
        routed = seen.find_routes(path)
        require(bool(routed), wanted, "no such route", [seen])
        other = [route for route in routed if route.coroutine is not coroutine]
        kind = "a plain" if coroutine else "a coroutine"
        got = f"{kind} function, {other[0].endpoint if other else ''}"
        require(not other, wanted, got, [seen])
