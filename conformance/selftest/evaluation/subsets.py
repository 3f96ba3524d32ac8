"""Parts of the catalogue in any order: each verdict must be that of a run of the whole.

The reference and two conforming services are judged by the whole catalogue, by each requirement
alone (`--only`), and by drawn subsets in drawn orders (`--shuffle`).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.selftest.conforming_services.table import CONFORMING_SERVICES
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.spec.catalogue import catalogue

REFERENCE = "reference"
JUDGED = ("psycopg_aiohttp", "document")  # of the conforming services: all passes, many failures
DRAWN, SEED = 20, 2026  # subsets of each service
FEWEST, MOST = 2, 15  # requirements in one of them


@dataclass(frozen=True)
class Selection:
    """What a run judges of a service, and in which order: that of the suite where none is drawn."""

    service: str
    requirements: tuple[str, ...]
    order: int | None = None  # the seed of the order

    @property
    def name(self) -> str:
        """The service and the selection in words."""
        if self.requirements == tuple(catalogue()):
            return f"{self.service}: whole"
        order = "" if self.order is None else f" in order {self.order}"
        return f"{self.service}: {' '.join(self.requirements)}{order}"

    def judge(self, slot: Slot) -> SlotResult:
        """Run the suite on it."""
        order = [] if self.order is None else ["--shuffle", f"--seed={self.order}"]
        options = (*_list_options(self.service, slot.folder), *order)
        return slot.judge(*options, "--only", *self.requirements)


def _list_options(service: str, scratch: Path) -> tuple[str, ...]:
    if service == REFERENCE:
        return ()
    (found,) = (each for each in CONFORMING_SERVICES if each.name == service)
    return found.prepare(scratch)


def list_selections() -> list[Selection]:
    """Return the whole catalogue of each service, each requirement alone, and drawn subsets."""
    drawn = random.Random(SEED)  # noqa: S311 - a choice, no secret
    names = tuple(catalogue())
    selections: list[Selection] = []
    for service in (REFERENCE, *JUDGED):
        selections += [Selection(service, names), *(Selection(service, (each,)) for each in names)]
        for order in range(1, DRAWN + 1):
            subset = drawn.sample(names, drawn.randint(FEWEST, MOST))
            in_catalogue = tuple(name for name in names if name in subset)
            selections.append(Selection(service, in_catalogue, order))
    return selections


def make_row(selection: Selection, result: SlotResult) -> dict[str, Any]:
    """Return what a run came to. `says` has the finding of each that did not pass."""
    statuses = {name: verdict["status"] for name, verdict in result.verdicts.items()}
    unpassed = (name for name, status in statuses.items() if status not in ("PASS", "OBSERVED"))
    return {
        "name": selection.name,
        "service": selection.service,
        "verdicts": statuses,
        "says": {name: result.describe_finding(name) for name in unpassed},
        "seconds": round(result.seconds, 1),
    }


def compare_rows(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """Yield each verdict that is not that of the whole, and each run that judged nothing."""
    whole = {row["service"]: row for row in rows if row["name"].endswith(": whole")}
    for row in rows:
        expected = whole[row["service"]]
        if not row["verdicts"]:
            yield {"run": row["name"], "requirement": "none", "whole": "", "here": "no verdict"}
        for name, status in row["verdicts"].items():
            if status != expected["verdicts"].get(name):
                yield {
                    "run": row["name"],
                    "requirement": name,
                    "whole": f"{expected['verdicts'].get(name)} {expected['says'].get(name, '')}",
                    "here": f"{status} {row['says'].get(name, '')}",
                }


def make_figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures: how much was compared, and what differed."""
    return {
        "services": [REFERENCE, *JUDGED],
        "runs": len(rows),
        "verdicts": sum(len(row["verdicts"]) for row in rows),
        "differences": list(compare_rows(rows)),
    }
