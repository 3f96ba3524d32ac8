"""A fork server: runs of the suite and their targets, forked from a process with all imports.

A run costs about a second of imports, and so does each target, worker and further copy of a target
that it starts. Forked, they cost some 10 ms. In everything else they are as elsewhere: processes of
their own, with their own environment, folder, output, signals and exit status.

`multiprocessing`'s own fork server would not do. Its children end by `os._exit`, without `atexit`,
and with status 1 on SIGINT; and they are daemons, or are waited for when their parent ends.
"""

import atexit
import gc
import importlib
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from multiprocessing.connection import Client, Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import IO, Any

SUITE = "conformance run"
# pluggy says so of a signal that comes inside of Hypothesis's hook. An error would hide the signal.
NO_ERROR = "ignore::pluggy.PluggyTeardownRaisedWarning"
SERVERS = ("uvicorn", "celery", "hypercorn")  # modules that targets and workers run
FIRST_OTHER = 3  # file descriptors before it are the standard streams
# What runs and targets import, and what these import only when they are used.
PRELOADED = (
    "_hypothesis_pytestplugin", "conformance.pytest_plugin.plugin", "conformance.scenarios.search",
    "conformance.cli.main", "pdb", "fastapi", "pydantic.v1", "uvicorn.main",
    "uvicorn.lifespan.on", "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.http.h11_impl",
    "uvicorn.protocols.websockets.auto", "anyio._backends._asyncio",
    "hypercorn.asyncio.run", "celery.bin.celery",
    "celery.apps.worker", "celery.app.control", "celery.app.events", "celery.backends.redis",
    "celery.concurrency.prefork", "celery.events.receiver", "celery.fixups.django",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer",
    "celery.worker.strategy", "billiard.popen_fork", "billiard.sharedctypes",
    "kombu.transport.redis", "aiohttp", "databases.backends.postgres", "psycopg_pool",
    "pydantic_settings",
    "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.ext.asyncio", "sqlalchemy.orm",
)  # fmt: skip


class ForkedProcess:
    """A process forked by the server, with as much of `subprocess.Popen` as the suite uses."""

    stdout: IO[bytes] | None = None
    stderr: IO[bytes] | None = None

    def __init__(
        self, server: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path, *outputs: int
    ) -> None:
        """Start it, with these two descriptors as its output."""
        self._line = Client(server, "AF_UNIX")
        self._line.send((server, list(argv), dict(env), str(cwd)))
        for descriptor in outputs:
            send_handle(self._line, descriptor, None)
        self.pid: int = self._line.recv()
        self._lock = threading.Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._receive_status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit status. Raises subprocess.TimeoutExpired."""
        status = self._receive_status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired([], timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _receive_status(self, timeout: float | None) -> int | None:
        if self._status is None and self._line.poll(timeout):
            with self._lock:  # another thread may have received it meanwhile
                if self._status is None:
                    self._status = self._line.recv()
        return self._status


@cache
def start_server() -> str:
    """Start the server of this process, which ends with it; return the address of its socket."""
    folder = tempfile.TemporaryDirectory()
    address = str(Path(folder.name) / "fork_server")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        descriptor = listener.fileno()
        argv = [sys.executable, "-u", "-m", __name__, str(descriptor)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, pass_fds=[descriptor])

    def end() -> None:
        process.communicate()  # closes its input, which ends it
        folder.cleanup()

    atexit.register(end)
    return address


def fork_suite(argv: Sequence[str], env: Mapping[str, str], output: Path) -> ForkedProcess:
    """Fork a run of the suite from the server of this process."""
    from conformance.config.paths import PROJECT  # noqa: PLC0415

    with output.open("wb") as file:
        outputs = (file.fileno(), file.fileno())
        return ForkedProcess(start_server(), [SUITE, *argv], env, PROJECT, *outputs)


def start_target(
    server: str, argv: Sequence[str], **options: Any
) -> "subprocess.Popen[bytes] | ForkedProcess":
    """Do what `subprocess.Popen` does. Fork what runs a module of SERVERS."""
    if list(argv[:2]) != [sys.executable, "-m"] or argv[2] not in SERVERS:
        return subprocess.Popen(argv, **options)
    (stdout, its_stdout), (stderr, its_stderr) = os.pipe(), os.pipe()
    try:
        process = ForkedProcess(
            server, argv[2:], options["env"], options["cwd"], its_stdout, its_stderr
        )
    finally:
        os.close(its_stdout)
        os.close(its_stderr)
    process.stdout, process.stderr = os.fdopen(stdout, "rb", 0), os.fdopen(stderr, "rb", 0)
    return process


def main() -> None:
    """Serve until the input ends. In a forked child it returns when that has done its work."""
    for number in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    listener = socket.socket(fileno=int(sys.argv[1]))
    preload_modules()
    gc.freeze()  # what all of them share need not be looked through in each
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        accepted, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _serve(Connection(accepted.detach()))
        accepted.close()
    return None


def _serve(line: Connection) -> None:
    """Fork what is asked for, and tell its pid and then its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server, argv, environment, folder = line.recv()
    outputs = recv_handle(line), recv_handle(line)
    pid = os.fork()
    if pid == 0:
        line.close()
        _set_up(outputs, environment, folder)
        return _run_suite(server, argv) if argv[0] == SUITE else _run_module(argv, folder)
    with suppress(OSError):  # nobody may be left to tell
        line.send(pid)
        line.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def _set_up(outputs: tuple[int, int], environment: Mapping[str, str], folder: str) -> None:
    """Make the process what a new one is."""
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
        os.dup2(descriptor, number)
    os.closerange(FIRST_OTHER, os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it was the server's
    os.chdir(folder)


def _run_suite(server: str, argv: Sequence[str]) -> None:
    """Do what `conformance run` does. A warning of the suite's own is an error."""
    from conformance.cli.main import main as run_command  # noqa: PLC0415
    from conformance.testbed.processes import Process  # noqa: PLC0415

    Process.spawn = partial(start_target, server)  # type: ignore[assignment]
    status: list[int] = []
    # The first registered is called last. To take all modules apart would cost 0.1 s of CPU.
    atexit.register(lambda: os._exit(*status))
    # What is imported already cannot be rewritten.
    own = ("--assert=plain", "-W", "error", "-W", NO_ERROR)
    status.append(run_command(["run", *argv[1:], *own]))


def _run_module(argv: Sequence[str], folder: str) -> None:
    """Do what `python -m` does, in a session of its own."""
    os.setsid()
    added = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [folder, *added, *(path for path in sys.path if path not in (folder, ""))]
    sys.modules.pop("sitecustomize", None)
    if any((Path(path) / "sitecustomize.py").exists() for path in added):
        importlib.import_module("sitecustomize")
    sys.argv = list(argv)
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)


def preload_modules() -> None:
    """Import what runs and targets import, and make what is made on first use."""
    for module in PRELOADED:
        importlib.import_module(module)
    importlib.import_module("conformance.core.preload").settle_imports()
    importlib.import_module("conformance.pytest_plugin.examples").set_examples()
    probes = importlib.import_module("conformance.probes")
    for each in pkgutil.iter_modules(probes.__path__, "conformance.probes."):
        importlib.import_module(each.name)
    _draw_once()


def _draw_once() -> None:
    """Draw an example of each operation, which makes Hypothesis's tables and the strategies."""
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415
    from hypothesis.configuration import set_hypothesis_home_dir  # noqa: PLC0415

    from conformance.client import schema_cases  # noqa: PLC0415

    one = settings(max_examples=1, database=None, suppress_health_check=list(HealthCheck))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of all work before its pytest plugin is set up
        set_hypothesis_home_dir(folder)
        for path in schema_cases.load_operations():
            given(schema_cases.generate_cases(path))(one(lambda _: None))()


if __name__ == "__main__":
    main()
