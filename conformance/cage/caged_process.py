"""A process of a submission in its cage, as the suite starts, watches, signals and ends it."""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from conformance.cage.bubblewrap import APPLICATION, Cage
from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed
from conformance.core.evidence import Journal, ProcessEvent
from conformance.core.observations import BlockingLine
from conformance.core.polling import block_until
from conformance.testbed.process_table import is_running
from conformance.testbed.processes import Process

SIGNALLED = 128  # what a shell adds to the number of the signal that ended its child


class CagedProcess(Process):
    """A program in a cage of its own, which is there until the program is killed.

    The program is the child of a supervisor, and that is the child of the cage's first process, to
    which everything falls that loses its parent.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        journal: Journal,
        *,
        env: Mapping[str, str],
        cage: Cage,
    ) -> None:
        """Start it. Raises BrokenTestbed where the cage cannot be made."""
        self._cage = cage
        self._told: int | None = None  # the exit status, by the supervisor
        self._ended: int | None = None  # the same, once the program has ended
        self._asking = threading.Lock()
        self._poll = select.poll()  # of the line from the supervisor
        super().__init__(name, argv, journal, env=env, cwd=cage.folder)
        self._supervisor = block_until(
            self._find_supervisor,
            timeouts.BOOT_DEADLINE,
            lambda found: found or self._popen.poll() is not None,
        )
        if not self._supervisor:
            said = " / ".join(self.read_last_lines())
            self.kill()
            raise BrokenTestbed(f"no cage could be made: {said}")
        self.pid = self._supervisor  # until the program is seen, which may have ended at once
        self.pid = block_until(self._find_program, timeouts.BOOT_DEADLINE) or self._supervisor

    def _spawn_process(
        self, env: Mapping[str, str], cwd: Path, user: int | None
    ) -> "subprocess.Popen[bytes]":
        del cwd, user  # are the cage's
        self._line, its_line = socket.socketpair()
        self._poll.register(self._line, select.POLLIN)
        with its_line:
            bubblewrap, self._first = self._cage.spawn(
                self.argv,
                env=env,
                supervised=True,
                stdin=its_line,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._cage_descriptor = os.pidfd_open(self._first)  # bubblewrap has not waited for it yet
        return bubblewrap

    # What runs in the cage

    def _find_supervisor(self) -> int:
        return next(iter(_list_children(self._first)), 0)

    def _find_program(self) -> int:
        """The id of the program on this machine. The supervisor's if it has ended already."""
        program = next(iter(_list_children(self._supervisor)), 0)
        return self._supervisor if not program and self.status is not None else program

    @property
    def children(self) -> list[psutil.Process]:
        """Every process in the cage but the program, whoever was its parent."""
        with suppress(psutil.Error):
            inside = psutil.Process(self._first).children(recursive=True)
            hidden = (self.pid, self._supervisor)
            return [each for each in inside if each.pid not in hidden and is_running(each)]
        return []

    def find_blocking_line(self, folder: Path) -> BlockingLine | None:
        """The line of the submission's code in which a main thread's event loop is stuck."""
        del folder  # has another name in the cage
        return super().find_blocking_line(APPLICATION)

    # Signals and the end

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        with self._asking:
            if self._told is None and self._poll.poll(0):
                told = self._line.recv(16).strip()  # nothing where the cage is gone
                status = int(told or SIGNALLED + signal.SIGKILL)
                self._told = SIGNALLED - status if status > SIGNALLED else status
            if self._told is not None and not self._is_running():
                self._ended = self._told
            return self._ended

    def _is_running(self) -> bool:
        """Whether the program runs, whatever the supervisor was made to tell.

        Where the suite is not root, it has the same user as the program.
        """
        return self.pid != self._supervisor and Path(f"/proc/{self.pid}").exists()

    def send(self, number: signal.Signals) -> ProcessEvent:
        """Send a signal to the program alone, as whoever runs a service does."""
        event = self._record_signal(number.name)
        self._send(lambda: os.kill(self.pid, number))
        return event

    def interrupt(self) -> ProcessEvent:
        """Send SIGINT to its whole group, as a terminal does at Ctrl-C."""
        event = self._record_signal("SIGINT with its whole process group")
        self._send(lambda: os.killpg(os.getpgid(self.pid), signal.SIGINT))
        return event

    def _send(self, act: Callable[[], None]) -> None:
        if self.status is None:
            with suppress(ProcessLookupError):
                act()

    def _wait(self, limit: float) -> int | None:
        began = time.monotonic()
        if self.status is None and self._told is None:
            self._poll.poll(limit * 1_000)
        left = max(0.0, began + limit - time.monotonic())
        return block_until(lambda: self.status, left, lambda status: status is not None)

    def _kill_processes(self) -> None:
        """End the first process of the cage. The system ends all others with it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._cage_descriptor, signal.SIGKILL)
        self._popen.wait()
        os.close(self._cage_descriptor)
        self.status  # noqa: B018 - before the line is closed
        self._line.close()


def _list_children(pid: int) -> list[int]:
    """The ids of the processes that a process with one thread has started, the oldest first."""
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
