"""Probes of section 6: what becomes of `q`."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from conformance.client.http import Client
from conformance.judging.assertions import expect, expect_same, expect_status, require
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.spec import model, strategies
from conformance.spec.strategies import AWKWARD_TEXT
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database

READS = 15  # held meanwhile, more than a pool of 10


@pytest.mark.requirement("DEP-1")
async def test_without_q_the_answer_is_null(client: Client) -> None:
    expect(await client.get("/items/"), model.listing_answer(None))


@pytest.mark.requirement("DEP-2")
@given(q=strategies.query_texts, plus=st.booleans())
@example(q="long " * 200, plus=True)
@example(q="x" * 6000, plus=False)  # RFC 9110, 4.1: at least 8000 octets of a URL
@example(q="\ufeffbegins with a byte order mark", plus=False)
@example(q=AWKWARD_TEXT + "+&=%26\x00", plus=False)
async def test_q_is_echoed_exactly(client: Client, q: str, plus: bool) -> None:
    assume(q)  # what becomes of an empty one is DEP-3's to say
    encoded = quote_plus(q, safe="") if plus else quote(q, safe="")
    expect(await client.get(f"/items/?q={encoded}"), model.listing_answer(q))


@pytest.mark.requirement("DEP-3")
@pytest.mark.parametrize("query", ["q=", "q"])
async def test_an_empty_q_is_the_empty_string(client: Client, query: str) -> None:
    expect(await client.get(f"/items/?{query}"), model.listing_answer(""))


@pytest.mark.requirement("DEP-4")
@pytest.mark.parametrize(
    "text", ["null", "None", "1", "1.0", "01", "true", "false", "[]", "{}", "NaN", '"q"']
)
async def test_q_is_never_coerced(client: Client, text: str) -> None:
    expect(await client.get(f"/items/?q={quote(text)}"), model.listing_answer(text))


@pytest.mark.requirement("DEP-4")
@pytest.mark.parametrize(
    ("query", "same"),
    [("Q=upper", ""), ("p=1&limit=x", ""), ("p=1&q=a&Q=b", "q=a"), ("qq=1", ""), ("q[]=1", "")],
)
async def test_other_parameters_are_ignored(client: Client, query: str, same: str) -> None:
    expect_same(await client.get(f"/items/?{query}"), await client.get(f"/items/?{same}"))


@pytest.mark.requirement("DEP-5")
async def test_the_two_paths_do_not_shadow_each_other(
    client: Client, items: Database | None
) -> None:
    expect(await client.get("/items/?q=x"), model.listing_answer("x"))
    expect_status(await client.get("/items/abc?q=x"), (422,), "422, for 'abc' is no id of an item")
    if items:  # else no id is known to have a row
        row = await items.rows.insert()
        for query in ("q=x", f"item_id={row['id'] + 1}", f"id={row['id'] + 1}"):
            expect(await client.get(f"/items/{row['id']}?{query}"), model.item_answer(row))


@pytest.mark.requirement("DEP-6")
@pytest.mark.parametrize("more", ["", "x" * 500], ids=["short", "long"])
async def test_requests_at_once_do_not_see_each_others_q(client: Client, more: str) -> None:
    texts = [f"caller-{number}{more}" for number in range(50)]
    for text, exchange in zip(
        texts, await client.get_all(*(f"/items/?q={text}" for text in texts)), strict=True
    ):
        expect(exchange, model.listing_answer(text))


@pytest.mark.requirement("DEP-7")
@pytest.mark.parametrize(
    "texts", [("a", "b"), ("b", "a"), ("a", "c", "b"), ("a", "")], ids=",".join
)
async def test_of_repeated_q_the_last_wins(client: Client, texts: tuple[str, ...]) -> None:
    expect(
        await client.get("/items/?" + "&".join(f"q={text}" for text in texts)),
        model.listing_answer(texts[-1]),
    )


@pytest.mark.requirement("DEP-8")
@pytest.mark.injects_fault
async def test_the_dependency_needs_neither_database_nor_broker(
    client: Client, items: Database, queue: Broker
) -> None:
    async with (
        client.in_flight() as send,
        items.locks.table_locked(),
        queue.faults.writes_stalled() as fact,
    ):
        send(*(f"/items/{items.rows.pick_unused_id()}" for _ in range(READS)))
        await items.locks.wait_for_reads(2)
        exchanges = [
            (await client.get("/items/"), None),
            (await client.get("/items/?q=alone"), "alone"),
        ]
    for exchange, q in exchanges:
        expect(exchange, model.listing_answer(q), fact)


@pytest.mark.requirement("DEP-9")
async def test_the_dependency_is_a_coroutine_function_given_through_depends(
    lifecycle: LifecycleObserver,
) -> None:
    seen = await lifecycle.read_routes()
    given = [each for route in seen.find_routes("/items/") for each in route.dependencies]
    names = [
        f"{'async def' if each.coroutine else 'def'} {each.name}({', '.join(each.parameters)})"
        for each in given
    ]
    fits = any(each.coroutine and "q" in each.parameters for each in given)
    require(
        fits,
        "a coroutine function that takes q, given to /items/ through Depends",
        ", ".join(names) or "no dependency",
        [seen],
    )
