"""`conformance repeat`: runs of every kind, and a verdict that differs is named."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.selftest.support.suite import environment, judge, left_behind
from conformance.session import repeat as session_repeat
from conformance.spec.catalogue import catalogue

COUNT = len(catalogue())

FLAKY = """
from pathlib import Path
from fastapi import FastAPI

starts = Path("starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
third = len(starts.read_text()) == 3
app = FastAPI()

@app.get("/async")
async def read_async():
    return {"message": "This is an asynchronous endpoint" + "." * third}
"""


def repeat(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [
        sys.executable,
        "-P",
        "-m",
        "conformance",
        "repeat",
        *arguments,
        "--services",
        "embedded",
    ]
    return subprocess.run(
        argv,
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.mark.thorough
def test_the_reference_has_the_same_verdicts_in_runs_of_every_kind(place: Path) -> None:
    figures = place / "figures.json"
    done = repeat(
        place, "4", "--at-once", "2", "--json", str(figures), "--only", "CONC-1", "DEP", "TASK-5"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(
        f"4 runs, 44 verdicts: none of {COUNT} requirements had a verdict that differed\n"
    )
    written = json.loads(figures.read_text())
    assert (written["runs"], written["flips"]) == (4, [])
    assert sorted(written["kinds"].values()) == [1, 1, 1, 1]
    assert not left_behind(place)


@pytest.mark.thorough
def test_a_verdict_that_differs_is_named(place: Path) -> None:
    (place / "flaky.py").write_text(FLAKY)
    done = repeat(
        place, "6", "--target-app", "flaky:app", "--target-dir", str(place), "--only", "END-2"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "END-2 was not always the same for a fresh target:" in done.stdout
    assert "FAIL, got 200" in done.stdout
    assert done.stdout.endswith(
        f"6 runs, 6 verdicts: 1 of {COUNT} requirements had a verdict that differed\n"
    )


def test_what_each_run_has_of_its_own_is_refused(place: Path) -> None:
    done = repeat(place, "2", "--seed=3")
    assert (done.returncode, done.stderr) == (
        4,
        "conformance repeat: each run has its own --seed; leave it out\n",
    )


@pytest.mark.thorough
def test_a_target_that_cannot_be_started_is_wrong_usage(place: Path) -> None:
    done = repeat(place, "1", "--target-app", "nowhere:app")
    assert done.returncode == 4
    assert "nowhere does not import" in done.stderr


@pytest.mark.thorough
def test_runs_without_verdicts_are_evidence_of_nothing(place: Path) -> None:
    done = repeat(place, "1", "--only", "DEP-1", "-p", "no:conformance-run")
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.endswith(
        "1 runs ended without verdicts, the first of them run 0: they are evidence of nothing\n"
    )


@pytest.mark.thorough
def test_no_run_at_all_is_wrong_usage(place: Path) -> None:
    done = repeat(place, "0")
    assert (done.returncode, done.stderr) == (
        4,
        "conformance repeat: N and --at-once must be at least 1, not 0\n",
    )


@pytest.mark.thorough
def test_a_shuffled_run_starts_the_worker_twice(place: Path) -> None:
    finished = judge(
        place,
        "--shuffle",
        "--seed=2",
        "--only",
        "END-1",
        "END-2",
        "DEP-1",
        "TASK-1",
        "TASK-3",
        "TASK-5",
        "TASK-8",
        "TASK-15",
    )
    assert finished.status == 0
    events = [
        line
        for line in finished.record
        if line.get("kind") == "process_event" and line["process"] == "worker"
    ]
    assert len([line for line in events if line["event"].startswith("started")]) == 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("send", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["Ctrl-C", "SIGTERM to the series alone"],
)
def test_what_an_interrupted_series_has_seen_is_printed(
    place: Path, send: Callable[[int, int], None], number: int
) -> None:
    figures = place / "figures.json"
    argv = [
        sys.executable,
        "-P",
        "-m",
        "conformance",
        "repeat",
        "40",
        "--at-once",
        "2",
        "--services",
        "embedded",
        "--json",
        str(figures),
        "--only",
        "DEP-1",
    ]
    with subprocess.Popen(
        argv,
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("1/40  run ")
        send(process.pid, number)
        rest = process.stdout.read()
    assert process.returncode == 2
    assert re.search(
        rf"^\d runs, \d verdicts: none of {COUNT} requirements had a verdict that differed$",
        rest,
        re.MULTILINE,
    ), rest
    assert f"\n{json.loads(figures.read_text())['runs']} runs, " in rest
    assert not left_behind(place)


def test_an_interrupt_ends_the_run_under_way_and_no_other_begins(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = place / "begun"
    long_run = "import pathlib, sys, time; pathlib.Path(sys.argv[-1]).touch(); time.sleep(60)"
    monkeypatch.setattr(session_repeat, "COMMAND", (sys.executable, "-c", long_run))
    suite = session_repeat.CommandSuite()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(suite.run, [str(begun)])
        while not (begun.exists() or run.done()):
            time.sleep(0.01)
        suite.interrupt()
        assert run.result(10) == (-signal.SIGTERM, "")
    with pytest.raises(KeyboardInterrupt):
        suite.run([])
