"""The package: what is in it, and that it works where nothing of the checkout is."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from conformance.config.paths import PROJECT
from conformance.selftest.support.suite import environment
from conformance.spec.catalogue import catalogue

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def built(shared_place: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution, as paths."""
    subprocess.run(
        [BIN / "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", shared_place / "dist"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
    )
    (wheel,) = (shared_place / "dist").glob("*.whl")
    (source,) = (shared_place / "dist").glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], shared_place: Path) -> Path:
    """The scripts of a new environment with the wheel. It borrows our dependencies, not us."""
    venv = shared_place / "venv"
    uv = (BIN / "uv", "--offline", "--no-config", "--quiet")
    subprocess.run([*uv, "venv", "--python", sys.executable, venv], check=True)
    python = venv / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--no-deps", "--python", python, built[0]], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return venv / "bin"


def run(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in an empty folder."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    return subprocess.run(
        words, cwd=empty, env=environment(folder), capture_output=True, text=True, check=False
    )


def test_the_wheel_has_one_package_with_its_data_and_without_its_tests(
    built: tuple[Path, Path],
) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        names = set(archive.namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"conformance"}
    assert {
        "conformance/py.typed",
        "conformance/pytest_plugin/pytest.toml",
        "conformance/config/conformance.schema.json",
        "conformance/spec/3-database.md",
        "conformance/spec/zh/3-database.md",
        "conformance/spec/openapi.yaml",
        "conformance/_reference/reference_impl/app.py",
        "conformance/injected/sitecustomize.py",
    } <= names
    assert not any(name.startswith("conformance/selftest") for name in names)


def test_the_wheel_registers_a_command_and_no_plugin(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(name).decode()
    assert text.split("\n") == ["[console_scripts]", "conformance = conformance.__main__:main", ""]


def test_the_source_distribution_has_what_a_checkout_has(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        members = {each.name.partition("/")[2]: each for each in archive.getmembers()}
    assert {name.partition("/")[0] for name in members} == {
        ".gitignore",
        ".pytest.toml",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "README.zh.md",
        "conformance",
        "conftest.py",
        "constraints.lock",
        "pyproject.toml",
        "reference_impl",
        "spec",
    }
    assert members[".pytest.toml"].linkname == "conformance/pytest_plugin/pytest.toml"
    assert "spec/zh/3-database.md" in members
    assert "conformance/selftest/pytest.toml" in members


@pytest.mark.thorough
def test_an_installed_suite_judges_its_reference_from_any_folder(
    installed: Path, place: Path
) -> None:
    done = run(place, installed / "conformance", "run", "--only", "DB-2", "END-6")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the bundled reference (reference_impl.app:app)" in done.stdout
    assert f"2 of {len(catalogue())} requirements were selected" in done.stdout


def test_an_installed_suite_lists_and_explains(installed: Path, place: Path) -> None:
    listed = run(place, installed / "conformance", "list")
    assert "  DB-2     MUST    An absent item is null" in listed.stdout, listed.stderr
    explained = run(place, installed / "python", "-m", "conformance", "explain", "DB-2")
    assert explained.stdout.endswith("Check it alone: conformance run --only DB-2\n")
    evaluated = run(place, installed / "conformance", "evaluate", "matrix")
    assert (evaluated.returncode, evaluated.stderr.splitlines()) == (
        4,
        [
            (
                "conformance evaluate: must run in a checkout with the dependency group `dev` "
                "installed: No module named 'conformance.selftest'"
            )
        ],
    )


@pytest.mark.parametrize("name", ["spec", "reference_impl"])
def test_an_installed_suite_has_no_package_that_others_own(
    installed: Path, place: Path, name: str
) -> None:
    done = run(place, installed / "python", "-c", f"import {name}")
    assert f"No module named '{name}'" in done.stderr
