"""The task queue: a Celery application of its own.

So a worker needs nothing of the web application.
"""

from typing import Any

from celery import Celery

from reference_impl.settings import Settings

DEPTH = 100  # levels of nesting; the worker's pickling gives up at some 300
RESERVED = {
    "__type__",
    "__value__",
}  # an object of these two alone is kombu's own notation, and is decoded as such

settings = Settings.from_environment()

celery_app = Celery("reference", broker=settings.broker_url, backend=settings.result_backend_url)
celery_app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    result_expires=3600,
    # A task is acknowledged when it is done, so that it outlives a worker that dies over it.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    # A broker that is away is told to the caller in bounded time, not retried behind its back.
    task_publish_retry=False,
    broker_transport_options={
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0,
    },
    redis_socket_timeout=5,
    redis_socket_connect_timeout=2,
)


@celery_app.task(name="background_task")
def background_task(data: dict[str, Any]) -> dict[str, Any]:
    """Do the work; here there is none but to say that it is done."""
    return {"message": "Task completed", "data": data}


def why_it_cannot_be_queued(data: dict[str, Any]) -> str | None:
    """Say what of the data would not survive the way to the worker and back; None for nothing."""
    level: list[Any] = [data]
    for _ in range(DEPTH):
        if any(isinstance(value, dict) and value.keys() == RESERVED for value in level):
            return f"an object may not consist of {' and '.join(sorted(RESERVED))}"
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return None
    return f"the data may not be nested more than {DEPTH} levels deep"
