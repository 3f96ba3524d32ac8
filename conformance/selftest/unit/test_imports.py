"""Import directions: spec at the bottom, leaves above it, and nothing that looks at what it must not know of."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.config.paths import PROJECT

LEAVES = {
    "conformance.core",
    "conformance.config.options",
    "conformance.config.settings_file",
    "conformance.config.known_failures",
}
SPEC = {"conformance.spec"}
TESTBED = SPEC | LEAVES | {"conformance.testbed"}

# Where a file is, and all of ours that it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "spec": SPEC,
    "reference_impl": {"reference_impl"},
    "conformance/core": SPEC | LEAVES,
    "conformance/config": SPEC | LEAVES | {"conformance.config", "conformance.judging"},
    "conformance/core/timeouts.py": set(),
    "conformance/testbed": SPEC | {"conformance.core", "conformance.testbed"},
    "conformance/client": SPEC | LEAVES | {"conformance.client"},
    "conformance/target/external.py": TESTBED,
    "conformance/judging": SPEC | {"conformance.core", "conformance.judging"},
    "conformance/report": SPEC | {"conformance.core", "conformance.judging", "conformance.report"},
}


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


@pytest.mark.parametrize("where", MAY_IMPORT)
def test_imports_point_one_way(where: str) -> None:
    place = PROJECT / where
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    assert files
    for path in files:
        for name in ours(path):
            allowed = any(
                name == prefix or name.startswith(prefix + ".") for prefix in MAY_IMPORT[where]
            )
            assert allowed, f"{path.relative_to(PROJECT)} imports {name}"


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
