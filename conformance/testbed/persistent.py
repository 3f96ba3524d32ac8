"""The persistent testbed: services that `conformance testbed` starts and keeps between runs.

The process that keeps them also plays the upstream, so that a service can be tried by hand. A run
takes the port of the upstream over for as long as it holds the lease. That is a connection to a
socket of the keeper's, which ends with the run, however the run ends.
"""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from os import getpid
from pathlib import Path

from conformance.core.errors import WrongUsage
from conformance.core.evidence import Journal
from conformance.core.signals import SIGNALS
from conformance.core.testbed_settings import TestbedSettings
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.guard import make_guarded_folder
from conformance.testbed.services import Services
from conformance.testbed.testbed_formats import FORMATS, make_variables
from conformance.testbed.testbed_state import (
    GRANTED,
    PRIVATE,
    TestbedState,
    is_running,
    read_state,
    state_written,
)
from conformance.testbed.upstream import Upstream


def keep_testbed(settings: TestbedSettings, form: str, file: Path) -> None:
    """Start the services, write the state file, print the environment, and serve runs.

    Returns at a KeyboardInterrupt. Raises WrongUsage, BrokenTestbed.
    """
    if file.exists() and is_running(pid := read_state(file).pid):
        raise WrongUsage(
            f"the testbed of process {pid} runs already ({file}); "
            "end it, or give another file by --state"
        )
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(_guarded_folder())
        journal = Journal()
        services = Services(settings, folder, journal, cleanup, network=True)
        services.prepare()
        services.open_postgres()
        services.open_redis()
        upstream = Upstream(journal, settings.upstream_port, services.addresses)
        cleanup.callback(upstream.stop)
        upstream.start()
        state = _make_state(settings, services, upstream, folder, cleanup)
        listener = cleanup.enter_context(closing(_open_listener(Path(state.lease))))
        cleanup.enter_context(state_written(state, file))
        _print_environment(state, services, form, file)
        cleanup.callback(_ignore_signals)
        with suppress(KeyboardInterrupt):
            while True:
                _serve_run(listener, upstream, state)


def _make_state(
    settings: TestbedSettings,
    services: Services,
    upstream: Upstream,
    folder: Path,
    cleanup: ExitStack,
) -> TestbedState:
    """Make a database and a user for a target, and say where everything is."""
    database = services.make_database()
    broker = redis_admin.create_user(services.redis_url)
    if settings.redis_url:  # a server of the suite's own takes it with it
        cleanup.callback(redis_admin.drop_user, broker)
    lease = str(folder / "lease")
    return TestbedState(getpid(), database, broker, upstream.port, services.addresses, lease)


def _serve_run(listener: socket.socket, upstream: Upstream, state: TestbedState) -> None:
    """Give one run the testbed while its connection lasts, and then undo what it has left."""
    connection, _ = listener.accept()
    with connection, upstream.refusing(), suppress(ConnectionError):
        connection.sendall(GRANTED)
        connection.recv(1)
    asyncio.run(postgres_admin.repair_database(state.postgres))
    redis_admin.repair_broker(state.redis)


def _print_environment(state: TestbedState, services: Services, form: str, file: Path) -> None:
    """Print the variables of a target to standard output, and a summary to standard error."""
    print(FORMATS[form](make_variables(state), services.engine), flush=True)
    described = ", ".join(services.described[name] for name in ("postgres", "redis"))
    print(
        f"ready: {described}; upstream at {state.upstream_url}\n"
        f"The testbed runs until Ctrl-C. A run with --target-url finds it by {file}.",
        file=sys.stderr,
        flush=True,
    )


def _ignore_signals() -> None:
    """Ignore a second Ctrl-C: the time for cleaning up is bounded."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _guarded_folder() -> Iterator[Path]:
    """A folder for the servers, which is guarded like that of a run."""
    folder, guard = make_guarded_folder()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        guard.dismiss()


def _open_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(PRIVATE)
    listener.listen()
    return listener
