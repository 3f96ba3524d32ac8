"""Whose fault it is that something of ours broke: an ERROR is only what the target did not do."""

import redis

from conformance.core.errors import BrokenTestbed, Unreadable, Violation
from conformance.core.evidence import Journal
from conformance.testbed.broker import Broker
from conformance.testbed.redis_admin import end_script


def find_culprit(error: BrokenTestbed, broker: Broker | None, journal: Journal) -> Violation | None:
    """The violation of the target's that broke the testbed; None where the target is not known to.

    The target's own user may run scripts in Redis, for Celery does. One that does not end keeps
    everybody from Redis. It is ended here, so that the rest can be judged.
    """
    if broker is None or not _is_kept_out(error.__cause__):
        return None
    if (script := end_script(broker.access)) is None:
        return None
    return Unreadable("the broker", script, [journal.observe("broker", script)])


def _is_kept_out(cause: BaseException | None) -> bool:
    """Whether Redis did not answer, or says that it is busy, as it does from 5 s on."""
    return isinstance(cause, redis.TimeoutError) or (
        isinstance(cause, redis.ResponseError) and str(cause).startswith("BUSY")
    )
