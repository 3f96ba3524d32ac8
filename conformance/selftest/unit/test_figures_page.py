"""Pages are rendered from the figures, these are of today's tables, and mistakes are named."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pytest

from conformance.selftest.conforming_services.table import CONFORMING_SERVICES
from conformance.selftest.evaluation import figures_page, pairs
from conformance.selftest.evaluation.figures_page import BEGIN, END, GUIDES, PAGE
from conformance.selftest.evaluation.kill_matrix import choose_requirements
from conformance.selftest.faulty_services.table import FaultyService, load_faulty_services
from conformance.spec.catalogue import Language


def make_row(name: str, failed: Iterable[str] = (), unseen: Iterable[str] = ()) -> dict[str, Any]:
    """Make a row of any part."""
    verdicts = {"made_for": ["DB-1"], "failed": list(failed), "unseen": list(unseen)}
    return {"name": name, "inexact": [], "found": [], "habit": "", "seconds": 1.0, **verdicts}


def make_exact_row(service: FaultyService, *, whole: bool) -> dict[str, Any]:
    """Make the row of a faulty service that is exact."""
    judged = set(choose_requirements(service, whole=whole))
    return make_row(service.name, service.fails, judged & set(service.inconclusive))


def make_fault(number: int, outcome: str = "found", why: str = "") -> dict[str, str]:
    """Make what is said of one fault of a pair."""
    fault = load_faulty_services()[number + 1]
    return {"name": fault.name, "made_for": fault.fails[0], "outcome": outcome, "why": why}


MADE_FROM: dict[str, Any] = {"seconds": 9, "commits": ["0123456", "abcdef0"]}
MADE_UP: dict[str, Any] = {
    "matrix": {
        "rows": [make_exact_row(each, whole=False) for each in load_faulty_services()],
        "at_once": 4,
        "together": ["matrix", "conforming"],
        **MADE_FROM,
    },
    "whole": {
        "rows": [make_exact_row(each, whole=True) for each in load_faulty_services()],
        "at_once": 4,
        **MADE_FROM,
    },
    "comparison": {
        "rows": [make_row(each.name) for each in load_faulty_services()],
        "version": "1",
        **MADE_FROM,
    },
    "conforming": {
        "rows": [
            make_row(each.name, each.fails, {*each.inconclusive, *each.not_applicable})
            for each in CONFORMING_SERVICES
        ],
        **MADE_FROM,
    },
    "pairs": {
        "rows": [
            {"name": "a + b", "faults": [make_fault(0), make_fault(1)], "seconds": 1.0}
            for _ in range(pairs.FEWEST)
        ],
        "arranged": {"both are in one service": 3},
        **MADE_FROM,
    },
    "mutants": {
        "rows": [{"name": "app.py: 1 → 2", "killed_by": "DB-1", "seconds": 1.0}],
        **MADE_FROM,
    },
    "repeat": {
        "runs": 2,
        "verdicts": 180,
        "kinds": {"alone": 2},
        "means": {"alone": 3.0},
        "flips": [],
        **MADE_FROM,
    },
    "subsets": {
        "services": ["reference", "document"],
        "runs": 3,
        "verdicts": 20,
        "differences": [],
        **MADE_FROM,
    },
}


def test_all_figures_are_as_they_should_be() -> None:
    assert list(figures_page.find_wrong(figures_page.read_figures())) == []


def test_the_pages_are_rendered_from_the_figures() -> None:
    figures = figures_page.read_figures()
    assert PAGE.read_text("utf-8") == figures_page.render_page(figures)
    for language, guide in GUIDES.items():
        assert guide.read_text("utf-8").partition(BEGIN)[2].partition(END)[
            0
        ] == figures_page.render_summary(figures, language)


def test_every_part_has_a_line_of_the_summary_and_a_part_of_the_page() -> None:
    assert list(figures_page.find_wrong(MADE_UP)) == []
    assert all(
        f"`conformance evaluate {part}`" in figures_page.render_summary(MADE_UP, language)
        for part in MADE_UP
        for language in Language
    )
    page = figures_page.render_page(MADE_UP)
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Faulty services",
        "## Conforming services",
        "## Pairs of faults",
        "## Mutants that survive",
        "## Repeatability",
        "## Of which commits",
    ]
    assert "| matrix | 0123456, abcdef0 | 9 (matrix and conforming) |" in page
    assert "| whole | 0123456, abcdef0 | 9 |" in page
    assert "no figures yet" not in page
    assert "no figures yet of: comparison, repeat, subsets." in figures_page.render_page(
        {part: MADE_UP[part] for part in ("matrix", "whole", "conforming", "pairs", "mutants")}
    )


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("matrix", lambda part: part["rows"][3]["inexact"].append("DB-1 fails"), "DB-1 fails"),
        ("matrix", lambda part: part["rows"].pop(), "run `conformance evaluate matrix` again"),
        (
            "whole",
            lambda part: part["rows"][0]["failed"].append("DB-1"),
            "DB-1 fails, unexpectedly, as its table is now",
        ),
        (
            "conforming",
            lambda part: part["rows"][0]["failed"].pop(),
            "has another verdict, as its table is now",
        ),
        ("whole", lambda part: part["rows"].pop(), "run `conformance evaluate whole` again"),
        ("conforming", lambda part: part["rows"][0]["inexact"].append("DB-1 fails"), "DB-1 fails"),
        (
            "comparison",
            lambda part: part["rows"].pop(),
            "run `conformance evaluate comparison` again",
        ),
        (
            "pairs",
            lambda part: part["rows"][3]["faults"].__setitem__(0, make_fault(0, "lost", "PASS")),
            " is lost: PASS",
        ),
        ("pairs", lambda part: part["rows"].pop(), "there must be 200 of them at least"),
        (
            "pairs",
            lambda part: part["rows"][3]["faults"][1].update(name="nobodys"),
            "run `conformance evaluate pairs` again",
        ),
        (
            "mutants",
            lambda part: part["rows"].append({"name": "a → b", "killed_by": None}),
            "a → b survived, and nothing says why",
        ),
        (
            "repeat",
            lambda part: part["flips"].append({"requirement": "DB-1", "target": "a fresh target"}),
            "DB-1 was not always the same",
        ),
        (
            "subsets",
            lambda part: part["differences"].append(
                {"run": "x: DB-1", "requirement": "DB-1", "whole": "PASS ", "here": "FAIL 404"}
            ),
            "x: DB-1: DB-1 is 'FAIL 404', in the whole 'PASS '",
        ),
    ],
)
def test_each_mistake_is_named(part: str, change: Callable[[Any], None], said: str) -> None:
    figures = deepcopy(MADE_UP)
    change(figures[part])
    (sentence,) = figures_page.find_wrong(figures)
    assert said in sentence


def test_a_fault_that_is_folded_under_another_is_shown_with_what_was_found() -> None:
    figures = deepcopy(MADE_UP)
    figures["pairs"]["rows"][3]["faults"][1] = make_fault(
        1, "folded", "evidence\nit died | (LIFE-10)"
    )
    page = figures_page.render_page(figures)
    fault, other = make_fault(1), make_fault(0)
    named = f"| {fault['made_for']} | `{fault['name']}` | `{other['name']}` | folded |"
    assert f"{named} evidence / it died \\| (LIFE-10) |" in page
    assert "of 400 faults, 399 found for their own reason, 0 for another, 1 folded" in page


def test_a_series_without_a_difference_names_the_rates_that_it_excludes() -> None:
    figures = deepcopy(MADE_UP)
    figures["repeat"]["runs"] = 200
    assert (
        "0 of 180 verdicts differed (with 95 % confidence at most 1.5% of runs and 1.667% of"
        " verdicts differ)" in figures_page.render_summary(figures)
    )
    figures["repeat"]["flips"] = [{"requirement": "DB-1", "target": "a fresh target", "runs": []}]
    assert "1 of 180 verdicts differed |" in figures_page.render_summary(figures)
