"""Containers: the same verdicts as on embedded servers, targets in containers, nothing left.

They run where a Docker daemon has the images that `.ci/engine` makes. Where none has, they are
skipped, with the reason. With CONTAINERS=required, that is a failure.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
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


def test_a_service_in_a_container_of_somebody_elses(
    place: Path, client: docker.DockerClient
) -> None:
    with run_testbed(place, "--services", "containers", "--format", "compose", *IMAGES) as testbed:
        printed = yaml.safe_load(testbed.printed)
        network = printed["networks"]["conformance"]["name"]
        port = claim_port()
        names = [f"web-{port}", f"worker-{port}"]
        inside = printed["services"]["web"]["environment"]
        more: Any = {"detach": True, "network": network, "environment": inside}
        celery = ["python3", "-m", "celery", "-A", WORKER, "worker", "--concurrency", "1"]
        try:
            client.containers.run(SERVICE, celery, name=names[1], **more)
            more["environment"] = {**inside, "HOST": "0.0.0.0", "PORT": "8000"}  # noqa: S104 - inside of the container
            client.containers.run(
                SERVICE, name=names[0], ports={"8000/tcp": ("127.0.0.1", port)}, **more
            )
            url = wait_until_answering(f"http://127.0.0.1:{port}")
            finished = judge(
                place, "--target-url", url, "--container", names[0], "--worker-container", names[1]
            )
            assert {client.containers.get(name).status for name in names} == {"running"}
        finally:
            for name in names:
                with suppress(docker.errors.NotFound):
                    client.containers.get(name).remove(force=True)
    assert finished.ids("FAIL") | finished.ids("ERROR") == set(), finished.output
    assert finished.ids("INCONCLUSIVE") == ids_needing("copy"), finished.output
    assert finished.record[-1]["claim"] == "core"
    assert not left(client)


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
