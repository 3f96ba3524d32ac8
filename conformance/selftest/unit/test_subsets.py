"""Parts of the catalogue: which are judged, and how a verdict that differs is named."""

from pathlib import Path
from typing import Any

from conformance.selftest.evaluation import subsets
from conformance.selftest.evaluation.slots import SlotResult
from conformance.selftest.evaluation.subsets import REFERENCE, Selection
from conformance.spec.catalogue import catalogue

NAMES = tuple(catalogue())


def test_each_requirement_is_judged_alone_and_among_others_in_another_order() -> None:
    chosen = subsets.list_selections()
    assert len({selection.name for selection in chosen}) == len(chosen)
    for service in (REFERENCE, *subsets.JUDGED):
        own = [selection for selection in chosen if selection.service == service]
        assert {each.requirements for each in own} >= {(name,) for name in NAMES} | {NAMES}
        drawn = [each for each in own if each.order is not None]
        assert len(drawn) == subsets.DRAWN
        assert all(subsets.FEWEST <= len(each.requirements) <= subsets.MOST for each in drawn)
    assert subsets.list_selections() == chosen


class SlotDouble:
    """A slot that only notes the options of its run."""

    folder = Path()

    def judge(self, *options: str) -> tuple[str, ...]:
        """Return them."""
        return options


def options_of(selection: Selection) -> tuple[str, ...]:
    slot: Any = SlotDouble()
    options: Any = selection.judge(slot)
    return tuple(options)


def test_a_drawn_order_is_asked_for() -> None:
    assert options_of(Selection(REFERENCE, ("DB-1", "DB-2"))) == ("--only", "DB-1", "DB-2")
    drawn = options_of(Selection("document", ("DB-1",), 3))
    assert drawn[-4:] == ("--shuffle", "--seed=3", "--only", "DB-1")
    assert "--target-app" in " ".join(drawn)


def row(requirements: tuple[str, ...], *statuses: str, got: str = "404") -> dict[str, Any]:
    finding = {"expected": "200", "got": got}
    verdicts = {
        name: {"status": status, "finding": None if status == "PASS" else finding}
        for name, status in zip(requirements, statuses, strict=False)
    }
    selection = Selection(REFERENCE, requirements)
    return subsets.make_row(selection, SlotResult(verdicts, 1.0, ""))


WHOLE = row(NAMES, *("PASS" for _ in NAMES))


def test_the_same_verdicts_are_no_difference() -> None:
    figures = subsets.make_figures([WHOLE, row(("DB-1",), "PASS"), row(("DB-1", "UP-1"), "PASS")])
    assert figures["differences"] == []
    assert (figures["runs"], figures["verdicts"]) == (3, len(NAMES) + 2)


def test_another_verdict_is_named_with_what_was_found() -> None:
    (difference,) = subsets.compare_rows([WHOLE, row(("DB-1",), "FAIL")])
    assert difference == {
        "run": "reference: DB-1",
        "requirement": "DB-1",
        "whole": "PASS ",
        "here": "FAIL 200\n404",
    }


def test_a_run_without_a_verdict_is_a_difference() -> None:
    (difference,) = subsets.compare_rows([WHOLE, row(("DB-1",))])
    assert difference["here"] == "no verdict"
