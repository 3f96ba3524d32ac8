"""The target: how the implementation under test is started, where it is, and what may be done to it."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore  # noqa: F401 - httpx imports it when it is first used, which here is in a thread; see below
import httpx

from conformance.client.http import HEADERS
from conformance.config.options import Options
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation, WrongUsage
from conformance.core.evidence import Journal, LogLine
from conformance.core.observations import BlockingLine
from conformance.core.polling import Pauses
from conformance.target.external import Control
from conformance.testbed.ports import claim_port
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.processes import Process, Running

if TYPE_CHECKING:
    from conformance.testbed.containers import Engine

# httpcore brings anyio, which parses its own source when it is imported. In a thread that met pytest's parsing of our probes, in
# two of 120 runs: CPython 3.11 counts the depth of both in one place ("AST constructor recursion depth mismatch").
HOST = "127.0.0.1"
EVERYWHERE, INNER_PORT = "0.0.0.0", 8000  # noqa: S104 - where a service in a container listens
TIMEOUTS = ("connect", "read", "write", "pool")  # httpx's kinds
HIDDEN = ("PYTEST_", "COV_", "COVERAGE_", "HYPOTHESIS_", "CONFORMANCE_", "PYTHONPATH", "PYTHONHOME")
UVICORN_STARTUP_FAILED = (
    3  # uvicorn.main.STARTUP_FAILURE: the application was found, and its lifespan failed
)

# Run by the target's interpreter when an application could not be started, to say why.
_LOOK = """
import importlib, inspect, json, sys
module, attribute = sys.argv[1].split(":", 1)
sys.path.insert(0, "")
try:
    found = importlib.import_module(module)
except BaseException as error:
    print(json.dumps(f"{module} does not import: {type(error).__name__}: {error}".splitlines()[0]))
    raise SystemExit
for name in attribute.split("."):
    if not hasattr(found, name):
        print(json.dumps(f"{module} has no attribute {attribute}"))
        raise SystemExit
    found = getattr(found, name)
call = found if inspect.isroutine(found) or inspect.isclass(found) else getattr(found, "__call__", None)
try:
    inspect.signature(call).bind(None, None, None)
    fits = inspect.iscoroutinefunction(call) or not inspect.isroutine(found)
except (TypeError, ValueError):
    fits = False
print(json.dumps(None if fits else f"{sys.argv[1]} is no ASGI application but {type(found).__name__}"))
"""


@dataclass(frozen=True)
class Launch:
    """How a target and its worker are started, and in which environment."""

    options: Options
    services: Mapping[str, str]  # the variables of the contract
    stacks: Path  # the folder with the run's sitecustomize
    journal: Journal
    started: Callable[[Running], None]  # told of every process, so that none outlives the run
    engine: "Engine | None" = None  # where the target is started in containers
    control: Control | None = None  # over a target that somebody else has started
    worker_control: Control | None = None  # over its worker
    addresses: tuple[str, ...] = (
        HOST,
    )  # where on this machine a server of ours must listen that targets reach
    # The suite's own environment, before the first probe: pytest changes it at each, and a thread that reads all of it then may fail.
    inherited: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def serve(self, name: str, port: int, variables: Mapping[str, str]) -> Running:
        """Start the service. Raises FileNotFoundError."""
        if self.options.target_image:
            return self._contain(
                name,
                self.options.target_image,
                self.server(EVERYWHERE, INNER_PORT),
                port,
                variables,
            )
        return self._start(name, self.server(HOST, port), HOST=HOST, PORT=str(port), **variables)

    def work(self) -> Running:
        """Start the worker. Raises FileNotFoundError."""
        if self.worker_control:
            return self.worker_control.start()
        if self.options.worker_image:
            return self._contain("worker", self.options.worker_image, self.worker(), None, {})
        return self._start("worker", self.worker())

    def _start(self, name: str, argv: Sequence[str], **more: str) -> Process:
        process = Process(
            name, argv, self.journal, env=self.environment(**more), cwd=self.options.directory
        )
        self.started(process)
        return process

    def _contain(
        self,
        name: str,
        image: str,
        command: Sequence[str],
        port: int | None,
        variables: Mapping[str, str],
    ) -> Running:
        from conformance.testbed import docker_process  # noqa: PLC0415 - it takes half a second, which not everybody pays

        assert self.engine
        services = {key: value for key, value in self.services.items() if key != "TMPDIR"}
        where = {"HOST": EVERYWHERE, "PORT": str(INNER_PORT)} if port else {}
        environment = {**services, **where, "PYTHONUNBUFFERED": "1", **variables}
        process = docker_process.start_container(
            self.engine,
            name,
            image,
            command,
            environment,
            self.journal,
            {INNER_PORT: port} if port else {},
        )
        self.started(process)
        return process

    def environment(self, **more: str) -> dict[str, str]:
        """The suite's own environment without proxies and without its own marks, and the contract's variables."""
        kept = {
            name: value
            for name, value in self.inherited.items()
            if not name.lower().endswith("_proxy")
            and not name.startswith(HIDDEN)
            and name not in self.services
        }
        paths = [str(self.stacks), self.inherited.get("PYTHONPATH", "")]
        python = {
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }
        return {**kept, **self.services, **python, **more}

    def server(self, host: str, port: int) -> list[str]:
        """The command that starts the service; none where an image has its own."""
        if self.options.target_app:
            uvicorn = (
                "-m",
                "uvicorn",
                "--host",
                host,
                "--port",
                str(port),
                self.options.target_app,
            )
            return [self.options.python, *uvicorn]
        command = shlex.split(self.options.target_command or "")
        return [word.replace("{host}", host).replace("{port}", str(port)) for word in command]

    def run_inside(self, script: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run a script to its end in the target's interpreter, folder and environment. Raises OSError, subprocess.TimeoutExpired."""
        return subprocess.run(
            [self.options.python, "-c", script, *arguments],
            env=self.environment(),
            cwd=self.options.directory,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=timeouts.IMPORT_DEADLINE,
        )

    def worker(self) -> list[str]:
        """The command that starts the worker; none where an image has its own."""
        if self.options.worker_app:
            celery = (
                "-m",
                "celery",
                "-A",
                self.options.worker_app,
                "worker",
                "--loglevel",
                "INFO",
                "--concurrency",
                "1",
            )
            return [
                self.options.python,
                *celery,
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        return shlex.split(self.options.worker_command or "")


@dataclass(frozen=True)
class Health:
    """The statuses of an answer, a read and a submission; None where there was none in time."""

    answer: int | None
    read: int | None
    submission: int | None

    @property
    def is_well(self) -> bool:
        """Whether all three are successes."""
        return all(
            status in range(200, 300) for status in (self.answer, self.read, self.submission)
        )

    @property
    def is_mute(self) -> bool:
        """Whether it does not even answer."""
        return self.answer is None

    @property
    def summary(self) -> str:
        """The three in words."""
        return f"/async {self.answer}, a read {self.read}, a submission {self.submission}"


class NotReady(Violation):
    """The target ended or never answered; `status` is the exit status where it ended."""

    def __init__(self, got: str, process: Running | None, status: int | None = None) -> None:
        lines = process.read_output() if process else []
        said = take_last_lines(lines, 6)
        super().__init__("an answer to GET /async", got, said, _last_words(said[-3:]))
        self.status = status
        self.last_words = _last_words(said)


class Target:
    """One running copy of the implementation: its address, and its process where the suite started it."""

    def __init__(
        self, url: str, folder: Path, process: Running | None, *, contained: bool = False
    ) -> None:
        self.url = url
        self._contained = contained
        self._folder = folder
        self._process = process
        self._mute: set[str] = set()
        self.lines_at_first_answer: list[LogLine] = []

    @classmethod
    def start(
        cls,
        launch: Launch,
        name: str = "server",
        variables: Mapping[str, str] = MappingProxyType({}),
        port: int | None = None,
    ) -> "Target":
        """Start a copy of the implementation, on a free port if none is given. Raises WrongUsage where the command cannot be run."""
        port = port or claim_port()
        try:
            process = launch.serve(name, port, variables)
        except FileNotFoundError as error:
            wanted = (
                "--target-command wants a command that can be run"
                if launch.options.target_command
                else "--target-python wants an interpreter"
            )
            raise WrongUsage(f"{wanted}; {error}") from error
        return cls(
            f"http://{HOST}:{port}",
            launch.options.directory,
            process,
            contained=bool(launch.options.target_image),
        )

    @classmethod
    def existing(cls, launch: Launch) -> "Target":
        """The service that somebody else has started; with its process, where there is control over it. Raises WrongUsage."""
        process = launch.control.running() if launch.control else None
        return cls(
            str(launch.options.target_url),
            launch.options.directory,
            process,
            contained=bool(launch.options.container),
        )

    @classmethod
    def again(cls, launch: Launch) -> "Target":
        """The same, started again by the control over it, after it has ended. Raises NoEvidence."""
        assert launch.control
        process = launch.control.start()
        return cls(
            str(launch.options.target_url),
            launch.options.directory,
            process,
            contained=bool(launch.options.container),
        )

    @property
    def process(self) -> Running:
        """Its process. Raises NoEvidence where somebody else started it."""
        if self._process is None:
            raise NoEvidence("the suite has no control over the target's process")
        return self._process

    @property
    def is_ours(self) -> bool:
        """Whether the suite may stop it and start it again."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """Whether it can still be spoken to, as far as its process tells."""
        return self._process is None or self._process.status is None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 80

    def ready(self) -> int:
        """Wait for the first answer to GET /async, and return its status. Raises NotReady."""
        deadline = time.monotonic() + timeouts.READY_DEADLINE
        trouble = "nothing"
        is_started_here = (
            self._process is not None
            and not self._contained
            and urlsplit(self.url).hostname == HOST
        )
        with _http(None) as http:
            pauses = Pauses()
            while (left := deadline - time.monotonic()) > 0:
                if self._process and (ended := self._process.status) is not None:
                    self._process.wait_for_end(timeouts.DEATH_DEADLINE)
                    raise NotReady(
                        f"the process ended with status {ended} before it answered",
                        self._process,
                        ended,
                    )
                if is_started_here and self.port_is_free():  # to see that costs less than a request
                    trouble = "nothing listens there"
                    time.sleep(pauses.next)
                    continue
                try:
                    request = httpx.Request(
                        "GET",
                        self.url + "/async",
                        headers=HEADERS,
                        extensions={"timeout": dict.fromkeys(TIMEOUTS, left)},
                    )
                    answer = http.send(request, stream=True)  # its body may never end
                    answer.close()
                    status = answer.status_code
                except httpx.ConnectError:
                    trouble = "nothing listens there"
                    if self._process is None:
                        break
                    time.sleep(pauses.next)
                except httpx.TimeoutException:
                    trouble = "the connection is taken and nothing comes back"
                except httpx.HTTPError as error:
                    trouble = f"what comes back is no HTTP: {error}"
                    time.sleep(pauses.next)
                else:
                    if self._process:
                        self.lines_at_first_answer = self._process.read_output()
                    return status
        raise NotReady(
            f"no answer within {timeouts.READY_DEADLINE:.0f} s: {trouble}", self._process
        )

    def health(self, *more: tuple[str, str, bytes | None]) -> Health:
        """How it answers now. What did not answer once is not asked again; what becomes of more requests is not told."""
        statuses: list[int | None] = []
        requests = (
            ("GET", "/async", None),
            ("GET", "/items/1", None),
            ("POST", "/process-data/", b"{}"),
            *more,
        )
        with _http(timeouts.DEADLINE_AFTER_A_MISSED_ONE) as http:
            for method, path, content in requests:
                if path in self._mute:
                    statuses.append(None)
                    continue
                headers = {**HEADERS, "Content-Type": "application/json"} if content else HEADERS
                try:
                    with http.stream(
                        method, self.url + path, headers=headers, content=content
                    ) as answer:
                        statuses.append(answer.status_code)
                except httpx.HTTPError:
                    statuses.append(None)
                    self._mute.add(path)
        return Health(*statuses[:3])

    def find_blocking_line(self) -> BlockingLine | None:
        """Where the target's event loop is stuck in the target's own code; None where it is not, or cannot be asked."""
        return self._process.find_blocking_line(self._folder) if self._process else None

    def is_ending(self) -> bool:
        """Whether it listens no more, as far as that can be told at once; so it is ending, or has ended."""
        return not self._contained and self.port_is_free()

    def port_is_free(self) -> bool:
        """Whether nothing listens on its port any more.

        At the published port of a container something takes connections as long as that is there. Where nothing listens
        inside, it closes them at once; a server waits for a request.
        """
        with socket.socket() as probe:
            if probe.connect_ex((str(urlsplit(self.url).hostname), self.port)) != 0:
                return True
            if not self._contained:
                return False
            probe.settimeout(timeouts.LISTENER_SILENCE)
            try:
                return not probe.recv(1)
            except TimeoutError:
                return False
            except OSError:
                return True

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send(signal.SIGKILL)
        self.process.kill()


def why_it_did_not_start(launch: Launch, failure: NotReady) -> WrongUsage | None:
    """The caller's mistake behind a first start that failed, or None where it is the target's own failure to start."""
    options = launch.options
    if options.target_url:
        return (
            WrongUsage(
                f"--target-url wants a service that answers; at {options.target_url} {failure.got.split(': ')[-1]}"
            )
            if "listens" in failure.got
            else None
        )
    if failure.status is None:
        return None
    if options.target_image and failure.status != UVICORN_STARTUP_FAILED:
        return WrongUsage(
            f"--target-image wants an image that goes on serving; {failure.got}. Its last lines: {failure.last_words}"
        )
    if options.target_image:
        return None
    if options.target_command:
        return WrongUsage(
            f"--target-command wants a command that goes on serving; {failure.got}. Its last lines: {failure.last_words}"
        )
    if (reason := _look(launch)) is not None:
        return WrongUsage(
            f"--target-app wants MODULE:ATTR of an ASGI application, looked up in {options.directory}; {reason}"
        )
    if failure.status == UVICORN_STARTUP_FAILED:
        return None
    return WrongUsage(
        f"--target-app wants an application that uvicorn can serve; {failure.got}. Its last lines: {failure.last_words}"
    )


def is_no_application(launch: Launch) -> WrongUsage | None:
    """Whether what uvicorn serves is no ASGI application at all: it then answers 500 to everything."""
    reason = (
        _look(launch) if launch.options.target_app and not launch.options.target_image else None
    )
    return (
        WrongUsage(f"--target-app wants MODULE:ATTR of an ASGI application; {reason}")
        if reason
        else None
    )


def _look(launch: Launch) -> str | None:
    found: Any = None
    with suppress(OSError, ValueError, subprocess.TimeoutExpired):
        done = launch.run_inside(_LOOK, str(launch.options.target_app))
        found = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None
    return found if isinstance(found, str) else None


def _http(timeout: float | None) -> httpx.Client:
    """A client of a moment. It looks at no certificate, as `Client` does not: to load those that it would trust takes 24 ms."""
    return httpx.Client(trust_env=False, verify=False, timeout=timeout)  # noqa: S501


def _last_words(lines: Sequence[LogLine]) -> str | None:
    return " / ".join(line.text.strip() for line in lines) or None
