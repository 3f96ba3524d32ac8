"""Warm starts: runs of the suite, and the targets that they start, forked from processes that have imported everything already.

A run costs about a second of imports, and so does each of its targets, workers and further copies of a target. Here they are
forked, and are in everything else what they are elsewhere: processes of their own, with their own group, environment, folder, output,
signals and status. Whatever is forked was forked from a process with one thread.

`python -m conformance.selftest.support.warm` is given sockets by its standard input, which is one too. For each it forks a process that
reads requests from it, a line of JSON each, and runs them one at a time.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

PR_SET_CHILD_SUBREAPER = (
    36  # prctl(2): orphans among the descendants become children of this process
)
SERVED = ("uvicorn", "celery", "hypercorn")  # modules that targets run
IMPORTED = (
    "_pytest.helpconfig", "_pytest.pastebin", "_pytest.setuponly", "_pytest.setupplan", "_pytest.skipping", "_pytest.stepwise",
    "_pytest.threadexception", "_pytest.tracemalloc", "_pytest.unittest", "_pytest.unraisableexception", "_pytest.warnings", "aiohttp",
    "anyio._backends._asyncio", "anyio.from_thread", "asyncpg", "billiard.heap", "billiard.popen_fork", "billiard.sharedctypes",
    "billiard.synchronize", "celery.app.control", "celery.app.defaults", "celery.app.events", "celery.app.log", "celery.apps.worker",
    "celery.backends.redis", "celery.bin.celery", "celery.concurrency.prefork", "celery.events.receiver", "celery.fixups.django",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer.consumer", "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy", "conformance.client.schema_cases", "conformance.pytest_plugin.plugin", "conformance.scenarios.search", "databases.backends.postgres",
    "fastapi", "faulthandler", "httpx", "hypercorn.asyncio.lifespan", "hypercorn.asyncio.run",
    "hypothesis.strategies._internal.flatmapped", "kombu.transport.redis", "pdb", "psycopg_pool", "pydantic.v1", "pydantic_settings",
    "pytest", "schemathesis.generation._hooks", "schemathesis.generation.body_overrides", "schemathesis.generation.dictionaries",
    "schemathesis.python._constants.orchestrator", "schemathesis.python.asgi", "schemathesis.specs.openapi.schemas",
    "schemathesis.transport.asgi", "schemathesis.transport.wsgi", "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.ext.asyncio", "sqlalchemy.orm", "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio", "uvicorn.protocols.http.auto", "uvicorn.protocols.http.h11_impl", "uvicorn.protocols.websockets.auto",
)  # fmt: skip
# pluggy says so of a signal that comes inside of Hypothesis's hook. An error would hide the signal.
NO_ERROR = "ignore::pluggy.PluggyTeardownRaisedWarning"
FIRST_OF_OURS = 3  # file descriptors before it are the standard ones


class Warm:
    """The process that has imported everything: one for all that this one starts, for it takes seconds to become warm."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "conformance.selftest.support.warm"], stdin=theirs.fileno()
            )
        atexit.register(self._close)

    def connect(self) -> socket.socket:
        """A line to a process forked from it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._line, [b"-"], [theirs.fileno()])
        return ours

    def _close(self) -> None:
        """Close its input, which ends it. A signal could come while it makes its tables, and leave their folder."""
        self._line.close()
        self._process.wait()


warm = cache(Warm)


class Starter:
    """What has runs forked; one at a time."""

    def __init__(self) -> None:
        with warm().connect() as line:
            self._line = line.makefile("rw", encoding="utf-8")

    def run(
        self,
        arguments: Sequence[str],
        output: Path,
        env: Mapping[str, str],
        deadline: float,
        patience: float,
    ) -> int:
        """Run the suite to its end, or ask it to stop after `deadline` seconds and kill it `patience` later; its exit status."""
        print(json.dumps([list(arguments), str(output), dict(env)]), file=self._line, flush=True)
        pid = int(self._line.readline())
        timers = [
            threading.Timer(after, _send, (pid, number))
            for after, number in ((deadline, signal.SIGTERM), (deadline + patience, signal.SIGKILL))
        ]
        for timer in timers:
            timer.start()
        try:
            return int(self._line.readline())
        finally:
            for timer in timers:
                timer.cancel()

    def close(self) -> None:
        """End what forks them."""
        self._line.close()


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def main() -> None:
    """Fork what serves requests until the input ends."""
    given = socket.socket(fileno=0)
    _import_what_runs_import()
    _make_tables()
    gc.freeze()  # what all of them share is nothing to look through in each
    while (received := socket.recv_fds(given, 1, 1))[0]:
        with socket.socket(fileno=received[1][0]) as line:
            if os.fork() == 0:
                _serve_runs(line)
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


def _serve_runs(line: socket.socket) -> NoReturn:
    with line.makefile("rw", encoding="utf-8") as requests:
        for request in requests:
            pid = os.fork()
            if pid == 0:
                _become_a_run(*json.loads(request))
            print(pid, file=requests, flush=True)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=requests, flush=True)
    os._exit(0)


def _import_what_runs_import() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    importlib.import_module("conformance.core.preload").settle_imports()
    importlib.import_module("conformance.pytest_plugin.plugin").set_examples()
    for probes in pkgutil.iter_modules(
        importlib.import_module("conformance.probes").__path__, "conformance.probes."
    ):
        importlib.import_module(probes.name)


def _make_tables() -> None:
    """Let what is made once be made: Hypothesis's table of all characters, the constants in our own modules, and the contract's strategies."""
    import hypothesis.configuration  # noqa: PLC0415 - here, like the others
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415
    from hypothesis.internal.charmap import charmap  # noqa: PLC0415
    from hypothesis.internal.conjecture.providers import _get_local_constants  # noqa: PLC0415

    from conformance.client import schema_cases  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        hypothesis.configuration.set_hypothesis_home_dir(folder)
        charmap()
        _get_local_constants()
        for path in (
            schema_cases.load_operations()
        ):  # a strategy is made when something is first drawn of it
            given(schema_cases.generate_cases(path))(
                settings(max_examples=1, suppress_health_check=list(HealthCheck))(lambda _: None)
            )()
    hypothesis.configuration._first_postinit_what = (
        None  # it would warn of tables that were made before its pytest plugin is loaded
    )


def _become_a_run(
    arguments: Sequence[str], output: str, environment: Mapping[str, str]
) -> NoReturn:
    """Run the suite in this environment, in the state that a new process has."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    _take_over(os.open(os.devnull, os.O_RDONLY), descriptor, descriptor)
    _live_in(environment)
    from conformance.config.paths import PROJECT  # noqa: PLC0415
    from conformance.testbed.processes import Process  # noqa: PLC0415

    os.chdir(PROJECT)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    Process.spawn = Nursery().spawn  # type: ignore[assignment]
    from conformance.cli.main import main as run_command  # noqa: PLC0415

    # What is imported already cannot be rewritten. A warning of the suite's own is an error.
    own = ("--assert=plain", "-W", "error", "-W", NO_ERROR)
    _end(run_command(["run", *arguments, *own]))


class Nursery:
    """A process that forks the targets of one run, and hands them over to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line, theirs = socket.socketpair()
        if os.fork() == 0:
            self._line.close()
            _serve_targets(theirs)
        theirs.close()

    def spawn(self, argv: Sequence[str], **more: Any) -> "subprocess.Popen[bytes] | Forked":
        """What `subprocess.Popen` does, for what runs a module that is imported here; anything else is started as usual."""
        if list(argv[:2]) != [sys.executable, "-m"] or argv[2] not in SERVED:
            return subprocess.Popen(argv, **more)
        pipes = [os.pipe(), os.pipe()]
        request = json.dumps([list(argv[2:]), more["env"], str(more["cwd"])]).encode()
        with self._lock:
            socket.send_fds(
                self._line, [len(request).to_bytes(4) + request], [pipe[1] for pipe in pipes]
            )
            answer = self._line.recv(4)
        if not answer:  # as a pid it would be 0, which stands for ourselves
            raise OSError("the process that forks targets has ended")
        pid = int.from_bytes(answer)
        for _, theirs in pipes:
            os.close(theirs)
        return Forked(pid, *(os.fdopen(ours, "rb", buffering=0) for ours, _ in pipes))


class Forked:
    """A child as `subprocess.Popen` would have it, as far as the suite uses that."""

    def __init__(self, pid: int, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self._lock = threading.Lock()
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        with self._lock:
            if self._status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._status = os.waitstatus_to_exitcode(status) if pid else None
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([], timeout or 0)
            time.sleep(0.002)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _serve_targets(line: socket.socket) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, 65536, 2)
        if not message:
            os._exit(0)
        size = int.from_bytes(message[:4])
        while len(message) < size + 4:
            message += line.recv(65536)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:  # it ends at once, so that its child becomes the run's
            pid = os.fork()
            if pid == 0:
                os.close(writing)
                _become_a_target(*json.loads(message[4:]), *descriptors)
            os.write(writing, pid.to_bytes(4))
            os._exit(0)
        os.waitpid(between, 0)
        line.sendall(os.read(reading, 4))
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def _become_a_target(
    words: Sequence[str], environment: Mapping[str, str], folder: str, output: int, errors: int
) -> NoReturn:
    """Run a module as `python -m` does, in a session, an environment and a folder of its own."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _take_over(os.open(os.devnull, os.O_RDONLY), output, errors)
    os.chdir(folder)
    _live_in(environment)
    places = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [folder, *places, *(place for place in sys.path if place not in (folder, ""))]
    sys.modules.pop("sitecustomize", None)
    if any((Path(place) / "sitecustomize.py").exists() for place in places):
        importlib.import_module("sitecustomize")
    sys.argv = list(words)
    status = 0
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException as error:
        status = 1
        traceback.print_exc()
        if isinstance(error, KeyboardInterrupt):  # the interpreter ends by the signal then
            sys.stderr.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    _end(status)


def _live_in(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it was that of the process before


def _take_over(given: int, output: int, errors: int) -> None:
    """Make these the standard streams, and close everything else."""
    for descriptor, number in ((given, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, number)
    os.closerange(FIRST_OF_OURS, os.sysconf("SC_OPEN_MAX"))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - they stay open
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115


def _end(status: int) -> NoReturn:
    """End as the interpreter does, but for what was there before the fork."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
