"""The processes of this machine, as the system lists them."""

import os
from collections.abc import Iterable, Set
from contextlib import suppress

import psutil

COMMAND_SHOWN = 120  # characters of a command line


def list_names(processes: Iterable[psutil.Process]) -> list[str]:
    """The names of the processes that can still be looked at."""
    names = []
    for process in processes:
        with suppress(psutil.Error):
            names.append(process.name())
    return names


def describe_listener(port: int) -> str:
    """Who listens on a port of this machine. Empty if that cannot be seen."""
    return _describe_owner(port, {psutil.CONN_LISTEN})


def describe_client(port: int) -> str:
    """Whose connection begins at a port of this machine. Empty if that cannot be seen."""
    return _describe_owner(port, {psutil.CONN_ESTABLISHED})


def _describe_owner(port: int, states: Set[str]) -> str:
    """The process with a connection at a port, by its id and the begin of its command line."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            is_there = connection.laddr and connection.laddr.port == port
            if is_there and connection.pid and connection.status in states:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"process {connection.pid}, {command[:COMMAND_SHOWN]}"
    return ""


def find_processes_started_with(value: str) -> list[psutil.Process]:
    """The processes that have this value in their environment, whoever is their parent now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if value in process.environ().values():
                found.append(process)
    return found


def is_running(process: psutil.Process) -> bool:
    """Whether a process runs. One that has ended, and waits for its parent, does not."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def kill_processes(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each process that still runs."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def count_held(processes: Iterable[psutil.Process]) -> dict[str, int]:
    """How many processes can be looked at, and how many threads and descriptors they have."""
    counts = dict.fromkeys(("processes", "threads", "descriptors"), 0)
    for process in processes:
        with suppress(psutil.Error):
            threads, descriptors = process.num_threads(), process.num_fds()
            counts["processes"] += 1
            counts["threads"] += threads
            counts["descriptors"] += descriptors
    return counts


def list_group(group: int) -> Iterable[psutil.Process]:
    """The processes of a process group that still run."""
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and is_running(process := psutil.Process(pid)):
                yield process
