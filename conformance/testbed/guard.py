"""The guard: a process that outlives a suite that is killed, and then cleans up after it.

Its standard input ends when the suite does, however it ends. If the suite has written to it
before, everything is cleaned up already, and the guard does nothing.
"""

import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

LABEL = "conformance.run"  # of containers and networks; its value is the name of the run's folder
CLEANUP = Path(__file__).with_name("cleanup.py").resolve()


class Guard:
    """The suite's end of the guard."""

    def __init__(self, folder: Path) -> None:
        """Start to guard a run's folder, and all that is known by its name. Raises OSError."""
        argv = [sys.executable, "-I", str(CLEANUP), str(folder), LABEL]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def dismiss(self) -> None:
        """Say that everything is cleaned up, and wait for the end of the guard."""
        with suppress(OSError):
            self._process.communicate(b"done")


def make_guarded_folder() -> tuple[Path, Guard]:
    """Make a temporary folder, after the guard that removes it. Raises OSError."""
    folder = Path(tempfile.gettempdir()) / f"run-{secrets.token_hex(4)}"
    guard = Guard(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        guard.dismiss()
        raise
    return folder, guard
