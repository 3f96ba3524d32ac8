"""The Celery worker. Run it with: celery -A worker:celery_app worker."""

import os
from typing import Any

from celery import Celery
from celery.backends.redis import RedisBackend
from redis.exceptions import RedisError

_redis = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
_broker = os.environ.get("CELERY_BROKER_URL", _redis)
_backend = os.environ.get("CELERY_RESULT_BACKEND", _redis)


class PatientBackend(RedisBackend):  # type: ignore[misc]
    """Tries to store a result until Redis takes it.

    Celery's own tries again after a broken connection alone. Where Redis
    refuses to write, it would drop the result, and acknowledge the task.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Tell whether it may be tried again after this."""
        return isinstance(exc, RedisError) or super().exception_safe_to_retry(exc)


class App(Celery):  # type: ignore[misc]
    """An application with that backend."""

    # This has precedence over the environment, which Celery reads by itself.
    backend_cls = f"{__name__}:PatientBackend+{_backend}"


celery_app = App("worker", broker=_broker)

celery_app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    result_expires=24 * 3600,
    # A task is acknowledged when it is done, so that one whose worker dies is
    # not lost. It may run twice.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={
        # After these seconds, tasks of a worker that died are given to another
        # one. A task takes no time, and may run twice, so this can be short.
        "visibility_timeout": 10,
        # How often a worker looks for such tasks.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    # An outage of the broker or of the result backend is waited out.
    broker_connection_retry=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    result_backend_always_retry=True,
    result_backend_max_sleep_between_retries_ms=1000,
    redis_socket_connect_timeout=5,
    redis_socket_keepalive=True,
    redis_backend_health_check_interval=10,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


@celery_app.task(name="process_data")
def process_data(data: dict[str, Any]) -> dict[str, Any]:
    """Complete a task: its result is its data, with a message."""
    return {"message": "Task completed", "data": data}
