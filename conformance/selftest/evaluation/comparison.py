"""The peer: what Schemathesis finds alone in the same miniatures, by its own command, on a testbed and rows as good as ours.

It gets the contract of the specification, which says more than a service's own document does, and every phase that it has.
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
from conformance.selftest.faulty_services.table import Miniature
from conformance.session import repeat
from conformance.spec.catalogue import catalogue
from conformance.target.server import NotReady
from conformance.testbed.testbed_state import read_state

CONTRACT = PROJECT / "spec" / "openapi.yaml"
DEADLINE = 180.0  # seconds
ROWS = """INSERT INTO items SELECT id, 'a name', NULL, 1.5, 3, true, now() FROM generate_series(1, 3) AS id"""


@dataclass(frozen=True)
class Peered:
    """What it said of one miniature: the checks that failed, and the seconds that it took."""

    found: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Bench:
    """A testbed that stands for one target after the other."""

    variables: dict[str, str]
    folder: Path

    def judge(self, miniature: Miniature) -> Peered:
        """Start a miniature and let Schemathesis have it. One that does not become ready is found too, as it would be."""
        began = time.monotonic()
        chosen = read_options({"--target-app": miniature.target_app}, PROJECT, catalogue())
        try:
            with repeat.served(chosen, self.variables, self.folder) as target:
                found = self._found(target.url)
        except NotReady:
            found = ("it does not start",)
        return Peered(found, time.monotonic() - began)

    def _found(self, url: str) -> tuple[str, ...]:
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
            _closing_words(done.stdout),
        )


def _closing_words(printed: str) -> str:
    """What its last line says, without its frame and its time: `1 error`."""
    return (
        re.sub(r" in [\d.]+s$", "", printed.strip().splitlines()[-1].strip("= "))
        if printed.strip()
        else "it says nothing"
    )


def version() -> str:
    """Its version."""
    return metadata.version("schemathesis")


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A testbed with three rows in its table."""
    with repeat.testbed(folder, TestbedSettings(ServiceKind.EMBEDDED)) as (state, variables):
        asyncio.run(_fill(read_state(state).postgres.admin_url))
        yield Bench(variables, folder)


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ROWS)
    finally:
        await connection.close()
