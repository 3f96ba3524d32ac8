"""Correct services in other styles: the whole catalogue finds nothing in them but what they do not claim."""

import sys
from pathlib import Path

import pytest

from conformance.selftest.suite import judge, left_behind
from conformance.selftest.variants.table import VARIANTS, VARIANTS_FOLDER, Variant
from spec.catalogue import Level, catalogue

SEED = "--seed=2026"  # a search finds what is there for some seeds and not for others; here it must be the same each time


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_fails_what_it_does_not_claim_and_nothing_else(variant: Variant, place: Path) -> None:
    finished = judge(place, *variant.command_line(sys.executable), SEED)
    assert finished.verdicts.keys() == catalogue().keys(), finished.output
    assert finished.ids("ERROR") == set(), finished.output
    assert finished.ids("FAIL") == {unclaimed.requirement for unclaimed in (*variant.not_claimed, *variant.outside)}, finished.output
    assert finished.ids("INCONCLUSIVE") == set(variant.inconclusive), finished.output
    assert finished.status == (1 if variant.outside else 0)
    assert not left_behind(place)


def test_every_variant_claims_every_must_that_is_asked_of_it() -> None:
    for variant in VARIANTS:
        unclaimed = [*variant.inconclusive, *(each.requirement for each in variant.not_claimed)]
        assert {catalogue()[name].level for name in unclaimed} <= {Level.SHOULD}, variant.name
        assert {catalogue()[each.requirement].section for each in variant.outside} <= {7}, variant.name


def test_every_folder_of_variants_is_in_the_table() -> None:
    found = {path.name for path in VARIANTS_FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found == {variant.folder for variant in VARIANTS}
    assert {path.name for path in VARIANTS_FOLDER.iterdir() if path.is_file()} == {"__init__.py", "table.py"}


def test_the_table_names_each_variant_once() -> None:
    names = [variant.name for variant in VARIANTS]
    assert len(names) == len(set(names))
