"""The fixtures of the probes. Each hands over an object."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from conformance.client.http import Client
from conformance.core.errors import Violation
from conformance.core.evidence import Journal
from conformance.judging.leaks import Secrets
from conformance.pytest_plugin.keys import OBSERVED, RUN
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.whole_life import WholeLife, end_life, list_lives
from conformance.scenarios.stateful import Restart
from conformance.session.environment import Environment
from conformance.session.recovery import Recovery
from conformance.session.submissions import Submissions
from conformance.target.capabilities import Capabilities
from conformance.target.server import Target
from conformance.target.worker import Worker
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.upstream import Upstream


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest) -> Environment:
    """What the run has opened. Only the other fixtures use it."""
    return request.config.stash[RUN].opened.environment


@pytest.fixture(scope="session")
def recovery(request: pytest.FixtureRequest) -> Recovery:
    """What keeps the target running. Only the other fixtures use it."""
    return request.config.stash[RUN].opened.recovery


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def connections(environment: Environment) -> AsyncIterator[None]:
    """The suite's own connections, which belong to the event loop of the probes."""
    servers = [server for server in (environment.database, environment.broker) if server]
    for server in servers:
        await server.open()
    yield
    for connection in (environment.client, *servers):
        await connection.close()


@pytest.fixture(scope="session")
def client(environment: Environment, connections: None) -> Client:
    """Sends requests to the target."""
    return environment.client


@pytest.fixture
def target(recovery: Recovery) -> Target:
    """The running target."""
    return recovery.target


@pytest.fixture(scope="session")
def items(environment: Environment, connections: None) -> Database | None:
    """The table, seen from the server."""
    return environment.database


@pytest.fixture(scope="session")
def queue(environment: Environment, connections: None) -> Broker | None:
    """The broker and result backend, seen from the server."""
    return environment.broker


@pytest.fixture(scope="session")
def upstream(environment: Environment) -> Upstream | None:
    """The server that the target fetches from."""
    return environment.upstream


@pytest.fixture(scope="session")
def worker(environment: Environment) -> Worker:
    """The implementation's worker."""
    return environment.worker


@pytest.fixture(scope="session")
def capabilities(environment: Environment) -> Capabilities:
    """What may be done to the target and seen of it."""
    return environment.launch.capabilities


@pytest.fixture(scope="session")
def lifecycle(request: pytest.FixtureRequest) -> LifecycleObserver:
    """What lifecycle scenarios observe of further copies of the target."""
    return request.config.stash[RUN].opened.lifecycle


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_life(
    environment: Environment, recovery: Recovery, items: Database | None
) -> WholeLife:
    """The life of the target, which is ended for that: only the last probes may ask for it."""
    if not environment.launch.capabilities.starts_target:
        return WholeLife(list_lives(recovery.lives), None, None, None)
    recovery.stop_reviving()
    return await end_life(recovery.lives, items)


@pytest.fixture(scope="session")
def submissions(request: pytest.FixtureRequest) -> Submissions:
    """Every submission that was answered, by its task id."""
    return request.config.stash[RUN].submissions


@pytest.fixture
def deaths(recovery: Recovery) -> list[Violation]:
    """The target's deaths of its own so far."""
    return recovery.deaths


@pytest.fixture
def early_upstream_requests(environment: Environment) -> int:
    """How many requests had reached the upstream when the target was ready."""
    return environment.early_upstream_requests


@pytest.fixture(scope="session")
def journal(environment: Environment) -> Journal:
    """Records facts."""
    return environment.launch.journal


@pytest.fixture
def restart_target(recovery: Recovery) -> Restart:
    """Ends the target by a signal and starts it again."""
    return recovery.end_and_restart


@pytest.fixture(scope="session")
def secrets(environment: Environment) -> Secrets:
    """What no error answer of the target may reveal."""
    servers = [server for server in (environment.database, environment.broker) if server]
    urls = [server.access.target_dsn for server in servers if server.access.target_dsn]
    if environment.upstream:
        urls.append(environment.upstream.url)
    return Secrets.of(urls, environment.launch.options.target.directory)


@pytest.fixture(scope="session")
def seed(environment: Environment) -> int:
    """The seed of all generated inputs."""
    return environment.launch.options.selection.seed


@pytest.fixture(scope="session")
def steps(environment: Environment) -> str | None:
    """The action sequence of CONC-11 that is to be replayed; None for a search."""
    return environment.launch.options.selection.steps


@pytest.fixture
def observe(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Reports what was observed of a MAY: a text and its evidence."""
    seen = request.node.stash[OBSERVED] = []
    return lambda text, *evidence: seen.append((text, evidence))
