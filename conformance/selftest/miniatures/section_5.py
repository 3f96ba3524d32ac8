"""Section 5 got wrong: the answer to a submission, the message in the queue, the worker, and a broker that refuses."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import json
import os
import signal
import uuid
from typing import Annotated, Any

import psutil
import redis
from celery import bootsteps
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from kombu.exceptions import KombuError

from conformance.selftest.miniatures.service import Service, celery_application, completed, miniature


def completed_from_a_key(key: str) -> Any:
    """Do the work on data that lie in Redis beside the queue."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return completed(json.loads(str(client.get(key), "ascii")))


def completed_in_other_words(data: Any) -> Any:
    """Do the work and say so in other words."""
    return {"message": "Task complete", "data": data}


def completed_without_empty_data(data: Any) -> Any:
    """Do the work, and take an empty object for no data."""
    return completed(data or None)


def completed_with_floats(data: Any) -> Any:
    """Do the work on integers that passed through floats."""
    return completed(json.loads(json.dumps(data), parse_int=lambda digits: int(float(digits))))


worker_that_takes_keys = celery_application(completed_from_a_key)
worker_with_another_message = celery_application(completed_in_other_words)
worker_that_drops_empty_data = celery_application(completed_without_empty_data)
worker_with_floats = celery_application(completed_with_floats)


class EndAtOnce(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of a worker's start: from then on, SIGTERM ends it and its children in the middle of their work."""

    def start(self, _: Any) -> None:
        """Handle the signal."""
        signal.signal(signal.SIGTERM, self.end)

    def end(self, *_: Any) -> None:
        """Kill the children and end."""
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(1)


worker_that_stays_away = celery_application(completed, broker_connection_retry=False)
worker_that_does_not_wait_for_its_task = celery_application(completed)
worker_that_does_not_wait_for_its_task.steps["worker"].add(EndAtOnce)
worker_that_acknowledges_first = celery_application(completed, task_acks_late=False)
worker_whose_results_stay = celery_application(completed, result_expires=None)


@miniature
class submission_is_202(Service):
    """A submission is answered with 202, as one that was accepted."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        return JSONResponse(await super().process_data(data), 202)


@miniature
class same_data_has_the_same_id(Service):
    """The id is made of the data, so two submissions of the same are one task."""

    def publish(self, data: Any, **options: Any) -> str:
        name = json.dumps(data, sort_keys=True)
        return super().publish(data, task_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)), **options)


@miniature
class message_holds_a_key_to_the_data(Service):
    """The data lie in Redis beside the queue, and the task gets the key to them."""

    tasks = worker_that_takes_keys

    def publish(self, data: Any, **options: Any) -> str:
        key = f"data-{uuid.uuid4()}"
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.set(key, json.dumps(data))
        return super().publish(key, **options)


@miniature
class work_is_done_by_the_web_process(Service):
    """Celery runs in eager mode with stored results, so that the work is done before the answer and never queued."""

    tasks = celery_application(completed)
    tasks.conf.update(task_always_eager=True, task_store_eager_result=True)


@miniature
class result_is_written_by_the_web_process(Service):
    """The web process queues the task and also stores its result at once."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = super().publish(data, **options)
        self.tasks.backend.store_result(task_id, completed(data), "SUCCESS")
        return task_id


@miniature
class first_submission_waits_for_the_second(Service):
    """The first submission of a process is answered and kept in memory until a second one comes."""

    first: tuple[str, Any] | None = None

    def publish(self, data: Any, **options: Any) -> str:
        if self.first is None:
            self.first = str(uuid.uuid4()), data
            return self.first[0]
        if self.first[1] is not None:
            task_id, kept = self.first
            self.first = task_id, None
            super().publish(kept, task_id=task_id)
        return super().publish(data, **options)


@miniature
class null_counts_as_an_empty_object(Service):
    """The body is declared optional, so that null and an empty body are submitted."""

    async def process_data(self, data: Annotated[dict[str, Any] | None, Body()] = None) -> Any:
        return await super().process_data(data or {})


@miniature
class broken_body_is_500(Service):
    """The body is read by hand, and one that is no JSON is an error of the service's own."""

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        data = await request.json()
        if not isinstance(data, dict):
            raise HTTPException(422, "no object")
        return await super().process_data(data)


@miniature
class rejected_body_is_queued_as_well(Service):
    """A body that is rejected is queued as well, for somebody to look at."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if request.method == "POST":
            await self.submit({"rejected": str(error)})
        return await request_validation_exception_handler(request, error)


@miniature
class refused_submission_is_a_success(Service):
    """An error of the broker is caught and dropped, and the id is made up."""

    def publish(self, data: Any, **options: Any) -> str:
        try:
            return super().publish(data, **options)
        except Exception:
            return str(uuid.uuid4())


@miniature
class refusal_outlives_its_cause(Service):
    """After a submission that the broker refused, the next one is refused without asking."""

    refused = False

    async def submit(self, data: Any) -> str:
        if self.refused:
            self.refused = False
            raise HTTPException(503, "the task queue was not available")
        try:
            return await super().submit(data)
        except HTTPException:
            self.refused = True
            raise


@miniature
class id_is_a_counter(Service):
    """Each process counts its submissions, and answers the count as their ids."""

    count = 0

    def publish(self, data: Any, **options: Any) -> str:
        self.count += 1
        return super().publish(data, task_id=f"task-{self.count}", **options)


@miniature
class refused_submission_is_sent_later(Service):
    """A submission that was answered 503 is queued with the next one all the same."""

    kept: Any = None

    async def submit(self, data: Any) -> str:
        if self.kept is not None:
            kept, self.kept = self.kept, None
            await super().submit(kept)
        try:
            return await super().submit(data)
        except HTTPException:
            self.kept = data
            raise


@miniature
class id_is_not_the_tasks(Service):
    """The answer's id is a new one, and not the task's."""

    def publish(self, data: Any, **options: Any) -> str:
        super().publish(data, **options)
        return str(uuid.uuid4())


@miniature
class failed_submission_is_500(Service):
    """That a task could not be published is an error of the service's own."""

    async def queued(self, data: Any) -> str:
        try:
            return await super().queued(data)
        except KombuError as error:
            raise RuntimeError("the task could not be published") from error


@miniature
class broker_that_was_away_is_given_up(Service):
    """Once the broker could not be reached, every later submission is answered 503 without trying."""

    given_up = False

    async def queued(self, data: Any) -> str:
        if self.given_up:
            raise ConnectionError("the broker is away")
        try:
            return await super().queued(data)
        except KombuError as error:
            self.given_up = isinstance(error.__cause__, redis.ConnectionError)
            raise


@miniature
class reserved_members_are_queued(Service):
    """Objects in kombu's own notation are queued like any others, whether its decoder knows their type or not."""

    def is_reserved(self, _: Any) -> bool:
        return False


@miniature
class startup_waits_for_the_broker(Service):
    """Startup connects to the broker, and fails where it cannot."""

    async def connect(self) -> None:
        await super().connect()
        with self.tasks.connection() as connection:
            await asyncio.to_thread(connection.ensure_connection, max_retries=1, interval_start=0)
