"""How a target and its worker are started, and in which environment."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from conformance.cage.bubblewrap import Cage
from conformance.cage.caged_process import CagedProcess
from conformance.config.options import Options
from conformance.core import timeouts
from conformance.core.errors import NoEvidence
from conformance.core.evidence import Journal
from conformance.target.capabilities import Capabilities
from conformance.target.container_copies import ContainerCopies
from conformance.target.external import ExternalControl
from conformance.testbed.bounded_run import Ended, run_bounded
from conformance.testbed.embedded import RestartableRedis
from conformance.testbed.ports import LOOPBACK
from conformance.testbed.processes import Process, Running

if TYPE_CHECKING:
    from conformance.testbed.containers import Engine
    from conformance.testbed.redis_admin import BrokerAccess
    from conformance.testbed.upstream import Upstream

HOST = LOOPBACK
ALL_INTERFACES, INNER_PORT = "0.0.0.0", 8000  # noqa: S104 - where a service in a container listens
# Prefixes of the suite's own variables, which a target must not see.
HIDDEN = ("PYTEST_", "COV_", "COVERAGE_", "HYPOTHESIS_", "CONFORMANCE_", "PYTHONPATH", "PYTHONHOME")


@dataclass(frozen=True)
class Launch:
    """Everything it takes to start the target, further copies of it, and its worker."""

    options: Options
    capabilities: Capabilities
    variables: Mapping[str, str]  # of the contract, such as DATABASE_URL
    stack_dump_folder: Path  # holds the run's sitecustomize
    journal: Journal
    on_start: Callable[[Running], None]  # called with every process, so that none outlives the run
    engine: "Engine | None" = None  # where the target is started in containers
    external: ExternalControl | None = None  # of a target that somebody else has started
    external_worker: ExternalControl | None = None  # of its worker
    copies: ContainerCopies | None = None  # of a target in a container of somebody else's
    upstream: "Upstream | None" = None  # of such a target
    broker: "BrokerAccess | None" = None  # likewise
    addresses: tuple[str, ...] = (HOST,)  # where a server of ours must listen to be reached
    # Makes a broker for copies alone, by its name; None where the suite does not start the target.
    make_broker: Callable[[str], RestartableRedis] | None = None
    # The suite's own environment, before the first probe: pytest changes os.environ at each probe,
    # and a thread that reads all of it at that moment may fail.
    inherited: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    cage: Cage | None = None  # in which all of the target's processes run

    def start_server(self, name: str, port: int, variables: Mapping[str, str]) -> Running:
        """Start the service. Raises FileNotFoundError."""
        image = self.options.target.image
        if image:
            command = self.build_server_command(ALL_INTERFACES, INNER_PORT)
            return self._start_container(name, image, command, port, variables)
        command = self.build_server_command(HOST, port)
        return self._start_process(name, command, HOST=HOST, PORT=str(port), **variables)

    def start_worker(
        self, name: str = "worker", variables: Mapping[str, str] = MappingProxyType({})
    ) -> Running:
        """Start the worker. Raises NoEvidence where it cannot be started."""
        if self.external_worker:
            return self.external_worker.start()
        command = self.build_worker_command()
        if image := self.options.worker.image:
            return self._start_container(name, image, command, None, variables)
        try:
            return self._start_process(name, command, **variables)
        except FileNotFoundError as error:
            remedy = "correct --worker-command or --target-python"
            raise NoEvidence(f"the worker could not be started: {error}; {remedy}") from error

    def _start_process(self, name: str, argv: Sequence[str], **more: str) -> Process:
        environment = self.build_environment(**more)
        process: Process
        if self.cage:
            process = CagedProcess(name, argv, self.journal, env=environment, cage=self.cage)
        else:
            folder = self.options.target.directory
            process = Process(name, argv, self.journal, env=environment, cwd=folder)
        self.on_start(process)
        return process

    def _start_container(
        self,
        name: str,
        image: str,
        command: Sequence[str],
        port: int | None,
        variables: Mapping[str, str],
    ) -> Running:
        from conformance.testbed import docker_process  # noqa: PLC0415 - takes half a second

        assert self.engine
        services = {key: value for key, value in self.variables.items() if key != "TMPDIR"}
        where = {"HOST": ALL_INTERFACES, "PORT": str(INNER_PORT)} if port else {}
        environment = {**services, **where, "PYTHONUNBUFFERED": "1", **variables}
        published = {INNER_PORT: port} if port else {}
        process = docker_process.start_container(
            self.engine, name, image, command, environment, self.journal, published
        )
        self.on_start(process)
        return process

    def build_environment(self, **more: str) -> dict[str, str]:
        """The suite's own environment without proxies and its own variables, and the contract's."""
        if self.cage:
            variables = {**self.variables, **more}
            return self.cage.build_environment(self.options.target.python, variables)
        kept = {
            name: value
            for name, value in self.inherited.items()
            if not name.lower().endswith("_proxy")
            and not name.startswith(HIDDEN)
            and name not in self.variables
        }
        paths = [str(self.stack_dump_folder), self.inherited.get("PYTHONPATH", "")]
        search_path = os.pathsep.join(path for path in paths if path)
        python = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": search_path}
        return {**kept, **self.variables, **python, **more}

    def build_server_command(self, host: str, port: int) -> list[str]:
        """The command that starts the service. It is empty where an image has its own."""
        if self.options.target.app:
            address = ("--host", host, "--port", str(port))
            return [self.options.target.python, "-m", "uvicorn", *address, self.options.target.app]
        words = shlex.split(self.options.target.command or "")
        return [word.replace("{host}", host).replace("{port}", str(port)) for word in words]

    def build_worker_command(self) -> list[str]:
        """The command that starts the worker. It is empty where an image has its own."""
        if not self.options.worker.app:
            return shlex.split(self.options.worker.command or "")
        celery = ("-m", "celery", "-A", self.options.worker.app, "worker", "--loglevel", "INFO")
        alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return [self.options.target.python, *celery, "--concurrency", "1", *alone]

    def run_script(self, script: str, *arguments: str) -> Ended:
        """Run a script to its end in the target's interpreter, folder and environment.

        Its last argument is the path of a pipe for its answer. Raises OSError where the
        interpreter cannot be run, subprocess.TimeoutExpired after IMPORT_DEADLINE.
        """
        return run_bounded(
            [self.options.target.python, "-c", script, *arguments],
            env=self.build_environment(),
            cwd=self.options.target.directory,
            limit=timeouts.IMPORT_DEADLINE,
            **({"spawn": self.cage.popen} if self.cage else {}),
        )
