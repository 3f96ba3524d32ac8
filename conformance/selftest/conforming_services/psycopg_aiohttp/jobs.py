"""The queue, and a task that takes its data by keyword."""

import os
from typing import Any

from celery import Celery, Task

jobs = Celery(
    "jobs",
    broker=os.environ["REDIS_URL"],
    backend=os.environ["REDIS_URL"],
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_timeout": 4, "socket_connect_timeout": 2, "max_retries": 1},
    result_backend_transport_options={
        "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_max": 0}
    },
)


class Complete(Task):  # type: ignore[misc]
    """A task as a class."""

    name = "jobs.Complete"

    def run(self, *, data: dict[str, Any]) -> dict[str, Any]:
        """Do the work."""
        return {"message": "Task completed", "data": data}


complete = jobs.register_task(Complete())
