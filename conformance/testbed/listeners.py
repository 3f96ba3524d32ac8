"""Which process listens on a port of this machine, as far as the system shows it."""

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import psutil


def is_listener(process: psutil.Process, port: int) -> bool:
    """Whether a process is known to listen on a TCP port."""
    with suppress(psutil.Error, OSError):
        return any(_is_listening(each, port) for each in process.net_connections("tcp"))
    return False


def find_stranger(
    port: int, family: Collection[psutil.Process], mark: str
) -> psutil.Process | None:
    """The process that listens on a port, if it is provably none of a family.

    One with the value `mark` in its environment belongs to it too, whoever is its parent now. None
    where the family listens, nobody does, or the system does not show who does.
    """
    with suppress(psutil.Error, OSError):
        connections = psutil.net_connections("tcp")  # macOS shows them to its administrator alone
        pids = {each.pid for each in connections if each.pid and _is_listening(each, port)}
        if pids and not pids & {each.pid for each in family}:
            listener = psutil.Process(min(pids))
            return listener if _lacks(listener, mark) else None
    return None


def _is_listening(connection: Any, port: int) -> bool:
    return bool(connection.status == psutil.CONN_LISTEN and connection.laddr.port == port)


def _lacks(process: psutil.Process, mark: str) -> bool:
    """Whether a value is in no variable of a process. Not where they cannot be read."""
    with suppress(psutil.Error, OSError):
        return mark not in process.environ().values()
    return False
