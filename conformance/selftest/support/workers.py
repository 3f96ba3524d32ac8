"""Correct workers for the self-tests that take their time: a task of two seconds."""

import time
from typing import Any

from conformance.selftest.faulty_services.service import celery_application, completed

SECONDS = 2.0  # that a task takes


def completed_slowly(data: Any) -> Any:
    """Do the work, and take the time that ordinary work takes."""
    time.sleep(SECONDS)
    return completed(data)


# It has one message in hand.
slow = celery_application(completed_slowly)
# It has a task in execution and four in hand, and acknowledges a task when it begins.
slow_with_others_in_hand = celery_application(
    completed_slowly, task_acks_late=False, worker_prefetch_multiplier=4
)
