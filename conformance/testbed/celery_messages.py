"""How Celery writes a message into a Redis list (protocol 2), as far as the suite reads it."""

import base64
import json
from dataclasses import dataclass
from typing import Any


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
        envelope = json.loads(raw)
        task_id, content_type = envelope["headers"]["id"], envelope["content-type"]
        arguments = None
        if content_type == "application/json":
            encoding = envelope["properties"].get("body_encoding")
            arguments = _decode_body(envelope["body"], encoding)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Message(None, None, None)
    return Message(str(task_id), content_type, arguments)


def _decode_body(body: Any, encoding: str | None) -> Any:
    """The decoded body of a message, or None where it is compressed or otherwise unreadable."""
    try:
        return json.loads(base64.b64decode(body) if encoding == "base64" else body)
    except (ValueError, TypeError, RecursionError):
        return None
