"""The worker's side of the queue. The web side (`web.py`) knows only the task's name."""

import os

from celery import Celery

app = Celery(
    "starlette_alone.worker",
    broker=os.environ["CELERY_BROKER_URL"],
    backend=os.environ["CELERY_RESULT_BACKEND"],
)
app.conf.result_expires = 900
app.conf.task_acks_late = True
app.conf.task_reject_on_worker_lost = True
app.conf.worker_prefetch_multiplier = 1


@app.task(name="data.process")
def process(data: object) -> dict[str, object]:
    """Do the work."""
    return {"message": "Task completed", "data": data}
