"""How Celery writes messages (protocol 2) and results into Redis, as far as the suite reads them.

What is read comes from the target. It is decoded as JSON, and by nothing else.
"""

import base64
from dataclasses import dataclass
from typing import Any

from kombu.utils.json import object_hook

from conformance.core.decoding import decode_json

LONGEST_STATE = 100  # characters of a task's state that is shown
EXCEPTION_STATES = ("FAILURE", "RETRY", "REVOKED")  # whose results describe an exception


@dataclass(frozen=True)
class Message:
    """What could be read of an entry of a list. Each is None where it is no Celery message."""

    task_id: str | None
    content_type: str | None
    arguments: Any  # the decoded body; None where it is not JSON


def read_message(raw: bytes | str) -> Message:
    """Read an entry of a list.

    Source: Celery's manual, "Message Protocol", version 2. A pickled body is not opened, since
    it comes from the target.
    """
    try:
        envelope = decode_json(raw)
        task_id, content_type = envelope["headers"]["id"], envelope["content-type"]
        arguments = None
        if content_type == "application/json":
            encoding = envelope["properties"].get("body_encoding")
            arguments = _decode_body(envelope["body"], encoding)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Message(None, None, None)
    if not isinstance(task_id, str) or not isinstance(content_type, str | None):
        return Message(None, None, None)
    return Message(task_id, content_type, arguments)


def read_result(stored: bytes) -> tuple[str, Any]:
    """The state and the value of a task, as its backend has stored them.

    The value is what kombu's decoder makes of it, as it is for a caller. Celery's own reader is not
    used: it imports and calls what a stored exception names (CVE-2021-23727). Raises ValueError.
    """
    meta = decode_json(stored, hook=object_hook)
    if not isinstance(meta, dict) or not {"status", "result"} <= meta.keys():
        raise ValueError("it is no object with a status and a result")
    state, value = meta["status"], meta["result"]
    if not isinstance(state, str) or len(state) > LONGEST_STATE:
        raise ValueError("its status is no name of a state")
    return state, _describe_exception(value) if state in EXCEPTION_STATES else value


def _describe_exception(value: Any) -> Any:
    """The exception in words, where it is as Celery writes one."""
    if not isinstance(value, dict) or "exc_type" not in value:
        return value
    message = value.get("exc_message")
    words = message if isinstance(message, list | tuple) else [message]
    return f"{value['exc_type']}: {', '.join(map(str, words))}"


def _decode_body(body: Any, encoding: str | None) -> Any:
    """The decoded body of a message, or None where it is compressed or otherwise unreadable."""
    try:
        return decode_json(base64.b64decode(body) if encoding == "base64" else body)
    except (ValueError, TypeError):
        return None
