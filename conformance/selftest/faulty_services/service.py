"""The correct service, of small methods. Each faulty service overrides one of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated, Any, NoReturn

import asyncpg
import httpx
from celery import Celery
from celery.backends.redis import RedisBackend
from celery.exceptions import CeleryError
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Scope], Any]
Row = dict[str, Any]
Parameters = dict[str, str | None]

ID_MIN, ID_MAX = -(2**31), 2**31 - 1  # items.id is a Postgres integer
TASK = "complete"
NOT_STARTED = 3  # uvicorn's status where the lifespan fails
CHILD = "SERVED_BY_A_CHILD"  # a variable that only the child has
DEPTH = 100  # levels of nesting; at 500 the worker cannot pickle the message, and ends
RESERVED = {"__type__", "__value__"}  # the members of kombu's own notation (kombu.utils.json)


def completed(data: Any) -> Any:
    """Do the work of a task; here there is none but to say that it is done."""
    return {"message": "Task completed", "data": data}


class Results(RedisBackend):  # type: ignore[misc]
    """The result backend, which does not subscribe to a result, for that is retried for 19 s."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing: the web process waits for no result."""


def celery_application(work: Callable[[Any], Any], **settings: Any) -> Celery:
    """Make a Celery application with one task. Broker and backend come from its environment."""
    application = Celery("faulty_services", set_as_current=False)
    application.loader.override_backends = {"redis": f"{__name__}:{Results.__name__}"}
    correct_settings = {
        "result_expires": 3600,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "broker_connection_retry_on_startup": True,
        "task_publish_retry": False,
        "broker_transport_options": {
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "max_retries": 1,
            "interval_start": 0,
        },
    }
    application.conf.update(correct_settings | settings)
    application.task(
        work, name=TASK, shared=False
    )  # else every Celery application of the process has it
    return application


worker = celery_application(completed)


class Service:
    """An ASGI application, built when the server first calls it."""

    tasks = worker
    pool_sizes = (2, 10)
    limits = httpx.Limits(max_connections=200)
    seconds_of_a_call: float | None = 12  # to the upstream, as a whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        await self.app(scope, receive, send)

    @cached_property
    def app(self) -> FastAPI:
        """The FastAPI application with its routes."""
        application = FastAPI(lifespan=self.lifespan)
        self.add_routes(application)
        return application

    def add_routes(self, application: FastAPI) -> None:
        """Route every endpoint."""

        async def read_items(parameters: Annotated[Parameters, Depends(self.parameters)]) -> Any:
            return parameters

        application.exception_handler(RequestValidationError)(self.reject)
        application.get("/sync")(self.read_sync)
        application.get("/async")(self.read_async)
        application.get("/items/")(read_items)
        application.get("/items/{item_id}")(self.read_item)
        application.get("/external-data")(self.external_data)
        application.post("/process-data/")(self.process_data)

    async def reject(self, _: Request, error: RequestValidationError) -> Response:
        """Say what is wrong with a request, and do not repeat it."""
        told = ("type", "loc", "msg")
        detail = [{name: each[name] for name in told} for each in error.errors()]
        return JSONResponse({"detail": detail}, 422)

    # 7 Lifecycle

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Connect before the first request, disconnect after the last."""
        print("Starting up...", flush=True)
        await self.connect()
        yield
        print("Shutting down...", flush=True)
        await self.disconnect()

    async def connect(self) -> None:
        """Open what is kept for the life of the process."""
        self.pool = await self.open_pool()
        self.upstream = httpx.AsyncClient(
            timeout=httpx.Timeout(5, connect=2), limits=self.limits, cookies=self.make_cookies()
        )
        self.submitters = ThreadPoolExecutor(20)

    def make_cookies(self) -> CookieJar:
        """Make the store of the upstream's cookies, which takes none."""
        return CookieJar(DefaultCookiePolicy(allowed_domains=[]))

    async def open_pool(self, **settings: Any) -> asyncpg.Pool:
        """Open the pool of database connections."""
        at_least, at_most = self.pool_sizes
        return await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=at_least, max_size=at_most, **settings
        )

    async def disconnect(self) -> None:
        """Close it again."""
        await self.pool.close()
        await self.upstream.aclose()
        self.submitters.shutdown(wait=False)

    # 2 Endpoints

    def read_sync(self) -> Any:
        """Answer `/sync`, in a thread."""
        return {"message": "This is a synchronous endpoint"}

    async def read_async(self) -> Any:
        """Answer `/async`, on the event loop."""
        return {"message": "This is an asynchronous endpoint"}

    # 3 Database

    async def read_item(self, item_id: int) -> Any:
        """Answer with an item's row, or null."""
        return {"item": await self.find(item_id) if ID_MIN <= item_id <= ID_MAX else None}

    async def find(self, item_id: int) -> Row | None:
        """Read a row."""
        async with self.pool.acquire() as connection:
            row = await self.select(connection, item_id)
        return None if row is None else dict(row)

    async def select(self, connection: Any, item_id: int) -> Any:
        """Run the query on a connection."""
        return await connection.fetchrow("SELECT * FROM items WHERE id = $1", item_id)

    # 4 Upstream

    async def external_data(self) -> Response:
        """Answer with the upstream's JSON, as it came."""
        try:
            async with asyncio.timeout(self.seconds_of_a_call):
                response = await self.fetch(os.environ["EXTERNAL_DATA_URL"])
        except (TimeoutError, httpx.TimeoutException) as error:
            raise HTTPException(504, "the upstream did not answer in time") from error
        except httpx.HTTPError as error:
            raise HTTPException(502, "the upstream could not be read") from error
        return Response(self.document(response), media_type="application/json")

    async def fetch(self, url: str) -> httpx.Response:
        """Make the outbound call."""
        return await self.upstream.get(url)

    def document(self, response: httpx.Response) -> str:
        """Return the JSON text of an upstream's answer. Raises HTTPException if there is none."""
        if not response.is_success:
            raise HTTPException(502, f"the upstream answered {response.status_code}")
        try:
            text = response.content.decode()
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise HTTPException(502, "the upstream's answer is not JSON") from error
        return text

    # 5 Tasks

    async def process_data(self, data: dict[str, Any]) -> Any:
        """Queue the data and answer at once with the task's id."""
        self.check(data)
        return {"message": "Task submitted", "task_id": await self.submit(data)}

    def check(self, data: Any) -> None:
        """Raise RequestValidationError if the data could not reach the worker as they are."""
        values = [(data, 1)]
        while values:
            value, depth = values.pop()
            if depth > DEPTH:
                raise RequestValidationError(
                    [
                        {
                            "type": "value_error",
                            "loc": ("body",),
                            "msg": f"more than {DEPTH} levels deep",
                        }
                    ]
                )
            if self.is_reserved(value):
                raise RequestValidationError(
                    [
                        {
                            "type": "value_error",
                            "loc": ("body",),
                            "msg": f"{sorted(RESERVED)} are reserved",
                        }
                    ]
                )
            children = (
                value.values()
                if isinstance(value, dict)
                else value
                if isinstance(value, list)
                else ()
            )
            values += [(child, depth + 1) for child in children]

    def is_reserved(self, value: Any) -> bool:
        """Tell whether a value is one that kombu's decoder takes for a type of its own."""
        return isinstance(value, dict) and value.keys() == RESERVED

    async def submit(self, data: Any) -> str:
        """Queue the data and return the task's id. Raises HTTPException if the broker refuses."""
        try:
            return await self.queued(data)
        except (CeleryError, KombuError, RedisError, OSError) as error:
            raise HTTPException(503, "the task queue is not available") from error

    async def queued(self, data: Any) -> str:
        """Publish in a thread, for publishing blocks."""
        return await asyncio.get_running_loop().run_in_executor(self.submitters, self.publish, data)

    def publish(self, data: Any, **options: Any) -> str:
        """Put a task into the queue and return its id."""
        return str(self.tasks.tasks[TASK].apply_async((data,), **options).id)

    # 6 Dependencies

    async def parameters(self, q: str | None = None) -> Parameters:
        """Collect the parameters that listings share."""
        return {"q": q}


class Supervised(Service):
    """The same, served by a child of the process that the suite has started.

    When the child ends and nobody has asked for it, another is started. The socket stays open.
    """

    @asynccontextmanager
    async def lifespan(self, application: FastAPI) -> AsyncIterator[None]:
        """Be a parent for good, or a child that serves."""
        if CHILD not in os.environ:
            server = signal.getsignal(signal.SIGTERM).__self__  # type: ignore[union-attr]
            with server.config.bind_socket() as listener:
                self.supervise(listener.fileno())
        async with super().lifespan(application):
            yield

    def supervise(self, listener: int) -> NoReturn:
        """Start a child, and another when it ends, and end where both were asked to."""
        name = f"{type(self).__module__}:{type(self).__name__}"
        command = [sys.executable, "-m", "uvicorn", "--fd", str(listener), name]
        asked: list[int] = []

        def pass_on(number: int, _: object) -> None:
            asked.append(number)
            for each in self.choose_signals(number):
                child.send_signal(each)

        while not asked:
            child = subprocess.Popen(command, env={**os.environ, CHILD: "yes"}, pass_fds=[listener])
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, pass_on)
            if child.wait() == NOT_STARTED:
                os._exit(NOT_STARTED)
        os._exit(0)

    def choose_signals(self, number: int) -> tuple[int, ...]:
        """Say what the child is sent: nothing at an interrupt, for the terminal has sent it."""
        return () if number == signal.SIGINT else (number,)


correct = Service()
