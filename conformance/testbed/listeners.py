"""Which process listens on a port of this machine, as far as the system shows it."""

from collections.abc import Collection, Iterable
from contextlib import suppress

import psutil


def is_listener(process: psutil.Process, port: int) -> bool:
    """Whether a process is known to listen on a TCP port."""
    with suppress(psutil.Error, OSError):
        return any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == port
            for each in process.net_connections("tcp")
        )
    return False


def find_stranger(
    port: int, family: Collection[psutil.Process], mark: str
) -> psutil.Process | None:
    """The process that listens on a port, if it is provably none of a family.

    One with the value `mark` in its environment belongs to it too, whoever is its parent now. None
    where the family listens, nobody does, or the system does not show who does.
    """
    if _find_listener(port, family):
        return None
    listener = _find_listener(port, psutil.process_iter())
    return listener if listener and _lacks(listener, mark) else None


def _find_listener(port: int, processes: Iterable[psutil.Process]) -> psutil.Process | None:
    return next((each for each in processes if is_listener(each, port)), None)


def _lacks(process: psutil.Process, mark: str) -> bool:
    """Whether a value is in no variable of a process. Not where they cannot be read."""
    with suppress(psutil.Error, OSError):
        return mark not in process.environ().values()
    return False
