"""The guard: a process that outlives the suite where the suite is killed, and then removes what it had no time to remove.

It reads its standard input, which ends when the suite does, however that comes. Where it was told before that all is done, it
does nothing. It is started by its path with Python's `-I`, and imports what it needs when it needs it.
"""

import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

LABEL = "conformance.run"  # on containers and networks; its value is the name of the run's folder
DONE = b"done"


class Guard:
    """The suite's side of it."""

    def __init__(self, folder: Path) -> None:
        """Begin to guard a run's folder, and everything that is known by it."""
        argv = [sys.executable, "-I", str(Path(__file__).resolve()), str(folder)]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True, cwd="/")

    def dismiss(self) -> None:
        """Say that all is done, and see the guard end."""
        with suppress(OSError):
            self._process.communicate(DONE)


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


def main() -> None:
    """Wait for the end of the suite, and clean up after it where it did not."""
    if sys.stdin.buffer.read() == DONE:
        return
    folder = sys.argv[1]
    end_processes(folder)
    remove_containers(Path(folder).name)
    import shutil  # noqa: PLC0415 - most runs never come here

    shutil.rmtree(folder, ignore_errors=True)


def end_processes(folder: str) -> None:
    """SIGKILL every process that was started in or with the folder."""
    import psutil  # noqa: PLC0415 - the same

    def is_of_the_run(process: Any) -> bool:
        with suppress(psutil.Error):
            known_by = [process.cwd(), *process.cmdline(), *process.environ().values()]
            return any(folder in word for word in known_by) and process.pid != psutil.Process().pid
        return False

    while found := [process for process in psutil.process_iter() if is_of_the_run(process)]:
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=1)


def remove_containers(run: str) -> None:
    """Remove containers and networks with the run's label, where there is a daemon."""
    with suppress(Exception):  # nobody is left to be told
        import docker  # noqa: PLC0415 - the same

        client = docker.from_env()
        chosen: Any = {"label": f"{LABEL}={run}"}
        for container in client.containers.list(all=True, filters=chosen):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=chosen):
            network.remove()


if __name__ == "__main__":
    main()
