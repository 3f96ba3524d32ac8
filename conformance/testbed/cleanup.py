"""What the guard runs: it waits for the end of the suite, and removes what a killed suite left.

It is started by its path with Python's `-I`, so it imports nothing of this package. Every run
starts it, and almost none leaves anything, so it imports what it needs only then.
"""
# ruff: noqa: PLC0415

import sys

# Seconds. initdb takes about 1 s of CPU. Postgres ended within 0.2 s of SIGQUIT, in 4 of 4 tries.
PATIENCE = 5.0


def main(folder: str, label: str) -> None:
    """Read the standard input to its end. If the suite has written anything, do nothing."""
    if sys.stdin.buffer.read():
        return
    import shutil
    from pathlib import Path

    end_processes(folder)
    remove_containers(f"{label}={Path(folder).name}")
    shutil.rmtree(folder, ignore_errors=True)


def end_processes(folder: str) -> None:
    """End every process that has the folder in its working directory, command or environment.

    A killed Postgres leaves shared memory behind, of System V and of POSIX. So it is asked to
    stop by SIGQUIT. The Postgres of initdb ignores that, and initdb is waited for. Whatever runs
    after PATIENCE gets SIGKILL, as every other process does at once.
    """
    import signal
    import time
    from contextlib import suppress
    from typing import Any

    import psutil

    deadline = time.monotonic() + PATIENCE

    def is_of_the_run(process: Any) -> bool:
        with suppress(psutil.Error):
            known_by = [process.cwd(), *process.cmdline(), *process.environ().values()]
            return any(folder in word for word in known_by) and process.pid != psutil.Process().pid
        return False

    def end_process(process: Any) -> None:
        names = [each.name() for each in (process, process.parent()) if each]
        if time.monotonic() > deadline or not {"initdb", "postgres"} & set(names):
            process.kill()
        elif "initdb" not in names:
            process.send_signal(signal.SIGQUIT)

    while found := [process for process in psutil.process_iter() if is_of_the_run(process)]:
        for process in found:
            with suppress(psutil.Error):
                end_process(process)
        psutil.wait_procs(found, timeout=0.2)


def remove_containers(label: str) -> None:
    """Remove containers and networks with this label, if there is a daemon."""
    from contextlib import suppress
    from typing import Any

    with suppress(Exception):  # nobody is left who could read an error
        import docker

        client = docker.from_env()
        chosen: Any = {"label": label}
        for container in client.containers.list(all=True, filters=chosen):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=chosen):
            network.remove()


if __name__ == "__main__":
    main(*sys.argv[1:])
