"""Which options go together, and which replace each other."""

from collections.abc import Mapping
from typing import Any

from conformance.config.definitions import TARGET_FORMS, Name
from conformance.core.errors import WrongUsage
from conformance.core.testbed_settings import ServiceKind

FORMS = (
    (*TARGET_FORMS, Name.TARGET_IMAGE),
    (Name.WORKER_APP, Name.WORKER_COMMAND, Name.WORKER_IMAGE, Name.WORKER_CONTAINER),
)


def merge_values(line: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a command line and of a file together, of which the command line wins.

    A target or a worker on the command line replaces every form of it in the file.
    """
    replaced = {name for forms in FORMS if any(name in line for name in forms) for name in forms}
    return {name: value for name, value in file.items() if name not in replaced} | dict(line)


def check_combinations(values: Mapping[str, Any]) -> None:
    """Refuse options that contradict each other, or that need another one. Raises WrongUsage."""
    _check_one_of_each(values)
    _check_service_that_runs(values)
    _check_image(values)
    _check_untrusted(values)
    if Name.TARGET_IMAGE not in values and not any(form in values for form in TARGET_FORMS):
        _check_reference(values)


def _check_one_of_each(values: Mapping[str, Any]) -> None:
    forms = [form for form in TARGET_FORMS if form in values]
    if len(forms) > 1:
        raise WrongUsage(
            f"a run has one target; {' and '.join(forms)} were given, so leave out all but one"
        )
    if Name.WORKER_APP in values and Name.WORKER_COMMAND in values:
        raise WrongUsage(
            "a run has one worker; --worker-app and --worker-command were given, so leave out one"
        )
    if Name.CONTAINER in values and Name.RESTART_COMMAND in values:
        raise WrongUsage(
            "--container is for a service in a container, --restart-command for a process of "
            "this machine; leave out one"
        )


def _check_service_that_runs(values: Mapping[str, Any]) -> None:
    names = (Name.CONTAINER, Name.RESTART_COMMAND, Name.WORKER_CONTAINER, Name.TESTBED)
    alone = [name for name in names if name in values]
    if alone and Name.TARGET_URL not in values:
        raise WrongUsage(
            f"{alone[0]} is for a service that runs already; give {Name.TARGET_URL} as well"
        )


def _check_image(values: Mapping[str, Any]) -> None:
    if Name.WORKER_IMAGE in values and Name.TARGET_IMAGE not in values:
        raise WrongUsage(
            f"{Name.WORKER_IMAGE} needs {Name.TARGET_IMAGE}, since both containers share a network"
        )
    if Name.TARGET_IMAGE not in values:
        return
    names = (Name.TARGET_URL, Name.TARGET_DIR, Name.DATABASE_URL, Name.REDIS_URL)
    if others := [name for name in names if name in values]:
        raise WrongUsage(
            f"{Name.TARGET_IMAGE} starts a container next to the suite's own services; "
            f"leave out {others[0]}"
        )
    if values.get(Name.SERVICES) == ServiceKind.EMBEDDED:
        raise WrongUsage(
            f"{Name.TARGET_IMAGE} needs services in containers, since they share a network; "
            f"leave out {Name.SERVICES} embedded"
        )


def _check_untrusted(values: Mapping[str, Any]) -> None:
    if not values.get(Name.UNTRUSTED):
        if Name.CAGE in values:
            raise WrongUsage(f"{Name.CAGE} needs {Name.UNTRUSTED}")
        return
    others = (Name.TARGET_URL, Name.TARGET_IMAGE, Name.DATABASE_URL, Name.REDIS_URL)
    if found := [name for name in others if name in values]:
        raise WrongUsage(
            f"{Name.UNTRUSTED} starts the submission and its servers in a cage; leave out "
            f"{found[0]}"
        )
    if values.get(Name.SERVICES) == ServiceKind.CONTAINERS:
        raise WrongUsage(
            f"{Name.UNTRUSTED} needs embedded servers; leave out {Name.SERVICES} containers"
        )
    apps = [name for name in (Name.TARGET_APP, Name.WORKER_APP) if name in values]
    if apps and Name.TARGET_PYTHON not in values:
        raise WrongUsage(
            f"{apps[0]} of a submission needs {Name.TARGET_PYTHON}: an interpreter with the "
            "packages that submissions may use, and without the suite's"
        )
    if Name.TARGET_COMMAND not in values and Name.TARGET_APP not in values:
        raise WrongUsage(
            f"{Name.UNTRUSTED} needs {Name.TARGET_APP} or {Name.TARGET_COMMAND}, on the command "
            "line or in the submission's conformance.toml"
        )


def _check_reference(values: Mapping[str, Any]) -> None:
    names = (
        Name.WORKER_APP,
        Name.WORKER_COMMAND,
        Name.WORKER_IMAGE,
        Name.TARGET_PYTHON,
        Name.TARGET_DIR,
    )
    if alone := [name for name in names if name in values]:
        forms = ", ".join((Name.TARGET_APP, Name.TARGET_COMMAND, Name.TARGET_URL))
        raise WrongUsage(f"{alone[0]} needs a target of yours; give one of {forms} as well")
