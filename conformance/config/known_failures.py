"""Known failures: the requirements that the target's own file lists as failing."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from conformance.core.errors import WrongUsage
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import Level, Requirement

KEY = "known-failures"
KEYS = ("id", "reason", "expires", "fingerprint")


def read_entries(listed: Any, catalogue: Mapping[str, Requirement]) -> tuple[KnownFailure, ...]:
    """The entries of a list as TOML has it. Raises WrongUsage for the first mistake."""
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise WrongUsage(
            f"{KEY} must be tables, each of which begins with [[{KEY}]], not {listed!r}"
        )
    entries = tuple(_read_entry(each, catalogue) for each in listed)
    names = [each.id for each in entries]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise WrongUsage(
            f"{KEY} must have one entry for a requirement; "
            f"{repeated[0]} has {names.count(repeated[0])}"
        )
    return entries


def _read_entry(table: Mapping[str, Any], catalogue: Mapping[str, Requirement]) -> KnownFailure:
    if unknown := [key for key in table if key not in KEYS]:
        raise WrongUsage(f"{KEY}: unknown key {unknown[0]!r} (allowed: {', '.join(KEYS)})")
    name = _read_id(table.get("id"), catalogue)
    return KnownFailure(
        name,
        _read_reason(name, table.get("reason")),
        _read_expiry(name, table.get("expires")),
        _read_fingerprint(name, table.get("fingerprint")),
    )


def _read_id(value: Any, catalogue: Mapping[str, Requirement]) -> str:
    if not isinstance(value, str) or value not in catalogue:
        raise WrongUsage(
            f'{KEY}: id must be the id of a requirement, such as "DB-2", not {value!r}. '
            "See 'conformance list'"
        )
    if catalogue[value].level is Level.MAY:
        raise WrongUsage(
            f"{KEY}: {value} is a MAY, which is observed and cannot fail; remove this entry"
        )
    return value


def _read_reason(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WrongUsage(f"{KEY}: the reason for {name} must be a text, not {value!r}")
    return " ".join(value.split())


def _read_expiry(name: str, value: Any) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise WrongUsage(
        f"{KEY}: the expiry of {name} must be a date such as 2027-03-01, without quotes and "
        f"without a time, not {str(value)!r}"
    )


def _read_fingerprint(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}", value)):
        return value
    raise WrongUsage(
        f'{KEY}: the fingerprint of {name} must be one that a report shows, such as "1a2b3c4d", '
        f"not {value!r}"
    )
