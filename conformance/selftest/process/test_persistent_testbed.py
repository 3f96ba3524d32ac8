"""A persistent testbed: a service that is started with what it prints is judged, and it ends."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from conformance.config.paths import PROJECT
from conformance.selftest.support.suite import (
    SERVICES,
    abandoned_memory,
    command,
    environment,
    expect_nothing_left,
    expect_usage,
    judge,
    left_behind,
)
from conformance.selftest.support.targets import WORKER, ids_needing, wait_until_answering
from conformance.selftest.support.testbed import CONTROLLED, RunningTestbed, run_testbed
from conformance.testbed.ports import claim_port

# Not seen of a process that the suite did not start: its output, and its exit status.
OF_A_PARENT = {"LIFE-1", "LIFE-2", "LIFE-3", "LIFE-5"}


@contextmanager
def started(app: str, variables: Mapping[str, str]) -> Iterator[str]:
    """A service that somebody starts by hand; its URL."""
    port = claim_port()
    argv = [sys.executable, "-m", "uvicorn", "--port", str(port), app]
    nowhere = subprocess.DEVNULL
    service = subprocess.Popen(
        argv, cwd=PROJECT, env={**os.environ, **variables}, stdout=nowhere, stderr=nowhere
    )
    try:
        yield wait_until_answering(f"http://127.0.0.1:{port}")
    finally:
        service.terminate()
        service.wait()


@pytest.fixture(scope="module")
def standing(shared_place: Path) -> Iterator[RunningTestbed]:
    with run_testbed(shared_place) as testbed:
        yield testbed


@pytest.mark.thorough
def test_a_service_started_by_hand_is_judged_but_for_what_the_page_names(
    shared_place: Path, standing: RunningTestbed
) -> None:
    with started("reference_impl.app:app", standing.variables) as url:
        given = ("--target-url", url, "--worker-app", WORKER, "--only", *CONTROLLED)
        finished = judge(shared_place, *given, env=standing.variables)
    unseen = ids_needing("process", "copy") & finished.verdicts.keys()
    assert finished.ids("FAIL") | finished.ids("ERROR") == set(), finished.output
    assert finished.ids("INCONCLUSIVE") == unseen
    assert f"(testbed of process {standing.process.pid})" in finished.output
    named = re.search(
        r"^not judged +(.*) \(the options that they need", finished.output, re.MULTILINE
    )
    assert named
    assert set(named[1].split(", ")) == unseen
    assert (
        httpx.get(standing.variables["EXTERNAL_DATA_URL"], trust_env=False).json() == []
    )  # the keeper plays the upstream again


@pytest.mark.thorough
def test_with_a_command_that_starts_it_again_its_lives_are_judged_too(
    shared_place: Path, standing: RunningTestbed
) -> None:
    port = claim_port()
    script, pid = shared_place / "restart", shared_place / "pid"
    served = f"{sys.executable} -m uvicorn --port {port} reference_impl.app:app"
    script.write_text(f"#!/bin/sh\ncd {PROJECT}\n{served} > /dev/null 2>&1 &\necho $! > {pid}\n")
    script.chmod(0o755)
    variables = {**os.environ, **standing.variables}
    subprocess.run([script], env=variables, check=True)
    url = wait_until_answering(f"http://127.0.0.1:{port}")
    given = (
        "--target-url",
        url,
        "--worker-app",
        WORKER,
        "--restart-command",
        str(script),
        "--only",
        *CONTROLLED,
    )
    try:
        finished = judge(shared_place, *given, env=standing.variables)
        assert finished.ids("FAIL") | finished.ids("ERROR") == set(), finished.output
        assert (
            finished.ids("INCONCLUSIVE")
            == (ids_needing("copy") | OF_A_PARENT) & finished.verdicts.keys()
        )
        assert httpx.get(f"{url}/async", trust_env=False).is_success  # it runs on
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.mark.thorough
def test_a_life_that_cannot_be_seen_to_its_end_leaves_the_service_running(
    shared_place: Path, standing: RunningTestbed
) -> None:
    port = claim_port()
    script, pid, calls = (
        shared_place / "restart-once",
        shared_place / "pid-once",
        shared_place / "calls",
    )
    served = f"{sys.executable} -m uvicorn --port {port} reference_impl.app:app"
    # At its second call, with which the first lifecycle scenario begins.
    fails = f"echo >> {calls}\n[ $(wc -l < {calls}) -ne 2 ] || exit 1"
    script.write_text(
        f"#!/bin/sh\ncd {PROJECT}\n{fails}\n{served} > /dev/null 2>&1 &\necho $! > {pid}\n"
    )
    script.chmod(0o755)
    subprocess.run([script], env={**os.environ, **standing.variables}, check=True)
    url = wait_until_answering(f"http://127.0.0.1:{port}")
    try:
        finished = judge(
            shared_place,
            "--target-url",
            url,
            "--restart-command",
            str(script),
            "--only",
            "LIFE-3",
            "LIFE-4",
            "LIFE-10",
            env=standing.variables,
        )
        assert finished.verdicts == {
            "LIFE-3": "INCONCLUSIVE",
            "LIFE-4": "PASS",
            "LIFE-10": "INCONCLUSIVE",
        }, finished.output
        assert "--restart-command ended with status 1" in finished.output
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.mark.thorough
def test_a_service_that_stands_elsewhere_is_told_apart(
    shared_place: Path, standing: RunningTestbed
) -> None:
    assert standing.process.poll() is None
    with started(f"{SERVICES}:answers_everything", {}) as url:
        finished = judge(shared_place, "--target-url", url)
        assert finished.status == 4
        assert (
            "reaches neither Postgres, nor Redis, nor the upstream of the testbed"
            in finished.output
        )
        assert (
            judge(shared_place, "--target-url", url, "--testbed", "none", "--only", "DEP-1").status
            == 1
        )


@pytest.mark.thorough
def test_a_testbed_serves_one_run_at_a_time(shared_place: Path, standing: RunningTestbed) -> None:
    with started("reference_impl.app:app", standing.variables) as url:
        output = shared_place / "output.txt"
        with output.open("wb") as file:
            first = subprocess.Popen(
                command("--target-url", url),
                cwd=PROJECT,
                env=environment(shared_place),
                stdout=file,
                stderr=file,
            )
        while ".." not in output.read_text("utf-8", "replace") and first.poll() is None:
            time.sleep(0.02)
        second = judge(shared_place, "--target-url", url)
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert second.status == 4
    assert (
        f"the testbed of process {standing.process.pid} is in use by another run" in second.output
    )
    with started(
        "reference_impl.app:app", standing.variables
    ) as url:  # what the killed one has left broken is mended
        assert (
            judge(shared_place, "--target-url", url, "--only", "DB-1", "TASK-1", "UP-1").status == 0
        )


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.thorough),
        pytest.param(signal.SIGTERM, marks=pytest.mark.thorough),
        signal.SIGKILL,
    ],
    ids=lambda number: number.name,
)
def test_it_leaves_nothing_behind(place: Path, number: signal.Signals) -> None:
    memory = abandoned_memory()
    with run_testbed(place) as testbed:
        testbed.process.send_signal(number)
        testbed.process.wait(30)
        if (
            number is signal.SIGKILL
        ):  # it had no time to remove its file, which no run believes then
            next((place / "scratch").glob("conformance-testbed-*.json")).unlink()
        expect_nothing_left(place, memory)


MISTAKES = {
    "a file that is not there": (
        ("--testbed", "/nowhere.json"),
        (
            r"--testbed must be the file that `conformance testbed` has written; "
            r"/nowhere.json cannot"
            r" be read: No such file or directory"
        ),
    ),
    "a file that is none": (
        ("--testbed", str(PROJECT / "README.md")),
        (
            r"--testbed must be the file that `conformance testbed` has written; "
            r"\S+README.md is no such file"
        ),
    ),
    "a testbed and a database": (
        ("--testbed", "/nowhere.json", "--database-url", "postgresql://127.0.0.1/x"),
        r"--testbed names the same servers as --database-url; leave out one",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence(place: Path, name: str) -> None:
    arguments, sentence = MISTAKES[name]
    expect_usage(judge(place, "--target-url", "http://127.0.0.1:9", *arguments), sentence, place)


@pytest.mark.thorough
def test_two_testbeds_do_not_share_a_file(place: Path) -> None:
    with run_testbed(place) as first:
        argv = [sys.executable, "-P", "-m", "conformance", "testbed"]
        second = subprocess.run(
            argv, cwd=PROJECT, env=environment(place), capture_output=True, text=True, check=False
        )
        assert second.returncode == 4
        assert f"the testbed of process {first.process.pid} runs already" in second.stderr
    assert not left_behind(place)
