"""The target's server: where it is, its process, when it is ready, and how it answers now."""

import signal
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

import psutil

from conformance.client.http import HEADERS
from conformance.client.status import NothingListens, NotHttp, ask_for_status
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, PortTaken, Violation, WrongUsage
from conformance.core.evidence import LogLine
from conformance.core.observations import BlockingLine
from conformance.core.polling import block_until
from conformance.core.urls import find_port
from conformance.target.launch import HOST, Launch
from conformance.target.redirection import Redirection
from conformance.testbed.listeners import find_stranger, is_listener
from conformance.testbed.ports import claim_port
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.process_table import is_running, list_names
from conformance.testbed.processes import Process, Running

NOTHING_LISTENS = "nothing listens there"
# A request of each endpoint, that a service answers which is well.
REQUESTS: Mapping[str, tuple[str, str, bytes | None]] = {
    "GET /async": ("GET", "/async", None),
    "GET /sync": ("GET", "/sync", None),
    "GET /items/": ("GET", "/items/", None),
    "GET /items/{item_id}": ("GET", "/items/1", None),
    "GET /external-data": ("GET", "/external-data", None),
    "POST /process-data/": ("POST", "/process-data/", b"{}"),
}
PORTS_TRIED = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Health:
    """The statuses of an answer, a read and a submission; None where there was none in time."""

    answer: int | None
    read: int | None
    submission: int | None

    @property
    def is_well(self) -> bool:
        """Whether all three are successes."""
        statuses = (self.answer, self.read, self.submission)
        return all(status in range(200, 300) for status in statuses)

    @property
    def is_unresponsive(self) -> bool:
        """Whether it does not even answer."""
        return self.answer is None

    @property
    def summary(self) -> str:
        """The three in words."""
        return f"/async {self.answer}, a read {self.read}, a submission {self.submission}"


class NotReady(Violation):
    """The target ended or never answered; `status` is the exit status where it ended."""

    def __init__(
        self,
        got: str,
        process: Running | None,
        status: int | None = None,
        *,
        nothing_listens: bool = False,
    ) -> None:
        lines = take_last_lines(process.read_output() if process else [], 6)
        super().__init__("an answer to GET /async", got, lines, _join_words(lines[-3:]))
        self.status = status
        self.nothing_listens = nothing_listens
        self.last_words = _join_words(lines)


class Target:
    """One running copy of the implementation: its address, and its process as far as we have it."""

    def __init__(
        self,
        url: str,
        folder: Path,
        process: Running | None,
        *,
        in_container: bool = False,
        mark: str = "",
    ) -> None:
        self.url = url
        self._mark = mark  # a value in the environment of all that is started as a target
        self._in_container = in_container
        self._folder = folder
        self._process = process
        self._unresponsive: set[str] = set()  # paths that were not answered in time once
        self.lines_at_first_answer: list[LogLine] = []
        self._family: Sequence[psutil.Process] | None = None  # see `note_family`

    @classmethod
    def start_copy(
        cls,
        launch: Launch,
        name: str = "server",
        variables: Mapping[str, str] = MappingProxyType({}),
        port: int | None = None,
    ) -> "Target":
        """Start a copy of the implementation, on a free port if none is given.

        Raises WrongUsage where the command cannot be run.
        """
        port = port or claim_port()
        try:
            process = launch.start_server(name, port, variables)
        except FileNotFoundError as error:
            if launch.options.target.command:
                wanted = "--target-command must be a command that can be run"
            else:
                wanted = "--target-python must be an interpreter"
            raise WrongUsage(f"{wanted}; {error}") from error
        return cls._at(launch, f"http://{HOST}:{port}", process)

    @classmethod
    def copy_container(cls, launch: Launch, name: str, redirection: Redirection) -> "Target":
        """Start a copy of a target in a container of somebody else's. Raises NoEvidence."""
        assert launch.copies
        url, process = launch.copies.start(name, redirection)
        launch.on_start(process)
        return cls._at(launch, url, process)

    @classmethod
    def find_external(cls, launch: Launch) -> "Target":
        """The service that somebody else has started, with its process where we control it.

        Raises WrongUsage where it does not run.
        """
        process = launch.external.find_running() if launch.external else None
        return cls._at(launch, str(launch.options.target.url), process)

    @classmethod
    def restart_external(cls, launch: Launch) -> "Target":
        """The same, started again after it has ended. Raises NoEvidence."""
        assert launch.external
        return cls._at(launch, str(launch.options.target.url), launch.external.start())

    @classmethod
    def _at(cls, launch: Launch, url: str, process: Running | None) -> "Target":
        in_container = launch.capabilities.runs_in_container
        folder = launch.options.target.directory
        mark = launch.variables.get("TMPDIR", "") if launch.capabilities.starts_target else ""
        return cls(url, folder, process, in_container=in_container, mark=mark)

    @property
    def process(self) -> Running:
        """Its process. Raises NoEvidence where it was started by somebody else."""
        if self._process is None:
            raise NoEvidence("the suite has no control over the target's process")
        return self._process

    @property
    def is_alive(self) -> bool:
        """Whether it can still be spoken to, as far as its process shows."""
        return self._process is None or self._process.status is None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return find_port(self.url)

    def wait_until_ready(self) -> int:
        """Wait for the first answer to GET /async, and return its status.

        Raises NotReady, and PortTaken where the answers are somebody else's.
        """
        try:
            status = self._wait_for_answer()
        except PortTaken:
            self.kill()
            raise
        if self._process:
            self.lines_at_first_answer = self._process.read_output()
        return status

    def _wait_for_answer(self) -> int:
        try:
            status = _Readiness(self, self._process, self._can_look_at_port).wait()
        except NotReady:
            self.expect_own_port()
            raise
        self.expect_own_port()
        return status

    def expect_own_port(self) -> None:
        """Raise PortTaken if it is known that another's process listens on its port."""
        process = self._process
        if not isinstance(process, Process) or not self._can_look_at_port or not self._mark:
            return
        with suppress(psutil.NoSuchProcess):
            if is_listener(psutil.Process(process.pid), self.port):
                return
        if self.is_port_free():
            return
        if stranger := find_stranger(self.port, process.children, self._mark):
            who = ", ".join(list_names([stranger]))
            raise PortTaken(
                f"port {self.port}, which was free, is that of process {stranger.pid} ({who}), and"
                " the target cannot have it"
            )

    @property
    def _can_look_at_port(self) -> bool:
        """Whether looking at the port, which costs less than a request, tells if it listens."""
        is_started_here = self._process is not None and not self._in_container
        return is_started_here and urlsplit(self.url).hostname == HOST

    def check_health(self, *more: tuple[str, str, bytes | None]) -> Health:
        """How it answers now. A path that was not answered in time once is not asked again.

        `more` are further requests (method, path, body), whose answers are not looked at.
        """
        statuses: list[int | None] = []
        standard = (("GET", "/async", None), ("GET", "/items/1", None))
        for request in (*standard, ("POST", "/process-data/", b"{}"), *more):
            statuses.append(self._ask(*request))  # noqa: PERF401 - one after the other
        return Health(*statuses[:3])

    def ask_endpoints(self, names: Collection[str]) -> dict[str, int | None]:
        """The status that each of these endpoints answers now; None if it does not in time."""
        return {name: self._ask(*request) for name, request in REQUESTS.items() if name in names}

    def _ask(self, method: str, path: str, content: bytes | None) -> int | None:
        if path in self._unresponsive:
            return None
        headers = {**HEADERS, "Content-Type": "application/json"} if content else HEADERS
        limit = timeouts.DEADLINE_AFTER_A_MISSED_ONE
        try:
            return ask_for_status(self.url, method, path, headers.items(), content or b"", limit)
        except (TimeoutError, NothingListens, NotHttp):
            self._unresponsive.add(path)
            return None

    def find_blocking_line(self) -> BlockingLine | None:
        """Where its event loop is stuck in its own code; None where it is not or is not seen."""
        return self._process.find_blocking_line(self._folder) if self._process else None

    @property
    def is_ending(self) -> bool:
        """Whether it no longer listens, so it is ending or has ended; as far as is seen at once."""
        return not self._in_container and self.is_port_free()

    def note_family(self) -> None:
        """Note the processes below its own, where none of those that were noted runs any more."""
        if self._family is None or (self._family and not any(map(is_running, self._family))):
            self._family = self.process.children

    def find_replaced(self) -> list[str]:
        """The noted processes that have ended while others have come, in a few words each."""
        family = self._family or ()
        ended = [child for child in family if not is_running(child)]
        if not ended or not set(self.process.children) - set(family):
            return []
        return [f"process {child.pid}" for child in ended]

    def is_port_free(self) -> bool:
        """Whether nothing listens on its port any more.

        The published port of a container takes connections as long as the container is there.
        Where nothing listens inside, it closes them at once; a server waits for a request.
        """
        with socket.socket() as probe:
            if probe.connect_ex((str(urlsplit(self.url).hostname), self.port)) != 0:
                return True
            if not self._in_container:
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


class _Readiness:
    """Waits for the first answer of a target, and remembers what stood in its way."""

    def __init__(self, target: Target, process: Running | None, can_look_at_port: bool) -> None:
        self._target = target
        self._process = process
        self._can_look_at_port = can_look_at_port
        self._trouble = "nothing"
        self._deadline = time.monotonic() + timeouts.READY_DEADLINE

    def wait(self) -> int:
        """The status of the first answer. Raises NotReady."""
        status = block_until(
            self._look,
            timeouts.READY_DEADLINE,
            lambda seen: seen is not None or self._is_hopeless,
        )
        if status is not None:
            return status
        got = f"no answer within {timeouts.READY_DEADLINE:.0f} s: {self._trouble}"
        raise NotReady(got, self._process, nothing_listens=self._trouble == NOTHING_LISTENS)

    @property
    def _is_hopeless(self) -> bool:
        """Whether nothing listens, and nobody is known to start anything."""
        return self._process is None and self._trouble == NOTHING_LISTENS

    def _look(self) -> int | None:
        """Look once; the status of an answer, or None. Raises NotReady where the process ended."""
        if self._process and (ended := self._process.status) is not None:
            self._process.wait_for_end(timeouts.DEATH_DEADLINE)
            got = f"the process ended with status {ended} before it answered"
            raise NotReady(got, self._process, ended)
        if self._can_look_at_port and self._target.is_port_free():
            self._trouble = NOTHING_LISTENS
            return None
        left = self._deadline - time.monotonic()
        # The last look begins when no time is left, and must still be able to see an answer.
        return self._ask(max(left, timeouts.LONGEST_POLL_INTERVAL))

    def _ask(self, limit: float) -> int | None:
        """Send one request, for `limit` seconds at most."""
        url = self._target.url
        try:
            return ask_for_status(url, "GET", "/async", HEADERS.items(), b"", limit)
        except TimeoutError:
            self._trouble = "the connection is taken and no answer comes back"
        except NothingListens:
            self._trouble = NOTHING_LISTENS
        except NotHttp as error:
            self._trouble = f"what comes back is no HTTP: {error}"
        return None


def _join_words(lines: Sequence[LogLine]) -> str | None:
    return " / ".join(line.text.strip() for line in lines) or None


def try_ports(start: Callable[[], T]) -> T:
    """Start something, and again as long as its port was somebody else's. Raises PortTaken."""
    for _ in range(PORTS_TRIED - 1):
        with suppress(PortTaken):
            return start()
    return start()
