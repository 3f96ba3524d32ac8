"""Section 7 got wrong: the two lines, the end of the process, and its start."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import atexit
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
from fastapi import FastAPI, HTTPException

from conformance.selftest.miniatures.service import Row, Service, miniature


@miniature
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


@miniature
class starting_up_is_printed_twice(Service):
    """A second startup hook prints `Starting up...` once more."""

    async def connect(self) -> None:
        print("Starting up...", flush=True)
        await super().connect()


@miniature
class shutting_down_is_printed_at_exit(Service):
    """`Shutting down...` is left to `atexit`, which a process that ends by SIGTERM does not come to."""

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        print("Starting up...", flush=True)
        await self.connect()
        atexit.register(print, "Shutting down...", flush=True)
        yield
        await self.disconnect()


@miniature
class shutting_down_is_printed_twice(Service):
    """A second shutdown hook prints `Shutting down...` once more."""

    async def disconnect(self) -> None:
        await super().disconnect()
        print("Shutting down...", flush=True)


@miniature
class child_is_left_running(Service):
    """A child process that was started with the service is not told to end."""

    async def connect(self) -> None:
        await super().connect()
        self.child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")


@miniature
class sigterm_ends_with_a_status_of_failure(Service):
    """After a shutdown in good order the process ends with status 1."""

    async def disconnect(self) -> None:
        await super().disconnect()
        os._exit(1)


@miniature
class startup_wants_one_variable_more(Service):
    """Startup reads a variable that the contract does not have."""

    async def connect(self) -> None:
        self.secret = os.environ["SECRET_KEY"]
        await super().connect()


@miniature
class second_copy_does_not_start(Service):
    """A lock in the folder for temporary files allows one copy on a machine, whatever its port and database."""

    async def connect(self) -> None:
        self.lock = Path(tempfile.gettempdir(), "service.lock").open("w")  # noqa: ASYNC230, SIM115
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await super().connect()


@miniature
class child_in_a_session_of_its_own_is_left_running(Service):
    """A helper process that was started in a session of its own outlives the service."""

    async def connect(self) -> None:
        await super().connect()
        self.helper = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)


@miniature
class reads_in_flight_are_cancelled_by_sigterm(Service):
    """SIGTERM cancels the reads that are in flight before the server hears of it, and they are answered 503."""

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


@miniature
class sigint_ends_the_process_at_once(Service):
    """SIGINT has the system's own meaning, so that Ctrl-C ends the process without its shutdown."""

    async def connect(self) -> None:
        await super().connect()
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@miniature
class startup_goes_on_without_a_database(Service):
    """Where the database cannot be reached at startup, the pool is left to connect later."""

    async def connect(self) -> None:
        try:
            await super().connect()
        except (OSError, asyncpg.PostgresError):
            self.pool_sizes = (0, 10)
            await super().connect()


@miniature
class slow_startup_goes_on_in_the_background(Service):
    """Where connecting takes longer than half a second, it goes on in the background of what is served already."""

    async def connect(self) -> None:
        self.connecting = asyncio.ensure_future(super().connect())
        await asyncio.wait({self.connecting}, timeout=0.5)
        if self.connecting.done():
            self.connecting.result()


@miniature
class stop_waits_until_every_client_has_left(Service):
    """Clients stay connected for as long as they like, and SIGTERM is kept from the server until none is."""

    async def connect(self) -> None:
        await super().connect()
        self.take_over(signal.getsignal(signal.SIGTERM))

    def take_over(self, handle_exit: Any) -> None:
        handle_exit.__self__.config.timeout_keep_alive = 3600
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(self.drain(handle_exit)))

    async def drain(self, handle_exit: Any) -> None:
        while any(self.is_a_client(connection) for connection in psutil.Process().net_connections("tcp")):
            await asyncio.sleep(0.05)
        handle_exit(signal.SIGTERM, None)

    def is_a_client(self, connection: Any) -> bool:
        return bool(connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == int(os.environ["PORT"]))


@miniature
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
