"""Generated examples: what they are drawn from."""

import pytest
from hypothesis.internal.conjecture import providers

from conformance.pytest_plugin.examples import leave_out_own_constants


def test_no_example_is_drawn_from_the_source_of_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    find_constants = providers._get_local_constants
    monkeypatch.setattr(providers, "_get_local_constants", find_constants)  # restored in the end
    leave_out_own_constants()
    assert not list(providers.HypothesisProvider(None)._local_constants)
