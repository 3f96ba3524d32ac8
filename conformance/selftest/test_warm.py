"""Warm starts: what is forked tries its properties as any other run does."""

import subprocess
import sys
from pathlib import Path

import psutil

from conformance.selftest.suite import WARM, environment, left_behind

LOOK = """
import importlib, pkgutil
from conformance.selftest import warm
warm._import_what_runs_import()
for module in pkgutil.iter_modules(importlib.import_module("conformance.probes").__path__, "conformance.probes."):
    for name, value in vars(importlib.import_module(module.name)).items():
        if getattr(value, "is_hypothesis_test", False):
            tried = value._hypothesis_internal_use_settings
            print(name, tried.deadline, tried.database)
"""


def test_no_property_has_a_deadline_or_a_database() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    found = [line.split()[1:] for line in done.stdout.splitlines()]
    assert len(found) > 5
    assert all(each == ["None", "None"] for each in found), done.stdout


def test_a_forked_target_that_outlives_its_run_is_left_behind(place: Path) -> None:
    environment(place)
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()', '{WARM}'], stdin=0).pid)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        orphan = psutil.Process(int(run.stdout.readline()))
        run.wait()
        assert [line.split()[0] for line in left_behind(place)] == [str(orphan.pid)]
    psutil.wait_procs([orphan], timeout=10)
    assert not left_behind(place)
