"""A process in the cage: how it ends, what it can see, and what it can do."""

import signal
import time
from ast import literal_eval
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.cage import machine
from conformance.cage.bubblewrap import APPLICATION, Cage
from conformance.cage.caged_process import CagedProcess
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal
from conformance.core.polling import block_until

LIMIT = 10.0  # seconds; usual are some hundredths


class Ground:
    """Starts programs of Python in a cage."""

    def __init__(self, folder: Path, python: str) -> None:
        self.python = python
        self.cage = Cage(folder, shown=machine.list_folders(python, folder))

    @contextmanager
    def run(self, code: str) -> Iterator[CagedProcess]:
        """Start a program that says when it has begun, and wait for that."""
        argv = [self.python, "-c", f"print('begun', flush=True)\n{code}"]
        environment = self.cage.build_environment(self.python, {"PORT": "8000"})
        process = CagedProcess("server", argv, Journal(), env=environment, cage=self.cage)
        try:
            assert block_until(process.read_output, LIMIT)
            yield process
        finally:
            process.kill()

    def print_of(self, code: str) -> list[str]:
        """Run a program to its end and return what it has printed."""
        with self.run(code) as process:
            assert process.wait_for_end(LIMIT) is not None
            return [line.text for line in process.read_output()][1:]

    def outcome_of(self, attempt: str) -> str:
        """Evaluate an expression in the cage: its value, or the name of the error."""
        code = (
            "import ctypes, os, pathlib, signal, socket, subprocess, sys\n"
            f"try: print(repr({attempt}))\nexcept Exception as error: print(type(error).__name__)"
        )
        return self.print_of(code)[0]


@pytest.fixture
def ground(place: Path, python: str) -> Ground:
    """A submission's folder, with a file."""
    place.chmod(0o755)
    (place / "app.py").write_text("app = 1\n")
    return Ground(place, python)


WAIT = "import signal, time, sys\n"


@pytest.mark.parametrize(
    ("code", "act", "status"),
    [
        pytest.param("", None, 0, id="by itself"),
        pytest.param("raise SystemExit(7)", None, 7, id="with a status"),
        pytest.param("import os; os.kill(os.getpid(), 9)", None, -9, id="by its own SIGKILL"),
        pytest.param("import time; time.sleep(60)", "send", -15, id="by SIGTERM"),
        pytest.param(
            f"{WAIT}signal.signal(15, lambda *_: sys.exit(5))\nprint('set', flush=True)\n"
            "time.sleep(60)",
            "send",
            5,
            id="by a handler of SIGTERM",
        ),
        pytest.param(
            # Under a script in the background SIGINT is ignored until it is handled.
            f"{WAIT}signal.signal(2, signal.default_int_handler)\n"
            "try:\n    print('set', flush=True); time.sleep(60)\n"
            "except KeyboardInterrupt: sys.exit(6)",
            "interrupt",
            6,
            id="by Ctrl-C",
        ),
    ],
)
def test_how_it_ends_is_known(ground: Ground, code: str, act: str | None, status: int) -> None:
    with ground.run(code) as process:
        if "set" in code:
            block_until(lambda: len(process.read_output()) > 1, LIMIT)
        if act == "send":
            process.send(signal.SIGTERM)
        if act == "interrupt":
            process.interrupt()
        assert process.wait_for_end(LIMIT) == status
        assert not process.children
        assert not any("Terminated" in line.text for line in process.read_output())


def test_a_program_that_ends_before_it_is_seen_is_not_waited_for(ground: Ground) -> None:
    began = time.monotonic()
    for _ in range(10):
        process = CagedProcess("server", ["true"], Journal(), env={}, cage=ground.cage)
        assert process.wait_for_end(LIMIT) == 0
        process.kill()
    assert time.monotonic() - began < LIMIT


LEAVE = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/usr/bin/sleep", ["sleep", "60"], {})
    os._exit(0)
os.wait()
"""


def test_what_it_leaves_is_seen_and_ends_with_its_cage(ground: Ground) -> None:
    with ground.run(LEAVE) as process:
        assert process.wait_for_end(LIMIT) == 0
        (left,) = process.children
        assert left.cmdline() == ["sleep", "60"]
    assert not left.is_running()


def test_it_sees_its_own_folder_its_interpreter_and_nothing_else(ground: Ground) -> None:
    assert ground.outcome_of("os.getcwd()") == repr(str(APPLICATION))
    assert ground.outcome_of("sorted(os.listdir())") == "['app.py']"
    assert ground.outcome_of("os.listdir('/tmp')") == "[]"
    for path in ("/home", "/var", "/etc/shadow", "/sys/kernel", str(Path(__file__).parent)):
        assert ground.outcome_of(f"os.path.exists({path!r})") == "False", path
    assert ground.outcome_of("__import__('conformance')") == "ModuleNotFoundError"
    pids = ground.outcome_of("sorted(int(each) for each in os.listdir('/proc') if each.isdigit())")
    assert pids == "[1, 2, 3]"  # the cage's first process, the supervisor and itself
    names = literal_eval(ground.outcome_of("sorted(os.environ)"))
    contract = {"HOME", "LANG", "PATH", "PORT", "PWD", "PYTHONUNBUFFERED", "TMPDIR"}
    assert set(names) - {"LC_CTYPE"} == contract


ATTEMPTS: dict[str, str | Callable[[str], bool]] = {
    "open('new', 'w')": "OSError",  # the folder is read-only
    "open('/usr/bin/new', 'w')": "OSError",
    "open(sys.prefix + '/new', 'w')": "OSError",
    "open('/tmp/new', 'w').write('x' * 10**6)": "1000000",
    "open('/tmp/new', 'w').write('x' * 10**8)": "OSError",
    "os.kill(1, 9)": "PermissionError",
    "os.kill(2, 9)": "PermissionError",
    "open('/proc/1/environ').read()": "PermissionError",
    "os.open('/proc/2/fd/0', 2)": "PermissionError",
    "ctypes.CDLL(None).ptrace(16, 2, 0, 0)": "-1",
    "ctypes.CDLL(None).unshare(0x10000000)": "-1",
    "ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)": "-1",
    "subprocess.run(['unshare', '--user', 'true'], capture_output=True).returncode": "1",
    "os.setuid(0)": "PermissionError",
    "os.stat('/dev/kmsg')": "FileNotFoundError",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_leads_out_of_the_cage_fails(ground: Ground, attempt: str) -> None:
    assert ground.outcome_of(attempt) == ATTEMPTS[attempt]


def test_a_flood_of_processes_ends_at_a_limit(ground: Ground) -> None:
    code = """
import os, time
count = 0
try:
    while count < 2_000:
        if os.fork() == 0:
            time.sleep(60)
        count += 1
except OSError as error:
    print(error.errno, count < 2_000)
"""
    assert ground.print_of(code) == ["11 True"]


def test_a_folder_that_is_not_there_makes_no_cage() -> None:
    cage = Cage(Path("/not/there"))
    with pytest.raises(BrokenTestbed, match=r"no cage could be made: bwrap: .*not/there"):
        CagedProcess("server", ["true"], Journal(), env={}, cage=cage)
