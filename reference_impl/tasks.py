"""The task queue: a Celery application of its own, so that a worker needs nothing of the web application."""

from typing import Any

from celery import Celery

from reference_impl.settings import Settings

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
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1},
    redis_socket_timeout=5,
    redis_socket_connect_timeout=2,
)


@celery_app.task(name="background_task")
def background_task(data: dict[str, Any]) -> dict[str, Any]:
    """Do the work; here there is none but to say that it is done."""
    return {"message": "Task completed", "data": data}
