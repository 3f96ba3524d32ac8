"""What a process of a submission sees: the mounts, ids and limits, as bubblewrap takes them."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.cage.seccomp import build_filter
from conformance.core.errors import BrokenTestbed

BUBBLEWRAP, SETPRIV, PRLIMIT = "bwrap", "setpriv", "prlimit"
APPLICATION = Path("/srv/app")  # where a submission finds its own folder
START = Path("/srv/start")  # where its interpreter finds what prints its stack
USER = 65_533  # owns nothing, and is not the `nobody` that Postgres runs as
SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")  # links to /usr, or folders
# Of /etc: what programs need that load libraries, tell the time or check a certificate.
SETTINGS = ("/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/ca-certificates")
TABLES = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\napp:x:{user}:{user}::/tmp:/bin/sh\n",
    "/etc/group": "root:x:0:\napp:x:{user}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# The supervisor of a process. It tells how the process ended, and stays until it is told to end,
# so that what the process has left can be seen. Both go by its standard input, which is a socket.
SUPERVISOR = (
    "exec 3>&2 2>/dev/null; trap : INT TERM HUP QUIT;"  # the shell itself prints nothing
    ' (exec "$@" </dev/null 2>&3 3>&-); echo $? >&0; read _'
)


@dataclass(frozen=True)
class Limits:
    """How much one process of a submission may use. Sizes are in bytes."""

    files: int = 4_096  # descriptors
    file_size: int = 2**28
    processes: int = 512  # of its user, over the machine
    memory_folder: int = 2**26  # each of /tmp and /dev/shm


@dataclass(frozen=True)
class Cage:
    """Where and how the processes of one submission run.

    `shown` are folders outside of /usr that it needs to read: those of its interpreter.
    """

    folder: Path
    shown: Sequence[Path] = ()
    start_folder: Path | None = None
    limits: Limits = field(default_factory=Limits)
    # The environment of bubblewrap itself, by which the guard of a run finds it.
    mark: Mapping[str, str] = field(default_factory=dict)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        supervised: bool = False,
        pass_fds: Sequence[int] = (),
        **options: Any,
    ) -> "tuple[subprocess.Popen[bytes], int]":
        """Start a program in a cage. `options` are those of `subprocess.Popen`.

        Returns the process of bubblewrap, and the id of the first process in the cage, which ends
        all others with it. Raises BrokenTestbed.

        The options of bubblewrap go through a descriptor: they hold passwords, and the submission
        can read the command line in its /proc.
        """
        with ExitStack() as stack:

            def hold(descriptor: int) -> int:
                stack.callback(os.close, descriptor)
                return descriptor

            info, its_info = os.pipe()
            hold(info)
            given = [its_info]
            words = ["--info-fd", str(its_info)]
            if program := build_filter():
                given.append(hold(_write_to_memory(program)))
                words += ["--seccomp", str(given[-1])]
            for path, text in TABLES.items():
                given.append(hold(_write_to_memory(text.format(user=USER).encode())))
                words += ["--perms", "0644", "--ro-bind-data", str(given[-1]), path]
            words += self._list_options(env)
            if os.geteuid() == 0:
                for descriptor in pass_fds:  # a program opens them again by their names
                    os.fchown(descriptor, USER, USER)
            given.append(hold(_write_to_memory(b"".join(f"{word}\0".encode() for word in words))))
            command = [BUBBLEWRAP, "--args", str(given[-1]), "--"]
            command += self._list_command(argv, supervised=supervised)
            try:
                process = subprocess.Popen(
                    command, env=self.mark, cwd="/", pass_fds=[*given, *pass_fds], **options
                )
            except OSError as error:
                raise BrokenTestbed(f"{BUBBLEWRAP} cannot be started: {error.strerror}") from error
            finally:
                os.close(its_info)
            return process, _read_first_process(info, process)

    def popen(self, argv: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start a program that runs to its end, as `subprocess.Popen` does."""
        options.pop("cwd", None)
        process, _ = self.spawn(argv, **options)
        return process

    def build_environment(self, python: str, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a program: that of the contract, and nothing of the suite's."""
        folders = [str(Path(python).parent)] if "/" in python else []
        start = {"PYTHONPATH": str(START)} if self.start_folder else {}
        return {
            "PATH": os.pathsep.join([*folders, "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": "/tmp",  # noqa: S108 - in the cage
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            **start,
            **variables,
            "TMPDIR": "/tmp",  # noqa: S108 - in the cage
        }

    def _list_options(self, env: Mapping[str, str]) -> list[str]:
        return [
            *list_namespaces(),
            *self._list_mounts(),
            *("--chdir", str(APPLICATION), "--clearenv"),
            *_flatten(("--setenv", name, value) for name, value in env.items()),
        ]

    def _list_command(self, argv: Sequence[str], *, supervised: bool) -> list[str]:
        supervisor = ["/bin/sh", "-c", SUPERVISOR, "sh"] if supervised else []
        rights = _drop_rights() if os.geteuid() == 0 else []
        return [*supervisor, *self._list_limits(), *rights, *argv]

    def _list_mounts(self) -> Iterator[str]:
        yield from ("--ro-bind", "/usr", "/usr")
        for name in SYSTEM:
            if Path(name).is_symlink():
                yield from ("--symlink", str(Path(name).readlink()), name)
            elif Path(name).is_dir():
                yield from ("--ro-bind", name, name)
        yield from _flatten(("--ro-bind-try", name, name) for name in SETTINGS)
        yield from ("--proc", "/proc", "--dev", "/dev")
        for name in ("/dev/shm", "/tmp"):  # noqa: S108 - in the cage
            yield from ("--size", str(self.limits.memory_folder), "--perms", "1777")
            yield from ("--tmpfs", name)
        folders = {path: path for path in self.shown} | {self.folder: APPLICATION}
        if self.start_folder:
            folders[self.start_folder] = START
        for outside, inside in folders.items():
            yield from _flatten(
                ("--perms", "0755", "--dir", str(parent)) for parent in [*inside.parents][-2::-1]
            )
            yield from ("--ro-bind", str(outside), str(inside))

    def _list_limits(self) -> list[str]:
        limits = self.limits
        return [
            PRLIMIT,
            f"--nofile={limits.files}:{limits.files}",
            f"--fsize={limits.file_size}:{limits.file_size}",
            f"--nproc={limits.processes}:{limits.processes}",
            "--core=0:0",
            "--",
        ]


def _write_to_memory(content: bytes) -> int:
    """Return the descriptor of a file in memory that holds this, to be read from its begin."""
    descriptor = os.memfd_create("words")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _read_first_process(info: int, process: "subprocess.Popen[bytes]") -> int:
    """Read the id from bubblewrap's JSON. Raises BrokenTestbed where it could make no cage."""
    text = b""
    while chunk := os.read(info, 4_096):
        text += chunk
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError) as error:
        _, errors = process.communicate()
        said = (errors or b"bubblewrap says nothing").decode("utf-8", "replace").strip()
        raise BrokenTestbed(f"no cage could be made: {said}") from error


def list_namespaces() -> list[str]:
    """The namespaces but that of the network, which is the run's, and of users where it is root."""
    words = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--hostname", "app", "--new-session"]
    if os.geteuid() == 0:  # it takes these rights to become another user
        rights = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SYS_RESOURCE")
        return [*words, "--cap-drop", "ALL", *_flatten(("--cap-add", each) for each in rights)]
    return [*words, "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]


def _drop_rights() -> list[str]:
    ids = ["--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    return [SETPRIV, *ids, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]


def _flatten(groups: Iterable[Iterable[str]]) -> Iterator[str]:
    for group in groups:
        yield from group
