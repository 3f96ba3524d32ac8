"""What a run must know of a probe to prepare for it."""

from dataclasses import dataclass
from enum import StrEnum

from conformance.spec.catalogue import Requirement


class WorkerState(StrEnum):
    """Whether the target's worker runs while a probe does."""

    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Probe:
    """One probe of a requirement."""

    name: str  # unique in the run
    requirement: Requirement
    worker: WorkerState | None = None  # None where it does not matter
    injects_fault: bool = False  # one that the target may not recover from
