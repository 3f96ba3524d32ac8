"""The state file of a persistent testbed: who keeps it, where it is, and how a run leases it.

The file holds passwords, so only its owner may read it. It appears complete, when the testbed is
ready, and goes with it.
"""

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.core import timeouts
from conformance.core.errors import WrongUsage
from conformance.core.testbed_settings import TestbedSettings
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.redis_admin import BrokerAccess
from conformance.testbed.upstream_replies import make_url

GRANTED = b"yours"  # what the keeper answers a run that gets the lease
PRIVATE = 0o600
WANTED = "--testbed must be the file that `conformance testbed` has written"


@dataclass(frozen=True)
class TestbedState:
    """What the state file contains."""

    pid: int
    postgres: DatabaseAccess
    redis: BrokerAccess
    upstream_port: int
    addresses: tuple[str, ...]  # where the upstream listens
    lease: str  # the path of the keeper's socket

    @property
    def upstream_url(self) -> str:
        """The URL that a target fetches."""
        return make_url(self.upstream_port)

    @contextmanager
    def leased(self) -> Iterator[None]:
        """Take the testbed over. Raises WrongUsage if another run has it, or it has ended."""
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.settimeout(timeouts.LEASE_DEADLINE)
            try:
                connection.connect(self.lease)
                is_granted = connection.recv(len(GRANTED)) == GRANTED
            except TimeoutError:
                is_granted = False
            except OSError as error:
                raise WrongUsage(
                    "--testbed must be the file of a testbed that runs; "
                    f"process {self.pid} does not answer: {error.strerror}"
                ) from error
            if not is_granted:
                raise WrongUsage(
                    f"the testbed of process {self.pid} is in use by another run; "
                    "wait for its end, or start another testbed"
                )
            yield


def default_file() -> Path:
    """Where a testbed writes its state if no file is given, and where a run looks for it."""
    return Path(tempfile.gettempdir()) / f"conformance-testbed-{os.getuid()}.json"


def find_testbed(settings: TestbedSettings) -> TestbedState | None:
    """The testbed that the caller named, or the one at the default place. Raises WrongUsage."""
    urls = {
        "--database-url": settings.database_url,
        "--redis-url": settings.redis_url,
        "--upstream-port": settings.upstream_port,
    }
    given = [name for name, value in urls.items() if value]
    if settings.testbed_file:
        if given:
            raise WrongUsage(f"--testbed names the same servers as {given[0]}; leave out one")
        return read_state(settings.testbed_file)
    file = default_file()
    if given or not settings.finds_testbed or not file.exists():
        return None
    state = read_state(file)
    return state if is_running(state.pid) else None


def read_state(file: Path) -> TestbedState:
    """Read a state file. Raises WrongUsage if it is none, or not one of this user's."""
    try:
        if file.stat().st_uid != os.getuid():
            raise WrongUsage(f"--testbed must be a file of this user's; {file} is not")
        content = json.loads(file.read_bytes())
        return TestbedState(
            pid=content["pid"],
            postgres=DatabaseAccess(**content["postgres"]),
            redis=BrokerAccess(**content["redis"]),
            upstream_port=content["upstream_port"],
            addresses=tuple(content["addresses"]),
            lease=content["lease"],
        )
    except OSError as error:
        raise WrongUsage(f"{WANTED}; {file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WrongUsage(f"{WANTED}; {file} is no such file") from error


@contextmanager
def state_written(state: TestbedState, file: Path) -> Iterator[None]:
    """Keep the state in its file while the block lasts. Raises WrongUsage."""
    try:
        _write_at_once(json.dumps(asdict(state), indent=1).encode(), file)
    except OSError as error:
        raise WrongUsage(
            f"--state must be a file that can be written; {file} cannot be: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def is_running(pid: int) -> bool:
    """Whether a process with this id exists, of whomever."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write_at_once(content: bytes, file: Path) -> None:
    """Write a private file, so that nobody sees a part of it. Raises OSError."""
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(part, flags, PRIVATE)
    try:
        os.write(descriptor, content)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
