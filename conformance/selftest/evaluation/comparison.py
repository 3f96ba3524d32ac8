"""The comparison: what Schemathesis alone finds in the same faulty services.

It runs by its own command, on a testbed and rows as good as ours. It gets the contract of the
specification, which says more than a service's own document, and every phase that it has.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import asyncpg

from conformance.config.options import read_options
from conformance.config.paths import PROJECT
from conformance.core.testbed_settings import ServiceKind, TestbedSettings
from conformance.selftest.faulty_services.table import FaultyService
from conformance.session import repeat
from conformance.spec.catalogue import catalogue
from conformance.target.server import NotReady
from conformance.testbed.testbed_state import read_state

CONTRACT = PROJECT / "spec" / "openapi.yaml"
DEADLINE = 180.0  # seconds
ROWS = (
    "INSERT INTO items SELECT id, 'a name', NULL, 1.5, 3, true, now()"
    " FROM generate_series(1, 3) AS id"
)


@dataclass(frozen=True)
class Compared:
    """What it found in one faulty service: the checks that failed, and the seconds it took."""

    found: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Testbed:
    """A testbed that stays up for one target after the other."""

    variables: dict[str, str]
    folder: Path

    def compare(self, service: FaultyService) -> Compared:
        """Start a faulty service and give it to Schemathesis. One that does not start is found."""
        began = time.monotonic()
        chosen = read_options({"--target-app": service.target_app}, PROJECT, catalogue())
        try:
            with repeat.served(chosen, self.variables, self.folder) as target:
                found = self._find_failures(target.url)
        except NotReady:
            found = ("it does not start",)
        return Compared(found, time.monotonic() - began)

    def _find_failures(self, url: str) -> tuple[str, ...]:
        report = self.folder / "schemathesis.json"
        report.unlink(missing_ok=True)
        argv = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(CONTRACT),
            "--url",
            url,
            "--seed",
            "2026",
            "--no-color",
        ]
        try:
            done = subprocess.run(
                [*argv, "--report", "json", "--report-json-path", str(report)],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=DEADLINE,
            )
        except subprocess.TimeoutExpired:
            return ("no end within its deadline",)
        if done.returncode == 0:
            return ()
        failures = json.loads(report.read_text("utf-8"))["failures"] if report.exists() else []
        return tuple(sorted({str(failure["title"]) for failure in failures})) or (
            _find_closing_words(done.stdout),
        )


def _find_closing_words(printed: str) -> str:
    """Return its last line without the frame and the time: `1 error`."""
    return (
        re.sub(r" in [\d.]+s$", "", printed.strip().splitlines()[-1].strip("= "))
        if printed.strip()
        else "it says nothing"
    )


def find_version() -> str:
    """Return the version of Schemathesis."""
    return metadata.version("schemathesis")


@contextmanager
def open_testbed(folder: Path) -> Iterator[Testbed]:
    """Start a testbed with three rows in its table."""
    with repeat.testbed(folder, TestbedSettings(ServiceKind.EMBEDDED)) as (state, variables):
        asyncio.run(_insert_rows(read_state(state).postgres.admin_url))
        yield Testbed(variables, folder)


async def _insert_rows(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ROWS)
    finally:
        await connection.close()
