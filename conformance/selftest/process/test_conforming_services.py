"""Correct services in other styles: the whole catalogue finds nothing in them but what they do not claim."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from conformance.selftest.conforming_services import judging
from conformance.selftest.conforming_services.table import VARIANTS, VARIANTS_FOLDER, Variant
from conformance.selftest.evaluation import kill_matrix
from conformance.selftest.evaluation.kill_matrix import Judged
from conformance.spec.catalogue import Level, catalogue


@pytest.fixture(scope="session")
def runs(asked: Callable[[str], list[Any]]) -> Iterator[dict[Variant, Future[Judged]]]:
    """The runs on every variant that this session asks for, begun ahead."""
    variants = asked("variant")
    with kill_matrix.begun(
        kill_matrix.CORES, [partial(judging.judge, each) for each in variants]
    ) as futures:
        yield dict(zip(variants, futures, strict=True))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_fails_what_it_does_not_claim_and_nothing_else(
    variant: Variant, runs: dict[Variant, Future[Judged]]
) -> None:
    said = judging.inexact(variant, runs[variant].result())
    assert not said, "\n".join(said)


def test_every_variant_claims_every_must_that_is_asked_of_it() -> None:
    for variant in VARIANTS:
        unclaimed = [*variant.inconclusive, *(each.requirement for each in variant.not_claimed)]
        assert {catalogue()[name].level for name in unclaimed} <= {Level.SHOULD}, variant.name
        assert {catalogue()[each.requirement].section for each in variant.outside} <= {7}, (
            variant.name
        )


def test_every_folder_of_variants_is_in_the_table() -> None:
    found = {
        path.name
        for path in VARIANTS_FOLDER.iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert found == {variant.folder for variant in VARIANTS}
    assert {path.name for path in VARIANTS_FOLDER.iterdir() if path.is_file()} == {
        "__init__.py",
        "judging.py",
        "table.py",
    }


def test_the_table_names_each_variant_once() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(names) == len(set(names))
