"""Services with two faults at once, and whether each is still found or one covers the other.

A pair is of two faults that replace different parts of the correct service, and each of whose parts
is still reached. It is judged by what both must fail, and by what the matrix adds for each.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from conformance.selftest.evaluation import composed
from conformance.selftest.evaluation.kill_matrix import choose_requirements
from conformance.selftest.evaluation.parts import find_changed_parts, find_hidden_parts
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.selftest.faulty_services.service import Service
from conformance.selftest.faulty_services.table import CONTROL, WORKER, FaultyService
from conformance.spec.catalogue import catalogue

SEED = 2026
ROUNDS = 2  # each fault is in as many pairs, and in one more where a round leaves one over
COMPOSED = "both are in one service"  # what is counted beside each obstacle
FEWEST = 200  # pairs that the figures must have
NAMED = re.compile(r"\((\w+-\d+)\)")  # another requirement, in why one could not be judged

# Why a fault is not found beside another: by the reason, "FAULT beside OTHER".
_REASONS: Mapping[str, list[str]] = json.loads(
    Path(__file__).with_name("hidden_faults.json").read_text("utf-8")
)
EXPLAINED: Mapping[str, str] = {
    each: reason for reason, names in _REASONS.items() for each in names
}


class Obstacle(StrEnum):
    """Why two faults are not composed."""

    SAME_REQUIREMENT = "both are made for the same requirement, so one finding says nothing of two"
    TWO_WORKERS = "each needs a worker of its own"
    SAME_PART = "both replace the same part"
    HIDDEN_PART = "one replaces what would lead to a part of the other"


class Outcome(StrEnum):
    """What became of a fault beside another."""

    FOUND = "found"  # its requirement fails, for its own reason
    CHANGED = "found, for another reason"  # its requirement fails
    FOLDED = "folded"  # its requirement cannot be judged, or fails for the other's reason
    LOST = "lost"  # its requirement passes, or the suite failed


@dataclass(frozen=True)
class Pair:
    """Two faults in one service. The first one's class comes first."""

    first: FaultyService
    second: FaultyService

    @property
    def name(self) -> str:
        """The names of both."""
        return f"{self.first.name} + {self.second.name}"

    @property
    def faults(self) -> tuple[FaultyService, FaultyService]:
        """Both."""
        return self.first, self.second

    @property
    def target_app(self) -> str:
        """The service, as `--target-app` takes it."""
        apps = [fault.app for fault in self.faults if fault.app != CONTROL]
        if len(apps) == 1:  # the other fault is in the worker
            return next(fault for fault in self.faults if fault.app == apps[0]).target_app
        name = composed.BETWEEN.join(app.replace(":", composed.BETWEEN) for app in apps)
        return f"{composed.__name__}:{name}"

    @property
    def worker_app(self) -> str:
        """Its worker, as `--worker-app` takes it."""
        fault = self.second if self.second.worker != WORKER else self.first
        return fault.worker_app

    @property
    def requirements(self) -> list[str]:
        """What it is judged by."""
        chosen = {name for each in self.faults for name in choose_requirements(each, whole=False)}
        return [name for name in catalogue() if name in chosen]

    def judge(self, slot: Slot) -> SlotResult:
        """Run the suite on it."""
        target = [f"--target-app={self.target_app}", f"--worker-app={self.worker_app}"]
        return slot.judge(*target, "--only", *self.requirements)


@cache
def find_kind(fault: FaultyService) -> type[Service]:
    """Return the class of a faulty service: that of the correct one, where its worker is faulty."""
    section, _, name = fault.app.partition(":")
    return composed.find_kind(section, name)


def arrange_pair(one: FaultyService, other: FaultyService) -> Pair | Obstacle:
    """Put two faults in an order in which both are reached, or say why there is none."""
    if set(one.fails[:1]) & set(other.fails[:1]):
        return Obstacle.SAME_REQUIREMENT
    if WORKER not in (one.worker, other.worker):
        return Obstacle.TWO_WORKERS
    if find_changed_parts(find_kind(one)) & find_changed_parts(find_kind(other)):
        return Obstacle.SAME_PART
    for pair in (Pair(one, other), Pair(other, one)):
        if not _find_hidden(pair):
            return pair
    return Obstacle.HIDDEN_PART


def _find_hidden(pair: Pair) -> list[str]:
    if CONTROL in (pair.first.app, pair.second.app):
        return []
    kinds = [find_kind(fault) for fault in pair.faults]
    both = composed.compose_kind(*kinds)
    return [part for kind in kinds for part in find_hidden_parts(both, kind)]


def count_arranged(faults: Sequence[FaultyService]) -> dict[str, int]:
    """Count, over all pairs of faults, those that can be composed, and why others cannot."""
    arranged = (arrange_pair(*two) for two in combinations(faults, 2))
    counted = Counter(each.value if isinstance(each, Obstacle) else COMPOSED for each in arranged)
    return dict(counted.most_common())


def draw_pairs(
    faults: Sequence[FaultyService], seed: int = SEED, rounds: int = ROUNDS
) -> list[Pair]:
    """Draw pairs that can be composed, so that each fault is in one of every round."""
    drawn = random.Random(seed)  # noqa: S311 - a choice, no secret
    pairs: dict[frozenset[str], Pair] = {}
    for _ in range(rounds):
        waiting = drawn.sample(faults, len(faults))
        while waiting:
            one = waiting.pop()
            for other in waiting:
                names = frozenset({one.name, other.name})
                pair = arrange_pair(one, other)
                if names not in pairs and isinstance(pair, Pair):
                    pairs[names] = pair
                    waiting.remove(other)
                    break
    return list(pairs.values())


def make_figures(pair: Pair, result: SlotResult) -> dict[str, Any]:
    """Return the row of a pair that was judged."""
    failed = result.ids_with("FAIL")
    known = {name for each in pair.faults for name in (*each.fails, *each.consequences)}
    return {
        "name": pair.name,
        "faults": [
            _describe_fault(fault, other, result)
            for fault, other in (pair.faults, pair.faults[::-1])
        ],
        "failed": sorted(failed),
        "unseen": sorted(result.ids_with("INCONCLUSIVE")),
        "more": sorted(failed - known),  # what neither fault is known to fail
        "seconds": round(result.seconds, 1),
    }


def _describe_fault(
    fault: FaultyService, other: FaultyService, result: SlotResult
) -> dict[str, str]:
    outcome, why = judge_fault(fault, other, result)
    return {"name": fault.name, "made_for": fault.fails[0], "outcome": outcome, "why": why}


def judge_fault(
    fault: FaultyService, other: FaultyService, result: SlotResult
) -> tuple[Outcome, str]:
    """Return what became of a fault beside another, and why where it is not simply found."""
    made_for = fault.fails[0]
    if made_for not in result.verdicts:
        return Outcome.LOST, "it was not judged: " + " / ".join(result.printed.splitlines()[-3:])
    status, finding = result.verdicts[made_for]["status"], result.describe_finding(made_for)
    if status == "FAIL":
        if re.search(fault.because, finding, re.DOTALL | re.MULTILINE):
            return Outcome.FOUND, ""
        is_others = made_for in (*other.fails, *other.consequences)
        return (Outcome.FOLDED if is_others else Outcome.CHANGED), finding
    if status == "INCONCLUSIVE" and _is_covered(made_for, other, result):
        return Outcome.FOLDED, finding.strip()
    return Outcome.LOST, f"{status} {finding.strip()}"


def _is_covered(requirement: str, other: FaultyService, result: SlotResult) -> bool:
    """Tell whether a requirement could not be judged because the other fault is there."""
    if not set(other.fails) & result.ids_with("FAIL"):
        return False
    named = set(NAMED.findall(result.describe_finding(requirement)))
    said = {*other.consequences, *other.inconclusive}
    return requirement in said or bool(named & result.ids_with("FAIL"))


def has_lost(row: Mapping[str, Any]) -> bool:
    """Tell whether a fault of a pair is lost."""
    return any(fault["outcome"] == Outcome.LOST for fault in row["faults"])


def list_explained(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each fault that is lost for a known reason, and the reason."""
    return [
        (beside, EXPLAINED[beside])
        for fault, _, beside in _list_faults(figures)
        if fault["outcome"] == Outcome.LOST and beside in EXPLAINED
    ]


def count_outcomes(figures: Mapping[str, Any]) -> Mapping[str, int]:
    """Count what became of the faults."""
    return Counter(fault["outcome"] for fault, _, _ in _list_faults(figures))


def _list_faults(
    figures: Mapping[str, Any],
) -> Iterator[tuple[Mapping[str, str], Mapping[str, str], str]]:
    """Yield each fault of each pair, the other one, and both names in words."""
    for row in figures["rows"]:
        for fault, other in (row["faults"], row["faults"][::-1]):
            yield fault, other, f"{fault['name']} beside {other['name']}"


def list_covered(figures: Mapping[str, Any]) -> list[tuple[Mapping[str, str], str]]:
    """Return each fault that is folded or found otherwise, and the name of the one beside it."""
    return [
        (fault, other["name"])
        for fault, other, _ in _list_faults(figures)
        if fault["outcome"] in (Outcome.FOLDED, Outcome.CHANGED)
    ]


def find_wrong(figures: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each fault that is lost for no known reason. `known` are all faults."""
    rows = figures["rows"]
    if {fault["name"] for fault, _, _ in _list_faults(figures)} - set(known):
        yield "pairs: the figures are of another table; run `conformance evaluate pairs` again"
        return
    if len(rows) < FEWEST:
        yield f"pairs: there must be {FEWEST} of them at least, and there are {len(rows)}"
    for fault, _, beside in _list_faults(figures):
        if fault["outcome"] == Outcome.LOST and beside not in EXPLAINED:
            yield f"pairs: {beside} is lost: {fault['why']}"
