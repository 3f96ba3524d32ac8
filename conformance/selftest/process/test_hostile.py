"""Hostile targets: the run is bounded in time and memory, the right requirement fails."""

import sys
from pathlib import Path

import pytest

from conformance.selftest.support.suite import SERVICES, Finished, judge, left_behind

MEMORY = 400  # MB of the suite's own process; an ordinary run takes about 130


def judged(place: Path, service: str, *only: str) -> Finished:
    """A run on a service that keeps to its bounds and leaves nothing."""
    target = (
        "--target-app",
        f"{SERVICES}:{service}",
        "--worker-app",
        "reference_impl.tasks:celery_app",
    )
    return within_bounds(place, judge(place, *target, "--only", *only))


def within_bounds(place: Path, finished: Finished) -> Finished:
    """A run that kept to its bounds and left nothing."""
    assert not finished.ids("ERROR"), finished.output
    assert finished.record[-1]["memory_mb"] < MEMORY
    assert not left_behind(place)
    return finished


@pytest.mark.thorough
def test_a_target_that_never_heals_is_started_again_for_the_rest(place: Path) -> None:
    finished = judged(
        place, "never_heals", "DB-12", "DB-14", "DB-17", "DB-1", "CONC-2", "DEP-8", "LIFE-10"
    )
    assert finished.ids("FAIL") == {"DB-14"}, finished.output
    assert finished.ids("PASS") == {"DB-12", "DB-17", "DB-1", "CONC-2", "DEP-8", "LIFE-10"}
    assert any(
        "is started again" in line.get("text", "")
        for line in finished.record
        if line.get("channel") == "mend"
    )


def test_a_target_that_dies_in_the_middle_is_started_again(place: Path) -> None:
    finished = judged(place, "dies_in_the_middle", "DEP", "DB-1", "UP-1", "LIFE-10")
    assert "LIFE-10" in finished.ids("FAIL"), finished.output
    assert finished.ids("PASS") >= {"DB-1", "UP-1", "DEP-1", "DEP-3"}


@pytest.mark.thorough
def test_a_flood_in_the_log_costs_no_memory(place: Path) -> None:
    finished = judged(place, "floods_its_log", "DEP", "DB-1", "LIFE-1", "LIFE-2", "LIFE-3")
    assert not finished.ids("FAIL"), finished.output


@pytest.mark.parametrize(
    ("service", "fails", "only"),
    [
        pytest.param(
            "answers_with_gigabytes",
            {"UP-1", "UP-2", "UP-4"},
            ("UP-1", "UP-2", "UP-4", "DB-1", "DEP-2", "LIFE-10"),
            marks=pytest.mark.thorough,
        ),
        ("redirects_for_ever", {"END-1"}, ("END-1", "END-2", "DB-1", "LIFE-10")),
        pytest.param(
            "sends_heads_without_bodies",
            {"DEP-1", "DEP-2", "DEP-3"},
            ("DEP-1", "DEP-2", "DEP-3", "DB-1", "LIFE-10"),
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_an_answer_that_does_not_end_fails_what_asked_for_it(
    place: Path, service: str, fails: set[str], only: tuple[str, ...]
) -> None:
    finished = judged(place, service, *only)
    assert finished.ids("FAIL") == fails, finished.output
    assert finished.ids("PASS") == set(only) - fails
    assert finished.record[-1]["seconds"] < 60


@pytest.mark.thorough
def test_a_target_that_closes_every_connection_never_becomes_ready(place: Path) -> None:
    program = place / "closes.py"
    program.write_text(
        "import os, socket\n"
        "server = socket.create_server((os.environ['HOST'], int(os.environ['PORT'])))\n"
        "while True:\n    server.accept()[0].close()\n"
    )
    only = ("LIFE-10", "DEP-1", "DB-1")
    finished = within_bounds(
        place, judge(place, "--target-command", f"{sys.executable} {program}", "--only", *only)
    )
    assert finished.verdicts == {
        "LIFE-10": "FAIL",
        "DEP-1": "INCONCLUSIVE",
        "DB-1": "INCONCLUSIVE",
    }, finished.output
    assert finished.record[-1]["seconds"] < 40
