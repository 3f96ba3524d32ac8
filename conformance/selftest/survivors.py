"""The mutants of the reference that survive, by their names, and why nothing fails of each."""

from collections.abc import Mapping

NOT_STARTED = "does not start"
FAILED = "the suite failed"

SURVIVORS: Mapping[str, str] = {}
