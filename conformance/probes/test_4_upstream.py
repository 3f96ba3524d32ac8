"""Probes of section 4: the upstream's document, calls that fetch it, and calls that fail."""

import codecs
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.client.http import Client
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange
from conformance.judging.assertions import (
    expect,
    expect_status,
    parse_body,
    require,
    require_situation,
)
from conformance.scenarios.capacity import CallCapacity
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.upstream_unresponsive import UpstreamUnresponsive, watch_calls
from conformance.spec import model, strategies
from conformance.spec.strategies import AWKWARD_TEXT
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.testbed.upstream import Upstream
from conformance.testbed.upstream_replies import TARGET, Reply, compress_reply, make_reply

POSTS = [
    {"userId": 1, "id": 1, "title": "sunt aut facere", "body": "quia et\nsuscipit"},
    {"userId": 1, "id": 2, "title": "qui est esse", "body": None},
]


@pytest.mark.requirement("UP-1")
@pytest.mark.parametrize("value", [POSTS, {"posts": POSTS, "next": None}], ids=["array", "object"])
async def test_the_answer_is_the_upstreams_json(
    client: Client, upstream: Upstream, value: object
) -> None:
    with upstream.answering(make_reply(value)):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_answer(value), *upstream.requests[-1:])


PLAIN, GZIPPED, IN_CHUNKS = "plain", "gzip", "chunks of 5 bytes, which part characters"


@pytest.mark.requirement("UP-2")
@given(value=strategies.json_values, sent=st.sampled_from((PLAIN, GZIPPED, IN_CHUNKS)))
@example(
    value={
        "text": AWKWARD_TEXT,
        "members": {"": None, "nested": [[[{}]]]},
        "big": [2**53 + 1, 10**26 + 7],
    },
    sent=GZIPPED,
)
@example(value=AWKWARD_TEXT * 20, sent=PLAIN)
@example(value=AWKWARD_TEXT, sent=IN_CHUNKS)
@example(value=10**999 + 7, sent=PLAIN)
@example(value={}, sent=PLAIN)
@example(value=0, sent=PLAIN)
@example(value=None, sent=GZIPPED)
@example(value=list(range(20_000)), sent=GZIPPED)  # larger than what is read or opened at a time
@example(value=["x" * 100_000], sent=PLAIN)
async def test_json_survives_exactly(
    client: Client, upstream: Upstream, value: object, sent: str
) -> None:
    reply = make_reply(value)
    replies = {
        PLAIN: reply,
        GZIPPED: compress_reply(reply),
        IN_CHUNKS: replace(reply, chunk=5),
    }
    with upstream.answering(replies[sent]):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_answer(json.loads(reply.body)), *upstream.requests[-1:])


# What permits a cache to keep an answer (RFC 9111). The service is none.
CACHEABLE = (
    ("Cache-Control", "public, max-age=3600"),
    ("Expires", "Thu, 31 Dec 2099 23:59:59 GMT"),
    ("ETag", '"the-same"'),
    ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
)


@pytest.mark.requirement("UP-3")
async def test_each_request_makes_one_fresh_get_of_the_configured_url(
    client: Client, upstream: Upstream, early_upstream_requests: int
) -> None:
    early = upstream.requests[:early_upstream_requests]
    require(
        not early,
        "no request to the upstream before one was asked for",
        f"{len(early)} of them at startup",
        early[:3],
    )
    await expect_fresh_calls(client, upstream, ())


@pytest.mark.requirement("UP-3")
@pytest.mark.stage("SCENARIOS")  # late, for what a cache has kept would be answered for a while
async def test_each_call_is_fresh_where_the_upstream_permits_a_cache(
    client: Client, upstream: Upstream
) -> None:
    await expect_fresh_calls(client, upstream, CACHEABLE)


async def expect_fresh_calls(
    client: Client, upstream: Upstream, more: tuple[tuple[str, str], ...]
) -> None:
    """Expect each of five requests to make one call, and to be answered by it.

    `more` are further headers of the upstream's answers.
    """
    before = len(upstream.requests)
    count = 5
    replies = [make_reply({"nonce": number}) for number in range(count)]
    with upstream.answering(*(replace(each, headers=each.headers + more) for each in replies)):
        exchanges = await client.get_in_turn(["/external-data"] * count)
    made = upstream.requests[before:]
    require(
        len(made) == count,
        f"{count} requests to the upstream for {count} requests",
        f"{len(made)} of them",
        [*exchanges, *made],
    )
    for number, (exchange, request) in enumerate(zip(exchanges, made, strict=True)):
        expect(exchange, model.external_answer({"nonce": number}), request)
        got = f"{request.method} {request.target}"
        require(got == f"GET {TARGET}", f"GET {TARGET}", got, [exchange, request])


@dataclass(frozen=True)
class Fault:
    """A way in which the upstream fails once."""

    name: str
    reply: Reply | None  # None: nothing listens

    @property
    def is_no_json(self) -> bool:
        """Whether it is a success, or nothing, in place of a document."""
        return self.reply is not None and (self.reply.status < 300 or self.breaks_off)

    @property
    def breaks_off(self) -> bool:
        """Whether the connection is closed before the end of an answer."""
        return self.reply is not None and self.reply.cut is not None

    def held(self, upstream: Upstream) -> AbstractContextManager[None]:
        """The upstream fails in this way while the block lasts."""
        return upstream.answering(self.reply) if self.reply else upstream.refusing()


GZIP = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
FAULTS = [
    Fault("an error with a JSON body", Reply(status=500, body=b'{"error": "internal"}')),
    Fault("an error that passes", Reply(status=503, body=b'{"error": "try again"}')),
    Fault(
        "an error with an HTML body",
        Reply(status=404, body=b"<h1>Not found</h1>", headers=(("Content-Type", "text/html"),)),
    ),
    Fault("a body that is no JSON", Reply(body=b"<html>maintenance</html>")),
    Fault("an empty body", Reply(body=b"")),
    Fault("no content", Reply(status=204, body=b"", headers=())),
    Fault("a body cut off", Reply(body=b'{"complete": false}', cut=7)),
    Fault("a number cut off, which is one still", Reply(body=b"123456", cut=3)),
    Fault("a head and no body", Reply(body=b'{"complete": false}', cut=0)),
    Fault("a connection closed without an answer", Reply(cut=-1)),
    Fault("a connection reset without an answer", Reply(cut=-1, is_reset=True)),
    Fault("a body that is no gzip", Reply(body=b"not compressed", headers=GZIP)),
    Fault("a connection refused", None),
]


@pytest.mark.requirement("UP-3")
@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if fault.reply and fault.reply.cut != -1],
    ids=lambda fault: fault.name.replace(" ", "-"),
)
async def test_a_call_that_fails_is_not_made_again(
    client: Client, upstream: Upstream, fault: Fault
) -> None:
    before = len(upstream.requests)
    with fault.held(upstream):
        exchange = await client.get("/external-data")
    made = upstream.requests[before:]
    require(
        len(made) == 1,
        f"1 request to the upstream for 1 request, where it sends {fault.name}",
        f"{len(made)} of them",
        [exchange, *made],
    )


@pytest.mark.requirement("UP-4")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_failed_call_harms_no_later_one(
    client: Client, upstream: Upstream, fault: Fault
) -> None:
    with fault.held(upstream):
        failed = await client.get("/external-data")
    await expect_fresh_call(client, upstream, {"after": fault.name}, failed)


@pytest.mark.requirement("UP-4")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, body=b'{"error": "internal"}'),
        Reply(status=404, body=b'{"error": "not found"}'),
        Reply(cut=7, body=b'{"complete": false}'),
    ],
    ids=["500", "404", "cut-off"],
)
async def test_many_failed_calls_harm_no_later_one(
    client: Client, upstream: Upstream, reply: Reply
) -> None:
    with upstream.answering(reply):
        failed = await client.get_in_turn(["/external-data"] * timeouts.FAILED_CALLS)
    await expect_fresh_call(client, upstream, {"after": len(failed)}, *failed[-1:])


async def expect_fresh_call(
    client: Client, upstream: Upstream, document: dict[str, Any], *failed: Exchange
) -> None:
    """Expect the upstream's document after calls that failed.

    Raises NoEvidence where answers are those of earlier calls even if none has failed.
    """
    with upstream.answering(make_reply(document)):
        exchange = await client.get("/external-data")
    try:
        expect(exchange, model.external_answer(document), *failed)
    except Violation:
        if exchange.status == 200:
            await require_fresh_calls(client, upstream)
        raise


async def require_fresh_calls(client: Client, upstream: Upstream) -> None:
    """Raise NoEvidence where two calls have the same answer to different documents."""
    documents = [{"call": number} for number in range(2)]
    with upstream.answering(*map(make_reply, documents)):
        first, second = await client.get_in_turn(["/external-data"] * len(documents))
    require_situation(
        not (first.answered and second.answered and first.body == second.body),
        "it answers with an earlier document even where no call has failed (UP-3): "
        + second.summary,
    )


GATEWAY = (502, 503, 504)


@pytest.mark.requirement("UP-5")
async def test_an_unreachable_upstream_is_502_503_or_504(
    client: Client, upstream: Upstream
) -> None:
    with upstream.refusing():
        exchange = await client.get("/external-data")
    wanted = "502, 503 or 504 with a JSON body while nothing listens at the upstream's address"
    expect_status(exchange, GATEWAY, wanted)
    parse_body(exchange, wanted)


@pytest.mark.requirement("UP-6")
@pytest.mark.stage("SCENARIOS")
async def test_an_upstream_that_never_ends_its_answer_is_502_503_or_504_in_bounded_time(
    client: Client,
    upstream: Upstream,
    target: Target,
    lifecycle: LifecycleObserver,
    capabilities: Capabilities,
) -> None:
    if capabilities.starts_target:
        seen = (await lifecycle.observe(UpstreamUnresponsive)).calls
    else:
        seen = await watch_calls(CallCapacity(client, upstream, target))
    if seen is None:
        raise NoEvidence("no outbound call arrived at the upstream")
    made = [request for call in seen.calls for request in call.made]
    for again in seen.meanwhile:
        if again.asked.alone.answered:
            again.expect_same("while outbound calls have no answer", made)
    limit = f"within {timeouts.GIVE_UP_DEADLINE:.0f} s"
    for call in seen.calls:
        wanted = f"502, 503 or 504 {limit} where the upstream {call.manner}"
        expect_status(call.answer, GATEWAY, wanted, *call.made)
    given_up = [call.answer for call in seen.calls]
    expect_status(seen.afterwards, (200,), "200 once the upstream answers again", *given_up)
    if seen.lost:
        raise seen.lost
    for again in seen.meanwhile:
        again.asked.require_answer()
    require_situation(
        not seen.missing, f"no call arrived for an upstream that {' or '.join(seen.missing[:1])}"
    )


@pytest.mark.requirement("UP-7")
async def test_an_upstreams_error_is_never_relayed_as_success(
    client: Client, upstream: Upstream
) -> None:
    with upstream.answering(make_reply(POSTS)):  # an error must not bring this back
        await client.get("/external-data")
    unasked = []
    for status in (status for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST):
        before = len(upstream.requests)
        with upstream.answering(Reply(status=status, body=b'{"error": "the upstream says no"}')):
            exchange = await client.get("/external-data")
        made = upstream.requests[before:]
        expect_status(
            exchange,
            [*range(100, 200), *range(300, 600)],
            f"any answer but 2xx where the upstream answers {status}",
            *made,
        )
        unasked += [] if made else [exchange]
    require_situation(
        not unasked,
        "no outbound call was made that an error could answer: "
        f"{unasked[0].summary if unasked else ''}",
    )


@pytest.mark.requirement("UP-8")
@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if fault.is_no_json],
    ids=lambda fault: fault.name.replace(" ", "-"),
)
async def test_an_answer_that_is_no_json_or_breaks_off_is_a_gateways_error(
    client: Client, upstream: Upstream, fault: Fault
) -> None:
    before = len(upstream.requests)
    with fault.held(upstream):
        exchange = await client.get("/external-data")
    made = upstream.requests[before:]
    require_situation(bool(made), f"no outbound call was made: {exchange.summary}")
    statuses, wanted = (GATEWAY, "502, 503 or 504") if fault.breaks_off else ((502,), "502")
    expect_status(exchange, statuses, f"{wanted} where the upstream sends {fault.name}", *made)


@pytest.mark.requirement("UP-9")
async def test_a_silently_closed_kept_alive_connection_is_survived(
    client: Client, upstream: Upstream
) -> None:
    paths = ["/external-data"] * 5
    with upstream.keeping_alive(), upstream.answering(make_reply(POSTS)):
        await client.get_all(*paths)
        closed = upstream.close_idle()
        exchanges = await client.get_all(*paths)
    for exchange in exchanges:
        expect(exchange, model.external_answer(POSTS), closed)


@pytest.mark.requirement("UP-10")
async def test_the_clients_credentials_are_not_passed_on(
    client: Client, upstream: Upstream
) -> None:
    secret = "c2VjcmV0OnNlY3JldA"  # noqa: S105 - of nobody
    before = len(upstream.requests)
    exchange = await client.get(
        "/external-data", (("Authorization", f"Basic {secret}"), ("Cookie", f"session={secret}"))
    )
    await client.get("/external-data")  # somebody else's
    made = upstream.requests[before:]
    require_situation(bool(made), f"no outbound call was made: {exchange.summary}")
    parts = [part for request in made for part in (("the URL", request.target), *request.headers)]
    carried = [name for name, value in parts if secret in value]
    require(
        not carried,
        "an outbound call without the client's credentials",
        f"{' and '.join(carried)} in it",
        [exchange, *made],
    )


@pytest.mark.requirement("UP-11")
async def test_redirects(client: Client, upstream: Upstream, observe: Callable[..., None]) -> None:
    before = len(upstream.requests)
    with upstream.answering(
        Reply(status=302, body=b"", headers=(("Location", "/elsewhere"),)), make_reply(POSTS)
    ):
        exchange = await client.get("/external-data")
    followed = any(request.target == "/elsewhere" for request in upstream.requests[before:])
    observe(
        f"a redirect is {'followed' if followed else 'not followed'}, "
        f"and answered {exchange.status}",
        exchange,
    )


@pytest.mark.requirement("UP-11")
async def test_connections_that_are_used_again(
    client: Client, upstream: Upstream, observe: Callable[..., None]
) -> None:
    before = len(upstream.requests)
    with upstream.keeping_alive():
        await client.get_in_turn(["/external-data"] * 3)
    made = upstream.requests[before:]
    observe(
        f"{len(made)} outbound calls in turn took "
        f"{len({request.connection for request in made})} connections",
        *made,
    )


@pytest.mark.requirement("UP-12")
@pytest.mark.parametrize("status", [200, 503])
async def test_an_upstreams_cookie_is_sent_with_no_other_call(
    client: Client, upstream: Upstream, status: int
) -> None:
    value = f"dXBzdHJlYW0-{status}"
    cookie = ("Set-Cookie", f"session={value}; Path=/; Max-Age=600")
    with upstream.answering(Reply(status=status, headers=(*Reply().headers, cookie))):
        await client.get("/external-data")
    before = len(upstream.requests)
    exchanges = await client.get_all(*["/external-data"] * 3)  # somebody else's
    made = upstream.requests[before:]
    require_situation(bool(made), f"no outbound call was made: {exchanges[0].summary}")
    carried = [request for request in made if any(value in sent for _, sent in request.headers)]
    require(
        not carried,
        "a later call without the cookie that the upstream set in an earlier answer",
        f"it in {len(carried)} of {len(made)} calls",
        [*exchanges[:1], *carried[:1]],
    )


LABELS = [
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/problem+json",
    "application/vnd.api+json",
    "text/plain",
    "text/plain; charset=utf-8",
    None,
]


@pytest.mark.requirement("UP-13")
@pytest.mark.parametrize("label", LABELS)
async def test_json_counts_whatever_its_media_type(
    client: Client, upstream: Upstream, label: str | None
) -> None:
    value = {"label": label or "none", "text": "déjà vu, 你好, 🦊"}
    headers = (("Content-Type", label),) if label else ()
    with upstream.answering(replace(make_reply(value), headers=headers)):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_answer(value), *upstream.requests[-1:])


@pytest.mark.requirement("UP-13")
async def test_a_byte_order_mark_is_removed_or_refused(client: Client, upstream: Upstream) -> None:
    reply = make_reply(POSTS)
    with upstream.answering(replace(reply, body=codecs.BOM_UTF8 + reply.body)):
        exchange = await client.get("/external-data")
    made = upstream.requests[-1:]
    if exchange.status != HTTPStatus.BAD_GATEWAY:
        expect(exchange, model.external_answer(POSTS), *made)
