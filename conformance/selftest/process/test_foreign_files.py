"""Files in the folder of the caller or of the target are no modules and no settings of the suite.

Each way in is tried in a folder of traps. A module there leaves a mark when it is imported, and
each settings file would make pytest or another library stop.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from conformance.config.paths import PROJECT, PYTEST_SETTINGS
from conformance.selftest.support.suite import command, environment
from conformance.spec.catalogue import catalogue

MODULES = (
    "asyncpg",
    "celery",
    "celeryconfig",
    "conformance",
    "conftest",
    "httpx",
    "hypothesis",
    "psutil",
    "pytest",
    "redis",
    "reference_impl",
    "schemathesis",
    "tests/conftest",
    "tests/test_shop",
)
TRAP = "import os, sys\nopen(os.environ['MARK'], 'a').write(__file__ + '\\n')\nos._exit(0)\n"
SETTINGS = {
    "pytest.ini": "[pytest]\naddopts = --nonsense\n",
    ".pytest.toml": '[pytest]\naddopts = ["--nonsense"]\n',
    "tox.ini": "[pytest]\naddopts = --nonsense\n",
    "setup.cfg": "[tool:pytest]\naddopts = --nonsense\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--nonsense"\n',
    "schemathesis.toml": "nonsense = 1\n",
    ".env": "DATABASE_URL=nonsense\n",
    ".coveragerc": "nonsense\n",
    "alembic.ini": "nonsense\n",
}
# Writes each file that is opened in the current folder; the folder is left out of sys.path by -P.
WATCHED = """
import os, sys
here = os.getcwd() + os.sep
log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if path.startswith(here):
            os.write(log, (path.removeprefix(here) + "\\n").encode())
sys.addaudithook(note)
from conformance.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def traps(place: Path) -> Path:
    """A folder of traps."""
    folder = place / "traps"
    (folder / "tests").mkdir(parents=True)
    (folder / "spec").mkdir()
    for name in (*MODULES, "spec/__init__"):
        (folder / f"{name}.py").write_text(TRAP, "utf-8")
    for name, text in SETTINGS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def start(
    argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder of traps to its end."""
    place = folder.parent
    own = {"MARK": str(place / "mark"), "OPENED": str(place / "opened")}
    return subprocess.run(
        argv,
        cwd=folder,
        env={**environment(place), **own, **(env or {})},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def expect_no_trap(folder: Path) -> None:
    """Nothing was imported from the folder."""
    mark = folder.parent / "mark"
    assert not mark.exists(), mark.read_text("utf-8")


def test_a_run_reads_and_imports_nothing_of_the_folder_that_it_is_started_in(traps: Path) -> None:
    argv = [sys.executable, "-P", "-c", WATCHED, "run", "--only", "HTTP-2", "TASK-5"]
    done = start(argv, traps)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"2 of {len(catalogue())} requirements were selected" in done.stdout
    expect_no_trap(traps)
    opened = set((traps.parent / "opened").read_text("utf-8").splitlines())
    there = {str(path.relative_to(traps)) for path in traps.rglob("*")}
    assert opened & there == {"pyproject.toml"}  # which may have [tool.conformance]


@pytest.mark.parametrize(
    ("env", "argv"),
    [
        ({}, [str(Path(sys.executable).with_name("conformance"))]),
        ({}, [sys.executable, "-m", "conformance"]),
        ({"PYTHONPATH": "."}, [sys.executable, "-P", "-m", "conformance"]),
        ({"PYTEST_ADDOPTS": "--nonsense", "PYTEST_PLUGINS": "test_shop"}, command()[:-1]),
    ],
    ids=["script", "module", "PYTHONPATH", "PYTEST_ADDOPTS"],
)
def test_each_way_to_start_a_run_is_safe(traps: Path, env: dict[str, str], argv: list[str]) -> None:
    if "PYTHONPATH" in env or argv[1:2] == ["-m"]:  # Python looks there before we are asked
        (traps / "conformance.py").unlink()
    done = start([*argv, "run", "--only", "DEP-1"], traps, env)
    assert done.returncode == 0, done.stdout + done.stderr
    expect_no_trap(traps)


@pytest.mark.thorough
def test_what_other_commands_start_is_safe(traps: Path) -> None:
    done = start([*command()[:-1], "repeat", "2", "--at-once", "1", "--only", "DEP-1"], traps)
    assert done.returncode == 0, done.stdout + done.stderr
    expect_no_trap(traps)


@pytest.mark.parametrize(
    "argv",
    [
        command("--target-dir", "TRAPS", "--target-app", "shop:app", "--only", "DEP-1"),
        [sys.executable, "-m", "pytest", "--target-dir=TRAPS", "--target-app=shop:app"],
    ],
    ids=["conformance", "pytest"],
)
def test_the_folder_of_the_target_has_no_say_in_settings(traps: Path, argv: list[str]) -> None:
    (traps / "shop.py").write_text("", "utf-8")
    words = [word.replace("TRAPS", str(traps)) for word in argv]
    env = {**environment(traps.parent), "MARK": str(traps.parent / "mark")}
    done = subprocess.run(words, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "shop has no attribute app" in done.stderr
    expect_no_trap(traps)


def test_other_settings_are_refused_before_a_conftest_is_loaded(traps: Path) -> None:
    for name in ("pytest.ini", ".pytest.toml", "setup.cfg", "pyproject.toml"):
        (traps / name).unlink()
    (traps / "tox.ini").write_text("[pytest]\n", "utf-8")
    plugin = ["-p", "conformance.pytest_plugin.plugin", "--target-url", "http://127.0.0.1:9"]
    done = start([sys.executable, "-P", "-m", "pytest", *plugin], traps)
    assert (done.returncode, done.stderr.strip()) == (
        4,
        (
            f"ERROR: pytest must have the suite's own settings ({PYTEST_SETTINGS}), "
            f"and it has those of {traps / 'tox.ini'}; use `conformance run`"
        ),
    )
    expect_no_trap(traps)


@pytest.mark.parametrize("path", ["tests", "tests/test_shop.py", "nowhere"])
def test_a_run_takes_no_files(traps: Path, path: str) -> None:
    done = start(command("-q", path), traps)
    assert (done.returncode, done.stderr.strip()) == (
        4,
        (
            "ERROR: a run takes no files or folders except the suite's own probes, "
            f"and got {path!r}; to name the folder of a target, use --target-dir=DIR"
        ),
    )
    expect_no_trap(traps)


def test_another_plugin_may_have_options_with_the_short_names(place: Path) -> None:
    names = ["html", "only", "seed", "level", "record", "services", "container", "steps"]
    (place / "other_plugin.py").write_text(
        "def pytest_addoption(parser):\n"
        f"    for name in {names}:\n"
        "        parser.addoption(f'--{name}', dest=name)\n",
        "utf-8",
    )
    words = ["-p", "other_plugin", "--html=page.html", "--seed=7", "--conformance-only=DEP-1"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=PROJECT,
        env={**environment(place), "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"1 of {len(catalogue())} requirements were selected" in done.stdout
    assert not os.path.lexists(PROJECT / "page.html")
