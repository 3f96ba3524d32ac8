"""Section 7 got wrong: the two lines, the end of the process, and its start."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import atexit
import fcntl
import os
import signal
import socket
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import redis
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.routing import Mount

from conformance.selftest.faulty_services.service import (
    Receive,
    Row,
    Scope,
    Send,
    Service,
    Supervised,
)
from conformance.selftest.faulty_services.table import ALL_BUT_READINESS, faulty_service


@faulty_service(fails=("LIFE-1",), because=r"when the first answer comes.*0 of them")
class starting_up_waits_for_the_first_read(Service):
    """`Starting up...` is printed when the first item is read."""

    started = False

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.connect()
        yield
        print("Shutting down...", flush=True)
        await self.disconnect()

    async def find(self, item_id: int) -> Row | None:
        if not self.started:
            self.started = True
            print("Starting up...", flush=True)
        return await super().find(item_id)


@faulty_service(
    fails=("LIFE-1", "LIFE-2", "DB-7", "DB-1", "DB-2", "UP-1", "TASK-1"),
    because=r"when the first answer comes.*0 of them",
    consequences=(
        "CONC-1",
        "CONC-2",
        "CONC-3",
        "CONC-4",
        "CONC-5",
        "CONC-6",
        "CONC-7",
        "CONC-8",
        "CONC-10",
        "CONC-11",
        "CONC-12",
        "END-3",
        "DB-3",
        "DB-4",
        "DB-8",
        "DB-9",
        "DB-10",
        "DB-11",
        "DB-12",
        "DB-13",
        "DB-14",
        "DB-15",
        "DB-16",
        "UP-2",
        "UP-3",
        "UP-4",
        "UP-5",
        "UP-6",
        "UP-7",
        "UP-8",
        "UP-9",
        "UP-10",
        "TASK-2",
        "TASK-3",
        "TASK-4",
        "TASK-5",
        "TASK-6",
        "TASK-7",
        "TASK-9",
        "TASK-10",
        "TASK-11",
        "TASK-12",
        "TASK-13",
        "TASK-14",
        "TASK-15",
        "TASK-16",
        "DEP-5",
        "LIFE-4",
        "LIFE-5",
        "LIFE-6",
        "LIFE-7",
        "HTTP-3",
        "END-4",
        "HTTP-9",
        "UP-13",
        "TASK-19",
        "HTTP-11",
        "UP-12",
        "CONC-13",
        "LIFE-11",
    ),
)
class application_is_mounted_so_its_lifespan_never_runs(Service):
    """Another application mounts this one, and passes it requests only, not its lifespan."""

    @cached_property
    def app(self) -> Any:
        return Starlette(routes=[Mount("/", super().app)])


@faulty_service(fails=("LIFE-1",), because=r"^2 of them")
class starting_up_is_printed_twice(Service):
    """A second startup hook prints `Starting up...` once more."""

    async def connect(self) -> None:
        print("Starting up...", flush=True)
        await super().connect()


@faulty_service(fails=("LIFE-2",), because=r"^0 of them")
class shutting_down_is_printed_at_exit(Service):
    """`Shutting down...` is printed by `atexit`, which a process ended by SIGTERM never runs."""

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        print("Starting up...", flush=True)
        await self.connect()
        atexit.register(print, "Shutting down...", flush=True)
        yield
        await self.disconnect()


@faulty_service(fails=("LIFE-2",), because=r"^2 of them", consequences=("LIFE-5",))
class shutting_down_is_printed_twice(Service):
    """A second shutdown hook prints `Shutting down...` once more."""

    async def disconnect(self) -> None:
        await super().disconnect()
        print("Shutting down...", flush=True)


@faulty_service(fails=("LIFE-2",), because=r"before the stop signal\n1 of them")
class both_lines_are_printed_before_the_lifespan(Service):
    """Both lines are printed when the application is made, and say nothing of its lifecycle."""

    @cached_property
    def app(self) -> FastAPI:
        print("Starting up...", "Shutting down...", sep="\n", flush=True)
        return super().app

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.connect()
        yield
        await self.disconnect()


@faulty_service(fails=("LIFE-3",), because=r"^1 left: python", consequences=("LIFE-5", "LIFE-8"))
class child_is_left_running(Service):
    """A child process that was started with the service is not told to end."""

    async def connect(self) -> None:
        await super().connect()
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import time; time.sleep(60)"
        )


@faulty_service(fails=("LIFE-3",), because=r"^status 1$", consequences=("LIFE-5", "LIFE-8"))
class sigterm_ends_with_a_status_of_failure(Service):
    """After a shutdown in good order the process ends with status 1."""

    async def disconnect(self) -> None:
        await super().disconnect()
        os._exit(1)


@faulty_service(
    fails=("LIFE-10",),
    because=r"ended with status 3 before it answered",
    inconclusive=ALL_BUT_READINESS,
)
class startup_wants_one_variable_more(Service):
    """Startup reads a variable that the contract does not have."""

    async def connect(self) -> None:
        self.secret = os.environ["SECRET_KEY"]
        await super().connect()


@faulty_service(
    fails=("LIFE-10",),
    because=r"ended with status 3 before it answered",
    inconclusive=(
        "DB-4",
        "DB-7",
        "DB-8",
        "DB-9",
        "TASK-2",
        "TASK-7",
        "LIFE-1",
        "LIFE-2",
        "LIFE-3",
        "CONC-9",
        "UP-6",
        "TASK-10",
        "TASK-17",
        "LIFE-4",
        "LIFE-5",
        "LIFE-6",
        "LIFE-7",
        "LIFE-8",
        "LIFE-9",
        "TASK-12",
        "TASK-11",
        "DB-14",
        "CONC-10",
    ),
    after=("DB-7",),
)
class second_copy_does_not_start(Service):
    """A lock in the temporary folder allows one copy on a machine, whatever its port."""

    async def connect(self) -> None:
        self.lock = Path(tempfile.gettempdir(), "service.lock").open("w")  # noqa: ASYNC230, SIM115
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await super().connect()


@faulty_service(fails=("LIFE-3",), because=r"^1 left: sleep", consequences=("LIFE-5", "LIFE-8"))
class child_in_a_session_of_its_own_is_left_running(Service):
    """A helper process that was started in a session of its own outlives the service."""

    async def connect(self) -> None:
        await super().connect()
        self.helper = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)


@faulty_service(fails=("LIFE-4",), because=r"^503 ")
class reads_in_flight_are_cancelled_by_sigterm(Service):
    """SIGTERM cancels the reads in flight before the server hears of it. They get a 503."""

    reads: set[asyncio.Future[Row | None]] = set()  # noqa: RUF012

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(signal.SIGTERM)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.cancel)

    def cancel(self) -> None:
        for read in self.reads:
            read.cancel()
        self.stop(signal.SIGTERM, None)

    async def find(self, item_id: int) -> Row | None:
        read = asyncio.ensure_future(super().find(item_id))
        self.reads.add(read)
        read.add_done_callback(self.reads.discard)
        try:
            return await read
        except asyncio.CancelledError as error:
            raise HTTPException(503, "the service is going down") from error


@faulty_service(fails=("LIFE-4",), because=r", [1-9]\d* were abandoned")
class sigterm_over_a_read_leaves_the_sessions_open(Service):
    """If SIGTERM comes during a read, that is answered, and then nothing is closed."""

    late = False

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(signal.SIGTERM)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.note)

    def note(self) -> None:
        self.late = self.pool.get_idle_size() < self.pool.get_size()
        self.stop(signal.SIGTERM, None)

    async def disconnect(self) -> None:
        if not self.late:
            await super().disconnect()


@faulty_service(fails=("LIFE-5",), because=r"^0 of them")
class sigint_ends_the_process_at_once(Service):
    """SIGINT has the system's own meaning, so that Ctrl-C ends the process without its shutdown."""

    async def connect(self) -> None:
        await super().connect()
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@faulty_service(fails=("LIFE-5",), because=r", [1-9]\d* were abandoned")
class sigint_leaves_the_sessions_open(Service):
    """After SIGINT, which is for developers, the shutdown prints its line and closes nothing."""

    interrupted = False

    async def connect(self) -> None:
        await super().connect()
        self.interrupt: Any = signal.getsignal(signal.SIGINT)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.note)

    def note(self) -> None:
        self.interrupted = True
        self.interrupt(signal.SIGINT, None)

    async def disconnect(self) -> None:
        if not self.interrupted:
            await super().disconnect()


@faulty_service(fails=("LIFE-6",), because=r"^200 ")
class startup_goes_on_without_a_database(Service):
    """Where the database cannot be reached at startup, the pool is left to connect later."""

    async def connect(self) -> None:
        try:
            await super().connect()
        except (OSError, asyncpg.PostgresError):
            self.pool_sizes = (0, 10)
            await super().connect()


@faulty_service(fails=("LIFE-6",), because=r"ended with status 0 before it answered")
class startup_without_a_database_ends_with_success(Service):
    """If the database cannot be reached at startup, the process says so and ends with status 0."""

    async def connect(self) -> None:
        try:
            await super().connect()
        except (OSError, asyncpg.PostgresError) as error:
            print("not started:", error, flush=True)
            os._exit(0)


@faulty_service(fails=("LIFE-7",), because=r"^200 ")
class slow_startup_goes_on_in_the_background(Service):
    """If connecting takes more than half a second, the service starts and goes on with it."""

    async def connect(self) -> None:
        self.connecting = asyncio.ensure_future(super().connect())
        await asyncio.wait({self.connecting}, timeout=0.5)
        if self.connecting.done():
            self.connecting.result()


@faulty_service(fails=("LIFE-7",), because=r"^200 starting")
class slow_startup_is_covered_by_a_listener_of_its_own(Service):
    """If connecting takes more than half a second, a second listener answers 200 meanwhile."""

    async def connect(self) -> None:
        connecting = asyncio.ensure_future(super().connect())
        await asyncio.wait({connecting}, timeout=0.5)
        if not connecting.done():
            async with await asyncio.start_server(
                self.answer, os.environ["HOST"], int(os.environ["PORT"])
            ):
                await asyncio.wait({connecting})
        connecting.result()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nstarting"
            )
        writer.close()


@faulty_service(
    fails=("LIFE-8",), because=r"^a process that had to be killed", consequences=("LIFE-4",)
)
class stop_waits_until_every_client_has_left(Service):
    """Clients stay connected as long as they like. SIGTERM does not reach the server until then."""

    async def connect(self) -> None:
        await super().connect()
        self.take_over(signal.getsignal(signal.SIGTERM))

    def take_over(self, handle_exit: Any) -> None:
        handle_exit.__self__.config.timeout_keep_alive = 3600
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: asyncio.ensure_future(self.drain(handle_exit))
        )

    async def drain(self, handle_exit: Any) -> None:
        while any(
            self.is_a_client(connection) for connection in psutil.Process().net_connections("tcp")
        ):
            await asyncio.sleep(0.5)
        handle_exit(signal.SIGTERM, None)

    def is_a_client(self, connection: Any) -> bool:
        return bool(
            connection.status == psutil.CONN_ESTABLISHED
            and connection.laddr.port == int(os.environ["PORT"])
        )


@faulty_service(
    fails=("LIFE-8",), because=r"^a process that had to be killed", consequences=("LIFE-4",)
)
class every_client_delays_the_stop(Service):
    """At SIGTERM each connected client gets five seconds, one after the other."""

    clients = 0

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(signal.SIGTERM)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.count)

    def count(self) -> None:
        self.clients = len(self.stop.__self__.server_state.connections)
        self.stop(signal.SIGTERM, None)

    async def disconnect(self) -> None:
        await super().disconnect()
        await asyncio.sleep(5 * self.clients)


@faulty_service(
    fails=("LIFE-9",), because=r"ended with status 3 before it answered", inconclusive=("LIFE-5",)
)
class pid_file_outlives_a_kill(Service):
    """A pid file allows one copy on a port, and only a stop in good order removes it."""

    async def connect(self) -> None:
        self.pid_file = Path(tempfile.gettempdir(), f"service-{os.environ['PORT']}.pid")
        with self.pid_file.open("x") as file:
            file.write(str(os.getpid()))
        await super().connect()

    async def disconnect(self) -> None:
        await super().disconnect()
        self.pid_file.unlink()


@faulty_service(
    fails=("LIFE-9",), because=r"ended with status 3 before it answered", inconclusive=("LIFE-5",)
)
class old_connections_count_as_users_of_the_port(Service):
    """Startup checks the port without `SO_REUSEADDR`, and connections in TIME_WAIT forbid that."""

    async def connect(self) -> None:
        with socket.socket() as listener:
            listener.bind((os.environ["HOST"], int(os.environ["PORT"])))
        await super().connect()


@faulty_service(fails=("LIFE-4",), because=r"^(500 |no complete answer)")
class stop_waits_for_no_request(Service):
    """The server is told to wait for a millisecond for what is in flight."""

    async def connect(self) -> None:
        await super().connect()
        stop: Any = signal.getsignal(signal.SIGTERM)
        stop.__self__.config.timeout_graceful_shutdown = 0.001


@faulty_service(
    fails=("LIFE-1",),
    because=r"from its start to the end of the run\n([2-9]|\d\d+) of them",
    consequences=("LIFE-2", "END-5"),
    after=("LIFE-2", "END-4"),
)
class lifespan_begins_anew_after_a_hundred_requests(Service):
    """Each hundred requests the service reads its settings again, and says that it starts anew."""

    served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.served += scope["type"] == "http"
        if self.served == 100:
            self.served = 0
            print("Shutting down...", "Starting up...", sep="\n", flush=True)
        await super().__call__(scope, receive, send)


@faulty_service(
    fails=("LIFE-1", "LIFE-2"),
    because=r"to the end of the run\n[2-9] of them",
    after=("DEP-7",),
)
class serving_process_is_recycled(Supervised):
    """After a parameter that is repeated, a leak, the serving process makes room for another."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_last = scope.get("query_string", b"").count(b"q=") > 1
        if is_last:
            stop: Any = signal.getsignal(signal.SIGTERM)
            for listener in stop.__self__.servers:
                listener.close()  # the next request waits at the parent's socket
        await super().__call__(scope, receive, send)
        if is_last:
            os.kill(os.getpid(), signal.SIGTERM)


@faulty_service(fails=("LIFE-1",), because=r"before the first request is sent")
class starting_up_is_printed_by_the_first_request(Service):
    """`Starting up...` is printed when the first request comes, whichever that is."""

    started = False

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.connect()
        yield
        print("Shutting down...", flush=True)
        await self.disconnect()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.started:
            self.started = True
            print("Starting up...", flush=True)
        await super().__call__(scope, receive, send)


@faulty_service(
    fails=("LIFE-1",), because=r"before the first request is sent", consequences=("DB-7",)
)
class application_is_started_by_its_first_request(Service):
    """The lifespan does nothing. The first request starts what it should have started."""

    started: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.connect()
        self.opened = Service.lifespan(self, self.app)
        yield
        if self.started:
            await self.opened.__aexit__(None, None, None)

    async def connect(self) -> None:
        if not hasattr(self, "pool"):
            await super().connect()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.started = self.started or asyncio.ensure_future(self.opened.__aenter__())
            await asyncio.shield(self.started)
        await super().__call__(scope, receive, send)


@faulty_service(
    fails=("LIFE-3",),
    because=r"SIGTERM, after the whole run,\na process that had to be killed",
    consequences=("LIFE-5",),
    after=("HTTP-5",),
)
class shutdown_waits_for_requests_of_unknown_paths(Service):
    """Requests are counted while they last. Those whose path is not there are counted for ever."""

    requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += scope["type"] == "http"
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.requests -= scope["type"] == "http" and "endpoint" in scope

    async def disconnect(self) -> None:
        while self.requests:
            await asyncio.sleep(0.1)
        await super().disconnect()


@faulty_service(
    fails=("LIFE-5",),
    because=r"SIGINT, after the whole run,\na process that had",
    after=("HTTP-5",),
)
class thread_of_an_unknown_path_never_ends(Service):
    """A path that is not there is noted by a thread, which then waits for the next for ever.

    uvicorn ends by SIGTERM's own meaning, so that nothing waits for a thread. At SIGINT Python
    does.
    """

    noting: threading.Thread | None = None

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(404)(self.note)

    async def note(self, request: Request, error: HTTPException) -> Response:
        if self.noting is None:
            self.noting = threading.Thread(target=threading.Event().wait)
            self.noting.start()
        return await http_exception_handler(request, error)


@faulty_service(fails=("LIFE-5",), because=r"SIGINT, after the whole run,\na process that had to")
class sigint_waits_for_the_next_request(Service):
    """SIGINT is noted, and acted on when a request ends: with none in flight that is never."""

    interrupted = False

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(signal.SIGINT)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.note)

    def note(self) -> None:
        self.interrupted = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        if self.interrupted and scope["type"] == "http":
            self.interrupted = False
            self.stop(signal.SIGINT, None)


@faulty_service(fails=("LIFE-5",), because=r"after SIGINT\n0 of them")
class sigint_over_a_call_ends_the_process_at_once(Service):
    """Where an outbound call is in flight at SIGINT, the process does not wait for it and ends."""

    calls = 0

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(signal.SIGINT)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.interrupt)

    def interrupt(self) -> None:
        if self.calls:
            os._exit(0)
        self.stop(signal.SIGINT, None)

    async def fetch(self, url: str) -> httpx.Response:
        self.calls += 1
        try:
            return await super().fetch(url)
        finally:
            self.calls -= 1


@faulty_service(fails=("LIFE-5",), because=r"after SIGINT\n0 of them")
class parent_passes_the_interrupt_on(Supervised):
    """A terminal interrupts the child too. The parent does it again, and the child gives up."""

    def choose_signals(self, number: int) -> tuple[int, ...]:
        return (number,)


@faulty_service(fails=("LIFE-5",), because=r", [1-9]\d* were abandoned")
class helper_ends_by_the_terminals_interrupt(Service):
    """A helper process is asked for its leave before the pool is closed. Ctrl-C has ended it."""

    async def connect(self) -> None:
        await super().connect()
        pipe = asyncio.subprocess.PIPE
        self.helper = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)

    async def disconnect(self) -> None:
        assert self.helper.stdin
        assert self.helper.stdout
        self.helper.stdin.write(b"may I go?\n")
        if not await self.helper.stdout.readline():
            raise RuntimeError("the helper has gone")
        self.helper.stdin.close()
        await self.helper.wait()
        await super().disconnect()


class GivesUp(Service):
    """At a signal it gives up what it has noted as in flight, before the server hears of it."""

    number = signal.SIGTERM
    in_flight: set[asyncio.Future[Any]] = set()  # noqa: RUF012

    async def connect(self) -> None:
        await super().connect()
        self.stop: Any = signal.getsignal(self.number)
        asyncio.get_running_loop().add_signal_handler(self.number, self.give_up)

    def give_up(self) -> None:
        for each in self.in_flight:
            each.cancel()
        self.stop(self.number, None)

    async def note(self, work: Any) -> Any:
        noted = asyncio.ensure_future(work)
        self.in_flight.add(noted)
        noted.add_done_callback(self.in_flight.discard)
        return await noted


@faulty_service(fails=("LIFE-4",), because=r"^200, 502, 503 or 504\n(500 |no answer)")
class calls_in_flight_are_cancelled_by_sigterm(GivesUp):
    """SIGTERM cancels the outbound calls in flight, and nobody catches that."""

    async def fetch(self, url: str) -> httpx.Response:
        response: httpx.Response = await self.note(super().fetch(url))
        return response


@faulty_service(fails=("LIFE-4",), because=r"^200 or 503\n(500 |no answer)")
class submissions_in_flight_are_cancelled_by_sigterm(GivesUp):
    """SIGTERM cancels the submissions in flight, and nobody catches that."""

    async def queued(self, data: Any) -> str:
        return str(await self.note(super().queued(data)))


@faulty_service(fails=("LIFE-4",), because=r"whose submission was answered with 200")
class submission_in_flight_gets_an_id_of_its_own_at_sigterm(GivesUp):
    """A submission in flight at SIGTERM is answered with an id that no task in the queue has."""

    async def queued(self, data: Any) -> str:
        try:
            return str(await self.note(super().queued(data)))
        except asyncio.CancelledError:
            return str(uuid.uuid4())


class ThreadWaitsForItsRequest(GivesUp):
    """A signal answers a submission with 503. Its thread waits for ever until the id is taken."""

    executor: ThreadPoolExecutor | None = None  # asyncio's own

    async def queued(self, data: Any) -> str:
        taken = threading.Event()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def publish() -> None:
            try:
                task_id = self.publish(data)
            except Exception as error:
                loop.call_soon_threadsafe(hand_over, answer.set_exception, error)
                return
            with suppress(RuntimeError):  # the loop may be closed
                loop.call_soon_threadsafe(hand_over, answer.set_result, task_id)
            taken.wait()

        def hand_over(note: Callable[[Any], None], value: Any) -> None:
            if not answer.done():
                note(value)

        loop.run_in_executor(self.executor, publish)
        try:
            task_id: str = await self.note(answer)
        except asyncio.CancelledError as error:
            raise HTTPException(503, "the service is going down") from error
        taken.set()
        return task_id


@faulty_service(fails=("LIFE-5",), because=r"because of a submission")
class interpreter_waits_for_the_thread_of_a_submission(ThreadWaitsForItsRequest):
    """After SIGINT, asyncio joins the threads of its executor, of which one waits for ever."""

    number = signal.SIGINT


@faulty_service(fails=("LIFE-4",), because=r"because of a submission")
class shutdown_waits_for_the_thread_of_a_submission(ThreadWaitsForItsRequest):
    """After SIGTERM, the shutdown joins the threads of submissions, of which one waits for ever."""

    async def connect(self) -> None:
        await super().connect()
        self.executor = self.submitters

    async def disconnect(self) -> None:
        self.submitters.shutdown(wait=True)
        await super().disconnect()


@faulty_service(fails=("LIFE-4",), because=r"because of an outbound call")
class shutdown_waits_for_calls_that_were_given_up(GivesUp):
    """SIGTERM answers outbound calls with 503, and the shutdown waits until they have an answer."""

    calls = 0

    async def fetch(self, url: str) -> httpx.Response:
        self.calls += 1
        try:
            response: httpx.Response = await self.note(super().fetch(url))
        except asyncio.CancelledError as error:
            raise HTTPException(503, "the service is going down") from error
        except httpx.HTTPError:
            self.calls -= 1
            raise
        self.calls -= 1
        return response

    async def disconnect(self) -> None:
        while self.calls:
            await asyncio.sleep(0.1)
        await super().disconnect()


@faulty_service(
    fails=("LIFE-11",),
    because=r"no more descriptors after 2 rounds in succession",
    consequences=("TASK-19",),
)
class file_of_a_rejection_stays_open(Service):
    """Each rejected id is written to a file that is opened for it and never closed."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        self.files: list[Any] = []
        application.exception_handler(RequestValidationError)(self.reject)

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        self.files.append(Path(os.devnull).open("w"))  # noqa: ASYNC230, SIM115
        return await super().reject(request, error)


@faulty_service(fails=("LIFE-11",), because=r"no more threads")
class thread_of_an_unknown_path_is_one_more(Service):
    """Each path that is not there gets a thread that looks for it, and never ends."""

    def add_routes(self, application: FastAPI) -> None:
        super().add_routes(application)
        application.exception_handler(404)(self.note)

    async def note(self, request: Request, error: HTTPException) -> Response:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        return await http_exception_handler(request, error)


@faulty_service(fails=("LIFE-11",), because=r"no more connections to the broker")
class connection_of_a_submission_stays_open(Service):
    """Each submission asks the broker first, over a connection that is never closed."""

    asked: list[redis.Redis] = []  # noqa: RUF012

    def publish(self, data: Any, **options: Any) -> str:
        self.asked.append(redis.Redis.from_url(os.environ["REDIS_URL"]))
        self.asked[-1].ping()
        return super().publish(data, **options)


@faulty_service(fails=("LIFE-11",), because=r"^\d+, \d+")
class log_of_ill_formed_bodies_is_opened_again(Service):
    """Each body that is no JSON is noted in a log, which is opened for it and stays open."""

    logs: list[Any] = []  # noqa: RUF012

    async def reject(self, request: Request, error: RequestValidationError) -> Response:
        if error.errors()[0]["type"] == "json_invalid":
            self.logs.append(open(os.devnull, "a"))  # noqa: SIM115, PTH123, ASYNC230
        return await super().reject(request, error)


@faulty_service(
    fails=("LIFE-3",),
    because=r"a process that had to be killed",
    consequences=("DB-8", "LIFE-2", "LIFE-5"),
)
class failures_are_summed_up_before_the_end(Service):
    """A read that fails waits, after its answer, for others to be logged with it."""

    async def read_item(self, item_id: int, tasks: BackgroundTasks) -> Any:  # type: ignore[override]
        try:
            return await super().read_item(item_id)
        except (asyncpg.PostgresError, OSError):
            tasks.add_task(asyncio.sleep, 20)
            return JSONResponse({"detail": "no database"}, 503, background=tasks)
