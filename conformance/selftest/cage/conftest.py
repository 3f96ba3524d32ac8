"""What tests of the cage need: bubblewrap, and an interpreter that is not the suite's.

Where there is no cage they are skipped, with the reason. With CAGE=required, that is a failure.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.cage import machine
from conformance.config.paths import PROJECT
from conformance.core.errors import WrongUsage

PACKAGES = ("fastapi", "uvicorn", "asyncpg", "httpx", "celery[redis]", "anyio")
UV = str(Path(sys.executable).with_name("uv"))


@pytest.fixture(scope="session", autouse=True)
def has_cage() -> None:
    """See that a cage can be had."""
    try:
        machine.check_machine()
    except WrongUsage as error:
        if os.environ.get("CAGE") == "required":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def python() -> Iterator[str]:
    """An interpreter with what the reference needs, and without the suite."""
    with tempfile.TemporaryDirectory(prefix="selftest-") as name:
        Path(name).chmod(0o755)
        environment = Path(name) / "environment"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        interpreter = environment / "bin" / "python"
        locked = str(PROJECT / "constraints.lock")
        install = [UV, "pip", "install", "-q", "-c", locked, "-p", str(interpreter), *PACKAGES]
        subprocess.run(install, check=True)
        yield str(interpreter)
