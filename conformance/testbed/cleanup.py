"""What the guard runs: it waits until the suite has ended, and removes what that had no time to remove.

It is started by its path with Python's `-I`, so it has nothing of this package. Every run starts it, and nearly none has anything
left to remove, so it imports what that takes only then.
"""
# ruff: noqa: PLC0415

import sys

PATIENCE = (
    5.0  # seconds; initdb takes about 1 s of CPU, and Postgres ended within 0.2 s of SIGQUIT, of 4
)


def main(folder: str, label: str) -> None:
    """Read the standard input to its end, which is the suite's; where that has said anything, all is done."""
    if sys.stdin.buffer.read():
        return
    import shutil
    from pathlib import Path

    end_processes(folder)
    remove_containers(f"{label}={Path(folder).name}")
    shutil.rmtree(folder, ignore_errors=True)


def end_processes(folder: str) -> None:
    """End every process that was started in or with the folder.

    Postgres leaves System V's and POSIX's shared memory behind where it is killed, so it is told to stop (SIGQUIT), and initdb,
    whose Postgres is deaf to that, is left to its end; what is there after PATIENCE gets SIGKILL like everything else.
    """
    import signal
    import time
    from contextlib import suppress
    from typing import Any

    import psutil

    until = time.monotonic() + PATIENCE

    def is_of_the_run(process: Any) -> bool:
        with suppress(psutil.Error):
            known_by = [process.cwd(), *process.cmdline(), *process.environ().values()]
            return any(folder in word for word in known_by) and process.pid != psutil.Process().pid
        return False

    def end(process: Any) -> None:
        names = [each.name() for each in (process, process.parent()) if each]
        if time.monotonic() > until or not {"initdb", "postgres"} & set(names):
            process.kill()
        elif "initdb" not in names:
            process.send_signal(signal.SIGQUIT)

    while found := [process for process in psutil.process_iter() if is_of_the_run(process)]:
        for process in found:
            with suppress(psutil.Error):
                end(process)
        psutil.wait_procs(found, timeout=0.2)


def remove_containers(label: str) -> None:
    """Remove containers and networks with this label, where there is a daemon."""
    from contextlib import suppress
    from typing import Any

    with suppress(Exception):  # nobody is left to be told
        import docker

        client = docker.from_env()
        chosen: Any = {"label": label}
        for container in client.containers.list(all=True, filters=chosen):
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=chosen):
            network.remove()


if __name__ == "__main__":
    main(*sys.argv[1:])
