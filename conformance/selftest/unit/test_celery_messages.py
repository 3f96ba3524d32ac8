"""Celery messages: those of protocol 2 are read, and everything else is no message."""

import base64
import json
from typing import Any

import pytest

from conformance.testbed.celery_messages import Message, read_message

BODY = [[{"order": 7}], {}, {}]
NOTHING = Message(None, None, None)


def make_raw(body: Any, *, encoding: str | None = "base64", kind: str = "application/json") -> str:
    """A message as kombu writes it."""
    content = json.dumps(body)
    if encoding == "base64":
        content = base64.b64encode(content.encode()).decode()
    return json.dumps(
        {
            "headers": {"id": "some-task"},
            "content-type": kind,
            "properties": {"body_encoding": encoding},
            "body": content,
        }
    )


@pytest.mark.parametrize("encoding", ["base64", None])
def test_a_json_body_is_decoded(encoding: str | None) -> None:
    message = read_message(make_raw(BODY, encoding=encoding))
    assert message == Message("some-task", "application/json", BODY)


def test_a_pickled_body_is_not_opened() -> None:
    message = read_message(make_raw(BODY, kind="application/x-python-serialize"))
    assert message == Message("some-task", "application/x-python-serialize", None)


def test_a_body_that_cannot_be_decoded_leaves_the_rest() -> None:
    raw = json.loads(make_raw(BODY)) | {"body": "AAAA"}
    assert read_message(json.dumps(raw)) == Message("some-task", "application/json", None)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"7", b"[]", b'{"headers": {}}', b'{"headers": null}', b"[" * 100_000],
    ids=range(7),
)
def test_what_is_no_message_is_read_as_none(raw: bytes) -> None:
    assert read_message(raw) == NOTHING
