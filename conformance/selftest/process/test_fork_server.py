"""The fork server: what it forks is what a new process would be."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from conformance.config.paths import PROJECT
from conformance.report.record import read_lines
from conformance.selftest.evaluation import kill_matrix
from conformance.selftest.evaluation.slots import SEED
from conformance.selftest.faulty_services.table import load_faulty_services
from conformance.selftest.support import fork_server
from conformance.selftest.support.fork_server import ForkedProcess, start_server, start_target
from conformance.selftest.support.suite import PATIENCE, command, environment, judge

LOOK = """
import importlib, pkgutil
from conformance.selftest.support import fork_server
fork_server.preload_modules()
probes = importlib.import_module("conformance.probes")
for module in pkgutil.iter_modules(probes.__path__, "conformance.probes."):
    for name, value in vars(importlib.import_module(module.name)).items():
        if getattr(value, "is_hypothesis_test", False):
            tried = value._hypothesis_internal_use_settings
            print(name, tried.deadline, tried.database)
"""
# What a module of SERVERS could do, and how its process ends then: status, output, errors.
ENDINGS: dict[str, tuple[str, int, str, str]] = {
    "its end": ("print('done')", 0, "done\n", ""),
    "an exit": ("import sys; sys.exit(7)", 7, "", ""),
    "a sentence": ("import sys; sys.exit('why')", 1, "", "why\n"),
    "an exception": ("raise ValueError('why')", 1, "", "ValueError: why\n"),
    "an interrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "", "KeyboardInterrupt\n"),
    "a signal": ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, "", ""),
    "atexit": ("import atexit; atexit.register(print, 'at exit')", 0, "at exit\n", ""),
    "a thread": (
        "import threading; threading.Timer(0.1, lambda: print('thread')).start()",
        0,
        "thread\n",
        "",
    ),
}
# One of each section, two of them with faults of the worker. They end in all the ways that a
# service can end: by itself, by each signal, by a signal that it has a handler for.
JUDGED_ORDINARILY = (
    "busy_while_an_outbound_call_is_held",
    "id_beyond_the_range_ends_the_process",
    "absent_item_is_404",
    "user_id_is_renamed",
    "messages_are_pickled",
    "worker_that_acknowledges_first",
    "parameter_names_ignore_case",
    "shutting_down_is_printed_at_exit",
    "sigint_leaves_the_sessions_open",
    "refused_method_loses_its_allow_header",
)


@pytest.fixture
def start_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A function that forks a process which runs some code as a module that the server knows."""
    monkeypatch.setattr(fork_server, "SERVERS", ("a_service",))
    with ExitStack() as stack:

        def start(code: str, **more: str) -> Any:
            (tmp_path / "a_service.py").write_text(code)
            argv = [sys.executable, "-m", "a_service", "--port", "1"]
            process = start_target(start_server(), argv, env={**os.environ, **more}, cwd=tmp_path)
            assert isinstance(process, ForkedProcess)
            assert process.stdout and process.stderr
            stack.enter_context(process.stdout)
            stack.enter_context(process.stderr)
            return process

        yield start


@pytest.mark.thorough
def test_no_property_has_a_deadline_or_a_database() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    found = [line.split()[1:] for line in done.stdout.splitlines()]
    assert len(found) > 5
    assert all(each == ["None", "None"] for each in found), done.stdout


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_forked_target_ends_as_python_does(start_module: Callable[..., Any], ending: str) -> None:
    code, status, output, last_error = ENDINGS[ending]
    process = start_module(code)
    assert process.wait(10) == status == process.poll()
    assert process.stdout.read().decode() == output
    assert process.stderr.read().decode().splitlines(keepends=True)[-1:] == (
        [last_error] if last_error else []
    )


def test_a_forked_target_has_its_own_session_arguments_folder_and_environment(
    start_module: Callable[..., Any],
    tmp_path: Path,
) -> None:
    process = start_module(
        "import os, sys, tempfile; print(os.getsid(0) == os.getpid(), sys.argv[1:], os.getcwd(),"
        " os.environ['ONLY'], tempfile.gettempdir(), sys.stdin.read() == '', sep='|')",
        ONLY="here",
        TMPDIR=str(tmp_path),
    )
    printed = process.stdout.read().decode().strip()
    assert printed == f"True|['--port', '1']|{tmp_path}|here|{tmp_path}|True"
    process.wait(10)


def test_a_forked_target_runs_the_sitecustomize_of_its_path(
    start_module: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "sitecustomize.py").write_text("print('customized')")
    process = start_module("print('run')", PYTHONPATH=str(tmp_path / "first"))
    assert process.stdout.read() == b"customized\nrun\n"
    process.wait(10)


def test_a_forked_target_takes_signals_and_has_no_other_descriptors(
    start_module: Callable[..., Any],
) -> None:
    process = start_module(
        "import os, time; print(*os.listdir('/proc/self/fd'), flush=True); time.sleep(60)"
        if Path("/proc/self/fd").exists()
        else "import time; print(0, 1, 2, 3, flush=True); time.sleep(60)",
    )
    assert process.stdout.readline() == b"0 1 2 3\n"  # the last is of the look itself
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.send_signal(signal.SIGTERM)  # to nobody


def test_what_runs_no_known_module_is_started_as_usual(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print(1)"]
    process = start_target("no server", argv, cwd=tmp_path, stdout=subprocess.PIPE)
    assert isinstance(process, subprocess.Popen)
    assert process.communicate()[0] == b"1\n"


@pytest.mark.thorough
def test_the_server_ends_with_what_started_it() -> None:
    code = (
        "import os; from conformance.selftest.support import fork_server;"
        " fork_server.start_server(); import psutil;"
        " print(*(each.pid for each in psutil.Process().children()), flush=True);"
        " os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False, cwd=PROJECT
    )
    servers = [
        psutil.Process(int(pid)) for pid in done.stdout.split() if psutil.pid_exists(int(pid))
    ]
    assert not psutil.wait_procs(servers, timeout=30)[1]


@pytest.mark.thorough
@pytest.mark.parametrize("name", JUDGED_ORDINARILY)
def test_a_faulty_service_has_the_same_verdicts_without_the_fork_server(
    place: Path, name: str
) -> None:
    (service,) = (each for each in load_faulty_services() if each.name == name)
    options = [SEED, *kill_matrix.list_options(service, whole=False)]
    record = place / "ordinary.jsonl"
    ordinary = subprocess.run(
        command(f"--record={record}", *options),
        cwd=PROJECT,
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    verdicts = {
        line["requirement"]: line["status"]
        for line in read_lines(record)
        if line["type"] == "verdict"
    }
    forked = judge(place, *options)
    assert verdicts == forked.verdicts, ordinary.stdout
    assert ordinary.returncode == forked.status
    assert verdicts.keys() == set(kill_matrix.choose_requirements(service, whole=False))
    assert {each for each in verdicts if verdicts[each] == "FAIL"} >= set(service.fails)


def test_ten_faulty_services_of_all_sections_are_judged_without_it() -> None:
    services = [each for each in load_faulty_services() if each.name in JUDGED_ORDINARILY]
    assert len(services) == len(JUDGED_ORDINARILY) == 10
    sections = {each.app.partition(":")[0] for each in services}
    assert sections == {"service", *(f"section_{number}" for number in range(1, 9))}
