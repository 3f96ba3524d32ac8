"""The proof's pages are those of its figures, its figures are of the tables as they are, and what does not hold is said."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import pytest

from conformance.selftest.conforming_services.table import VARIANTS
from conformance.selftest.evaluation import figures_page
from conformance.selftest.evaluation.figures_page import BEGIN, END, PAGE, READMES
from conformance.selftest.evaluation.kill_matrix import judged_by
from conformance.selftest.faulty_services.table import MINIATURES, Miniature
from conformance.spec.catalogue import Language


def row(name: str, failed: Iterable[str] = (), unseen: Iterable[str] = ()) -> dict[str, Any]:
    """A row of any part."""
    verdicts = {"made_for": ["DB-1"], "failed": list(failed), "unseen": list(unseen)}
    return {"name": name, "inexact": [], "found": [], "habit": "", "seconds": 1.0, **verdicts}


def as_it_should(miniature: Miniature, *, whole: bool) -> dict[str, Any]:
    """The row of a miniature that is exact."""
    judged = set(judged_by(miniature, whole=whole))
    return row(miniature.name, miniature.must_fail, judged & set(miniature.inconclusive))


MADE_OF: dict[str, Any] = {"seconds": 9, "commits": ["0123456", "abcdef0"]}
MADE_UP: dict[str, Any] = {
    "matrix": {
        "rows": [as_it_should(each, whole=False) for each in MINIATURES],
        "at_once": 4,
        "together": ["matrix", "variants"],
        **MADE_OF,
    },
    "whole": {
        "rows": [as_it_should(each, whole=True) for each in MINIATURES],
        "at_once": 4,
        **MADE_OF,
    },
    "peer": {"rows": [row(each.name) for each in MINIATURES], "version": "1", **MADE_OF},
    "variants": {
        "rows": [
            row(each.name, each.missed, {*each.inconclusive, *each.not_applicable})
            for each in VARIANTS
        ],
        **MADE_OF,
    },
    "mutants": {
        "rows": [{"name": "app.py: 1 → 2", "killed_by": "DB-1", "seconds": 1.0}],
        **MADE_OF,
    },
    "repeat": {
        "runs": 2,
        "verdicts": 180,
        "kinds": {"alone": 2},
        "means": {"alone": 3.0},
        "flips": [],
        **MADE_OF,
    },
}


def test_the_proof_holds() -> None:
    assert list(figures_page.wrong(figures_page.read())) == []


def test_the_pages_are_rendered_from_the_figures() -> None:
    figures = figures_page.read()
    assert PAGE.read_text("utf-8") == figures_page.page(figures)
    for language, readme in READMES.items():
        assert readme.read_text("utf-8").partition(BEGIN)[2].partition(END)[
            0
        ] == figures_page.summary(figures, language)


def test_every_part_has_a_line_of_the_summary_and_a_part_of_the_page() -> None:
    assert list(figures_page.wrong(MADE_UP)) == []
    assert all(
        f"`conformance prove {part}`" in figures_page.summary(MADE_UP, language)
        for part in MADE_UP
        for language in Language
    )
    page = figures_page.page(MADE_UP)
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Miniatures", "## Variants", "## Mutants that survive", "## Repeatability", "## Of which commits",
    ]  # fmt: skip
    assert "| matrix | 0123456, abcdef0 | 9 (matrix and variants) |" in page
    assert "| whole | 0123456, abcdef0 | 9 |" in page
    assert "no figures yet" not in page
    assert "no figures yet of: peer, repeat." in figures_page.page(
        {part: MADE_UP[part] for part in ("matrix", "whole", "variants", "mutants")}
    )


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("matrix", lambda part: part["rows"][3]["inexact"].append("DB-1 fails"), "DB-1 fails"),
        ("matrix", lambda part: part["rows"].pop(), "run `conformance prove matrix` again"),
        (
            "whole",
            lambda part: part["rows"][0]["failed"].append("DB-1"),
            "DB-1 fails, unexpectedly, as its table is now",
        ),
        (
            "variants",
            lambda part: part["rows"][0]["failed"].pop(),
            "has another verdict, as its table is now",
        ),
        ("whole", lambda part: part["rows"].pop(), "run `conformance prove whole` again"),
        ("variants", lambda part: part["rows"][0]["inexact"].append("DB-1 fails"), "DB-1 fails"),
        ("peer", lambda part: part["rows"].pop(), "run `conformance prove peer` again"),
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
    ],
)
def test_what_does_not_hold_is_said(part: str, change: Callable[[Any], None], said: str) -> None:
    figures = deepcopy(MADE_UP)
    change(figures[part])
    (sentence,) = figures_page.wrong(figures)
    assert said in sentence
