"""A testbed that stands between runs: what `conformance testbed` starts and says, and how a run finds it and takes it over.

The process that keeps it also plays the upstream, so that a service can be tried by hand. A run takes the upstream's port over
for as long as it holds the lease, a connection to a socket of the keeper's, which ends with the run however that ends.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.core.testbed_settings import TestbedSettings
from conformance.pytest_plugin.interrupts import SIGNALS
from conformance.testbed import postgres, redis
from conformance.testbed.guard import guarded_folder
from conformance.testbed.services import Services
from conformance.testbed.upstream import Upstream, url

YOURS = b"yours"
PRIVATE = 0o600  # the file holds passwords


@dataclass(frozen=True)
class State:
    """What the file of a standing testbed says."""

    pid: int
    postgres: postgres.Place
    redis: redis.Place
    upstream_port: int
    addresses: tuple[str, ...]  # where the upstream listens
    lease: str  # the path of the keeper's socket

    @property
    def upstream_url(self) -> str:
        """The URL that a service on it fetches."""
        return url(self.upstream_port)

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Take the testbed over. Raises WrongUsage where another run has it, or it has gone."""
        with closing(socket.socket(socket.AF_UNIX)) as line:
            line.settimeout(timeouts.LEASE_DEADLINE)
            try:
                line.connect(self.lease)
                taken = line.recv(len(YOURS)) == YOURS
            except TimeoutError:
                taken = False
            except OSError as error:
                raise WrongUsage(
                    f"--testbed wants a testbed that stands; process {self.pid} does not answer: {error.strerror}"
                ) from error
            if not taken:
                raise WrongUsage(
                    f"the testbed of process {self.pid} is in use by another run; wait for its end, or start another testbed"
                )
            yield


def default_file() -> Path:
    """Where a testbed leaves its file unless it is told, and where a run looks."""
    return Path(tempfile.gettempdir()) / f"conformance-testbed-{os.getuid()}.json"


def found(settings: TestbedSettings) -> State | None:
    """The testbed that a run was given, or that stands where one is looked for. Raises WrongUsage."""
    elsewhere = [name for name, value in (("--database-url", settings.database_url), ("--redis-url", settings.redis_url),
                                          ("--upstream-port", settings.upstream_port)) if value]  # fmt: skip
    if settings.testbed_file is not None:
        if elsewhere:
            raise WrongUsage(f"--testbed says what {elsewhere[0]} says; leave out one")
        return read(settings.testbed_file)
    if elsewhere or not settings.finds_testbed:
        return None
    file = default_file()
    if not file.exists():
        return None
    state = read(file)
    return state if _runs(state.pid) else None


def read(file: Path) -> State:
    """What a testbed has written. Raises WrongUsage where it cannot be read, or is not ours to believe."""
    try:
        if file.stat().st_uid != os.getuid():
            raise WrongUsage(f"--testbed wants a file of this user's; {file} is somebody else's")
        content = json.loads(file.read_bytes())
        return State(
            **{
                **content,
                "postgres": postgres.Place(**content["postgres"]),
                "redis": redis.Place(**content["redis"]),
            }
            | {"addresses": tuple(content["addresses"])}
        )
    except OSError as error:
        raise WrongUsage(
            f"--testbed wants the file that `conformance testbed` has written; {file} cannot be read: {error.strerror}"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongUsage(
            f"--testbed wants the file that `conformance testbed` has written; {file} is none"
        ) from error


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


# Keeping one


def keep(settings: TestbedSettings, form: str, file: Path) -> None:
    """Start the services, write the file, print the environment, and answer runs until Ctrl-C. Raises WrongUsage."""
    if file.exists() and _runs(read(file).pid):
        raise WrongUsage(
            f"a testbed stands already, of process {read(file).pid} ({file}); end it, or name another file by --state"
        )
    journal = Journal()
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(_folder()))
        services = Services(settings, folder, journal, cleanup, network=True)
        services.prepare()
        services.open_postgres()
        services.open_redis()
        place, user = services.make_place(), redis.create(services.redis_url)
        if settings.redis_url:
            cleanup.callback(lambda: redis.drop(user, set(), ours=True))
        upstream = Upstream(journal, settings.upstream_port, services.addresses)
        cleanup.callback(upstream.stop)
        try:
            upstream.start()
        except OSError as error:
            raise WrongUsage(
                f"--upstream-port wants a port that is free; {settings.upstream_port} is taken ({error.strerror})"
            ) from error
        listener = cleanup.enter_context(closing(_listening(folder / "lease")))
        state = State(
            os.getpid(), place, user, upstream.port, services.addresses, str(folder / "lease")
        )
        cleanup.enter_context(_written(state, file))
        variables = contract(place, user, upstream.url)
        print(FORMATS[form](variables, services), flush=True)
        said = ", ".join(services.described[name] for name in ("postgres", "redis"))
        print(
            f"{said}; upstream at {upstream.url}\nIt stands until Ctrl-C; {file} tells runs with --target-url of it.",
            file=sys.stderr,
            flush=True,
        )
        cleanup.callback(_let_signals_be)
        with suppress(KeyboardInterrupt):
            while True:
                _serve(listener, upstream, state)


def _serve(listener: socket.socket, upstream: Upstream, state: State) -> None:
    """Let one run have the testbed for as long as its connection lasts, and mend what it may have left broken."""
    line, _ = listener.accept()
    with line, upstream.refusing(), suppress(ConnectionError):
        line.sendall(YOURS)
        line.recv(1)
    asyncio.run(postgres.heal(state.postgres))
    redis.heal(state.redis)


def _let_signals_be() -> None:
    """Ignore a second Ctrl-C: cleaning up is bounded in time."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for the servers, guarded like a run's."""
    folder, guard = guarded_folder()
    folder.chmod(0o711)
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder)
        guard.dismiss()


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(PRIVATE)
    listener.listen()
    return listener


@contextmanager
def _written(state: State, file: Path) -> Iterator[None]:
    """The state in its file, which is removed in the end. Raises WrongUsage where it cannot be written."""
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        raise WrongUsage(
            f"--state wants a file that can be written; {file} cannot: {error.strerror}"
        ) from error
    try:
        os.write(descriptor, json.dumps(asdict(state), indent=1).encode())
        yield
    finally:
        os.close(descriptor)
        file.unlink(missing_ok=True)


# What it says


def contract(place: postgres.Place, user: redis.Place, upstream_url: str) -> dict[str, str]:
    """The variables that a target and its worker find in their environment."""
    broker = dict.fromkeys(
        ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"), str(user.target_url)
    )
    return {
        "DATABASE_URL": str(place.target_url),
        **broker,
        "EXTERNAL_DATA_URL": upstream_url,
        "PYTHONUNBUFFERED": "1",
    }


def _shell(variables: Mapping[str, str], _services: Services) -> str:
    return "\n".join(f"export {name}='{value}'" for name, value in variables.items())


def _dotenv(variables: Mapping[str, str], _services: Services) -> str:
    return "\n".join(f"{name}='{value}'" for name, value in variables.items())


def _compose(variables: Mapping[str, str], services: Services) -> str:
    """For a file of Docker Compose's: in the network of the service containers, or on that of the machine where they are none."""
    engine = services.engine
    inside = {
        name: engine.seen_from_inside(value) if engine else value
        for name, value in variables.items()
    }
    lines = ["services:", "  web: &conformance", "    environment:"]
    lines += [f"      {name}: {json.dumps(value)}" for name, value in inside.items()]
    if engine is None:
        return "\n".join([*lines, "    network_mode: host"])
    lines += [
        "    networks: [conformance]",
        "networks:",
        "  conformance:",
        "    external: true",
        f"    name: {engine.network_name}",
    ]
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Mapping[str, str], Services], str]] = {
    "shell": _shell,
    "dotenv": _dotenv,
    "compose": _compose,
}
