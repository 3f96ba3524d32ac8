"""The words of a verdict: the status of a requirement, and the exit status of a run."""

from enum import IntEnum, StrEnum


class Status(StrEnum):
    """What a run found out about a requirement."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"  # it could not be observed
    ERROR = "ERROR"  # the suite or its testbed failed
    OBSERVED = "OBSERVED"  # of a MAY, which is never judged
    NOT_APPLICABLE = "NOT_APPLICABLE"  # the target has nothing that the requirement is about

    @property
    def label(self) -> str:
        """The status as reports for people print it."""
        return self.value.replace("_", " ")


class Exit(IntEnum):
    """The exit statuses of a run."""

    PASSED = 0
    FAILED = 1
    INTERRUPTED = 2
    ERROR = 3
    WRONG_USAGE = 4
    NOT_ESTABLISHED = 6
