"""What a run on each hostile service must come to: verdicts, no ERROR, bounded time and memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

PACKAGE = "conformance.selftest.hostile_services"
SERVICES = f"{PACKAGE}.services"
RAW = f"{PACKAGE}.raw"
WORKER = "conformance.selftest.faulty_services.service:worker"

T = TypeVar("T")


@dataclass(frozen=True)
class HostileService:
    """A service, the requirements that are judged, and those that must fail, for this reason.

    What neither fails nor is in `unseen` must pass. The limits are for the suite's own process.
    """

    name: str
    only: tuple[str, ...]
    fails: tuple[str, ...]
    because: str = ""  # a regular expression, found in the finding of the first that fails
    unseen: tuple[str, ...] = ()
    worker: str = WORKER
    is_raw: bool = False  # not an application but a program that speaks to sockets
    seconds: float = 60.0
    memory_mb: int = 400
    record_mb: float = 20.0


HOSTILE_SERVICES: list[HostileService] = []


def hostile_service(
    *,
    only: tuple[str, ...],
    fails: tuple[str, ...] = (),
    because: str = "",
    unseen: tuple[str, ...] = (),
    worker: str | None = None,
) -> Callable[[type[T]], T]:
    """Record what a run on a class of services must come to, and make the application of it."""

    def record(kind: type[T]) -> T:
        own = WORKER if worker is None else f"{SERVICES}:{worker}"
        HOSTILE_SERVICES.append(HostileService(kind.__name__, only, fails, because, unseen, own))
        return kind()

    return record


def hostile_program(
    *, only: tuple[str, ...], fails: tuple[str, ...], because: str, unseen: tuple[str, ...]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Record what a run on a program must come to that serves raw connections."""

    def record(serve: Callable[..., None]) -> Callable[..., None]:
        row = HostileService(serve.__name__, only, fails, because, unseen, is_raw=True)
        HOSTILE_SERVICES.append(row)
        return serve

    return record
