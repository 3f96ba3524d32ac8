"""Settings: what stands in a target's own file, which is its conformance.toml or [tool.conformance] of its pyproject.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.config import known_failures
from conformance.core.errors import WrongUsage
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import Requirement


@dataclass(frozen=True)
class Settings:
    """What a file says: values in place of flags, and the failures that are known."""

    values: Mapping[str, str]  # by the name of the flag
    known_failures: tuple[KnownFailure, ...] = ()


def read(folder: Path, flags: Mapping[str, str], catalogue: Mapping[str, Requirement]) -> Settings:
    """Read the file of a folder, where it has one; `flags` are named by the keys that stand for them. Raises WrongUsage."""
    own, project = folder / "conformance.toml", folder / "pyproject.toml"
    path = own if own.is_file() else project
    if not path.is_file():
        return Settings({})
    content = _content(path)
    table = content if path == own else content.get("tool", {}).get("conformance", {})
    if unknown := [key for key in table if key not in flags and key != known_failures.KEY]:
        raise WrongUsage(
            f"{path} has no use for {', '.join(unknown)}; it may say {', '.join([*flags, known_failures.KEY])}"
        )
    try:
        listed = known_failures.entries(table.get(known_failures.KEY, []), catalogue)
    except WrongUsage as error:
        raise WrongUsage(f"{path}: {error}") from None
    return Settings(
        {flags[key]: str(value) for key, value in table.items() if key in flags}, listed
    )


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is not TOML: {error}") from error
