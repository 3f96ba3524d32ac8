"""The fuzzer: a minute of it breaks nothing, its inputs can be made again, and it does find."""

import random
import secrets
import subprocess
import sys

import pytest

from conformance.core.errors import Violation
from conformance.core.evidence import Journal
from conformance.pytest_plugin.keys import MARKERS
from conformance.selftest.fuzzing import fuzz
from conformance.selftest.fuzzing.answers import list_judges
from conformance.selftest.fuzzing.inputs import FEEDS, feed_message
from conformance.selftest.fuzzing.mutations import draw_encoded, make_draw

SECONDS = 60
SAID = {"a": [1, {"b": "c"}]}


@pytest.mark.thorough
def test_nothing_that_a_target_can_say_breaks_the_suite() -> None:
    seed = secrets.randbelow(2**32)
    words = ("evaluate", "fuzz", f"--seconds={SECONDS}", f"--seed={seed}")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "conformance", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"conformance {' '.join(words)}\n{done.stdout}{done.stderr}"
    assert done.stdout.startswith(f"seed {seed}\nnothing broke in {SECONDS} s: ")
    fed = {word.strip(",\n") for word in done.stdout.split(" ")}
    assert {"whole", "UpstreamFeed", *(each.__name__ for each in FEEDS)} <= fed


def test_an_input_is_made_of_its_seed_and_number_alone() -> None:
    def draw_all(seed: int) -> list[bytes]:
        return [draw_encoded(make_draw(seed, number), SAID) for number in range(50)]

    assert draw_all(1) == draw_all(1) != draw_all(2)


@pytest.mark.parametrize("error", [KeyError("x"), UnicodeError("x"), RecursionError("x")])
def test_an_error_of_the_suites_is_found_and_can_be_made_again(error: Exception) -> None:
    def feed(_: random.Random, __: Journal) -> None:
        raise error

    with pytest.raises(fuzz.Broken, match=r"feed broke: seed 7, input 3: \w+Error\('x'\)"):
        fuzz.feed_one(7, 3, [feed], Journal())


def test_a_verdict_is_no_error() -> None:
    def feed(_: random.Random, __: Journal) -> None:
        raise Violation("200", "404")

    assert fuzz.feed_one(7, 3, [feed], Journal()) == "feed"


def test_an_input_that_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LONGEST", 0.0)
    with pytest.raises(fuzz.Broken, match="feed_message took 0 s: seed 7, input 3"):
        fuzz.feed_one(7, 3, [feed_message], Journal())


def test_every_probe_that_needs_answers_alone_judges_what_is_drawn(
    pytestconfig: pytest.Config,
) -> None:
    for marker in MARKERS:  # which a probe has when it is imported
        pytestconfig.addinivalue_line("markers", marker)
    names = {each.name for each in list_judges()}
    assert "test_the_openapi_document_declares_the_operations_and_parameters" in names
    assert "the checks of /items/{item_id}" in names
    assert len(names) > 20
