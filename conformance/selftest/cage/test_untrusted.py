"""Runs on code of strangers: what they can set, what they can reach, and what is found."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from conformance.config.paths import REFERENCE_FOLDER
from conformance.core.polling import block_until
from conformance.selftest.support.suite import (
    Finished,
    abandoned_memory,
    command,
    environment,
    expect_nothing_left,
    expect_usage,
    judge,
)
from conformance.testbed.process_table import is_running

LIMIT = 60.0  # seconds for a run to start its service; usual are some seconds
APPS = ("--target-app=reference_impl.app:app", "--worker-app=reference_impl.tasks:celery_app")


@pytest.fixture
def submission(place: Path) -> Path:
    """A folder with the reference's code, as somebody hands it in."""
    folder = place / "submission"
    shutil.copytree(
        REFERENCE_FOLDER / "reference_impl",
        folder / "reference_impl",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    folder.chmod(0o755)
    return folder


def grade(submission: Path, python: str, *arguments: str) -> Finished:
    """Judge a submission in a cage."""
    own = ("--untrusted", f"--target-dir={submission}", f"--target-python={python}")
    return judge(submission.parent, *own, *arguments)


def test_a_right_submission_is_robust_in_the_cage(submission: Path, python: str) -> None:
    finished = grade(submission, python, *APPS, "--level=should")
    assert finished.status == 0, finished.output
    assert "robust is established: all 52 SHOULD passed" in finished.output
    assert "cage          namespaces by bubblewrap" in finished.output


def test_a_line_that_blocks_is_named_as_the_submission_has_it(
    submission: Path, python: str
) -> None:
    upstream = submission / "reference_impl" / "upstream.py"
    text, reads = upstream.read_text(), "    async def _read(self) -> bytes:\n"
    blocks = "        urllib.request.urlopen(str(self._url)).read()\n"
    assert reads in text
    upstream.write_text("import urllib.request\n" + text.replace(reads, reads + blocks))
    finished = grade(submission, python, *APPS, "--only", "CONC-3")
    assert finished.verdicts["CONC-3"] == "FAIL", finished.output
    assert "/srv/app/reference_impl/upstream.py:" in finished.output


def test_its_settings_say_what_is_started_and_nothing_else(submission: Path, python: str) -> None:
    (submission / "conformance.toml").write_text(
        'target-app = "reference_impl.app:app"\nworker-app = "reference_impl.tasks:celery_app"\n'
        'seed = 7\ntarget-python = "./mine"\nonly = 3\n[[known-failures]]\nid = "DEP-1"\n'
    )
    application = submission / "reference_impl" / "app.py"
    application.write_text(application.read_text().replace('"/items/"', '"/things/"'))
    finished = grade(submission, python, "--only", "DEP-1", "--seed=11")
    assert finished.status == 1, finished.output
    assert finished.verdicts == {"DEP-1": "FAIL"}
    assert "not read of its settings: seed, target-python, only, known-failures" in finished.output
    assert finished.record[0]["seed"] == 11


SPY = """
import json, os, socket
from reference_impl.app import app
seen = {
    "environment": sorted(os.environ),
    "temporary": os.listdir("/tmp"),
    "routes": open("/proc/net/route").read().splitlines()[1:],
    "interfaces": [line.split(":")[0].strip() for line in open("/proc/net/dev")][2:],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
}
print("SEEN", json.dumps(seen), flush=True)
"""


def test_it_has_a_network_of_its_own_and_sees_nothing_of_the_suite(
    submission: Path, python: str
) -> None:
    (submission / "spy.py").write_text(SPY)
    finished = grade(submission, python, "--target-app=spy:app", APPS[1], "--only", "DEP-1")
    assert finished.status == 0, finished.output
    texts = [line["text"] for line in finished.record if line.get("kind") == "log_line"]
    seen = json.loads(next(text for text in texts if text.startswith("SEEN "))[5:])
    assert seen["interfaces"] == ["lo"]
    assert not seen["routes"]
    assert seen["processes"] == 3
    assert not [name for name in seen["environment"] if "CONFORMANCE" in name or "PYTEST" in name]


DAEMON = """
import os
from reference_impl.app import app
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/usr/bin/sleep", ["sleep", "300"], {})
    os._exit(0)
os.wait()
"""


def test_a_daemon_without_an_environment_is_a_child_that_is_left(
    submission: Path, python: str
) -> None:
    (submission / "daemon.py").write_text(DAEMON)
    finished = grade(submission, python, "--target-app=daemon:app", APPS[1], "--only", "LIFE-3")
    assert finished.verdicts["LIFE-3"] == "FAIL", finished.output
    assert "sleep" in finished.output
    commands = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "300"] not in commands


@pytest.mark.parametrize(
    ("application", "sentence"),
    [
        ("conformance.cli.main:main", ".* does not import: ModuleNotFoundError.*'conformance'"),
        ("schemathesis:openapi", ".* does not import: ModuleNotFoundError.*'schemathesis'"),
    ],
)
def test_the_suites_own_packages_are_not_there(
    submission: Path, python: str, application: str, sentence: str
) -> None:
    finished = grade(submission, python, f"--target-app={application}", "--only", "DEP-1")
    expect_usage(finished, sentence, submission.parent)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link of a submission must stay .*"),
        (lambda path: path.symlink_to(path), "a link of a submission must stay .*"),
        (os.mkfifo, "a submission has files and folders alone; .* is a pipe"),
    ],
    ids=["a link that leaves", "a link to itself", "a pipe"],
)
def test_what_is_no_file_is_refused_before_anything_runs(
    submission: Path, python: str, make: Callable[[Path], None], sentence: str
) -> None:
    make(submission / "odd")
    finished = grade(submission, python, *APPS, "--only", "DEP-1")
    expect_usage(finished, sentence, submission.parent)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--untrusted", *APPS), "--target-app of a submission needs --target-python.*"),
        (("--untrusted", "--target-url=http://127.0.0.1:1"), ".*leave out --target-url"),
        (("--cage=none", *APPS), "--cage needs --untrusted"),
        (("--untrusted", "--cage=box", "--target-command=x"), "--cage must be auto, .*'box'"),
        (("--untrusted",), "--untrusted needs --target-app or --target-command.*"),
    ],
)
def test_wrong_usage_is_one_sentence(
    place: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    expect_usage(judge(place, *arguments), sentence, place)


def test_without_a_cage_the_report_says_so(submission: Path, python: str) -> None:
    finished = grade(submission, python, *APPS, "--cage=none", "--only", "DEP-1")
    assert finished.status == 0, finished.output
    assert "cage          none: the submission has the rights" in finished.output


def test_repeated_runs_start_no_submission_outside_of_a_run(submission: Path, python: str) -> None:
    figures = submission.parent / "figures.json"
    argv = [sys.executable, "-P", "-m", "conformance", "repeat", "4", "--at-once", "2"]
    argv += ["--json", str(figures), "--untrusted", "--target-dir", str(submission)]
    argv += ["--target-python", python, *APPS, "--only", "DEP-1"]
    env = environment(submission.parent)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(
        name.startswith("a fresh target") for name in json.loads(figures.read_text())["kinds"]
    )


def test_a_suite_that_is_killed_leaves_no_process_of_a_submission(
    submission: Path, python: str
) -> None:
    own = [f"--target-dir={submission}", f"--target-python={python}", *APPS]
    output, memory = submission.parent / "output.txt", abandoned_memory()
    with output.open("wb") as file:
        argv = command("--untrusted", *own, "--only", "CONC-11")
        suite = subprocess.Popen(argv, env=environment(submission.parent), stdout=file)
    cages = block_until(lambda: find_cages(suite.pid), LIMIT)
    assert cages
    suite.kill()
    suite.wait()
    expect_nothing_left(submission.parent, memory)
    assert not [process for process in cages if is_running(process)]


def find_cages(pid: int) -> list[psutil.Process]:
    """The processes of bubblewrap that a process has started, and all below them."""
    with suppress(psutil.Error):
        below = psutil.Process(pid).children(recursive=True)
        if any(process.name() == "uvicorn" or "uvicorn" in process.cmdline() for process in below):
            return [process for process in below if process.name() == "bwrap"]
    return []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ('target-command = "a\\u0000b"', "--target-command must be a text without null .*"),
        (f'target-command = "{"x" * 300_000}"', "--target-command must have 4096 characters .*"),
        (
            'target-app = "a:b"\nworker-app = "a\\u0000:b"',
            "--worker-app must be a text without null .*",
        ),
    ],
    ids=["null", "long", "null in the worker"],
)
def test_what_no_system_can_start_is_wrong_usage(
    submission: Path, python: str, settings: str, sentence: str
) -> None:
    (submission / "conformance.toml").write_text(settings + "\n")
    finished = grade(submission, python, "--only", "DEP-1")
    expect_usage(finished, sentence, submission.parent)


def test_settings_in_the_submission_are_a_strangers_even_if_they_are_named(
    submission: Path, python: str
) -> None:
    named = submission / "reference_impl" / "mine.toml"
    named.write_text(
        'target-app = "reference_impl.app:app"\nworker-app = "reference_impl.tasks:celery_app"\n'
        "seed = 7\n"
    )
    finished = grade(submission, python, f"--settings={named}", "--only", "DEP-1")
    assert finished.status == 0, finished.output
    assert "not read of its settings: seed" in finished.output


def test_folders_that_are_too_deep_are_told(submission: Path, python: str) -> None:
    here = os.open(submission, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    finished = grade(submission, python, *APPS, "--only", "DEP-1")
    sentence = "a submission must be readable, and .*: File name too long"
    expect_usage(finished, sentence, submission.parent)
    subprocess.run(["/bin/rm", "-rf", submission], check=True)  # shutil stops at such names
