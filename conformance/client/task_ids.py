"""The task id in the answer to a submission."""

from contextlib import suppress

from conformance.core.decoding import decode_json
from conformance.core.evidence import Exchange


def find_task_id(exchange: Exchange) -> str | None:
    """The id that a successful answer has; None where it has none, or is none."""
    if exchange.status in range(200, 300):
        with suppress(ValueError, TypeError, KeyError):
            return str(decode_json(exchange.body)["task_id"])
    return None
