"""Every requirement fails a service that gets it wrong, for that reason, and nothing else fails.

Here a miniature is judged by what `kill_matrix.judged_by` says; `conformance prove whole` judges each by the whole catalogue.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from conformance.selftest.evaluation import figures_page, kill_matrix
from conformance.selftest.evaluation.kill_matrix import Judged
from conformance.selftest.faulty_services.service import Service
from conformance.selftest.faulty_services.table import CONTROL, MINIATURES, PACKAGE, Miniature
from conformance.spec.catalogue import Level, catalogue, sections


@pytest.fixture(scope="session")
def runs(asked: Callable[[str], list[Any]]) -> Iterator[dict[Miniature, Future[Judged]]]:
    """The runs on every miniature that this session asks for, begun ahead."""
    miniatures = asked("miniature")
    at_once = (
        kill_matrix.CORES + 1
    )  # more of them take rows that mostly wait than the others; other files have runs too
    with kill_matrix.begun(
        at_once, [partial(kill_matrix.judge, each, whole=False) for each in miniatures]
    ) as futures:
        yield dict(zip(miniatures, futures, strict=True))


@pytest.mark.parametrize(
    "miniature",
    kill_matrix.longest_first(MINIATURES, figures_page.seconds("matrix")),
    ids=lambda miniature: miniature.name,
)
def test_a_miniature_fails_what_it_gets_wrong_and_nothing_else(
    miniature: Miniature, runs: dict[Miniature, Future[Judged]]
) -> None:
    said = kill_matrix.inexact(miniature, runs[miniature].result(), whole=False)
    assert not said, "\n".join(said)


def test_every_requirement_that_is_judged_has_two_miniatures_made_for_it() -> None:
    made = Counter(miniature.must_fail[0] for miniature in MINIATURES if miniature.must_fail)
    judged = {
        name for name, requirement in catalogue().items() if requirement.level is not Level.MAY
    }
    assert {name for name in judged if made[name] < 2} == set()
    assert set(made) == judged


def test_every_row_but_the_control_says_for_what_reason_it_fails() -> None:
    assert [miniature.name for miniature in MINIATURES if not miniature.because] == [
        miniature.name for miniature in MINIATURES if not miniature.must_fail
    ]


def test_the_table_has_a_control_that_fails_nothing() -> None:
    assert any(
        miniature.app == CONTROL and not miniature.must_fail and not miniature.consequences
        for miniature in MINIATURES
    )


def test_the_table_has_every_miniature_once() -> None:
    names = [miniature.name for miniature in MINIATURES]
    assert len(names) == len(set(names))
    apps = {miniature.app for miniature in MINIATURES if miniature.app != CONTROL}
    modules = [
        f"section_{section.number}"
        for section in sections()
        if any(app.startswith(f"section_{section.number}:") for app in apps)
    ]
    found = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(f"{PACKAGE}.{module}")).items()
        if isinstance(value, Service)
    }
    assert apps == found
