"""The Node service's worker: Celery's own, for its result is read by Celery."""

import os
from typing import Any

from celery import Celery

celery_app = Celery(
    "node", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"]
)
celery_app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=3600,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


def background_task(data: dict[str, Any]) -> dict[str, Any]:
    """Do the work; here there is none but to say that it is done."""
    return {"message": "Task completed", "data": data}


celery_app.task(name="background_task")(background_task)
