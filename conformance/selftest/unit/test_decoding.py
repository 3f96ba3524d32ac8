"""Decoding: any bytes become a value of usual depth, or a ValueError."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conformance.core.decoding import DEEPEST, decode_json

ANY_BYTES = st.binary() | st.text(alphabet='[]{}":,0 NaN\\u').map(str.encode)


@given(encoded=ANY_BYTES)
@example(encoded=b"[" * 100_000)
@example(encoded=b'{"a":' * 100_000)
@example(encoded=b"9" * 5000)
@example(encoded=b'"\xed\xa0\x80"')
@example(encoded=b"\xff\xfe[\x00]\x00")
def test_whatever_comes_is_a_value_or_a_value_error(encoded: bytes) -> None:
    try:
        value = decode_json(encoded)
    except ValueError:
        return
    assert json.dumps(value)


@pytest.mark.parametrize("depth", [1, 600, DEEPEST])
def test_a_value_may_be_nested_as_deeply_as_any_of_ours(depth: int) -> None:
    assert json.dumps(decode_json("[" * depth + "]" * depth)) == "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a": ', "}")])
def test_a_value_that_is_nested_more_deeply_is_refused(
    depth: int, opening: str, closing: str
) -> None:
    text = opening * depth + ("1" if opening != "[" else "") + closing * depth
    with pytest.raises(ValueError, match="nested more than 640 levels deep"):
        decode_json(text)


def test_many_values_beside_each_other_are_not_deep() -> None:
    assert decode_json(json.dumps([[]] * 5000)) == [[]] * 5000


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_json_does_not_have_is_refused_where_it_matters(constant: str) -> None:
    assert isinstance(decode_json(constant), float)
    with pytest.raises(ValueError, match=f"{constant} is not a JSON value"):
        decode_json(constant, strict=True)


def test_whatever_a_hook_raises_is_a_value_error() -> None:
    def hook(_: object) -> None:
        raise KeyError("x")

    with pytest.raises(ValueError, match="KeyError: 'x'"):
        decode_json("{}", hook=hook)
