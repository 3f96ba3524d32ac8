"""The queue `crunch`: other names than Celery's for everything that may have one."""

import json
import os
from datetime import timedelta
from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.serialization import register

# JSON without a notation for other types, as UTF-8.
register(
    "plain",
    lambda value: json.dumps(value, ensure_ascii=False),
    json.loads,
    "application/json",
    "utf-8",
)

REDIS_URL = os.environ["REDIS_URL"]

hub = Celery("hub", broker=REDIS_URL, backend=REDIS_URL, set_as_current=False)
hub.conf.update(
    task_queues=[Queue("crunch", Exchange("crunching", type="direct"), routing_key="crunch.now")],
    task_default_queue="crunch",
    task_default_exchange="crunching",
    task_default_routing_key="crunch.now",
    task_routes={"crunch.*": {"queue": "crunch"}},
    task_acks_late=True,
    task_publish_retry=False,
    task_serializer="json",
    result_serializer="plain",
    result_extended=True,
    result_expires=timedelta(hours=2),
    accept_content=["json"],
    broker_transport_options={
        "global_keyprefix": "crunching:",
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0,
    },
    result_backend_transport_options={"retry_policy": {"max_retries": 1, "interval_start": 0}},
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


@hub.task(name="crunch.object", bind=True, ignore_result=False)
def crunch(self: Any, *, payload: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - a bound task is given itself
    """Do the work."""
    return {"data": payload, "message": "Task completed"}
