"""What each faulty service must fail, and the table of them all.

A faulty service says it itself, by the decorator of its class. The table is made of what the
decorators recorded.
"""

import importlib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from conformance.spec.catalogue import Level, catalogue, sections

PACKAGE = "conformance.selftest.faulty_services"
CONTROL = "service:correct"
WORKER = "service:worker"
ALL_BUT_READINESS = tuple(name for name in catalogue() if name != "LIFE-10")

T = TypeVar("T")


@dataclass(frozen=True)
class FaultyService:
    """A service with one fault: where it and its worker are, and what the suite must find.

    A service without a fault, which fails nothing, is the control.
    """

    app: str  # module:attribute in this package
    fails: tuple[str, ...]  # must fail; the requirement that the fault is made for comes first
    because: str  # a regular expression, found in what that requirement's finding says
    consequences: tuple[str, ...] = ()  # may fail as well, or lack evidence
    inconclusive: tuple[str, ...] = ()  # must lack evidence, where they are judged
    after: tuple[str, ...] = ()  # are always judged too: the fault shows only after their requests
    worker: str = WORKER

    def differences(
        self, judged: Set[str], failed: Set[str], unseen: Set[str]
    ) -> Iterator[tuple[str, str]]:
        """Yield each requirement whose verdict differs from this row, and how it differs."""
        for name in failed - {*self.fails, *self.consequences}:
            yield name, "fails, unexpectedly"
        for name in set(self.fails) - failed:
            yield name, "does not fail"
        for name in unseen - {*self.inconclusive, *self.consequences}:
            yield name, "is INCONCLUSIVE, unexpectedly"
        for name in set(self.inconclusive) & judged - unseen:
            yield name, "is not INCONCLUSIVE"

    @property
    def name(self) -> str:
        """The attribute that has the fault: the worker's where the service has none."""
        is_in_worker = self.app == CONTROL and self.worker != WORKER
        return (self.worker if is_in_worker else self.app).partition(":")[2]

    @property
    def target_app(self) -> str:
        """The service, as `--target-app` takes it."""
        return f"{PACKAGE}.{self.app}"

    @property
    def worker_app(self) -> str:
        """Its worker, as `--worker-app` takes it."""
        return f"{PACKAGE}.{self.worker}"


_recorded: list[FaultyService] = []


def faulty_service(
    *,
    fails: tuple[str, ...],
    because: str,
    consequences: tuple[str, ...] = (),
    inconclusive: tuple[str, ...] = (),
    after: tuple[str, ...] = (),
    worker: str | None = None,
) -> Callable[[type[T]], T]:
    """Record what a class of services must fail, and make the application of it.

    `worker` is the name of a worker in the same module, where the correct one will not do.
    """

    def record(kind: type[T]) -> T:
        section = _section_of(kind)
        own = WORKER if worker is None else f"{section}:{worker}"
        app = f"{section}:{kind.__name__}"
        expected = (fails, because, consequences, inconclusive, after)
        _recorded.append(FaultyService(app, *expected, worker=own))
        return kind()

    return record


def faulty_worker(
    *, fails: tuple[str, ...], because: str, consequences: tuple[str, ...] = ()
) -> Callable[[Callable[[], T]], T]:
    """Record what the correct service must fail with this worker, and make the worker."""

    def record(make: Callable[[], T]) -> T:
        worker = f"{_section_of(make)}:{make.__name__}"
        _recorded.append(FaultyService(CONTROL, fails, because, consequences, worker=worker))
        return make()

    return record


def _section_of(made: Callable[[], object]) -> str:
    """Return the name of the module in which something is defined."""
    return made.__module__.rpartition(".")[2]


@cache
def load_faulty_services() -> tuple[FaultyService, ...]:
    """Return the table: the control, then the rows of each requirement, MUST before SHOULD.

    It imports every faulty service, which takes about a second.
    """
    for section in sections():
        importlib.import_module(f"{PACKAGE}.section_{section.number}")
    place = {name: number for number, name in enumerate(catalogue())}

    def order(row: FaultyService) -> tuple[bool, int]:
        made_for = row.fails[0]
        return catalogue()[made_for].level is not Level.MUST, place[made_for]

    return (FaultyService(CONTROL, (), ""), *sorted(_recorded, key=order))
