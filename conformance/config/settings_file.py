"""The target's own file: its conformance.toml, or [tool.conformance] of its pyproject.toml."""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from conformance.config import known_failures
from conformance.config.definitions import DEFINITIONS, Kind, OptionDefinition
from conformance.core.errors import WrongUsage
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import Requirement

KEYS = {each.key: each for each in DEFINITIONS.values() if each.stands_in_file}
# What a stranger's file may say: how its service and its worker are started.
KEYS_OF_STRANGERS = ("target-app", "target-command", "worker-app", "worker-command")
LARGEST = 2**20  # bytes of a file; a pyproject.toml may be long
TYPE_NAMES: tuple[tuple[type, str], ...] = (  # a bool is an int, and a datetime a date
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "an array"),
    (dict, "a table"),
    (datetime, "a date"),
    (date, "a date"),
    (time, "a time"),
)


@dataclass(frozen=True)
class SettingsFile:
    """What a file says."""

    values: Mapping[str, Any] = field(default_factory=dict)  # typed, by the name of the option
    known_failures: tuple[KnownFailure, ...] = ()
    ignored: tuple[str, ...] = ()  # keys of a stranger's file that are no settings


def find_settings_file(folder: Path) -> Path | None:
    """The file of a folder, or None if it has none."""
    files = (folder / "conformance.toml", folder / "pyproject.toml")
    return next((path for path in files if path.exists()), None)


def read_settings_file(
    path: Path, catalogue: Mapping[str, Requirement], *, untrusted: bool = False
) -> SettingsFile:
    """Read a file. Of a pyproject.toml, that is the table [tool.conformance]. Raises WrongUsage.

    Of an untrusted one, only KEYS_OF_STRANGERS are read.
    """
    if untrusted and path.is_symlink():
        raise WrongUsage(f"{path} must be a regular file, and is a link")
    content = _read_toml(path)
    table = _find_table(content) if path.name == "pyproject.toml" else content
    try:
        return read_strangers_table(table) if untrusted else read_table(table, catalogue)
    except WrongUsage as error:
        raise WrongUsage(f"{path}: {error}") from None


def read_table(table: Any, catalogue: Mapping[str, Requirement]) -> SettingsFile:
    """Check the names and the types of a table. Raises WrongUsage, without the file's name."""
    if not isinstance(table, dict):
        raise WrongUsage(f"tool.conformance must be a table, not {_name_type(table)}")
    allowed = [*KEYS, known_failures.KEY]
    if unknown := [key for key in table if key not in allowed]:
        raise WrongUsage(f"unknown key {unknown[0]!r} (allowed: {', '.join(allowed)})")
    return SettingsFile(
        {
            KEYS[key].name: _check_type(KEYS[key], value)
            for key, value in table.items()
            if key in KEYS
        },
        known_failures.read_entries(table.get(known_failures.KEY, []), catalogue),
    )


def read_strangers_table(table: Any) -> SettingsFile:
    """Read what a stranger's table may say, and leave the rest. Raises WrongUsage."""
    if not isinstance(table, dict):
        raise WrongUsage(f"tool.conformance must be a table, not {_name_type(table)}")
    known = {key: KEYS[key] for key in KEYS_OF_STRANGERS if key in table}
    values: dict[str, Any] = {
        each.name: _check_type(each, table[key]) for key, each in known.items()
    }
    return SettingsFile(values, ignored=tuple(key for key in table if key not in known))


def _check_type(definition: OptionDefinition, value: Any) -> Any:
    match definition.kind:
        case Kind.STRINGS:
            fits = isinstance(value, list) and all(isinstance(each, str) for each in value)
        case Kind.BOOLEAN:
            fits = isinstance(value, bool)
        case Kind.INTEGER:
            fits = isinstance(value, int) and not isinstance(value, bool)
        case Kind.STRING:
            fits = isinstance(value, str)
    if not fits:
        found = _name_type(value)
        if isinstance(value, list) and definition.kind is Kind.STRINGS:
            found = f"an array with {next(_name_type(e) for e in value if type(e) is not str)}"
        raise WrongUsage(f"{definition.key} must be {definition.kind.value}, not {found}")
    return value


def _name_type(value: Any) -> str:
    return next(name for kind, name in TYPE_NAMES if isinstance(value, kind))


def _find_table(content: Mapping[str, Any]) -> Any:
    tool = content.get("tool", {})
    return tool.get("conformance", {}) if isinstance(tool, dict) else {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path))
    except ValueError as error:  # also of an integer of too many digits
        raise WrongUsage(f"{path} is not TOML: {error}") from error
    except RecursionError:
        raise WrongUsage(f"{path} is not TOML that can be read: it is nested too deeply") from None
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from error


def _read_text(path: Path) -> str:
    """The text of a file of usual size, which waits for nobody. Raises WrongUsage, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WrongUsage(f"{path} must be a regular file, and is none")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST + 1)
    if content is None:  # such as a file of /proc that has nothing to say yet
        raise WrongUsage(f"{path} must be a regular file, and is none")
    if len(content) > LARGEST:
        raise WrongUsage(f"{path} must have {LARGEST // 2**20} MiB at most, and has more")
    return content.decode("utf-8")
