"""Probes of section 3: rows as they are, ids as they must be, sessions opened and closed."""

from urllib.parse import quote

import pytest
from hypothesis import example, given

from conformance.client import Client
from conformance.expectations import body_of, expect, expect_status, no_evidence_unless, require
from conformance.lives import StoppedLife
from conformance.run import Run
from conformance.target import Target
from conformance.testbed.postgres import Database
from spec import model, strategies
from spec.strategies import AWKWARD_TEXT

INJECTIONS = ["1 OR 1=1", "1--", "(SELECT 2)", "1;DROP TABLE items", "1; DROP TABLE items; --", "1\tOR\t1=1", "1' OR '1'='1", "null::int"]


@pytest.mark.requirement("DB-1")
async def test_an_existing_item_is_its_row(client: Client, items: Database) -> None:
    row = await items.add(name="Chair", description="of oak", price=49.5, quantity=3, available=False)
    check = await items.check_row(row["id"])
    expect(await client.get(f"/items/{row['id']}"), model.item(row), check)


@pytest.mark.requirement("DB-2")
async def test_an_absent_item_is_null(client: Client, items: Database) -> None:
    absent = items.unused_id()
    exchange = await client.get(f"/items/{absent}")
    expect(exchange, model.item(None), await items.check_row(absent))


@pytest.mark.requirement("DB-3")
@given(values=strategies.row_values)
@example(values={"name": AWKWARD_TEXT, "description": AWKWARD_TEXT * 20, "quantity": 2**53 + 1, "price": 0.1})
@example(values={"name": "", "description": "", "quantity": -(2**63), "price": -0.0, "available": False})
async def test_values_survive_exactly(client: Client, items: Database, values: dict[str, object]) -> None:
    row = await items.add(**values)
    exchange = await client.get(f"/items/{row['id']}")
    expect(exchange, model.item(row))


@pytest.mark.requirement("DB-4")
async def test_each_read_sees_the_table_as_it_is(client: Client, items: Database) -> None:
    item_id = items.unused_id()
    path = f"/items/{item_id}"
    expect(await client.get(path), model.item(None), await items.check_row(item_id))
    row = await items.add(id=item_id)
    expect(await client.get(path), model.item(row), await items.check_row(item_id))
    for price in (1.5, 2.5):
        row = await items.change(item_id, price=price, name=f"costs {price}")
        expect(await client.get(path), model.item(row), await items.check_row(item_id))
    await items.delete(item_id)
    expect(await client.get(path), model.item(None), await items.check_row(item_id))


@pytest.mark.requirement("DB-5")
@given(text=strategies.no_integers)
async def test_an_id_that_is_no_integer_is_rejected(client: Client, text: str) -> None:
    exchange = await client.get("/items/" + quote(text, safe=""))
    wanted = '422 with an error located at ["path", "item_id"]'
    expect_status(exchange, (422,), wanted)
    require(model.names_item_id(body_of(exchange, wanted)), wanted, exchange.outcome, [exchange])


@pytest.mark.requirement("DB-6")
@pytest.mark.parametrize("text", INJECTIONS)
async def test_nothing_in_the_path_becomes_sql(client: Client, items: Database, text: str) -> None:
    await items.add()
    before = await items.snapshot()
    exchange = await client.get("/items/" + quote(text, safe=""))
    after = await items.snapshot()
    expect_status(exchange, (422,), f"422, for {text!r} is no id", before)
    require(before.data == after.data, "the table as it was", after.text, [exchange, before, after])


@pytest.mark.requirement("DB-7")
async def test_connected_when_startup_has_finished(stopped_life: StoppedLife) -> None:
    seen = stopped_life.lived().sessions_at_first_answer
    assert seen
    require(seen.data["sessions"] > 0, "a session on the database when the first answer comes, before any read", seen.text, [seen])


@pytest.mark.requirement("DB-8")
async def test_disconnected_at_shutdown(stopped_life: StoppedLife) -> None:
    life = stopped_life.lived()
    seen = life.sessions_at_end
    assert seen and life.signalled and life.sessions_at_signal
    no_evidence_unless(life.sessions_at_signal.data["sessions"] > 0, "the service had no session to close when SIGTERM came")
    goodbyes = seen.data["abandoned"] == 0 and seen.data["open"] == 0
    require(goodbyes, "every session closed with a goodbye after SIGTERM", seen.text, [life.sessions_at_signal, life.signalled, seen])


@pytest.mark.requirement("DB-9")
async def test_a_read_changes_nothing(client: Client, items: Database, target: Target, run: Run) -> None:
    row = await items.add()
    before = await items.snapshot()
    exchange = await client.get(f"/items/{row['id']}")
    after = await items.snapshot()
    expect(exchange, model.item(row))
    require(before.data == after.data, "no row changed or locked by a read", after.text, [before, exchange, after])
    if target.is_ours:  # in that life the role may write, so an attempt to do so succeeds
        life = (await run.life("stopped", StoppedLife)).lived()
        assert life.table_before and life.table_after
        evidence = [life.table_before, *life.reads, life.table_after]
        require(
            life.table_before.data == life.table_after.data,
            "no row changed or locked by a read",
            "rows with other versions after it",
            evidence,
        )
