"""The fork server: what it forks is what a new process would be."""

import subprocess
import sys

LOOK = """
import importlib, pkgutil
from conformance.selftest.support import fork_server
fork_server.preload_modules()
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
