"""What the publisher in the web process and the worker agree on."""

from __future__ import annotations

from typing import Any

from celery import Celery

from .settings import QueueSettings

TASK_NAME = "process_data"
QUEUE_NAME = "celery"

SHARED: dict[str, Any] = {
    "task_default_queue": QUEUE_NAME,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "enable_utc": True,
    "timezone": "UTC",
}

WORKER: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "result_expires": 24 * 60 * 60,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,  # such as a right that the broker takes away for a while
    "broker_transport_options": {"visibility_timeout": 60},
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


class Publisher(Celery):  # type: ignore[misc]
    """An application that submits tasks and never asks for results.

    Without a result backend it subscribes to nothing, so a submission is one command. The backend
    has to be named here, as Celery prefers CELERY_RESULT_BACKEND to its configuration.
    """

    backend_cls = "disabled"


def make_worker_app(settings: QueueSettings) -> Celery:
    """Make the worker's application: patient with its broker, careful with its tasks."""
    app = Celery("worker", broker=settings.broker_url, backend=settings.result_url)
    app.conf.update(SHARED, **WORKER)
    return app


def make_publisher(settings: QueueSettings) -> Celery:
    """Make the web process's application. It gives up soon: its callers can try again."""
    app = Publisher("web", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        SHARED,
        task_publish_retry=False,
        broker_pool_limit=settings.publishers,
        broker_connection_timeout=settings.connect_seconds,
        broker_transport_options={
            "max_retries": 0,
            "socket_connect_timeout": settings.connect_seconds,
            "socket_timeout": settings.silence_seconds,
            "socket_keepalive": True,
            "retry_on_timeout": False,
        },
    )
    return app
