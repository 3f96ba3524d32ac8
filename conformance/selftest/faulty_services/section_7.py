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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from fastapi import FastAPI, HTTPException

from conformance.selftest.faulty_services.service import Row, Service
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


@faulty_service(fails=("LIFE-8",), because=r"^a process that had to be killed")
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


@faulty_service(fails=("LIFE-8",), because=r"^a process that had to be killed")
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
