"""The queue: made by a function, for whoever publishes and for whoever works."""

import os
from collections.abc import Mapping
from typing import Any

from celery import Celery

NAME = "served:complete"


def make(environment: Mapping[str, str] = os.environ) -> Celery:
    """Make the Celery application and its one task."""
    celery = Celery(
        "served",
        broker=environment["CELERY_BROKER_URL"],
        backend=environment["CELERY_RESULT_BACKEND"],
    )
    celery.conf.update(
        {
            "task_acks_late": True,
            "worker_prefetch_multiplier": 1,
            "task_reject_on_worker_lost": True,
            "task_publish_retry": False,
            "result_expires": 600,
            "broker_transport_options": {
                "socket_connect_timeout": 2,
                "socket_timeout": 5,
                "max_retries": 1,
            },
            "result_backend_transport_options": {"retry_policy": {"max_retries": 0}},
        }
    )

    def complete(data: Any) -> dict[str, Any]:
        return {"message": "Task completed", "data": data}

    celery.task(complete, name=NAME)
    return celery


celery = make()
