"""Wrong usage, end to end: one sentence, exit status 4, and nothing left behind."""

import asyncio
import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import redis

from conformance.config.paths import PROJECT
from conformance.core.errors import WrongUsage
from conformance.selftest.support.suite import (
    SERVICES,
    environment,
    expect_usage,
    judge,
    servers,
)
from conformance.testbed.embedded import explain_no_space

pytestmark = pytest.mark.thorough


@dataclass(frozen=True)
class Mistake:
    """Arguments that cannot be, and the sentence that they get."""

    name: str
    arguments: tuple[str, ...]
    sentence: str


MISTAKES = [
    Mistake(
        "an app that does not import",
        ("--target-app", "nowhere.at_all:app"),
        r"--target-app must be MODULE:ATTR of an ASGI application, looked up in \S+; "
        r"nowhere.at_all does not import: ModuleNotFoundError: No module named 'nowhere'",
    ),
    Mistake(
        "an attribute that is not there",
        ("--target-app", f"{SERVICES}:nothing"),
        r"--target-app .*; \S+ has no attribute nothing",
    ),
    Mistake(
        "an attribute that is a number",
        ("--target-app", f"{SERVICES}:number"),
        r"--target-app .* is not an ASGI application: int",
    ),
    Mistake(
        "a function that is no app",
        ("--target-app", f"{SERVICES}:plain"),
        r"--target-app .* is not an ASGI application: function",
    ),
    Mistake(
        "a command that dies at once",
        ("--target-command", "sh -c 'echo hello; echo no licence >&2; exit 7'"),
        r"--target-command must be a command that goes on serving; "
        r"the process ended with status 7 before it answered. "
        r"Its last lines: (hello / no licence|no licence / hello)",
    ),
    Mistake(
        "a command that is not there",
        ("--target-command", "/no/such/thing"),
        r"--target-command must be a command that can be run; "
        r"/no/such/thing cannot be started: No such file or directory",
    ),
    Mistake(
        "an interpreter that is not there",
        ("--target-app", f"{SERVICES}:number", "--target-python", "/no/python"),
        r"--target-python must be an interpreter; "
        r"/no/python cannot be started: No such file or directory",
    ),
    Mistake(
        "a URL that refuses",
        ("--target-url", "http://127.0.0.1:9"),
        r"--target-url must be the URL of a service that answers; nothing listens at \S+",
    ),
    Mistake(
        "an id that is none",
        ("--only", "DB-99", "CONC-1"),
        r"--only must be an id or a section; there is no 'DB-99'. .*",
    ),
    Mistake(
        "a database that is away",
        ("--database-url", "postgresql://me:secret@127.0.0.1:9/x"),
        r"--database-url must be the URL of a Postgres server that answers; "
        r"postgresql://me@127.0.0.1:9/x does not answer: .*",
    ),
    Mistake(
        "a Redis that is away",
        ("--redis-url", "redis://127.0.0.1:9/0"),
        r"--redis-url must be the URL of a Redis server that answers; .* does not: .*",
    ),
    Mistake(
        "a record that cannot be",
        ("--record", "/proc/record.jsonl"),
        r"--record must be a file that can be written; /proc/record.jsonl cannot: .*",
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_a_mistake_gets_one_sentence(place: Path, mistake: Mistake) -> None:
    expect_usage(judge(place, *mistake.arguments), mistake.sentence, place)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("-k", "absent"), "-k"),
        (("-m", "late"), "-m"),
        (("--deselect", "conformance/probes/test_3_database.py"), "--deselect"),
        (("--ignore-glob", "*database*"), "--ignore-glob"),
        (("-x",), "--maxfail"),
        (("--sw",), "--stepwise"),
        (("-p", "xdist.plugin", "-n", "2"), "-n"),
        (
            ("conformance/probes/test_3_database.py::test_absent",),
            "conformance/probes/test_3_database.py::test_absent",
        ),
    ],
)
def test_what_leaves_probes_out_is_refused(place: Path, words: tuple[str, ...], named: str) -> None:
    sentence = (
        "a requirement is judged by all of its probes or not at all; "
        f"use `conformance run --only ID`, not {re.escape(named)}"
    )
    expect_usage(judge(place, *words), sentence, place)


def test_what_is_collected_next_to_the_probes_is_reported_as_deselected(place: Path) -> None:
    words = ["conformance/probes", "--conformance-only=DEP-1"]
    (place / "counting.py").write_text(
        "import pytest\n"
        "class Other(pytest.Item):\n"
        "    def runtest(self): ...\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_collection_modifyitems(session, items):\n"
        "    items.append(Other.from_parent(session, name='other'))\n"
        "    return (yield)\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "counting", *words],
        cwd=PROJECT,
        env={**environment(place), "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 deselected" in done.stdout


NO_DAEMON = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def test_containers_without_a_daemon(place: Path) -> None:
    sentence = (
        r"containers need a Docker daemon that answers; none listens at unix:///nowhere/docker.sock"
    )
    expect_usage(judge(place, "--services", "containers", env=NO_DAEMON), sentence, place)


def test_containers_of_another_machine(place: Path) -> None:
    sentence = (
        r"containers need a Docker daemon on this machine, since their ports are published on "
        r"127.0.0.1; it is at tcp://127.0.0.1:9"
    )
    expect_usage(
        judge(place, "--services", "containers", env={"DOCKER_HOST": "tcp://127.0.0.1:9"}),
        sentence,
        place,
    )


def test_auto_goes_on_with_embedded_servers_and_says_why(place: Path) -> None:
    finished = judge(place, "--services", "auto", "--only", "DB-1", env=NO_DAEMON)
    assert finished.status == 0, finished.output
    assert (
        "containers    none: containers need a Docker daemon that answers; "
        "none listens at unix:///nowhere/docker.sock" in finished.output
    )
    assert "(embedded)" in finished.output


def test_a_socket_that_this_user_may_not_use() -> None:
    from conformance.testbed.containers import explain_refusal  # noqa: PLC0415 - it takes half a second

    where = "unix:///var/run/docker.sock"
    assert (
        explain_refusal(where, PermissionError(errno.EACCES, "Permission denied"))
        == f"this user may not use {where}: join the group that owns it"
    )


def test_an_upstream_port_that_is_taken(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        sentence = rf"--upstream-port must be a free port; {port} is taken \(.*\)"
        expect_usage(judge(place, "--upstream-port", port), sentence, place)


def test_a_port_of_the_targets_that_is_taken(place: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = f"{sys.executable} -m uvicorn reference_impl.app:app --port {port}"
        finished = judge(place, "--target-command", command)
    expect_usage(
        finished,
        r"--target-command must be a command that goes on serving; .*address already in use.*",
        place,
    )


@pytest.fixture(scope="module")
def given(shared_place: Path) -> Iterator[tuple[str, str]]:
    with servers(shared_place) as urls:
        yield urls


def test_a_database_role_that_lacks_rights(place: Path, given: tuple[str, str]) -> None:
    async def make() -> None:
        connection = await asyncpg.connect(given[0])
        await connection.execute("CREATE ROLE humble LOGIN PASSWORD 'humble' CREATEDB")
        await connection.close()

    asyncio.run(make())
    url = re.sub(r"//[^@]+@", "//humble:humble@", given[0])
    sentence = (
        r"the role of --database-url must have the rights to make a database and a role; "
        r"humble lacks CREATEROLE: ALTER ROLE humble CREATEROLE"
    )
    expect_usage(judge(place, "--database-url", url), sentence, place)


def test_a_database_password_that_is_wrong(place: Path, given: tuple[str, str]) -> None:
    url = re.sub(r":[^:@]+@", ":wrong@", given[0])
    sentence = (
        r"--database-url must be the URL of a Postgres server that answers; "
        r'\S+ does not answer: password authentication failed for user "postgres"'
    )
    expect_usage(judge(place, "--database-url", url), sentence, place)


def test_a_redis_user_that_lacks_rights(place: Path, given: tuple[str, str]) -> None:
    with redis.Redis.from_url(given[1]) as client:
        client.execute_command(
            "ACL", "SETUSER", "humble", "on", ">humble", "~*", "+@all", "-@admin"
        )
    url = re.sub(r"//[^@]+@", "//humble:humble@", given[1]).replace("/0", "/5")
    sentence = (
        r"the user of --redis-url must have the rights to make a user for the target "
        r"\(ACL SETUSER\) and to read every key: .*"
    )
    expect_usage(judge(place, "--redis-url", url), sentence, place)


def test_a_redis_database_that_is_not_empty(place: Path, given: tuple[str, str]) -> None:
    url = given[1].replace("/0", "/6")
    with redis.Redis.from_url(url) as client:
        client.set("precious", "1")
        sentence = (
            r"the logical database of --redis-url must be empty, so that no data of yours is "
            r"touched; \S+ holds 1 keys"
        )
        expect_usage(judge(place, "--redis-url", url), sentence, place)
        assert client.get("precious") == b"1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_is_full_or_read_only_is_the_callers_to_mend(number: int, place: Path) -> None:
    error = explain_no_space(place, OSError(number, ""))
    assert isinstance(error, WrongUsage)
    assert str(error).endswith("set TMPDIR to another folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's embedded Postgres runs as somebody else")
def test_a_temporary_folder_that_nobody_can_enter(place: Path) -> None:
    (place / "scratch").mkdir(0o700)
    place.chmod(0o700)
    sentence = (
        r"the embedded Postgres runs not as root but as nobody, who cannot enter \S+; "
        r"set TMPDIR to a folder that everybody can enter, such as /tmp"
    )
    expect_usage(judge(place), sentence, place)
