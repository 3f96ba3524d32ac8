"""Known failures: the requirements that a target's owner knows it to fail, as its own file lists them. Data, checked when it is read."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from conformance.core.errors import WrongUsage
from conformance.judging.result import KnownFailure
from conformance.spec.catalogue import Level, Requirement

KEY = "known-failures"
KEYS = ("id", "reason", "expires", "fingerprint")


def entries(listed: Any, catalogue: Mapping[str, Requirement]) -> tuple[KnownFailure, ...]:
    """The entries of a list as TOML has it. Raises WrongUsage, in one sentence, for a mistake in one of them."""
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise WrongUsage(f"{KEY} wants tables, each of which begins with [[{KEY}]]; got {listed!r}")
    found = tuple(_entry(each, catalogue) for each in listed)
    names = [each.id for each in found]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise WrongUsage(
            f"{KEY} wants one entry for a requirement; {doubled[0]} has {names.count(doubled[0])}"
        )
    return found


def _entry(table: Mapping[str, Any], catalogue: Mapping[str, Requirement]) -> KnownFailure:
    if unknown := [key for key in table if key not in KEYS]:
        raise WrongUsage(
            f"{KEY} has no use for {', '.join(unknown)}; an entry may say {', '.join(KEYS)}"
        )
    name = _id(table.get("id"), catalogue)
    return KnownFailure(
        name,
        _reason(name, table.get("reason")),
        _date(name, table.get("expires")),
        _fingerprint(name, table.get("fingerprint")),
    )


def _id(value: Any, catalogue: Mapping[str, Requirement]) -> str:
    if not isinstance(value, str) or value not in catalogue:
        raise WrongUsage(
            f"{KEY} wants the id of a requirement, such as \"DB-2\", in each entry; got {value!r}. See 'conformance list'"
        )
    if catalogue[value].level is Level.MAY:
        raise WrongUsage(
            f"{KEY} wants what can fail; {value} is a MAY, which is observed and never judged"
        )
    return value


def _reason(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WrongUsage(f"{KEY} wants a reason, in words, for {name}; got {value!r}")
    return " ".join(value.split())


def _date(name: str, value: Any) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    raise WrongUsage(
        f"{KEY} wants for the expiry of {name} a date such as 2027-03-01, without quotes and time; got {str(value)!r}"
    )


def _fingerprint(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}", value)):
        return value
    raise WrongUsage(
        f'{KEY} wants a fingerprint of {name} as a report shows it, such as "1a2b3c4d"; got {value!r}'
    )
