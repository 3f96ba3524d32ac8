"""The guard: a process that outlives the suite where the suite is killed, and then removes what it had no time to remove.

Its standard input ends when the suite does, however that comes. Where it was told before that all is done, it does nothing.
"""

import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

LABEL = "conformance.run"  # on containers and networks; its value is the name of the run's folder
AFTERWARDS = Path(__file__).with_name("cleanup.py").resolve()


class Guard:
    """The suite's side of it."""

    def __init__(self, folder: Path) -> None:
        """Begin to guard a run's folder, and everything that is known by it."""
        argv = [sys.executable, "-I", str(AFTERWARDS), str(folder), LABEL]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
            cwd="/",
        )

    def dismiss(self) -> None:
        """Say that all is done, and see the guard end."""
        with suppress(OSError):
            self._process.communicate(b"done")


def guarded_folder() -> tuple[Path, Guard]:
    """A new folder among the temporary ones, and its guard, which is there before it. Raises OSError."""
    folder = Path(tempfile.gettempdir()) / f"run-{secrets.token_hex(4)}"
    guard = Guard(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        guard.dismiss()
        raise
    return folder, guard
