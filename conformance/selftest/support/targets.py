"""What tests of targets share: services that somebody else starts, and what can be seen of them."""

import time

import httpx

from conformance.selftest.conforming_services.table import (
    CONFORMING_SERVICES,
    CONFORMING_SERVICES_FOLDER,
)
from conformance.spec.catalogue import Level, catalogue

ANSWER_PATIENCE = 100.0  # seconds; beside seven other runs on 2 cores, a start took 20
WORKER = "reference_impl.tasks:celery_app"
DOCUMENT = CONFORMING_SERVICES_FOLDER  # the folder with the package of the tutorial's own code
(_DOCUMENT,) = (each for each in CONFORMING_SERVICES if each.name == "document")
MISSED_BY_THE_DOCUMENT = _DOCUMENT.fails


def ids_needing(*channels: str) -> set[str]:
    """Return the requirements that need one of these channels."""
    return {
        name
        for name, requirement in catalogue().items()
        if set(channels) & set(requirement.channels)
    }


def ids_of_level(level: Level) -> set[str]:
    """Return the requirements of a level."""
    return {name for name, requirement in catalogue().items() if requirement.level is level}


def wait_until_answering(url: str) -> str:
    """Wait until something answers at the URL, for ANSWER_PATIENCE at most, and return it."""
    deadline = time.monotonic() + ANSWER_PATIENCE
    while True:
        try:
            httpx.get(url + "/async", trust_env=False)
        except httpx.TransportError:
            # The published port of a container takes connections before anything listens inside.
            assert time.monotonic() < deadline, f"nothing answers at {url}"
            time.sleep(0.02)
        else:
            return url
