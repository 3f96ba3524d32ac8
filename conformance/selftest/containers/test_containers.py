"""Containers: the same verdicts as on embedded servers, targets in containers, nothing left.

They run where a Docker daemon has the images that `.ci/engine` makes. Where none has, they are
skipped, with the reason. With CONTAINERS=required, that is a failure.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import yaml

from conformance.config.paths import PROJECT
from conformance.core.errors import WrongUsage
from conformance.selftest.evaluation.kill_matrix import list_options
from conformance.selftest.faulty_services.table import load_faulty_services
from conformance.selftest.support.suite import (
    PATIENCE,
    Finished,
    command,
    environment,
    expect_usage,
    judge,
)
from conformance.selftest.support.targets import (
    DOCUMENT,
    MISSED_BY_THE_DOCUMENT,
    WORKER,
    ids_needing,
    ids_of_level,
    wait_until_answering,
)
from conformance.selftest.support.testbed import CONTROLLED, run_testbed
from conformance.spec.catalogue import Level, catalogue
from conformance.testbed.containers import Engine, connect_to_daemon
from conformance.testbed.guard import LABEL
from conformance.testbed.ports import claim_port
from conformance.testbed.redis_admin import BROKER_VARIABLES

NEWEST = {
    "CONFORMANCE_POSTGRES_IMAGE": "conformance-ci/postgres:18",
    "CONFORMANCE_REDIS_IMAGE": "conformance-ci/valkey:9",
}
OLDEST = {
    "CONFORMANCE_POSTGRES_IMAGE": "conformance-ci/postgres:15",
    "CONFORMANCE_REDIS_IMAGE": "conformance-ci/redis:7",
}
SERVICE = "conformance-ci/service"
IMAGES = (
    "--postgres-image",
    NEWEST["CONFORMANCE_POSTGRES_IMAGE"],
    "--redis-image",
    NEWEST["CONFORMANCE_REDIS_IMAGE"],
)
ADMINISTERED = (
    "DB",
    "TASK",
)  # the sections whose faults are made by the administration of a service
FAULTY = ("reads_share_one_connection", "row_is_cached", "work_is_done_by_the_web_process")


def find_obstacle() -> str | None:
    """Return why no containers can run here, or None."""
    try:
        client = connect_to_daemon()  # which leaves nothing open where no daemon answers
    except WrongUsage as error:
        return str(error)
    with_tags = {tag for image in client.images.list() for tag in image.tags}
    client.close()
    missing = {*NEWEST.values(), *OLDEST.values(), f"{SERVICE}:latest"} - with_tags
    if not missing:
        return None
    return f"the daemon has no {', '.join(sorted(missing))}; .ci/engine makes them"


@pytest.fixture(scope="module", autouse=True)
def _images() -> None:
    """Skip all tests, or fail, where there is no daemon that has the images."""
    if obstacle := find_obstacle():
        give_up = pytest.fail if os.environ.get("CONTAINERS") == "required" else pytest.skip
        give_up(f"containers: {obstacle}")


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    connected = docker.from_env()
    yield connected
    connected.close()


def test_what_a_thread_asks_of_the_daemon_reads_no_whole_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise AssertionError("pytest may take a name from it meanwhile")

    engine = Engine("none")
    try:
        engine.open_network()
        with monkeypatch.context() as while_probes_run:
            while_probes_run.setattr("requests.sessions.get_environ_proxies", fails)
            container = engine.create_container(SERVICE, None, {}, {})
            container.reload()
            container.remove()
    finally:
        engine.close()


def left(client: docker.DockerClient) -> list[Any]:
    """The containers and networks of any run."""
    chosen: Any = {"label": LABEL}
    return [
        *client.containers.list(all=True, filters=chosen),
        *client.networks.list(filters=chosen),
    ]


def expect_the_reference_robust(finished: Finished) -> None:
    """Every MUST and SHOULD passed, and every MAY was observed, as on embedded servers."""
    assert finished.ids("PASS") == ids_of_level(Level.MUST) | ids_of_level(Level.SHOULD), (
        finished.output
    )
    assert finished.ids("OBSERVED") == ids_of_level(Level.MAY)
    assert finished.status == 0


def test_the_reference_is_robust_on_containers(place: Path, client: docker.DockerClient) -> None:
    finished = judge(place, "--services", "containers", env=NEWEST)
    expect_the_reference_robust(finished)
    assert "(container)" in finished.output
    assert not left(client)


def test_the_services_are_administered_alike_in_older_releases(place: Path) -> None:
    finished = judge(place, "--services", "containers", "--only", *ADMINISTERED, env=OLDEST)
    assert finished.ids("PASS") == {
        name for name in catalogue() if name.startswith(ADMINISTERED)
    } - ids_of_level(Level.MAY), finished.output


def test_the_documents_own_code_misses_the_same_on_containers(place: Path) -> None:
    target = (
        "--target-app",
        "document.main:app",
        f"--target-dir={DOCUMENT}",
        "--worker-app",
        "document.celery:celery_app",
    )
    finished = judge(
        place,
        "--services",
        "containers",
        *target,
        "--only",
        *MISSED_BY_THE_DOCUMENT,
        "DB",
        env=NEWEST,
    )
    assert finished.ids("FAIL") == MISSED_BY_THE_DOCUMENT, finished.output
    assert finished.ids("INCONCLUSIVE") | finished.ids("ERROR") == set(), finished.output


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_service_fails_the_same_on_containers(place: Path, name: str) -> None:
    (service,) = (each for each in load_faulty_services() if each.name == name)
    arguments = ("--seed=2026", *list_options(service, whole=False))
    on_containers = judge(place, "--services", "containers", *arguments, env=NEWEST)
    embedded = judge(place, "--services", "embedded", *arguments)
    assert on_containers.verdicts == embedded.verdicts
    assert on_containers.ids("FAIL") >= set(service.fails)


def test_a_target_in_a_container_is_judged_like_any_other(
    place: Path, client: docker.DockerClient
) -> None:
    finished = judge(
        place, "--target-image", SERVICE, "--worker-app", WORKER, "--only", *CONTROLLED, env=NEWEST
    )
    assert finished.ids("FAIL") | finished.ids("ERROR") == set(), finished.output
    assert finished.ids("INCONCLUSIVE") == set(), finished.output
    assert f"a container of {SERVICE}" in finished.output
    assert not left(client)


class Somebody:
    """Who runs containers of their own on a persistent testbed. They are removed in the end."""

    def __init__(self, client: docker.DockerClient, printed: str) -> None:
        described = yaml.safe_load(printed)
        self._client = client
        self._environment = described["services"]["web"]["environment"]
        networks = described.get("networks")
        self._network = networks["conformance"]["name"] if networks else "host"
        self.names: list[str] = []

    def run(self, command: str | None = None, without: Collection[str] = (), **more: Any) -> str:
        """Start a container of the service's image, and return its name."""
        name = f"{secrets.token_hex(4)}-{len(self.names)}"
        kept = {key: value for key, value in self._environment.items() if key not in without}
        renamed = {f"KEPT_{key}": value for key, value in self._environment.items()}
        environment = {**kept, **renamed, **more.pop("environment", {})}
        shell = ["sh", "-c", f"exec {command}"] if command else None
        self.names.append(name)
        self._client.containers.run(
            SERVICE,
            shell,
            name=name,
            detach=True,
            network=self._network,
            environment=environment,
            **more,
        )
        return name

    def serve(self, command: str | None = None, **more: Any) -> tuple[str, str]:
        """Start the service: the URL at which it answers, and its container's name."""
        port = claim_port()
        inside = {"HOST": "0.0.0.0", "PORT": "8000"}  # noqa: S104 - inside of the container
        ports = {"ports": {"8000/tcp": ("127.0.0.1", port)}}
        if self._network == "host":
            inside, ports = {"HOST": "127.0.0.1", "PORT": str(port)}, {}
        name = self.run(command, environment=inside, **ports, **more)
        return wait_until_answering(f"http://127.0.0.1:{port}"), name

    def describe(self) -> list[tuple[str, str]]:
        """The status and the id of each container."""
        found = (self._client.containers.get(name) for name in self.names)
        return [(container.status, str(container.id)) for container in found]

    def remove_all(self) -> None:
        """Remove the containers."""
        for name in self.names:
            with suppress(docker.errors.NotFound):
                self._client.containers.get(name).remove(force=True, v=True)


@contextmanager
def somebody_with_a_testbed(
    place: Path, client: docker.DockerClient, *arguments: str
) -> Iterator[Somebody]:
    """Somebody on a persistent testbed, by default one in containers."""
    where = arguments or ("--services", "containers", *IMAGES)
    with run_testbed(place, "--format", "compose", *where) as testbed:
        somebody = Somebody(client, testbed.printed)
        try:
            yield somebody
        finally:
            somebody.remove_all()


@pytest.mark.parametrize("arguments", [(), ("--services", "embedded")], ids=["network", "host"])
def test_a_service_in_a_container_of_somebody_elses_is_robust(
    place: Path, client: docker.DockerClient, arguments: tuple[str, ...]
) -> None:
    with somebody_with_a_testbed(place, client, *arguments) as somebody:
        worker = somebody.run(f"python3 -m celery -A {WORKER} worker --concurrency 1")
        url, web = somebody.serve()
        before = somebody.describe()
        given = ("--target-url", url, "--container", web, "--worker-container", worker)
        finished = judge(place, *given)
        assert somebody.describe() == before
    not_applicable = ids_needing("source")
    assert finished.ids("FAIL") | finished.ids("ERROR") == set(), finished.output
    assert finished.ids("INCONCLUSIVE") == set(), finished.output
    assert finished.ids("NOT_APPLICABLE") == not_applicable
    assert finished.record[-1]["claim"] == "robust"
    assert not left(client)


OF_COPIES = tuple(sorted(ids_needing("copy")))
SERVE = "python3 -m uvicorn --host $HOST --port $PORT"
REFERENCE = "reference_impl.app:app"


@pytest.mark.parametrize(
    "name",
    [
        "startup_goes_on_without_a_database",
        "slow_startup_goes_on_in_the_background",
        "startup_waits_for_the_broker",
        "only_a_refused_login_is_503",
    ],
)
def test_a_copy_of_somebody_elses_container_shows_a_fault(
    place: Path, client: docker.DockerClient, name: str
) -> None:
    (service,) = (each for each in load_faulty_services() if each.name == name)
    with somebody_with_a_testbed(place, client) as somebody:
        url, web = somebody.serve(f"{SERVE} {service.target_app}")
        given = ("--target-url", url, "--container", web)
        finished = judge(place, *given, "--only", "LIFE-10", *OF_COPIES)
    assert finished.ids("FAIL") == set(service.fails), finished.output
    assert finished.ids("INCONCLUSIVE") == set(service.inconclusive), finished.output
    assert not left(client)


DATABASE, BROKER = ("DATABASE_URL",), tuple(sorted(BROKER_VARIABLES))
FROM_ELSEWHERE = " ".join(f"{name}=$KEPT_{name}" for name in (*DATABASE, *BROKER))


@pytest.mark.parametrize(
    ("command", "without", "reasons"),
    [
        (
            f"env {FROM_ELSEWHERE} {SERVE} {REFERENCE}",
            (*DATABASE, *BROKER),
            {
                "the container's environment must have DATABASE_URL, ": {"LIFE-6", "LIFE-7"},
                "the container's environment must have REDIS_URL or ": {
                    "CONC-9",
                    "TASK-10",
                    "TASK-17",
                },
            },
        ),
        (
            f"env {FROM_ELSEWHERE} {SERVE} {REFERENCE}",
            (),
            {
                "reads its rows wherever its DATABASE_URL leads": {"LIFE-6", "LIFE-7"},
                "queues its tasks wherever its REDIS_URL leads": {"CONC-9", "TASK-10", "TASK-17"},
            },
        ),
        (
            f"sh -c 'echo > /shared/lock && exec {SERVE} {REFERENCE}'",
            (),
            {"must become ready, and it does not: the process ended with status 2": {*OF_COPIES}},
        ),
    ],
    ids=["no variables", "variables without effect", "no second copy"],
)
def test_a_copy_that_shows_nothing_fails_nothing(
    place: Path,
    client: docker.DockerClient,
    command: str,
    without: tuple[str, ...],
    reasons: dict[str, set[str]],
) -> None:
    shared: Any = {str(place): {"bind": "/shared", "mode": "rw"}}
    with somebody_with_a_testbed(place, client) as somebody:
        url, web = somebody.serve(command, without=without, volumes=shared)
        given = ("--target-url", url, "--container", web)
        finished = judge(place, *given, "--only", "LIFE-10", *OF_COPIES)
    assert finished.ids("INCONCLUSIVE") == set(OF_COPIES), finished.output
    assert finished.ids("PASS") == {"LIFE-10"}, finished.output
    for reason, names in reasons.items():
        assert find_reasons(finished, names, reason) == names, finished.output
    assert "--target-image" in finished.output
    assert not left(client)


def find_reasons(finished: Finished, names: set[str], reason: str) -> set[str]:
    """Those of some requirements whose findings have this reason."""
    return {
        line["requirement"]
        for line in finished.record
        if line["type"] == "verdict"
        and line["requirement"] in names
        and reason in str(line["finding"])
    }


def test_sigkill_leaves_no_copy_of_somebody_elses_container(
    place: Path, client: docker.DockerClient
) -> None:
    with somebody_with_a_testbed(place, client, "--services", "embedded") as somebody:
        url, web = somebody.serve()
        before = somebody.describe()
        argv = command("--target-url", url, "--container", web, "--only", "LIFE-6")
        run = subprocess.Popen(argv, cwd=PROJECT, env=environment(place))
        wait_until_true(lambda: left(client) or run.poll() is not None)
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        wait_until_true(lambda: not left(client))
        assert somebody.describe() == before


def wait_until_true(condition: Callable[[], object]) -> None:
    """Wait for a condition, for PATIENCE at most."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_image_that_cannot_be_pulled(place: Path) -> None:
    image = "127.0.0.1:9/postgres:18"  # nothing listens there
    sentence = (
        rf"--postgres-image must be an image that is there or can be pulled; {image} cannot be: .*"
    )
    expect_usage(
        judge(place, "--services", "containers", "--postgres-image", image), sentence, place
    )
    finished = judge(place, "--services", "auto", "--postgres-image", image, "--only", "DB-1")
    assert finished.status == 0
    assert (
        "containers    none: --postgres-image must be an image that is there or can be pulled; "
        f"{image}" in finished.output
    )


def test_an_image_that_does_not_go_on_serving(place: Path, client: docker.DockerClient) -> None:
    sentence = (
        r"--target-image must be an image that goes on serving; the process ended with status 7"
        r" before it answered. Its last lines: no licence"
    )
    arguments = ("--target-image", SERVICE, "--target-command", "sh -c 'echo no licence; exit 7'")
    expect_usage(judge(place, *arguments, env=NEWEST), sentence, place)
    assert not left(client)


def test_a_container_that_is_not_there(place: Path) -> None:
    sentence = r"--container must be the name of a container that runs; there is no nobodys"
    expect_usage(
        judge(place, "--target-url", "http://127.0.0.1:9", "--container", "nobodys"),
        sentence,
        place,
    )


def test_sigkill_leaves_nothing_and_disturbs_no_other_run(
    place: Path, client: docker.DockerClient
) -> None:
    output = place / "output.txt"
    with output.open("wb") as file:
        argv = command("--target-image", SERVICE, "--worker-app", WORKER)
        run = subprocess.Popen(
            argv, cwd=PROJECT, env={**environment(place), **NEWEST}, stdout=file, stderr=file
        )
    deadline = time.monotonic() + PATIENCE
    while (
        ".." not in output.read_text("utf-8", "replace")
        and run.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    assert len(left(client)) >= 4  # two servers, the service, the network
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = judge(place, "--services", "containers", "--only", "DB", "TASK-5", env=NEWEST)
    assert finished.status == 0, finished.output
    assert not left(client)
