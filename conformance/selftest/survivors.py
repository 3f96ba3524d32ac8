"""The mutants of the reference that survive, by their names, and why nothing fails of each."""

from collections.abc import Mapping

NOT_STARTED = "does not start"

SURVIVORS: Mapping[str, str] = {}
