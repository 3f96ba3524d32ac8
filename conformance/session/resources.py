"""What a run must leave nothing of: its folder, its threads, its processes, and all it has made."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.testbed.embedded import explain_no_space
from conformance.testbed.guard import Guard, make_guarded_folder
from conformance.testbed.process_table import find_processes_started_with, kill_processes
from conformance.testbed.processes import Running

OPENERS = 6  # threads that open services
COPIES_AT_ONCE = 2  # lifecycle scenarios at the same time; more would slow the probes
INJECTED = Path(__file__).parents[1] / "injected" / "sitecustomize.py"


class Resources:
    """Opened in order, released in the reverse order, whatever happened between."""

    def __init__(self) -> None:
        self.cleanup = ExitStack()
        self.pool = ThreadPoolExecutor(OPENERS, thread_name_prefix="testbed")
        self.copies = ThreadPoolExecutor(COPIES_AT_ONCE, thread_name_prefix="scenario")
        self._guard: Guard | None = None
        self._closing = threading.Event()
        self._processes: list[Running] = []
        self.folder = Path(tempfile.gettempdir())  # until `open_folder`

    def open_folder(self) -> None:
        """Make the run's folder and its guard. Raises BrokenTestbed where there is no space."""
        where = self.folder
        try:
            self.folder, self._guard = make_guarded_folder()
            self.cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder.chmod(0o711)  # the embedded servers may run as another user
            for folder in (self.stack_dump_folder, self.scratch):
                folder.mkdir()
            shutil.copy(INJECTED, self.stack_dump_folder)
        except OSError as error:
            raise explain_no_space(where, error) from error

    @property
    def stack_dump_folder(self) -> Path:
        """The folder that comes first in a target's PYTHONPATH."""
        return self.folder / "start"

    @property
    def scratch(self) -> Path:
        """The temporary folder of all that is started as a target, by which they are known too."""
        return self.folder / "tmp"

    @property
    def is_closing(self) -> bool:
        """Whether nothing new should be started."""
        return self._closing.is_set()

    def add_process(self, process: Running) -> None:
        """Have a process killed in the end; at once where the end has come."""
        self._processes.append(process)
        if self.is_closing:
            process.kill()

    def close(
        self, opening: Future[Any] | None, last: Sequence[Callable[[], object]] = ()
    ) -> list[str]:
        """End every process and remove everything. `last` is done before, when all have ended.

        Returns what could not be cleaned up, in a sentence each.
        """
        self._closing.set()
        troubles = [self._attempt(process.kill) for process in list(self._processes)]
        if opening:
            wait([opening], timeout=timeouts.BOOT_DEADLINE)
        for pool in (self.pool, self.copies):
            pool.shutdown(wait=True, cancel_futures=True)
        kill_processes(find_processes_started_with(str(self.scratch)))
        troubles += [self._attempt(work) for work in (*last, self.cleanup.close)]
        if self._guard:
            self._guard.dismiss()
        return [trouble for trouble in troubles if trouble]

    def _attempt(self, work: Callable[[], object]) -> str | None:
        try:
            work()
        except (BrokenTestbed, OSError) as error:
            return f"cleaning up: {error}"
        return None
