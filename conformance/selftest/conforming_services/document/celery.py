import os

from celery import Celery

celery_app = Celery(
    "worker",
    broker=os.environ["CELERY_BROKER_URL"],
    backend=os.environ["CELERY_RESULT_BACKEND"],
)

@celery_app.task
def background_task(data):
    return {"message": "Task completed", "data": data}
