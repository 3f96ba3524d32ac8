"""A persistent testbed, kept by a process for the tests of a file."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.config.paths import PROJECT
from conformance.selftest.support.suite import environment
from conformance.selftest.support.targets import ids_needing

# All that is seen or disturbed through more than the service's port: the sections of its services,
# and what needs its process.
CONTROLLED = ("DB", "UP", "TASK", "LIFE", *sorted(ids_needing("process", "copy", "source")))
# Printed for a shell, and for Compose with a network and without.
LAST_LINES = ("export PYTHONUNBUFFERED", "    name: ", "    network_mode: ")


@dataclass(frozen=True)
class RunningTestbed:
    """A testbed that runs, and what it has printed."""

    process: subprocess.Popen[str]
    printed: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a target, as it was printed for a shell."""
        pairs = (line.removeprefix("export ").partition("=") for line in self.printed.splitlines())
        return {name: shlex.split(value)[0] for name, _, value in pairs}


@contextmanager
def run_testbed(folder: Path, *arguments: str) -> Iterator[RunningTestbed]:
    """Run a testbed until the block ends."""
    argv = [sys.executable, "-P", "-m", "conformance", "testbed", *arguments]
    process = subprocess.Popen(
        argv,
        cwd=PROJECT,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stderr
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith(LAST_LINES):
                break
        assert printed, process.stderr.read()
        yield RunningTestbed(process, printed)
    finally:
        process.terminate()
        process.communicate(timeout=30)
