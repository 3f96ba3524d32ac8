"""Probes of section 4: the upstream's document, the calls that fetch it, and the calls that fail."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.client import Client
from conformance.expectations import expect, require
from conformance.run import Run
from conformance.testbed.upstream import Reply, Upstream, compressed, document
from spec import model, strategies
from spec.strategies import AWKWARD_TEXT

POSTS = [
    {"userId": 1, "id": 1, "title": "sunt aut facere", "body": "quia et\nsuscipit"},
    {"userId": 1, "id": 2, "title": "qui est esse", "body": None},
]


@pytest.mark.requirement("UP-1")
@pytest.mark.parametrize("value", [POSTS, {"posts": POSTS, "next": None}], ids=["array", "object"])
async def test_the_answer_is_the_upstreams_json(client: Client, upstream: Upstream, value: object) -> None:
    with upstream.answering(document(value)):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_data(value), *upstream.requests[-1:])


@pytest.mark.requirement("UP-2")
@given(value=strategies.json_values, gzip=st.booleans())
@example(value={"text": AWKWARD_TEXT, "members": {"": None, "nested": [[[{}]]]}, "big": [2**53 + 1, 10**26 + 7]}, gzip=True)
@example(value=AWKWARD_TEXT * 20, gzip=False)
@example(value={}, gzip=False)
@example(value=0, gzip=False)
@example(value=None, gzip=True)
async def test_json_survives_exactly(client: Client, upstream: Upstream, value: object, gzip: bool) -> None:
    reply = document(value)
    with upstream.answering(compressed(reply) if gzip else reply):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_data(json.loads(reply.body)), *upstream.requests[-1:])


@pytest.mark.requirement("UP-3")
async def test_each_request_makes_one_fresh_get_of_the_configured_url(client: Client, upstream: Upstream, run: Run) -> None:
    early = upstream.requests[: run.upstream_requests_at_ready]
    require(not early, "no request to the upstream before one was asked for", f"{len(early)} of them at startup", early[:3])
    before = len(upstream.requests)
    count = 5
    with upstream.answering(*(document({"nonce": number}) for number in range(count))):
        exchanges = await client.in_turn(["/external-data"] * count)
    made = upstream.requests[before:]
    require(len(made) == count, f"{count} requests to the upstream for {count} requests", f"{len(made)} of them", [*exchanges, *made])
    for number, (exchange, request) in enumerate(zip(exchanges, made, strict=True)):
        expect(exchange, model.external_data({"nonce": number}), request)
        got = f"{request.method} {request.target}"
        require(got == f"GET {upstream.target}", f"GET {upstream.target}", got, [exchange, request])


@pytest.mark.requirement("UP-3")
@pytest.mark.parametrize("status", [500, 503])
async def test_a_call_that_fails_is_not_made_again(client: Client, upstream: Upstream, status: int) -> None:
    before = len(upstream.requests)
    with upstream.answering(Reply(status=status, body=b'{"error": "once"}')):
        exchange = await client.get("/external-data")
    made = upstream.requests[before:]
    require(len(made) == 1, "1 request to the upstream for 1 request", f"{len(made)} of them", [exchange, *made])


@dataclass(frozen=True)
class Fault:
    """A way in which the upstream fails once."""

    name: str
    reply: Reply | None  # None: nothing listens

    def held(self, upstream: Upstream) -> AbstractContextManager[None]:
        """The upstream fails in this way while the block lasts."""
        return upstream.answering(self.reply) if self.reply else upstream.refusing()


GZIP = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
FAULTS = [
    Fault("an error with a JSON body", Reply(status=500, body=b'{"error": "internal"}')),
    Fault("an error with an HTML body", Reply(status=404, body=b"<h1>Not found</h1>", headers=(("Content-Type", "text/html"),))),
    Fault("a body that is no JSON", Reply(body=b"<html>maintenance</html>")),
    Fault("an empty body", Reply(body=b"")),
    Fault("no content", Reply(status=204, body=b"", headers=())),
    Fault("a body cut off", Reply(body=b'{"complete": false}', cut=7)),
    Fault("a head and no body", Reply(body=b'{"complete": false}', cut=0)),
    Fault("a connection closed without an answer", Reply(cut=-1)),
    Fault("a body that is no gzip", Reply(body=b"not compressed", headers=GZIP)),
    Fault("a connection refused", None),
]


@pytest.mark.requirement("UP-4")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
async def test_a_failed_call_harms_no_later_one(client: Client, upstream: Upstream, fault: Fault) -> None:
    with fault.held(upstream):
        failed = await client.get("/external-data")
    with upstream.answering(document({"after": fault.name})):
        exchange = await client.get("/external-data")
    expect(exchange, model.external_data({"after": fault.name}), failed)
