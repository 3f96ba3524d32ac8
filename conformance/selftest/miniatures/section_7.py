"""Section 7 got wrong: the two lines, the end of the process, and its start."""
# ruff: noqa: D102, N801 - a method does what the service's does, wrongly; a class has the name that a server is given

import asyncio
import atexit
import fcntl
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

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
