"""The benchmark: where the time of a run on the reference goes, and what one example costs."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conformance.client.http import Client
from conformance.config.definitions import Name
from conformance.config.options import read_options
from conformance.config.paths import PROJECT
from conformance.session.run import Run
from conformance.spec.catalogue import catalogue, sections

COUNT = 500
ENDPOINT = "/items/?q=bench"


def main() -> int:
    """Print both tables; the exit status of the run."""
    status = _print_run()
    _print_examples()
    return status


def _print_run() -> int:
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.jsonl"
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "conformance", "run", f"--record={record}"],
            capture_output=True,
            check=False,
        )
        wall = time.monotonic() - began
        lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    footer = lines[-1]
    rows = [(name, footer["timings"][name]) for name in ("boot", "ready")]
    for section in sections():
        ids = {
            name
            for name, requirement in catalogue().items()
            if requirement.section == section.number
        }
        rows.append(
            (
                f"{section.number} {section.title}",
                sum(line["seconds"] for line in lines if line.get("requirement") in ids),
            )
        )
    rows.append(("stop", footer["timings"]["stop"]))
    rows.append(("interpreter, imports, pytest", wall - sum(seconds for _, seconds in rows)))
    for name, seconds in [*rows, ("whole command", wall)]:
        print(f"{name:<30} {seconds:>6.2f} s")
    exchanges = sum(line.get("kind") == "exchange" for line in lines)
    print(
        f"{exchanges} exchanges; the suite's own process took at most {footer['memory_mb']} MB; "
        f"exit status {done.returncode}\n"
    )
    return done.returncode


def _print_examples() -> None:
    options = read_options({Name.ONLY: ["DEP-2"]}, PROJECT, catalogue())
    run = Run(options, catalogue(), datetime.now(UTC).date())
    run.open()
    try:
        run.wait_until_open()
        client = run.opened.environment.client
        rows = [
            ("a bare httpx loop, connection kept", _bare(client.url, keep=True)),
            ("a bare httpx loop, connection each", _bare(client.url, keep=False)),
        ]
        with asyncio.Runner() as runner:
            rows.append(("this suite's examples", _property(client, runner)))
    finally:
        run.close()
    for name, seconds in rows:
        print(f"{name:<36} {COUNT / seconds:>6.0f} a second on GET {ENDPOINT}")


def _bare(url: str, *, keep: bool) -> float:
    limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
    with httpx.Client(limits=limits, trust_env=False) as http:
        began = time.monotonic()
        for _ in range(COUNT):
            http.get(url + ENDPOINT).json()
        return time.monotonic() - began


def _property(client: Client, runner: asyncio.Runner) -> float:
    @settings(
        max_examples=COUNT,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers())
    def each(number: int) -> None:
        runner.run(client.get(f"{ENDPOINT}{number}"))

    began = time.monotonic()
    each()
    took = time.monotonic() - began
    runner.run(client.close())
    return took
