"""Options: flags and the target's own files, read once into one frozen object."""

import os
import random
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conformance.config import settings_file
from conformance.core.errors import WrongUsage
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import PREFIXES, Level, Requirement

REFERENCE_APP = "reference_impl.app:app"
REFERENCE_WORKER = "reference_impl.tasks:celery_app"
COMMAND = "CONFORMANCE_COMMAND"  # set by `conformance run`: the words that the caller used
AUTO, EMBEDDED, CONTAINERS = "auto", "embedded", "containers"
NO_TESTBED = "none"
PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Flag:
    """One option: its name on the command line and in a file, and what it takes."""

    name: str
    metavar: str
    help: str
    variable: str | None = None  # of the environment, which says the same; the flag and a file win

    @property
    def key(self) -> str:
        """The name in a file."""
        return self.name.removeprefix("--")

    @property
    def dest(self) -> str:
        """The attribute in pytest's own namespace."""
        return "conformance_" + self.key.replace("-", "_")


# What may stand in [tool.conformance] of a target's pyproject.toml or in its conformance.toml as well as on the command line.
FLAGS = (
    Flag("--target-app", "MODULE:ATTR", "start this ASGI application under uvicorn on a free port"),
    Flag("--target-command", "CMD", "start this command; {host} and {port} in it are replaced"),
    Flag("--target-url", "URL", "judge the service that runs here already; nothing is started"),
    Flag(
        "--target-image",
        "IMAGE",
        "start it in a container of this image, by its own command or by one of the two above",
    ),
    Flag(
        "--target-dir",
        "DIR",
        "the folder in which the target and its worker are started (default: the current one)",
    ),
    Flag(
        "--target-python",
        "EXE",
        "the interpreter for --target-app and --worker-app (default: this one)",
    ),
    Flag("--worker-app", "MODULE:ATTR", "start this Celery application's worker"),
    Flag("--worker-command", "CMD", "start the worker by this command"),
    Flag(
        "--worker-image",
        "IMAGE",
        "start the worker in a container of this image (default: that of the target)",
    ),
    Flag(
        "--container",
        "NAME",
        "the container in which the service at --target-url runs, so that it may be stopped and started",
    ),
    Flag("--worker-container", "NAME", "the container in which its worker runs"),
    Flag(
        "--restart-command",
        "CMD",
        "starts the service at --target-url again, and ends; the suite stops it by signals",
    ),
    Flag(
        "--testbed",
        "FILE",
        "what `conformance testbed` has written, for --target-url (default: found where it was left; none: without)",
    ),
    Flag(
        "--services",
        "auto|embedded|containers",
        "where Postgres and Redis run (default: auto)",
        "CONFORMANCE_SERVICES",
    ),
    Flag(
        "--postgres-image",
        "IMAGE",
        "the image of a Postgres in a container (default: postgres:18)",
        "CONFORMANCE_POSTGRES_IMAGE",
    ),
    Flag(
        "--redis-image",
        "IMAGE",
        "the image of a Redis in a container (default: redis:8)",
        "CONFORMANCE_REDIS_IMAGE",
    ),
    Flag(
        "--database-url",
        "URL",
        "an administrator's URL of a Postgres server to use instead of an embedded one",
    ),
    Flag(
        "--redis-url",
        "URL",
        "an administrator's URL of a Redis server to use instead of an embedded one",
    ),
    Flag(
        "--upstream-port",
        "PORT",
        "the port on 127.0.0.1 on which the upstream stub listens (default: a free one)",
    ),
    Flag(
        "--level",
        "must|should",
        "what the exit status depends on (default: should for the reference and with --only, else must)",
    ),
    Flag("--seed", "N", "the seed of all generated inputs (default: drawn, and printed)"),
)
FORMS = ("--target-app", "--target-command", "--target-url")


@dataclass(frozen=True)
class Options:
    """Everything a run was told, checked."""

    target_app: str | None
    target_command: str | None
    target_url: str | None
    directory: Path
    python: str
    worker_app: str | None
    worker_command: str | None
    target_image: str | None
    worker_image: str | None
    container: str | None
    worker_container: str | None
    restart_command: str | None
    testbed: str | None
    services: str
    postgres_image: str
    redis_image: str
    database_url: str | None
    redis_url: str | None
    upstream_port: int | None
    level: Level
    seed: int
    only: tuple[str, ...]
    allow_inconclusive: bool
    record: Path | None
    html: Path | None
    steps: str | None  # CONC-11's program, in place of a search
    known_failures: tuple[KnownFailure, ...]
    flags: tuple[str, ...]  # the command line that gives the same target again

    @property
    def is_reference(self) -> bool:
        """Whether the target is the bundled reference."""
        return self.target_app == REFERENCE_APP and self.directory == PROJECT

    @property
    def has_worker(self) -> bool:
        """Whether the suite was told how to start a worker."""
        return bool(
            self.worker_app or self.worker_command or self.worker_image or self.worker_container
        )

    @property
    def title(self) -> str:
        """The target in a few words."""
        if self.is_reference:
            return f"the bundled reference ({REFERENCE_APP})"
        words = self.target_url or self.target_app or self.target_command
        if self.target_image:
            return (
                f"{words} in a container of {self.target_image}"
                if words
                else f"a container of {self.target_image}"
            )
        return str(words)

    def reproduce(self, requirement: str, program: str | None = None) -> str:
        """The command that checks one requirement of the same target again with the same inputs, or by the same program."""
        command = os.environ.get(COMMAND, "pytest").split()
        again = ["--steps", program] if program else ["--seed", str(self.seed)]
        return shlex.join([*command, *self.flags, "--only", requirement, *again])


def read(
    given: Mapping[str, Any],
    only: Sequence[str],
    directory: Path,
    catalogue: Mapping[str, Requirement],
) -> Options:
    """Make the options from the values of the command line (by flag name) and the target's files. Raises WrongUsage."""
    flags = {
        name: str(value)
        for name, value in given.items()
        if name in {flag.name for flag in FLAGS} and value is not None
    }
    folder = directory / flags.get("--target-dir", ".")
    if not folder.is_dir():
        raise WrongUsage(f"--target-dir wants a folder that exists; {folder} is none")
    file = settings_file.read(
        folder, {flag.key: flag.name for flag in FLAGS if flag.name != "--target-dir"}, catalogue
    )
    values = _with_file(flags, file.values)
    forms = [form for form in FORMS if form in values]
    if len(forms) > 1:
        raise WrongUsage(
            f"a run has one target; {' and '.join(forms)} were given, so leave out all but one"
        )
    if "--worker-app" in values and "--worker-command" in values:
        raise WrongUsage(
            "a run has one worker; --worker-app and --worker-command were given, so leave out one"
        )
    _check_company(values)
    values = {
        flag.name: os.environ[flag.variable]
        for flag in FLAGS
        if flag.variable and os.environ.get(flag.variable)
    } | values
    reference = not forms and "--target-image" not in values
    if reference:
        if astray := [
            name
            for name in (
                "--worker-app",
                "--worker-command",
                "--worker-image",
                "--target-python",
                "--target-dir",
            )
            if name in values
        ]:
            raise WrongUsage(
                f"{astray[0]} goes with a target of yours; give one of {', '.join(FORMS)} as well"
            )
        values |= {"--target-app": REFERENCE_APP, "--worker-app": REFERENCE_WORKER}
        folder = PROJECT
    _check_words(values)
    return Options(
        target_app=values.get("--target-app"),
        target_command=values.get("--target-command"),
        target_url=_url(values, "--target-url", ("http",), "http://127.0.0.1:8000"),
        directory=folder.resolve(),
        python=_python(values, folder),
        worker_app=values.get("--worker-app"),
        worker_command=values.get("--worker-command"),
        target_image=values.get("--target-image"),
        worker_image=_worker_image(values),
        container=values.get("--container"),
        worker_container=values.get("--worker-container"),
        restart_command=values.get("--restart-command"),
        testbed=values.get("--testbed"),
        services=_services(values),
        postgres_image=values.get("--postgres-image", "postgres:18"),
        redis_image=values.get("--redis-image", "redis:8"),
        database_url=_url(
            values,
            "--database-url",
            ("postgresql", "postgres"),
            "postgresql://postgres:secret@127.0.0.1:5432/postgres",
        ),
        redis_url=_url(values, "--redis-url", ("redis",), "redis://:secret@127.0.0.1:6379/0"),
        upstream_port=_number(values, "--upstream-port", 1, 65535),
        level=_level(values, reference=reference or bool(only)),
        seed=random.SystemRandom().randrange(2**32)
        if "--seed" not in values
        else _number(values, "--seed", 0, 2**64) or 0,
        only=_only(only, catalogue),
        allow_inconclusive=bool(given.get("--allow-inconclusive")),
        record=Path(given["--record"]).absolute() if given.get("--record") else None,
        html=Path(given["--html"]).absolute() if given.get("--html") else None,
        steps=given.get("--steps"),
        known_failures=() if reference else file.known_failures,  # the list is another target's
        flags=tuple(
            word
            for name, value in flags.items()
            if name not in ("--seed", "--level")
            for word in (name, _public(value))
        ),
    )


def _with_file(flags: dict[str, str], file: Mapping[str, str]) -> dict[str, str]:
    """Flags win; a target or worker given by flag replaces every form of it in the file."""
    kinds = (
        (*FORMS, "--target-image"),
        ("--worker-app", "--worker-command", "--worker-image", "--worker-container"),
    )
    replaced = {name for kind in kinds if any(name in flags for name in kind) for name in kind}
    return {name: value for name, value in file.items() if name not in replaced} | flags


def _check_company(values: Mapping[str, str]) -> None:
    """What goes with something else, or does not."""
    alone = [
        name
        for name in ("--container", "--restart-command", "--worker-container", "--testbed")
        if name in values
    ]
    if alone and "--target-url" not in values:
        raise WrongUsage(
            f"{alone[0]} goes with a service that runs already; give --target-url as well"
        )
    if "--container" in values and "--restart-command" in values:
        raise WrongUsage(
            "--container and --restart-command say the same of two kinds of services; leave out one"
        )
    if "--worker-image" in values and "--target-image" not in values:
        raise WrongUsage("--worker-image goes with --target-image, whose network it shares")
    if "--target-image" in values:
        if apart := [
            name
            for name in ("--target-url", "--target-dir", "--database-url", "--redis-url")
            if name in values
        ]:
            raise WrongUsage(
                f"--target-image starts a container beside the suite's own services; leave out {apart[0]}"
            )
        if values.get("--services") == EMBEDDED:
            raise WrongUsage(
                "--target-image wants services in containers, for it shares their network; leave out --services embedded"
            )


def _services(values: Mapping[str, str]) -> str:
    value = CONTAINERS if "--target-image" in values else values.get("--services", AUTO)
    if value not in (AUTO, EMBEDDED, CONTAINERS):
        raise WrongUsage(f"--services wants {AUTO}, {EMBEDDED} or {CONTAINERS}; got {value!r}")
    return value


def _worker_image(values: Mapping[str, str]) -> str | None:
    """The image of the worker: its own, or the target's where the worker is given by an application or a command."""
    by_command = "--worker-app" in values or "--worker-command" in values
    return values.get("--worker-image", values.get("--target-image") if by_command else None)


def _check_words(values: Mapping[str, str]) -> None:
    for name in ("--target-app", "--worker-app"):
        module, _, attribute = values.get(name, "module:attribute").partition(":")
        if not module or not attribute:
            raise WrongUsage(
                f"{name} wants MODULE:ATTR, such as shop.main:app; got {values[name]!r}"
            )
    for name in ("--target-command", "--worker-command", "--restart-command"):
        try:
            words = shlex.split(values.get(name, "true"))
        except ValueError as error:
            raise WrongUsage(
                f"{name} wants a command line; {values[name]!r} is none: {error}"
            ) from error
        if not words:
            raise WrongUsage(f"{name} wants a command line; it is empty")


def _url(values: Mapping[str, str], name: str, schemes: Sequence[str], example: str) -> str | None:
    if (value := values.get(name)) is None:
        return None
    try:
        parts = urlsplit(value)
        usable = (
            parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        usable = False
    if not usable:
        raise WrongUsage(f"{name} wants a URL such as {example}; got {value!r}")
    if name == "--target-url":
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise WrongUsage(
                f"--target-url wants a URL without a path, for the specification's paths begin at its root; got {value!r}"
            )
        return value.rstrip("/")
    return value


def _public(value: str) -> str:
    """A value for everybody's eyes: what is a password in a URL is not."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:PASSWORD@", value)


def _number(values: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    if (value := values.get(name)) is None:
        return None
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise WrongUsage(f"{name} wants a whole number from {low} to {high}; got {value!r}")
    return int(value)


def _level(values: Mapping[str, str], *, reference: bool) -> Level:
    value = values.get("--level", "should" if reference else "must")
    if value.upper() not in (Level.MUST, Level.SHOULD):
        raise WrongUsage(f"--level wants must or should; got {value!r}")
    return Level(value.upper())


def _python(values: Mapping[str, str], folder: Path) -> str:
    if "--target-image" in values:
        return values.get("--target-python", "python3")
    value = values.get("--target-python", sys.executable)
    return str((folder / value).absolute()) if "/" in value else value


def _only(only: Sequence[str], catalogue: Mapping[str, Requirement]) -> tuple[str, ...]:
    """The ids that were asked for; a section's prefix (DB) stands for all of its requirements."""
    chosen: list[str] = []
    for name in only:
        ids = [key for key in catalogue if key == name.upper() or key.split("-")[0] == name.upper()]
        if not ids:
            section = [key for key in catalogue if key.split("-")[0] == name.upper().split("-")[0]]
            raise WrongUsage(
                f"--only wants ids of requirements; there is no {name!r}. "
                + (
                    f"That section has {', '.join(section)}"
                    if section
                    else f"The sections are {', '.join(PREFIXES)}; see 'conformance list'"
                )
            )
        chosen += ids
    return tuple(dict.fromkeys(chosen))
