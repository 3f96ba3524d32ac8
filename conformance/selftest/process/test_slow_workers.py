"""A worker that takes its time fails nothing, whatever the probes before have submitted."""

import sys
from pathlib import Path

import pytest

from conformance.selftest.support.suite import judge

SERVICE = "--target-app=conformance.selftest.faulty_services.service:correct"
WORKERS = "conformance.selftest.support.workers"
# Two that submit some fifty tasks while no worker runs, and then those that wait for results.
REQUIREMENTS = ("END-4", "TASK-2", "TASK-3", "TASK-5", "TASK-7", "TASK-15")


def start_celery(application: str, *options: str) -> str:
    """The option that starts a worker with options of Celery's own."""
    command = [sys.executable, "-m", "celery", "-A", application, "worker", *options]
    return f"--worker-command={' '.join(command)}"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "worker",
    [
        f"--worker-app={WORKERS}:slow",
        f"--worker-app={WORKERS}:slow_with_others_in_hand",
        start_celery(f"{WORKERS}:slow", "--pool", "solo"),
        start_celery(
            "conformance.selftest.faulty_services.service:worker",
            *("--concurrency", "1", "--max-tasks-per-child", "1"),
        ),
    ],
    ids=["slow", "slow, with others in hand", "slow, alone", "a child for each task"],
)
def test_a_worker_that_takes_its_time_passes(place: Path, worker: str) -> None:
    finished = judge(place, SERVICE, worker, "--only", *REQUIREMENTS)
    assert finished.ids("PASS") == set(REQUIREMENTS), finished.output
