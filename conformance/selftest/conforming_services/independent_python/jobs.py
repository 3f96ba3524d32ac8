"""The worker's side: `celery -A independent_python.jobs worker`."""

from __future__ import annotations

from typing import Any

from .celeryconfig import TASK_NAME, make_worker_app
from .settings import QueueSettings

app = make_worker_app(QueueSettings.from_environment())


@app.task(name=TASK_NAME)
def process_data(data: dict[str, Any]) -> dict[str, Any]:
    """Complete a task. It changes nothing elsewhere, and so may run twice."""
    return {"message": "Task completed", "data": data}
