"""Every option of a run: its names, its type, its help text.

The command line, pytest's options, the target's file and the JSON Schema all follow this table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any


class Name(StrEnum):
    """The name of each option, as `conformance run` takes it."""

    TARGET_APP = "--target-app"
    TARGET_COMMAND = "--target-command"
    TARGET_URL = "--target-url"
    TARGET_IMAGE = "--target-image"
    TARGET_DIR = "--target-dir"
    TARGET_PYTHON = "--target-python"
    SETTINGS = "--settings"
    UNTRUSTED = "--untrusted"
    CAGE = "--cage"
    CONTAINER = "--container"
    RESTART_COMMAND = "--restart-command"
    WORKER_APP = "--worker-app"
    WORKER_COMMAND = "--worker-command"
    WORKER_IMAGE = "--worker-image"
    WORKER_CONTAINER = "--worker-container"
    SERVICES = "--services"
    POSTGRES_IMAGE = "--postgres-image"
    REDIS_IMAGE = "--redis-image"
    DATABASE_URL = "--database-url"
    REDIS_URL = "--redis-url"
    UPSTREAM_PORT = "--upstream-port"
    TESTBED = "--testbed"
    ONLY = "--only"
    LEVEL = "--level"
    ALLOW_INCONCLUSIVE = "--allow-inconclusive"
    SEED = "--seed"
    SHUFFLE = "--shuffle"
    STEPS = "--steps"
    RECORD = "--record"
    HTML = "--html"


class Group(StrEnum):
    """What an option is about. The members are in the order of the help text."""

    TARGET = "target"
    WORKER = "worker"
    SERVICES = "services"
    SELECTION = "selection"
    OUTPUT = "output"


class Kind(Enum):
    """The type of a value, with its name in TOML."""

    STRING = "a string"
    INTEGER = "an integer"
    BOOLEAN = "a boolean"
    STRINGS = "an array of strings"


@dataclass(frozen=True)
class OptionDefinition:
    """One option: how it is written, and what it takes."""

    name: Name
    metavar: str
    help: str
    group: Group
    kind: Kind = Kind.STRING
    variable: str | None = None  # of the environment
    stands_in_file: bool = True

    @property
    def key(self) -> str:
        """The name in a file."""
        return self.name.removeprefix("--")

    @property
    def dest(self) -> str:
        """The attribute in pytest's namespace and in that of `conformance run`."""
        return "conformance_" + self.key.replace("-", "_")

    @property
    def pytest_name(self) -> str:
        """The name among pytest's options, where a short one could be another plugin's."""
        is_specific = self.name.startswith(("--target-", "--worker-"))
        return self.name if is_specific else f"--conformance-{self.key}"


TARGET_FORMS = (Name.TARGET_APP, Name.TARGET_COMMAND, Name.TARGET_URL)
OF_A_TESTBED = (
    Name.SERVICES,
    Name.POSTGRES_IMAGE,
    Name.REDIS_IMAGE,
    Name.DATABASE_URL,
    Name.REDIS_URL,
    Name.UPSTREAM_PORT,
)

DEFINITIONS: dict[str, OptionDefinition] = {
    each.name: each
    for each in (
        OptionDefinition(
            Name.TARGET_APP,
            "MODULE:ATTR",
            "start this ASGI application under uvicorn on a free port",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.TARGET_COMMAND,
            "CMD",
            "start this command; {host} and {port} in it are replaced",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.TARGET_URL,
            "URL",
            "judge the service that runs here already, and start nothing (https certificates are "
            "not verified)",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.TARGET_IMAGE,
            "IMAGE",
            "start the target in a container of this image, by the image's own command or by "
            "--target-app or --target-command",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.TARGET_DIR,
            "DIR",
            "start the target and its worker in this folder (default: the current one)",
            Group.TARGET,
            stands_in_file=False,
        ),
        OptionDefinition(
            Name.TARGET_PYTHON,
            "EXE",
            "the interpreter for --target-app and --worker-app (default: the suite's own)",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.SETTINGS,
            "FILE",
            "read this file in place of conformance.toml or pyproject.toml in the target's folder "
            "(none: read no file)",
            Group.TARGET,
            stands_in_file=False,
        ),
        OptionDefinition(
            Name.UNTRUSTED,
            "",
            "judge code of a stranger: of its files only --target-app, --target-command and those "
            "of the worker are settings, and its processes run in a cage (Linux)",
            Group.TARGET,
            Kind.BOOLEAN,
            stands_in_file=False,
        ),
        OptionDefinition(
            Name.CAGE,
            "auto|namespaces|none",
            "with --untrusted: what shuts its processes away (default: auto, which refuses to run "
            "where there is no cage; none: nothing does, they have your rights)",
            Group.TARGET,
            stands_in_file=False,
        ),
        OptionDefinition(
            Name.CONTAINER,
            "NAME",
            "the container of the service at --target-url, which the suite may stop, start and "
            "copy",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.RESTART_COMMAND,
            "CMD",
            "a command that starts the service at --target-url again and ends; the suite stops "
            "the service by signals",
            Group.TARGET,
        ),
        OptionDefinition(
            Name.WORKER_APP,
            "MODULE:ATTR",
            "start the worker of this Celery application",
            Group.WORKER,
        ),
        OptionDefinition(
            Name.WORKER_COMMAND, "CMD", "start the worker by this command", Group.WORKER
        ),
        OptionDefinition(
            Name.WORKER_IMAGE,
            "IMAGE",
            "start the worker in a container of this image (default: the target's image)",
            Group.WORKER,
        ),
        OptionDefinition(
            Name.WORKER_CONTAINER,
            "NAME",
            "the container of the worker of the service at --target-url",
            Group.WORKER,
        ),
        OptionDefinition(
            Name.SERVICES,
            "auto|embedded|containers",
            "where Postgres and Redis run (default: auto)",
            Group.SERVICES,
            variable="CONFORMANCE_SERVICES",
        ),
        OptionDefinition(
            Name.POSTGRES_IMAGE,
            "IMAGE",
            "the image for Postgres in a container (default: postgres:18)",
            Group.SERVICES,
            variable="CONFORMANCE_POSTGRES_IMAGE",
        ),
        OptionDefinition(
            Name.REDIS_IMAGE,
            "IMAGE",
            "the image for Redis in a container (default: redis:8)",
            Group.SERVICES,
            variable="CONFORMANCE_REDIS_IMAGE",
        ),
        OptionDefinition(
            Name.DATABASE_URL,
            "URL",
            "use this Postgres server, by the URL of an administrator",
            Group.SERVICES,
        ),
        OptionDefinition(
            Name.REDIS_URL,
            "URL",
            "use this Redis server, by the URL of an administrator",
            Group.SERVICES,
        ),
        OptionDefinition(
            Name.UPSTREAM_PORT,
            "PORT",
            "the port on 127.0.0.1 for the upstream stub (default: a free one)",
            Group.SERVICES,
            Kind.INTEGER,
        ),
        OptionDefinition(
            Name.TESTBED,
            "FILE",
            "the file that `conformance testbed` has written, for --target-url (default: where "
            "that command leaves it; none: use no testbed)",
            Group.SERVICES,
        ),
        OptionDefinition(
            Name.ONLY,
            "ID",
            "check only these requirements or sections, such as DB-2 or DB",
            Group.SELECTION,
            Kind.STRINGS,
        ),
        OptionDefinition(
            Name.LEVEL,
            "must|should",
            "what the exit status depends on (default: should for the reference and with --only, "
            "else must)",
            Group.SELECTION,
        ),
        OptionDefinition(
            Name.ALLOW_INCONCLUSIVE,
            "",
            "exit with 0 in place of 6 if a requirement could not be judged",
            Group.SELECTION,
            Kind.BOOLEAN,
        ),
        OptionDefinition(
            Name.SEED,
            "N",
            "the seed of all generated inputs (default: drawn, and printed)",
            Group.SELECTION,
            Kind.INTEGER,
        ),
        OptionDefinition(
            Name.SHUFFLE,
            "",
            "run the probes in an order that is drawn from the seed",
            Group.SELECTION,
            Kind.BOOLEAN,
        ),
        OptionDefinition(
            Name.STEPS,
            "STEPS",
            "with --only CONC-11: replay the action sequence that an earlier failure printed",
            Group.SELECTION,
        ),
        OptionDefinition(Name.RECORD, "FILE", "write the run as JSON Lines", Group.OUTPUT),
        OptionDefinition(Name.HTML, "FILE", "write the run as a page for a browser", Group.OUTPUT),
    )
}


def write_arguments(given: Mapping[str, Any], *, for_pytest: bool = False) -> Iterator[str]:
    """The words of a command line that give these values, by the name of each option.

    Each value is tied to its option by `=`. A word of its own that is the path of a folder
    would make pytest look for its settings there.
    """
    for name, value in given.items():
        word = DEFINITIONS[name].pytest_name if for_pytest else name
        match value:
            case None:
                continue
            case True:
                yield word
            case False:
                yield word.replace("--", "--no-", 1)
            case list() | tuple():
                yield from (f"{word}={each}" for each in value)
            case _:
                yield f"{word}={value}"
