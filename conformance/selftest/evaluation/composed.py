"""Services with two faults at once, made when a server asks for one by its name.

The name is `SECTION__FAULT__SECTION__FAULT`. The first fault comes before the second: what both
inherit is the correct service.
"""

import importlib
from typing import Any

from conformance.selftest.faulty_services.service import Service
from conformance.selftest.faulty_services.table import PACKAGE

BETWEEN = "__"  # no section and no fault has it in its name


def __getattr__(name: str) -> Any:
    """Make the service of this name. Raises AttributeError if it names no two faults."""
    words = name.split(BETWEEN)
    if len(words) != 4 or not all(words):
        raise AttributeError(name)
    return compose_kind(*(find_kind(*words[at : at + 2]) for at in (0, 2)))()


def compose_kind(first: type[Service], second: type[Service]) -> type[Service]:
    """Make a class that has what both replace."""
    return type(f"{first.__name__}{BETWEEN}{second.__name__}", (first, second), {})


def find_kind(section: str, fault: str) -> type[Service]:
    """Return the class of a faulty service."""
    return type(getattr(importlib.import_module(f"{PACKAGE}.{section}"), fault))
