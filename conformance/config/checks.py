"""Checks of single values. Each returns the value in its final type, or raises WrongUsage."""

import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from conformance.config.definitions import Name
from conformance.core.errors import WrongUsage
from conformance.core.testbed_settings import ServiceKind
from conformance.spec.catalogue import PREFIXES, Level, Requirement

Values = Mapping[str, str]  # by the name of the option
CAGES = ("auto", "namespaces", "none")

URL_EXAMPLES = {
    Name.TARGET_URL: "http://127.0.0.1:8000",
    Name.DATABASE_URL: "postgresql://postgres:secret@127.0.0.1:5432/postgres",
    Name.REDIS_URL: "redis://:secret@127.0.0.1:6379/0",
}
URL_SCHEMES = {
    Name.TARGET_URL: ("http", "https"),
    Name.DATABASE_URL: ("postgresql", "postgres"),
    Name.REDIS_URL: ("redis",),
}


def check_application(values: Values, name: Name) -> str | None:
    """The value of an option that names an application as MODULE:ATTR."""
    if (value := values.get(name)) is None:
        return None
    module, _, attribute = value.partition(":")
    if not module or not attribute:
        raise WrongUsage(f"{name} must be MODULE:ATTR, such as shop.main:app, not {value!r}")
    return value


def check_command(values: Values, name: Name) -> str | None:
    """The value of an option that is a command line, quoted as in a shell."""
    if (value := values.get(name)) is None:
        return None
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise WrongUsage(f"{name} must be a command line, not {value!r}: {error}") from error
    if not words:
        raise WrongUsage(f"{name} must be a command line; it is empty")
    return value


def check_text(values: Values, name: Name) -> str | None:
    """The value of an option that is any text, except an empty one."""
    value = values.get(name)
    if value is not None and not value.strip():
        raise WrongUsage(f"{name} must not be empty")
    return value


def check_url(values: Values, name: Name) -> str | None:
    """The value of an option that is a URL, without the slash at its end if it is the target's."""
    if (value := values.get(name)) is None:
        return None
    try:
        parts = urlsplit(value)
        is_usable = (
            parts.scheme in URL_SCHEMES[name]
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise WrongUsage(f"{name} must be a URL such as {URL_EXAMPLES[name]}, not {value!r}")
    if name is not Name.TARGET_URL:
        return value
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise WrongUsage(
            f"{name} must be a URL without a path, since the paths of the specification begin "
            f"at its root; it is {value!r}"
        )
    return value.rstrip("/")


def check_number(values: Values, name: Name, low: int, high: int) -> int | None:
    """The value of an option that is a whole number from `low` to `high`."""
    if (value := values.get(name)) is None:
        return None
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise WrongUsage(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return int(value)


LONGEST = 4_096  # characters of a command or a name


def check_words(values: Values, name: Name) -> None:
    """Refuse what no system can start."""
    text = values.get(name, "")
    if "\0" in text:
        raise WrongUsage(f"{name} must be a text without null characters, and has one")
    if len(text) > LONGEST:
        raise WrongUsage(f"{name} must have {LONGEST} characters at most, and has {len(text)}")


def check_cage(values: Values) -> str:
    """What shuts the processes of a submission away."""
    value = values.get(Name.CAGE, CAGES[0])
    if value not in CAGES:
        raise WrongUsage(f"--cage must be {', '.join(CAGES[:-1])} or {CAGES[-1]}, not {value!r}")
    return value


def check_services(values: Values) -> ServiceKind:
    """Where Postgres and Redis run. With `--target-image` that is in containers."""
    if Name.TARGET_IMAGE in values:
        return ServiceKind.CONTAINERS
    if values.get(Name.UNTRUSTED) == str(True):
        return ServiceKind.EMBEDDED
    value = values.get(Name.SERVICES, ServiceKind.AUTO)
    if value not in list(ServiceKind):
        raise WrongUsage(f"--services must be auto, embedded or containers, not {value!r}")
    return ServiceKind(value)


def check_level(values: Values, default: Level) -> Level:
    """What the exit status depends on."""
    value = values.get(Name.LEVEL, default.lower())
    if value not in ("must", "should"):
        raise WrongUsage(f"--level must be must or should, not {value!r}")
    return Level(value.upper())


def check_ids(only: Sequence[str], catalogue: Mapping[str, Requirement]) -> tuple[str, ...]:
    """The ids of requirements. The prefix of a section (DB) stands for all of its requirements."""
    chosen: list[str] = []
    for name in only:
        wanted = name.upper()
        prefix = wanted.split("-")[0]
        section = [key for key in catalogue if key.split("-")[0] == prefix]
        ids = section if wanted == prefix else [key for key in section if key == wanted]
        if not ids:
            raise WrongUsage(
                f"--only must be an id or a section; there is no {name!r}. {_list_ids(section)}"
            )
        chosen += ids
    return tuple(dict.fromkeys(chosen))


def _list_ids(section: Sequence[str]) -> str:
    if section:
        return f"That section has {', '.join(section)}"
    return f"The sections are {', '.join(PREFIXES)}; see 'conformance list'"


def hide_passwords(value: str) -> str:
    """A value that anybody may see: the password in a URL is left out."""
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1:PASSWORD@", value)
