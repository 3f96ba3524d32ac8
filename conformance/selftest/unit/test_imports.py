"""What import-linter cannot say of the imports. Its contracts are in pyproject.toml."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.config.paths import PACKAGE, PROJECT


def ours(path: Path) -> set[str]:
    """The modules of ours that a file imports, as `package.module`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "conformance":
            found |= {f"conformance.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return {
        name for name in found if name.split(".")[0] in ("spec", "conformance", "reference_impl")
    }


@pytest.mark.parametrize(("folder", "allowed"), [("spec", "conformance.spec"), ("injected", "")])
def test_what_stands_alone_imports_nothing_of_ours(folder: str, allowed: str) -> None:
    place = PROJECT / folder
    files = sorted((place if place.exists() else PACKAGE / folder).rglob("*.py"))
    assert files
    for path in files:
        others = [name for name in ours(path) if not (allowed and name.startswith(allowed))]
        assert not others, f"{path.relative_to(PROJECT)} imports {others}"


def test_the_contracts_of_the_imports_are_kept() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_only_the_root_conftest_loads_the_plugin() -> None:
    files = [
        path
        for path in (PROJECT / "conformance").rglob("*.py")
        if "conformance.pytest_plugin.plugin" in ours(path)
    ]
    assert not files
    assert "conformance.pytest_plugin.plugin" in (PROJECT / "conftest.py").read_text("utf-8")


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    return done.stdout


def test_what_parses_source_when_imported_is_imported_before_any_thread_begins() -> None:
    code = (
        "import sys, threading, pytest\n"
        "from conformance.core import preload\n"
        "settle = preload.settle_imports\n"
        "def look():\n"
        "    settle()\n"
        "    print(threading.active_count(), {'httpcore', 'anyio'} <= set(sys.modules))\n"
        "    sys.exit(0)\n"
        "preload.settle_imports = look\n"
        "pytest.main(['-s'])\n"
    )
    assert run_python(code) == "1 True\n"


def test_the_client_changes_no_imports_of_its_process() -> None:
    code = "import sys, conformance.client.http; print('sniffio' in sys.modules)"
    assert run_python(code) == "False\n"


def test_a_module_that_is_not_installed_is_not_searched_for_again() -> None:
    code = (
        "import sys\n"
        "from conformance.core import preload\n"
        "preload.find_spec = lambda name: None\n"
        "preload.settle_imports()\n"
        "print(sys.modules['sniffio'])\n"
    )
    assert run_python(code) == "None\n"


def test_a_module_that_is_installed_can_still_be_imported() -> None:
    code = (
        "import sys\n"
        "from conformance.core import preload\n"
        "preload.find_spec = lambda name: object()\n"
        "preload.settle_imports()\n"
        "print('sniffio' in sys.modules)\n"
    )
    assert run_python(code) == "False\n"


def test_the_reference_is_launched_and_never_imported() -> None:
    files = [
        path
        for path in (PROJECT / "conformance").rglob("*.py")
        if any(name.startswith("reference_impl") for name in ours(path))
    ]
    assert not files
