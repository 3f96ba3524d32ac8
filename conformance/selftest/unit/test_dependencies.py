"""The lock: it pins every package that we ask for, and every package that those ask for."""

import tomllib
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from conformance.config.paths import PROJECT

PROJECT_FILE = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT_FILE["dependency-groups"]


def read_lock() -> dict[str, Version]:
    """The pinned versions by name."""
    lines = (PROJECT / "constraints.lock").read_text("utf-8").splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if not line.startswith("#")]
    return {name: Version(version) for name, _, version in (pin.partition("==") for pin in pins)}


def list_requirements() -> Iterator[Requirement]:
    """What the project and its dependency groups ask for."""
    groups = [each for group in GROUPS.values() for each in group if isinstance(each, str)]
    for text in (*PROJECT_FILE["project"]["dependencies"], *groups):
        yield Requirement(text)


def applies(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a requirement of a package counts here, if the package has these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": each}) for each in extras or {""})


LOCK = read_lock()


@pytest.mark.parametrize("requirement", list(list_requirements()), ids=lambda each: str(each.name))
def test_the_lock_pins_what_is_asked_for_and_all_that_it_needs(requirement: Requirement) -> None:
    waiting, seen = [requirement], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        assert name in LOCK, f"{name} is not in constraints.lock"
        assert LOCK[name] in wanted.specifier, f"{wanted} is not satisfied by {LOCK[name]}"
        if (name, *sorted(wanted.extras)) in seen:
            continue
        seen.add((name, *sorted(wanted.extras)))
        needed = [Requirement(text) for text in metadata.requires(name) or ()]
        waiting += [each for each in needed if applies(each, wanted.extras)]


def test_the_group_of_developers_includes_every_other() -> None:
    included = {each["include-group"] for each in GROUPS["dev"] if isinstance(each, dict)}
    assert included == GROUPS.keys() - {"dev"}


@pytest.mark.parametrize(
    "name", ["pytest", "pytest-asyncio", "hypothesis", "schemathesis", "celery", "testcontainers"]
)
def test_a_package_whose_private_parts_are_used_has_an_upper_bound(name: str) -> None:
    (requirement,) = (each for each in list_requirements() if each.name == name)
    assert any(each.operator == "<" for each in requirement.specifier)
