"""Results: what is stored is read as JSON, and whatever it is, reading it ends in a state."""

import json
from typing import Any
from uuid import UUID

import pytest

from conformance.testbed.celery_messages import read_result


def store(state: Any, value: Any) -> bytes:
    """A result as a backend stores it."""
    return json.dumps({"status": state, "result": value, "task_id": "1", "children": []}).encode()


def test_a_result_has_a_state_and_a_value() -> None:
    assert read_result(store("SUCCESS", {"data": [1]})) == ("SUCCESS", {"data": [1]})


def test_a_value_is_what_kombu_makes_of_it() -> None:
    stored = {"__type__": "uuid", "__value__": {"hex": "0" * 32}}
    assert read_result(store("SUCCESS", stored)) == ("SUCCESS", UUID(int=0))


def test_an_exception_is_told_and_never_made() -> None:
    named = {"exc_module": "os", "exc_type": "system", "exc_message": ["touch /tmp/taken"]}
    assert read_result(store("FAILURE", named)) == ("FAILURE", "system: touch /tmp/taken")


def test_a_failure_that_celery_did_not_write_keeps_its_value() -> None:
    assert read_result(store("FAILURE", [1])) == ("FAILURE", [1])


@pytest.mark.parametrize(
    "stored",
    [
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"SUCCESS",
        b'{"status": "SUCCESS"}',
        store(None, 1),
        store(["SUCCESS"], 1),
        store("x" * 200, 1),
        store("SUCCESS", {"__type__": "nope", "__value__": 1}),
        store("SUCCESS", {"__type__": ["unhashable"], "__value__": 1}),
        store("SUCCESS", {"__type__": "decimal", "__value__": "1.x"}),
        store("SUCCESS", {"__type__": "uuid", "__value__": {"evil": 1}}),
        b'{"status": "SUCCESS", "result": ' + b"[" * 700 + b"]" * 700 + b"}",
        b'{"status": "SUCCESS", "result": ' + b"[" * 100_000,
        b'{"status": "SUCCESS", "result": ' + b"9" * 5000 + b"}",
    ],
    ids=range(16),
)
def test_a_result_that_cannot_be_read_is_a_value_error(stored: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - its texts are those of many decoders
        read_result(stored)
