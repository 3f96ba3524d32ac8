"""The queue: Celery by a configuration object."""

from typing import Any

from celery import Celery, shared_task

from .settings import settings


class Configuration:
    """Celery's settings, those of publishing such that a broker that is away is found out soon."""

    broker_url = settings.celery_broker_url
    result_backend = settings.celery_result_backend
    result_expires = 1800
    task_acks_late = True
    worker_prefetch_multiplier = 1
    task_reject_on_worker_lost = True
    task_publish_retry = False
    broker_transport_options = {"socket_connect_timeout": 3, "socket_timeout": 5, "max_retries": 1}  # noqa: RUF012 - Celery's own form
    result_backend_transport_options = {"retry_policy": {"max_retries": 0}}  # noqa: RUF012
    broker_connection_retry_on_startup = True


queue = Celery("orm")
queue.config_from_object(Configuration)


@shared_task(name="orm.complete")
def complete(data: dict[str, Any]) -> dict[str, Any]:
    """Do the work."""
    return {"message": "Task completed", "data": data}
