"""The model: what equals what, and where two values first differ."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from conformance.spec import model, strategies

NOON = datetime(2026, 7, 1, 12, 0, 0, 1, tzinfo=UTC)


@given(strategies.json_values)
def test_every_json_value_equals_itself(value: Any) -> None:
    assert model.find_difference(value, value) is None


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, 1.0),
        (10**26, 10**26),
        (0.1, 0.1),
        (NOON, "2026-07-01T12:00:00.000001Z"),
        (NOON, "2026-07-01T14:00:00.000001+02:00"),
        ((1, 2), [1, 2]),
    ],
)
def test_the_same_meaning_is_equal(expected: Any, got: Any) -> None:
    assert model.find_difference(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "where"),
    [
        (1, True, "$: wanted 1, got true"),
        (True, 1, "$: wanted true, got 1"),
        (None, False, "$: wanted null, got false"),
        (2**53 + 1, float(2**53), "$: wanted 9007199254740993, got 9007199254740992.0"),
        ("e\u0301", "\u00e9", '$: wanted "e\\u0301", got "\\u00e9"'),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "$.a[1].b: wanted 2, got 3"),
        ({"a": 1}, {}, '$: the member "a" is missing'),
        ({}, {"a": 1}, '$: there is a member "a" that should not be'),
        ([1], [1, 2], "$: wanted 1 elements, got 2"),
        (
            NOON,
            "2026-07-01T12:00:00.000001",
            '$: wanted "2026-07-01T12:00:00.000001+00:00", got "2026-07-01T12:00:00.000001"',
        ),
        (
            NOON,
            "2026-07-01T12:00:00Z",
            '$: wanted "2026-07-01T12:00:00.000001+00:00", got "2026-07-01T12:00:00Z"',
        ),
        ({"a": 1}, [], '$: wanted {"a": 1}, got []'),
    ],
)
def test_another_meaning_is_told_where_it_begins(expected: Any, got: Any, where: str) -> None:
    assert model.find_difference(expected, got) == where


@pytest.mark.parametrize(
    ("expected", "got"), [(10**400, 10**400 + 7), (10**400, 0.1), (0.1, 10**400)]
)
def test_integers_beyond_every_float_are_told_apart(expected: Any, got: Any) -> None:
    assert model.find_difference(expected, got) is not None


def test_an_instant_needs_an_offset_and_a_time() -> None:
    assert model.parse_instant("2026-07-01") is None
    assert model.parse_instant("2026-07-01T12:00:00+05:30") == datetime(
        2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))
    )


def test_a_422_names_the_parameter_by_its_location() -> None:
    assert model.has_item_id_error(
        {"detail": [{"loc": ["query", "x"]}, {"loc": ["path", "item_id"]}]}
    )
    assert not model.has_item_id_error({"detail": "path item_id"})
    assert not model.has_item_id_error([])


@pytest.mark.parametrize("text", ["+1", "01", "1.0", "1_0", " 1", "1e3", "-0", "\u0661"])
def test_arguable_integers_are_nobodys_fault(text: str) -> None:
    assert not strategies.is_no_integer(text)


ROW = {"id": 7, "name": "Chair", "price": 1.5, "colour": "oak"}


@pytest.mark.parametrize(
    ("got", "found"),
    [
        ({"id": 7, "name": "Chair", "price": 1.5, "colour": "oak"}, None),
        ({"id": 7, "name": "Chair", "colour": "oak", "more": 1}, None),
        ({"id": 7, "name": "Table", "colour": "oak"}, '$.item.name: wanted "Chair", got "Table"'),
        ({"name": "Chair", "colour": "oak"}, '$.item: the member "id" is missing'),
        ({"id": 7, "name": "Chair"}, '$.item: the member "colour" is missing'),
        (None, '$.item: wanted {"id": 7, '),
    ],
)
def test_an_item_is_told_by_its_id_and_by_the_columns_that_are_shown(
    got: dict[str, object] | None, found: str | None
) -> None:
    said = model.find_difference(model.item_answer(ROW).body, {"item": got})
    assert (said is None) if found is None else str(said).startswith(found)


def test_a_whole_item_has_every_column_and_nothing_more() -> None:
    wanted = model.whole_item_answer(ROW).body
    assert model.find_difference(wanted, {"item": ROW}) is None
    fewer = {name: value for name, value in ROW.items() if name != "price"}
    assert "is missing" in str(model.find_difference(wanted, {"item": fewer}))
    assert "should not be" in str(model.find_difference(wanted, {"item": {**ROW, "more": 1}}))
