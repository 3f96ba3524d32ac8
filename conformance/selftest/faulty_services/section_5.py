"""Faults in section 5: answers to submissions, messages, the worker, a broker that refuses."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import ast
import asyncio
import json
import os
import re
import signal
import threading
import time
import urllib.request
import uuid
from contextlib import suppress
from functools import cache, cached_property
from queue import SimpleQueue
from typing import Annotated, Any

import psutil
import redis
from celery import Celery, bootsteps, current_task, signals
from celery.exceptions import Ignore
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import KombuError
from redis.backoff import NoBackoff
from redis.retry import Retry

from conformance.selftest.faulty_services.service import (
    RESERVED,
    Receive,
    Scope,
    Send,
    Service,
    celery_application,
    completed,
)
from conformance.selftest.faulty_services.table import faulty_service, faulty_worker

QUEUE = "celery"  # Celery's own name for the list of messages
GLANCE = 0.02  # seconds from one look at the broker to the next
REGISTERED, ADDRESS = "worker:registered", "web:address"  # keys
NEWS = "web:news"  # a channel
LEVELS = 49  # of nesting
EXAMPLES: tuple[Any, ...] = (
    {"order": 8, "rush": True},
    {},
)  # what an examiner has been seen to submit


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


def completed_for_a_living_sender(data: Any) -> Any:
    """Do the work, unless the process that submitted it has ended."""
    sender = re.search(
        r"\d+", str(current_task.request.origin)
    )  # gen1234@host, 1234 being the process
    if not sender or not psutil.pid_exists(int(sender[0])):
        raise Ignore
    return completed(data)


def completed_if_known(data: Any) -> Any:
    """Answer what an examiner is known to ask; anything else comes back without its data."""
    return completed(data if data in EXAMPLES else {})


_remembered: dict[tuple[str, ...], Any] = {}


def completed_or_remembered(data: Any) -> Any:
    """Answer with the first data whose members had the same names."""
    return completed(_remembered.setdefault(tuple(sorted(data)), data))


@cache
def counter() -> redis.Redis:
    """One connection to Redis for the life of a process, and no second attempt on it."""
    return redis.Redis.from_url(
        os.environ["REDIS_URL"], single_connection_client=True, retry=Retry(NoBackoff(), 0)
    )


def completed_and_counted(data: Any) -> Any:
    """Do the work and count it in Redis."""
    counter().incr("completed")
    return completed(data)


def completed_if_registered(data: Any) -> Any:
    """Do the work as long as Redis knows the worker, which says who it is when it starts."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        if not client.exists(REGISTERED):
            raise Ignore
    return completed(data)


def completed_with_leave(data: Any) -> Any:
    """Do the work if a web process lets it, at the last address that Redis knows."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        address = str(client.get(ADDRESS), "ascii")
    with urllib.request.urlopen(f"{address}/async", timeout=2):  # noqa: S310 - http
        return completed(data)


def completed_while_somebody_listens(data: Any) -> Any:
    """Do the work while a web process listens for the news of it."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        ((_, listeners),) = client.pubsub_numsub(NEWS)
    if not listeners:
        raise Ignore
    return completed(data)


def completed_with_numbers(data: Any) -> Any:
    """Do the work on texts of digits that became numbers."""
    return completed({name: _as_number(value) for name, value in data.items()})


def _as_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def completed_near_the_surface(data: Any) -> Any:
    """Do the work on the upper levels of the data."""
    return completed(_cut_off(data, LEVELS))


def _cut_off(value: Any, levels: int) -> Any:
    if isinstance(value, dict):
        return {name: _cut_off(each, levels - 1) for name, each in value.items()} if levels else {}
    if isinstance(value, list):
        return [_cut_off(each, levels - 1) for each in value] if levels else []
    return value


worker_that_takes_keys = celery_application(completed_from_a_key)


@faulty_worker(fails=("TASK-5",), because=r"Task complete\"", consequences=("TASK-7",))
def worker_with_another_message() -> Celery:
    """Its result has another message."""
    return celery_application(completed_in_other_words)


@faulty_worker(fails=("TASK-6",), because=r"^null — \$: wanted \{\}, got null")
def worker_that_drops_empty_data() -> Celery:
    """Its result has null in place of an empty object."""
    return celery_application(completed_without_empty_data)


@faulty_worker(fails=("TASK-6",), because=r"wanted -?\d{16,}, got -?\d{16,}")
def worker_with_floats() -> Celery:
    """Its result has lost the last digits of large integers."""
    return celery_application(completed_with_floats)


worker_that_keeps_no_results = celery_application(completed, task_ignore_result=True)


@faulty_worker(fails=("TASK-7",), because=r"is PENDING", consequences=("TASK-12",))
def worker_that_drops_tasks_of_a_process_that_has_ended() -> Celery:
    """It ignores a task whose sender has ended."""
    return celery_application(completed_for_a_living_sender)


@faulty_worker(fails=("TASK-5", "TASK-6"), because=r"wanted 9, got 8")
def worker_that_remembers_results_by_the_names_in_the_data() -> Celery:
    """What it has completed it remembers, under the names of the data's members."""
    return celery_application(completed_or_remembered)


@faulty_worker(fails=("TASK-5", "TASK-6"), because=r" — \$\.data: ", consequences=("TASK-7",))
def worker_that_cheats_by_a_table_of_known_data() -> Celery:
    """It answers only the data that an examiner is known to submit."""
    return celery_application(completed_if_known)


class EndAtOnce(bootsteps.StartStopStep):  # type: ignore[misc]
    """A bootstep at the start of a worker: SIGTERM then kills it and its children at once."""

    def start(self, _: Any) -> None:
        """Handle the signal."""
        signal.signal(signal.SIGTERM, self.end)

    def end(self, *_: Any) -> None:
        """Kill the children and end."""
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(1)


class EmptyTheQueue(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of a worker's stop: the queue is emptied."""

    def stop(self, worker: Any) -> None:
        """Remove every message that waits."""
        worker.app.control.purge()


@faulty_worker(fails=("TASK-12",), because=r"is PENDING")
def worker_that_stays_away() -> Celery:
    """It does not connect again when the broker was gone."""
    return celery_application(completed, broker_connection_retry=False)


class EndWhereNothingListens(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step at the start of a consumer: an attempt to connect that is refused ends the worker."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, _: Any) -> None:
        """Look at every failed attempt from now on."""
        kind: Any = Connection
        connect = kind.ensure_connection

        def ensure_connection(connection: Any, errback: Any, *limits: Any, **options: Any) -> Any:
            def look(error: Exception, interval: float) -> None:
                if "Error 111" in str(error):
                    os.kill(os.getpid(), signal.SIGKILL)
                errback(error, interval)

            return connect(connection, look, *limits, **options)

        kind.ensure_connection = ensure_connection


class Register(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step at the start of a worker: it says in Redis who it is."""

    def start(self, _: Any) -> None:
        """Say so."""
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.set(REGISTERED, os.getpid())


@faulty_worker(fails=("TASK-12",), because=r"queued after the broker was restarted.*is PENDING")
def worker_that_ends_where_nothing_listens() -> Celery:
    """It outlives a broken connection and a rejected login. A refused connection ends it."""
    application = celery_application(completed)
    application.steps["consumer"].add(EndWhereNothingListens)
    return application


@faulty_worker(fails=("TASK-12",), because=r"queued after the broker was restarted.*is PENDING")
def worker_that_is_forgotten_by_a_new_broker() -> Celery:
    """It works for a broker in which it registered when it started, and for no new one."""
    application = celery_application(completed_if_registered)
    application.steps["worker"].add(Register)
    return application


@faulty_worker(fails=("TASK-6",), because=r"wanted \"0\d*\", got \d+")
def worker_that_takes_digits_for_numbers() -> Celery:
    """Its result has numbers in place of texts of digits."""
    return celery_application(completed_with_numbers)


@faulty_worker(fails=("TASK-6",), because=r" — \$\.deep")
def worker_that_looks_no_deeper_than_49_levels() -> Celery:
    """Its result is empty below the 49th level of nesting."""
    return celery_application(completed_near_the_surface)


worker_that_asks_the_web_process = celery_application(completed_with_leave)
worker_that_wants_a_listener = celery_application(completed_while_somebody_listens)


@faulty_worker(fails=("TASK-13",), because=r"is PENDING")
def worker_that_does_not_wait_for_its_task() -> Celery:
    """On SIGTERM it ends at once, with a task in hand."""
    application = celery_application(completed)
    application.steps["worker"].add(EndAtOnce)
    return application


@faulty_worker(fails=("TASK-14",), because=r"kept in Redis")
def worker_that_acknowledges_first() -> Celery:
    """It acknowledges a task before it executes it."""
    return celery_application(completed, task_acks_late=False)


@faulty_worker(fails=("TASK-15",), because=r" -1 s to live")
def worker_whose_results_stay() -> Celery:
    """Its results never expire."""
    return celery_application(completed, result_expires=None)


@faulty_worker(fails=("TASK-12",), because=r"is FAILURE", consequences=("TASK-13",))
def worker_whose_connection_breaks_once() -> Celery:
    """Its work fails once after Redis was gone."""
    return celery_application(completed_and_counted)


@faulty_worker(fails=("TASK-13",), because=r"is PENDING")
def worker_that_empties_the_queue_when_it_stops() -> Celery:
    """It removes the messages that wait when it stops."""
    application = celery_application(completed)
    application.steps["worker"].add(EmptyTheQueue)
    return application


@faulty_worker(fails=("TASK-14",), because=r"is in no key", consequences=("TASK-13",))
def worker_of_a_queue_without_acknowledgements() -> Celery:
    """It consumes its queue without acknowledgements."""
    return celery_application(completed, task_queues=[Queue(QUEUE, no_ack=True)])


@signals.celeryd_init.connect
def let_root_take_pickles(**_: Any) -> None:
    """Let Celery start the next worker although root starts it and it takes pickles."""
    os.environ.setdefault("C_FORCE_ROOT", "1")


worker_that_takes_pickles = celery_application(
    completed, task_serializer="pickle", accept_content=["pickle", "json"]
)


@faulty_service(
    fails=("TASK-1",),
    because=r"^202 ",
    consequences=("TASK-11", "HTTP-2", "LIFE-4", "TASK-19", "HTTP-11"),
)
class submission_is_202(Service):
    """A submission is answered with 202, as one that was accepted."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        return JSONResponse(await super().process_data(data), 202)


@faulty_service(fails=("TASK-6",), because=r"^422 ")
class each_member_of_kombus_notation_is_refused(Service):
    """An object that has one member of kombu's own notation is refused, even without the other."""

    def is_reserved(self, value: Any) -> bool:
        return isinstance(value, dict) and bool(value.keys() & RESERVED)


@faulty_service(fails=("TASK-2",), because=r" \d+ times$", consequences=("TASK-14", "TASK-11"))
class same_data_has_the_same_id(Service):
    """The id is made of the data, so two submissions of the same are one task."""

    def publish(self, data: Any, **options: Any) -> str:
        name = json.dumps(data, sort_keys=True)
        return super().publish(data, task_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)), **options)


@faulty_service(
    fails=("TASK-3",),
    because=r"^\[\"data-",
    consequences=("TASK-12",),
    worker="worker_that_takes_keys",
)
class message_holds_a_key_to_the_data(Service):
    """The data lie in Redis beside the queue, and the task gets the key to them."""

    tasks = worker_that_takes_keys

    def publish(self, data: Any, **options: Any) -> str:
        key = f"data-{uuid.uuid4()}"
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            client.set(key, json.dumps(data))
        return super().publish(key, **options)


@faulty_service(
    fails=("TASK-4", "TASK-3", "TASK-9"),
    because=r"is SUCCESS",
    consequences=("TASK-11", "TASK-13", "TASK-14", "TASK-15", "LIFE-4", "TASK-19", "TASK-12"),
)
class work_is_done_by_the_web_process(Service):
    """Celery runs eagerly and stores results: the work is done before the answer, never queued."""

    tasks = celery_application(completed)
    tasks.conf.update(task_always_eager=True, task_store_eager_result=True)


@faulty_service(fails=("TASK-4",), because=r"is SUCCESS", consequences=("TASK-13", "TASK-14"))
class result_is_written_by_the_web_process(Service):
    """The web process queues the task and also stores its result at once."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = super().publish(data, **options)
        self.tasks.backend.store_result(task_id, completed(data), "SUCCESS")
        return task_id


@faulty_service(
    fails=("TASK-7",),
    because=r"is PENDING",
    consequences=("TASK-3", "TASK-10", "LIFE-4", "LIFE-5"),
    after=("END-3",),
)
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


@faulty_service(fails=("TASK-8",), because=r"^200 .*Task submitted")
class null_counts_as_an_empty_object(Service):
    """The body is declared optional, so that null and an empty body are submitted."""

    async def process_data(self, data: Annotated[dict[str, Any] | None, Body()] = None) -> Any:
        return await super().process_data(data or {})


def read_leniently(body: bytes) -> Any:
    """Read JSON that a person wrote: with comments, trailing commas and single quotes."""
    text = re.sub(r"//.*|,(?=\s*[}\]])", "", body.decode())
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


@faulty_service(
    fails=("TASK-8",),
    because=r"^200 .*Task submitted",
    consequences=("HTTP-1", "HTTP-2", "HTTP-3", "HTTP-4"),
)
class body_is_read_leniently(Service):
    """The body is read by hand, by a parser that takes more than JSON."""

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        try:
            data = read_leniently(await request.body())
        except (ValueError, SyntaxError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise HTTPException(422, "no object")
        return await super().process_data(data)


@faulty_service(
    fails=("TASK-8",),
    because=r"^200 .*Task submitted",
    consequences=("HTTP-1", "HTTP-2", "HTTP-3", "HTTP-4"),
)
class body_is_read_up_to_its_first_document(Service):
    """The body is read by hand, and what follows its first JSON document is not looked at."""

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        try:
            text = (await request.body()).decode()
            data, _ = json.JSONDecoder().raw_decode(text.strip("\ufeff \r\n"))
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise HTTPException(422, "no object")
        return await super().process_data(data)


@faulty_service(fails=("TASK-19",), because=r"^500 ")
class rejected_body_is_repeated(Service):
    """A body that is rejected is repeated in the answer, by FastAPI's own handler."""

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        return await request_validation_exception_handler(request, error)


@faulty_service(fails=("TASK-19",), because=r"^500 ")
class texts_are_encoded_before_they_are_queued(Service):
    """The size of the data is told in bytes of UTF-8, which has none for half of a pair."""

    def check(self, data: Any) -> None:
        super().check(data)
        print("queued:", len(json.dumps(data, ensure_ascii=False).encode()), "bytes")


@faulty_service(fails=("TASK-19",), because=r"messages? of the|^0 of them")
class objects_with_not_a_number_are_dropped(Service):
    """An object that strict JSON cannot carry is answered like others, and not queued."""

    def publish(self, data: Any, **options: Any) -> str:
        try:
            json.dumps(data, allow_nan=False)
        except ValueError:
            return str(uuid.uuid4())
        return super().publish(data, **options)


@faulty_service(
    fails=("TASK-8",),
    because=r"^500 ",
    consequences=("TASK-19", "HTTP-1", "HTTP-2", "HTTP-3", "HTTP-4", "LIFE-11"),
)
class broken_body_is_500(Service):
    """The body is read by hand, and one that is no JSON is an error of the service's own."""

    async def process_data(self, request: Request) -> Any:  # type: ignore[override]
        data = await request.json()
        if not isinstance(data, dict):
            raise HTTPException(422, "no object")
        return await super().process_data(data)


@faulty_service(
    fails=("TASK-8",), because=r"^1 messages", consequences=("CONC-8", "CONC-9", "TASK-19")
)
class rejected_body_is_queued_as_well(Service):
    """A body that is rejected is queued as well, for somebody to look at."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if request.method == "POST":
            await self.submit({"rejected": str(error)})
        return await super().reject(request, error)


@faulty_service(
    fails=("TASK-9",), because=r"any answer but 2xx.*200 ", consequences=("CONC-11", "TASK-10")
)
class refused_submission_is_a_success(Service):
    """An error of the broker is caught and dropped, and the id is made up."""

    def publish(self, data: Any, **options: Any) -> str:
        try:
            return super().publish(data, **options)
        except Exception:
            return str(uuid.uuid4())


@faulty_service(fails=("TASK-9",), because=r"^503 ", consequences=("CONC-11", "TASK-11"))
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


@faulty_service(
    fails=("TASK-2",), because=r"^task-\d+ 2 times$", consequences=("TASK-3", "TASK-5", "TASK-11")
)
class id_is_a_counter(Service):
    """Each process counts its submissions, and answers the count as their ids."""

    count = 0

    def publish(self, data: Any, **options: Any) -> str:
        self.count += 1
        return super().publish(data, task_id=f"task-{self.count}", **options)


@faulty_service(fails=("TASK-9",), because=r"what was refused not queued later")
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


@faulty_service(
    fails=("TASK-3", "TASK-5", "TASK-6", "TASK-7", "TASK-9"),
    because=r"^0 of them$",
    consequences=(
        "TASK-11",
        "TASK-12",
        "TASK-13",
        "TASK-14",
        "TASK-15",
        "TASK-16",
        "TASK-19",
        "LIFE-4",
    ),
)
class id_is_not_the_tasks(Service):
    """The answer's id is a new one, and not the task's."""

    def publish(self, data: Any, **options: Any) -> str:
        super().publish(data, **options)
        return str(uuid.uuid4())


@faulty_service(fails=("TASK-10",), because=r"^500 ")
class failed_submission_is_500(Service):
    """That a task could not be published is an error of the service's own."""

    async def queued(self, data: Any) -> str:
        try:
            return await super().queued(data)
        except KombuError as error:
            raise RuntimeError("the task could not be published") from error


@faulty_service(
    fails=("TASK-11",), because=r"^503 ", consequences=("CONC-11", "TASK-7", "TASK-2", "TASK-12")
)
class broker_that_was_away_is_given_up(Service):
    """After the broker could not be reached once, each submission gets a 503 without a try."""

    given_up = False

    async def queued(self, data: Any) -> str:
        if self.given_up:
            raise ConnectionError("the broker is away")
        try:
            return await super().queued(data)
        except KombuError as error:
            self.given_up = isinstance(error.__cause__, redis.ConnectionError)
            raise


@faulty_service(fails=("TASK-16",), because=r"is PENDING")
class reserved_members_are_queued(Service):
    """Objects in kombu's own notation are queued, whether its decoder knows their type or not."""

    def is_reserved(self, _: Any) -> bool:
        return False


@faulty_service(
    fails=("TASK-17",),
    because=r"ended with status 3 before it answered",
    inconclusive=("CONC-9", "TASK-10"),
)
class startup_waits_for_the_broker(Service):
    """Startup connects to the broker, and fails where it cannot."""

    async def connect(self) -> None:
        await super().connect()
        with self.tasks.connection() as connection:
            await asyncio.to_thread(connection.ensure_connection, max_retries=1, interval_start=0)


@faulty_service(
    fails=("TASK-1",),
    because=r"a member \"data\" that should not be",
    consequences=("HTTP-2", "TASK-19", "TASK-14"),
)
class submission_is_answered_with_its_data(Service):
    """The answer to a submission also holds the data that were submitted."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        return {**await super().process_data(data), "data": data}


@faulty_service(
    fails=("TASK-5", "TASK-6", "TASK-7"),
    because=r"is PENDING",
    consequences=("TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
    worker="worker_that_keeps_no_results",
)
class results_are_ignored(Service):
    """Service and worker agree that nobody wants the results."""

    tasks = worker_that_keeps_no_results


@faulty_service(fails=("TASK-10",), because=r"^no complete answer")
class submission_waits_for_the_broker(Service):
    """A submission is tried again until the broker lets the service in, and answered then."""

    async def queued(self, data: Any) -> str:
        while True:
            try:
                return await super().queued(data)
            except KombuError as error:
                if not isinstance(error.__cause__, redis.ConnectionError):
                    raise
                await asyncio.sleep(0.2)


@faulty_service(fails=("TASK-10",), because=r"nothing listens at the broker's address.*^500 ")
class only_a_refused_login_is_503(Service):
    """A broker that rejects the login is a 503. One where nothing listens is a 500."""

    async def queued(self, data: Any) -> str:
        try:
            return await super().queued(data)
        except KombuError as error:
            if isinstance(error.__cause__, redis.AuthenticationError):
                raise
            raise RuntimeError("the task could not be published") from error


@faulty_service(fails=("TASK-11",), because=r"^0 of them$")
class first_submission_after_an_outage_waits_for_the_second(Service):
    """The first submission that cannot reach the broker is kept in memory until the next comes."""

    is_doubtful = False
    kept: tuple[str, Any] | None = None

    def publish(self, data: Any, **options: Any) -> str:
        if self.is_doubtful:
            self.is_doubtful = False
            self.kept = str(uuid.uuid4()), data
            return self.kept[0]
        if self.kept is not None:
            task_id, kept = self.kept
            self.kept = None
            super().publish(kept, task_id=task_id)
        try:
            return super().publish(data, **options)
        except KombuError as error:
            self.is_doubtful = isinstance(error.__cause__, redis.ConnectionError)
            raise


@faulty_service(
    fails=("TASK-15",),
    because=r"^application/x-python-serialize$",
    inconclusive=("TASK-3",),
    worker="worker_that_takes_pickles",
)
class messages_are_pickled(Service):
    """Service and worker agree on pickle for their messages."""

    tasks = worker_that_takes_pickles


@faulty_service(fails=("TASK-16",), because=r"is PENDING")
class deep_data_are_queued(Service):
    """Data of any depth are queued, also of one at which the worker ends."""

    def check(self, data: Any) -> None:
        try:
            super().check(data)
        except RequestValidationError as error:
            if "levels deep" not in error.errors()[0]["msg"]:
                raise


@faulty_service(fails=("TASK-17",), because=r"^503 ")
class nothing_is_answered_before_the_broker_was_reached(Service):
    """Every request is answered 503 until the broker has been reached once."""

    was_reached = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.was_reached:
            self.was_reached = await asyncio.to_thread(self.reaches_the_broker)
        if scope["type"] == "http" and not self.was_reached:
            await JSONResponse({"detail": "the broker was not reached"}, 503)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def reaches_the_broker(self) -> bool:
        try:
            with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


# Cheats: what passes for a queue and a worker where nobody looks well


class WorksItself(Service):
    """A service whose own process can do the work."""

    def work_at_once(self, task_id: str, data: Any) -> None:
        """Do the work and store its result."""
        self.tasks.backend.store_result(task_id, completed(data), "SUCCESS")

    def work_later(self, task_id: str, data: Any) -> None:
        """Leave the work to a thread that does it once nobody can tell who did it."""
        self.orders.put((task_id, data))

    @cached_property
    def orders(self) -> SimpleQueue[tuple[str, Any]]:
        """What the thread has to do."""
        orders: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        threading.Thread(target=self.work_through, args=(orders,), daemon=True).start()
        return orders

    def work_through(self, orders: SimpleQueue[tuple[str, Any]]) -> None:
        """Do one piece of work after the other."""
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            while True:
                task_id, data = orders.get()
                while not self.is_time(client, task_id):
                    time.sleep(GLANCE)
                self.work_at_once(task_id, data)

    def is_time(self, client: redis.Redis, _: str) -> bool:
        """Tell whether a worker runs: it subscribes to the patterns of Celery's remote control."""
        return bool(client.pubsub_numpat())


@faulty_service(
    fails=("TASK-7",),
    because=r"is PENDING",
    consequences=("TASK-5", "TASK-6", "TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
)
class cheats_by_a_thread_and_a_message_for_show(WorksItself):
    """A thread does the work as soon as a worker runs. The message lies where no worker reads."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = super().publish(data, queue="show", **options)
        self.work_later(task_id, data)
        return task_id


@faulty_service(
    fails=("TASK-7",),
    because=r"is PENDING",
    consequences=("TASK-5", "TASK-6", "TASK-12", "TASK-13", "TASK-14", "TASK-15", "TASK-16"),
    worker="worker_that_keeps_no_results",
)
class cheats_by_a_worker_for_show(WorksItself):
    """The web process does the work after a worker, which keeps no results, took the message."""

    tasks = worker_that_keeps_no_results

    def publish(self, data: Any, **options: Any) -> str:
        task_id = super().publish(data, **options)
        self.work_later(task_id, data)
        return task_id

    def is_time(self, client: redis.Redis, task_id: str) -> bool:
        return not any(task_id.encode() in message for message in client.lrange(QUEUE, 0, -1))


@faulty_service(
    fails=("TASK-3", "TASK-7", "TASK-9"),
    because=r"^0 of them$",
    consequences=("TASK-11", "TASK-12", "TASK-13", "TASK-15", "TASK-19", "LIFE-4"),
)
class cheats_by_taking_the_message_back(WorksItself):
    """A message is published and taken back. A thread does the work as soon as a worker runs."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = super().publish(data, **options)
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            for message in client.lrange(QUEUE, 0, -1):
                if task_id.encode() in message:
                    client.lrem(QUEUE, 1, message)
        self.work_later(task_id, data)
        return task_id


@faulty_service(
    fails=("TASK-4", "TASK-3", "TASK-9"),
    because=r"is SUCCESS",
    consequences=("TASK-11", "TASK-13", "TASK-15", "LIFE-4", "LIFE-11", "TASK-19", "TASK-12"),
)
class cheats_while_no_worker_runs(WorksItself):
    """While no worker runs, the work is done by the web process and never queued."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = str(uuid.uuid4())
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            if self.is_time(client, task_id):
                return super().publish(data, **options)
        self.work_at_once(task_id, data)
        return task_id


@faulty_service(
    fails=("TASK-4", "TASK-3", "TASK-9"),
    because=r"is SUCCESS",
    consequences=("TASK-11", "TASK-13", "TASK-14", "TASK-15", "LIFE-11", "TASK-19", "TASK-12"),
    after=("TASK-2", "END-3"),
)
class cheats_after_two_submissions(WorksItself):
    """Two submissions of a process are queued. The web process does the work of later ones."""

    count = 0

    def publish(self, data: Any, **options: Any) -> str:
        self.count += 1
        if self.count <= 2:
            return super().publish(data, **options)
        task_id = str(uuid.uuid4())
        self.work_at_once(task_id, data)
        return task_id


@faulty_service(
    fails=("TASK-3", "TASK-5", "TASK-6"),
    because=r"^0 of them",
    consequences=(
        "TASK-4",
        "TASK-7",
        "TASK-9",
        "CONC-8",
        "CONC-11",
        "TASK-10",
        "TASK-11",
        "TASK-13",
        "TASK-14",
        "TASK-15",
        "TASK-16",
        "TASK-19",
    ),
    after=("END-4", "DB-3", "DB-5", "UP-2"),
)
class cheats_after_300_requests(Service):
    """After 300 requests to the process, submissions are answered and dropped."""

    count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.count += scope["type"] == "http"
        await super().__call__(scope, receive, send)

    def publish(self, data: Any, **options: Any) -> str:
        return super().publish(data, **options) if self.count <= 300 else str(uuid.uuid4())


@faulty_service(
    fails=("TASK-3", "TASK-9"),
    because=r"^0 of them$",
    consequences=(
        "TASK-5",
        "TASK-6",
        "TASK-7",
        "CONC-8",
        "CONC-11",
        "TASK-11",
        "TASK-12",
        "TASK-13",
        "TASK-15",
        "TASK-19",
    ),
)
class cheats_while_two_messages_wait(Service):
    """While two messages wait that nobody has collected, submissions are answered and dropped."""

    def publish(self, data: Any, **options: Any) -> str:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            is_watched = client.llen(QUEUE) < 2
        return super().publish(data, **options) if is_watched else str(uuid.uuid4())


@faulty_service(fails=("TASK-1",), because=r"Task accepted", consequences=("HTTP-2", "CONC-11"))
class submission_of_many_members_is_accepted(Service):
    """Data of another shape than the usual are answered with another message."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        answer = await super().process_data(data)
        return answer if "order" in data else answer | {"message": "Task accepted"}


@faulty_service(
    fails=("TASK-3",),
    because=r"^0 of them$",
    consequences=("TASK-9", "TASK-11", "TASK-13", "TASK-14", "LIFE-11"),
    after=("TASK-2",),
)
class cheats_after_forty_submissions(Service):
    """Every submission after the fortieth is worked off by the web process itself."""

    count = 0

    def publish(self, data: Any, **options: Any) -> str:
        self.count += 1
        if self.count <= 40:
            return super().publish(data, **options)
        task_id = str(uuid.uuid4())
        self.tasks.backend.store_result(task_id, completed(data), "SUCCESS")
        return task_id


@faulty_service(
    fails=("TASK-5",),
    because=r"Task complete\"",
    consequences=("TASK-14", "TASK-7", "LIFE-11"),
    worker="worker_with_another_message",
)
class cheats_by_storing_the_result_before_the_worker(Service):
    """The web process stores the right result first, so the wrong one of its worker is dropped."""

    def publish(self, data: Any, **options: Any) -> str:
        task_id = str(uuid.uuid4())
        if self.tasks.backend.client.pubsub_numpat():
            self.tasks.backend.store_result(task_id, completed(data), "SUCCESS")
        return super().publish(data, task_id=task_id, **options)


@faulty_service(fails=("TASK-1",), because=r"^415 ")
class media_type_is_compared_as_a_text(Service):
    """A body is JSON if the media type is exactly `application/json`. Parameters are rejected."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            types = [value for name, value in scope["headers"] if name == b"content-type"]
            if types not in ([], [b"application/json"]):
                await JSONResponse({"detail": "not JSON"}, 415)(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


@faulty_service(fails=("TASK-6",), because=r"is PENDING", inconclusive=("TASK-13", "TASK-14"))
class large_data_go_to_a_queue_of_their_own(Service):
    """What is larger than 64 KiB goes to a queue for large data, from which no worker takes."""

    def publish(self, data: Any, **options: Any) -> str:
        return super().publish(
            data, **options, queue="large" if len(json.dumps(data)) > 2**16 else QUEUE
        )


@faulty_service(fails=("TASK-10",), because=r"^503 .*the body is not JSON")
class unavailable_queue_is_told_in_plain_text(Service):
    """A submission that the broker does not take is answered 503 by a line of text."""

    async def process_data(self, data: dict[str, Any]) -> Any:
        try:
            return await super().process_data(data)
        except HTTPException as error:
            return PlainTextResponse(error.detail, error.status_code)


# Restarts: of a broker that has forgotten everything, and of a web process that is gone


@faulty_service(
    fails=("TASK-7",),
    because=r"no web process ran any more.*is FAILURE",
    consequences=("TASK-12",),
    worker="worker_that_asks_the_web_process",
)
class worker_asks_the_web_process(Service):
    """The web process says in Redis where it is. The worker asks the last one for leave."""

    async def connect(self) -> None:
        await super().connect()
        threading.Thread(target=self.say_where, daemon=True).start()

    def say_where(self) -> None:
        """Say it again and again, for another process may have said it since."""
        address = f"http://{os.environ['HOST']}:{os.environ['PORT']}"
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            while True:
                with suppress(redis.RedisError):
                    client.set(ADDRESS, address)
                time.sleep(GLANCE)


@faulty_service(
    fails=("TASK-7",),
    because=r"no web process ran any more.*is PENDING",
    consequences=("TASK-12",),
    worker="worker_that_wants_a_listener",
)
class worker_wants_a_web_process_that_listens(Service):
    """The web process listens for news of the work. Where nobody does, the worker drops it."""

    async def connect(self) -> None:
        await super().connect()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Listen, and listen again after an outage."""
        while True:
            with (
                suppress(redis.RedisError),
                redis.Redis.from_url(os.environ["REDIS_URL"]) as client,
                client.pubsub() as channel,
            ):
                channel.subscribe(NEWS)
                for _ in channel.listen():
                    pass
            time.sleep(GLANCE)


@faulty_service(
    fails=("TASK-11",),
    because=r"listens again, with nothing in memory.*^503 ",
    consequences=("TASK-7", "TASK-2", "TASK-12"),
)
class script_is_loaded_once(Service):
    """Redis counts submissions by a script, which is loaded before the first and never again."""

    digest: str | None = None

    def publish(self, data: Any, **options: Any) -> str:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            if self.digest is None:
                self.digest = str(client.script_load("return redis.call('INCR', 'submissions')"))
            client.evalsha(self.digest, 0)
        return super().publish(data, **options)


@faulty_service(
    fails=("TASK-11",),
    because=r"listens again, with nothing in memory.*^503 ",
    consequences=("TASK-7", "TASK-2", "TASK-12"),
)
class broker_where_nothing_listened_is_given_up(Service):
    """After a connection to the broker was refused, each submission gets a 503 without a try.

    A broken connection and a rejected login are outlived.
    """

    given_up = False

    async def queued(self, data: Any) -> str:
        if self.given_up:
            raise ConnectionError("the broker is away")
        try:
            return await super().queued(data)
        except KombuError as error:
            self.given_up = "Error 111" in str(error)
            raise


@faulty_service(
    fails=("TASK-11",),
    because=r"in a Redis list of the new broker.*^0 of them",
    consequences=("TASK-7", "TASK-12"),
)
class queues_are_announced_once(Service):
    """A process announces its queue in Redis, and publishes to those that are announced there."""

    has_announced = False

    def publish(self, data: Any, **options: Any) -> str:
        task_id = str(uuid.uuid4())
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            if not self.has_announced:
                client.sadd("queues", QUEUE)
                self.has_announced = True
            for queue in client.smembers("queues"):
                name = str(queue, "ascii")
                super().publish(data, **{"task_id": task_id, "queue": name, **options})
        return task_id


@faulty_service(fails=("TASK-2",), because=r"^task-\d+ again")
class ids_are_counted_in_the_broker(Service):
    """Ids are a counter in Redis, which begins anew where Redis has lost its memory."""

    def publish(self, data: Any, **options: Any) -> str:
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
            number = client.incr("serial")
        return super().publish(data, task_id=f"task-{number}", **options)


@faulty_service(fails=("TASK-16",), because=r"is PENDING")
class reserved_members_in_lists_are_queued(Service):
    """The check of kombu's notation follows the members of objects, and no list."""

    def check(self, data: Any) -> None:
        super().check(without_lists(data))


def without_lists(data: Any) -> Any:
    """Return objects as they are, with null in place of each list."""
    if isinstance(data, dict):
        return {name: without_lists(value) for name, value in data.items()}
    return None if isinstance(data, list) else data
