"""The run: options, testbed, target and verdicts of one run, from opening to closing. It reads like a table of contents."""

import asyncio
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from conformance import __version__
from conformance.client.http import Client
from conformance.config.known_failures import Known
from conformance.config.options import Options
from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, Violation, WrongUsage
from conformance.core.evidence import Exchange, Fact, Journal, Observation
from conformance.core.observations import RouteList
from conformance.core.polling import Pauses
from conformance.judging.claim import claim
from conformance.judging.verdict import (
    Outcome,
    Status,
    Verdict,
    excused,
    exit_status,
    judge,
    with_known,
    wrong_entries,
)
from conformance.report import record_reader, views
from conformance.report.record import Record
from conformance.report.terminal import Summary
from conformance.scenarios import lifecycle
from conformance.scenarios.stateful import is_program
from conformance.spec.catalogue import Language, Requirement
from conformance.target import routes
from conformance.target.external import control, worker_control
from conformance.target.server import (
    Health,
    Launch,
    NotReady,
    Target,
    is_no_application,
    why_it_did_not_start,
)
from conformance.target.worker import Worker
from conformance.testbed import postgres_admin, redis_admin
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.embedded import explain_no_space
from conformance.testbed.guard import Guard, make_guarded_folder
from conformance.testbed.postgres_admin import DatabaseAccess
from conformance.testbed.process_output import take_last_lines
from conformance.testbed.process_table import find_processes_started_with, kill_processes
from conformance.testbed.processes import Running
from conformance.testbed.redis_admin import BrokerAccess
from conformance.testbed.services import Services
from conformance.testbed.testbed_state import TestbedState, find_testbed
from conformance.testbed.upstream import Upstream

T = TypeVar("T", bound=lifecycle.Life)
READINESS = "LIFE-10"
OUTLIVING_FAULTS = "END-5"
INSIDE = Path(__file__).parents[1] / "injected" / "sitecustomize.py"
RESTARTS = 5  # after deaths of its own
LIVES_AT_ONCE = 2  # more would slow the probes
LONGEST_CURL = 400  # characters of a command that a person pastes

# What to pass so that a channel can be seen.
REMEDIES = {
    "postgres": "--testbed FILE of a `conformance testbed`, or --database-url with an administrator's URL of the target's own database",
    "redis": "--testbed FILE of a `conformance testbed`, or --redis-url with an administrator's URL of the target's own Redis database",
    "upstream": "--testbed FILE of a `conformance testbed`, or --upstream-port PORT, and start the target with "
    "EXTERNAL_DATA_URL=http://127.0.0.1:PORT/posts?userId=1&tag=a%20b&tag=c",
    "process": "--container NAME or --restart-command CMD, so that the suite may stop the service and start it again",
    "copy": "--target-app, --target-command or --target-image in place of --target-url, so that the suite starts copies on other settings",
    "worker": "--worker-app MODULE:ATTR, --worker-command CMD or --worker-container NAME",
    "source": "--target-app in place of --target-url, --target-command or --target-image, where it is a FastAPI application",
}


class Run:
    """One run. `begin` opens it in the background, `opened` waits for that, `close` leaves nothing behind."""

    def __init__(self, options: Options, catalogue: dict[str, Requirement], today: date) -> None:
        self.options = options
        self.catalogue = catalogue
        self.today = today  # by which known failures expire
        self.selected = (
            [catalogue[name] for name in options.only] if options.only else list(catalogue.values())
        )
        self.record = Record(options.record)
        if options.html:
            views.reserve("html", options.html)
        self.journal = Journal(self._saw)
        self.described: dict[str, str] = {}  # the services
        self.database: Database | None = None
        self.queue: Broker | None = None
        self.upstream: Upstream | None = None
        self.standing: TestbedState | None = (
            None  # the testbed that somebody has left standing for the target
        )
        self.collected: dict[str, list[str]] = {requirement.id: [] for requirement in self.selected}
        self.outcomes: list[Outcome] = []
        self.timings: dict[str, float] = {}
        self.failure: Violation | BrokenTestbed | None = None  # why no probe can run
        self.deaths: list[Violation] = []
        self.submissions: dict[str, list[Exchange]] = {}  # by the task id that was answered
        self._cleanup = ExitStack()
        self._guard: Guard | None = None
        self._closing = threading.Event()
        self._processes: list[Running] = []
        self._pool = ThreadPoolExecutor(max_workers=6, thread_name_prefix="testbed")
        self._copies = ThreadPoolExecutor(max_workers=LIVES_AT_ONCE, thread_name_prefix="life")
        self._lives: dict[type[lifecycle.Life], Future[lifecycle.Life]] = {}
        self._urls: set[str] = set()  # of the target, which may be started anew; not of its copies
        self._disturbed: Health | None = None  # how the target was before a probe that disturbed it
        self._began = time.monotonic()
        self._opening: Future[None] | None = None

    # Opening

    def begin(self) -> None:
        """Make the run's folder, and start everything else in the background. Raises WrongUsage."""
        self._open_folder()
        if self.options.target_url:
            self.standing = find_testbed(self.options.testbed_settings)
        if self.standing:
            self._cleanup.enter_context(self.standing.leased())
        self.services = Services(
            self.options.testbed_settings,
            self.folder,
            self.journal,
            self._cleanup,
            network=bool(self.options.target_image),
        )
        self.described = self.services.described
        self._opening = self._pool.submit(self._open)

    def opened(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until the target answers; `check` may raise meanwhile. Raises WrongUsage; another failure becomes verdicts."""
        assert self._opening
        while not wait([self._opening], timeout=0.05).done:
            check()
        try:
            self._opening.result()
        except (Violation, BrokenTestbed) as failure:
            self.failure = failure
        self._write_header()

    def _open(self) -> None:
        try:
            self.services.prepare()
            boot = [
                self._pool.submit(work)
                for work in (self._open_postgres, self._open_redis, self._open_upstream)
            ]
            for part in boot:
                part.result()
            self._took("boot")
            for step in (self._open_target, self._begin_lives):
                if self._closing.is_set():
                    return
                step()
            self._took("ready")
        except OSError as error:
            raise BrokenTestbed(f"the testbed could not be opened: {error}") from error

    def _open_folder(self) -> None:
        place = Path(tempfile.gettempdir())
        try:
            self.folder, self._guard = make_guarded_folder()
            self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.folder.chmod(0o711)  # the embedded servers may run as another user
            for name in ("start", "tmp"):
                (self.folder / name).mkdir()
            if (
                self.options.html and not self.options.record
            ):  # a file without a name, so that nothing of it can be left
                unnamed = tempfile.TemporaryFile(  # noqa: SIM115 - Record closes it
                    "w+", dir=self.folder, encoding="utf-8"
                )
                self.record = Record(None, unnamed)
            shutil.copy(INSIDE, self.folder / "start")
        except OSError as error:
            raise explain_no_space(place, error) from error

    @property
    def _scratch(self) -> str:
        """The temporary folder of all that is started as a target, by which they are known too."""
        return str(self.folder / "tmp")

    def _open_postgres(self) -> None:
        if not self.options.target_url:
            self.services.open_postgres()
            self.database = Database(self.services.make_database(), self.journal)
        elif place := self.standing.postgres if self.standing else self._adopted():
            database = self.database = Database(place, self.journal)
            self._cleanup.callback(lambda: asyncio.run(database.rows.delete_inserted()))
            self.described["postgres"] = (
                asyncio.run(postgres_admin.read_version(place.admin_url)) + self._of_whom
            )

    def _adopted(self) -> DatabaseAccess | None:
        url = self.options.database_url
        return asyncio.run(postgres_admin.adopt_database(url)) if url else None

    def _open_redis(self) -> None:
        place = self._place_in_redis()
        if place is None:
            return
        if self.options.target_url:
            self.described["redis"] = redis_admin.read_version(place.admin_url) + self._of_whom
        if self.options.target_url or self.options.redis_url:
            self._cleanup.callback(
                lambda: (
                    redis_admin.remove_tasks(place, set(self.submissions))
                    if self.options.target_url
                    else redis_admin.drop_user(place)
                )
            )
        self.queue = Broker(place, self.journal, shared=bool(self.options.target_url))

    def _place_in_redis(self) -> BrokerAccess | None:
        url = self.options.redis_url
        if not self.options.target_url:
            self.services.open_redis()
            return redis_admin.create_user(self.services.redis_url)
        if self.standing:
            return self.standing.redis
        if url:
            redis_admin.check_rights(url, empty=False)
        return BrokerAccess(url, None, None) if url else None

    @property
    def _of_whom(self) -> str:
        return f" (testbed of process {self.standing.pid})" if self.standing else " (given)"

    def _open_upstream(self) -> None:
        port = self.standing.upstream_port if self.standing else self.options.upstream_port
        if self.options.target_url and not port:
            return
        upstream = Upstream(
            self.journal,
            port,
            self.standing.addresses if self.standing else self.services.addresses,
        )
        try:
            upstream.start()
        finally:
            self._cleanup.callback(upstream.stop)
        self.upstream = upstream
        self.described["upstream"] = f"stub at {upstream.url}"

    def _open_target(self) -> None:
        self.launch = Launch(
            self.options,
            self._variables(),
            self.folder / "start",
            self.journal,
            self._started,
            engine=self.services.engine,
            control=control(self.options, self.journal),
            worker_control=worker_control(self.options, self.journal),
            addresses=self.services.addresses,
        )
        for each in (self.launch.control, self.launch.worker_control):
            if each:
                self._cleanup.callback(each.close)
        self.worker = Worker(self.launch)
        self.target = self._start_target()
        self.client = Client(self.target.url, self.journal)
        try:
            first_status = self.target.ready()
        except NotReady as failure:
            mistake = None if self._closing.is_set() else why_it_did_not_start(self.launch, failure)
            raise mistake or failure from None
        self.upstream_requests_at_ready = len(self.upstream.requests) if self.upstream else 0
        if self.standing:
            self._check_standing()
        if first_status >= 500 and (mistake := is_no_application(self.launch)):
            raise mistake

    def _check_standing(self) -> None:
        """See that the service stands on the testbed: one that answers well and reaches nothing of it stands elsewhere. Raises WrongUsage."""
        assert self.upstream
        assert self.standing
        health = self.target.health(("GET", "/external-data", None))
        reached = (
            bool(self.upstream.requests),
            asyncio.run(postgres_admin.has_sessions(self.standing.postgres)),
            redis_admin.has_connections(self.standing.redis),
        )
        if health.is_well and not any(reached):
            raise WrongUsage(
                f"the service at {self.target.url} answers, and reaches neither Postgres, nor Redis, nor the upstream of the testbed of "
                f"process {self.standing.pid}: start it with the environment that this has printed, or say --testbed none"
            )

    def _start_target(self) -> Target:
        if not self.options.target_url:
            target = Target.start(self.launch)
        elif hasattr(self, "target"):
            target = Target.again(self.launch)
        else:
            target = Target.existing(self.launch)
        self._urls.add(target.url)
        return target

    def _variables(self) -> dict[str, str]:
        """The variables of the contract that do not differ between copies of the target."""
        variables = {"TMPDIR": self._scratch}
        if self.database:
            variables["DATABASE_URL"] = (
                self.database.access.target_dsn or self.database.access.admin_url
            )
        if self.queue:
            url = self.queue.access.target_dsn or self.queue.access.admin_url
            variables |= dict.fromkeys(
                ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"), url
            )
        if self.upstream:
            variables["EXTERNAL_DATA_URL"] = self.upstream.url
        return variables

    def _begin_lives(self) -> None:
        """Let further copies of the target live in the background, those that a selected requirement looks at."""
        if self.options.target_url:
            return
        wanted = {requirement.id for requirement in self.selected}
        needed = [kind for kind in lifecycle.LIVES if kind.looked_at_by & wanted]
        if self._has_source and any(
            "source" in requirement.channels for requirement in self.selected
        ):
            self._source = self._copies.submit(routes.read, self.launch, Path(self._scratch))
        if not needed:
            return
        shared = self.services.make_database()  # for those that do not look at their database
        for kind in needed:
            self._lives[kind] = self._copies.submit(self._live, kind, shared)

    def _live(self, kind: type[lifecycle.Life], shared: DatabaseAccess) -> lifecycle.Life:
        place = shared
        if kind in (lifecycle.StoppedLife, lifecycle.RestartedLife):
            place = self.services.make_database(may_write=kind is lifecycle.StoppedLife)
        return asyncio.run(lifecycle.LIVES[kind](self.launch, place))

    def _started(self, process: Running) -> None:
        self._processes.append(process)
        if self._closing.is_set():
            process.kill()

    # Probing

    def prepare(self, requirement: Requirement, worker: str | None, *, disturbs: bool) -> None:
        """Make ready for a probe: everything that it needs is there, or it is said why not."""
        self._mend()
        if isinstance(self.failure, Violation):
            if requirement.id == READINESS:
                raise self.failure
            raise NoEvidence(f"the service did not become ready ({READINESS}): {self.failure.got}")
        if self.failure:
            raise self.failure
        self._check_channels(requirement)
        self.client.begin_probe(requirement.id)
        self.worker.begin_probe(requirement.id)
        if (worker or disturbs) and (killed := self._lives.get(lifecycle.KilledLife)):
            killed.exception()  # it submits a task while no worker runs
        if worker == "running":
            self.worker.start()
        elif worker == "stopped":
            self.worker.stop()
        self._revive(requirement)  # last, for the target may have ended meanwhile
        if disturbs and self.target.is_ours:
            self._disturbed = self.target.health()

    def start_worker_ahead(self) -> None:
        """Start the worker before it is needed, where there is one; what goes wrong is told when it is needed."""
        if self.options.has_worker and not self.failure:
            with suppress(NoEvidence):
                self.worker.start()

    def _check_channels(self, requirement: Requirement) -> None:
        there = {
            "http": True,
            "postgres": self.database is not None,
            "redis": self.queue is not None,
            "upstream": self.upstream is not None,
            "process": self.target.is_ours,
            "copy": not self.options.target_url,
            "worker": self.options.has_worker,
            "source": self._has_source,
        }
        missing = [REMEDIES[channel] for channel in requirement.channels if not there[channel]]
        if missing:
            raise NoEvidence("pass " + "; and ".join(missing))

    @property
    def _has_source(self) -> bool:
        """Whether the target's application can be looked at by its own interpreter."""
        return self.options.target_app is not None and self.options.target_image is None

    def blame(self, requirement: Requirement, violation: Violation) -> Violation | NoEvidence:
        """What a violation comes to: nothing, where the target died under a probe that is not about that."""
        silent = [
            fact for fact in violation.evidence if isinstance(fact, Exchange) and fact.hung_up
        ]
        if not silent or not self.target.is_ours or requirement.id in (READINESS, OUTLIVING_FAULTS):
            return violation
        if self.target.process.wait_for_end(timeouts.DEATH_DEADLINE) is None:
            return violation
        return NoEvidence(
            f"the target died while it was looked at ({READINESS}): {silent[0].summary}"
        )

    def _revive(self, requirement: Requirement) -> None:
        """Start the target again where it has died by itself, so that the rest can be judged."""
        if self.target.is_ours and self.target.is_ending():
            self.target.process.wait_for_end(timeouts.DEATH_DEADLINE)
        if self.target.alive:
            return
        process = self.target.process
        lines = take_last_lines(process.read_output(), 4)
        event = self.journal.observe(
            "death", f"the process ended by itself with status {process.status}"
        )
        death = Violation(
            "the process to go on answering until it is asked to stop", event.text, (event, *lines)
        )
        self.deaths.append(death)
        if len(self.deaths) > RESTARTS:
            self.failure = death
            raise (
                death
                if requirement.id == READINESS
                else NoEvidence(
                    f"the target died {len(self.deaths)} times and is not started again"
                )
            )
        if failure := self._restart():
            again = NoEvidence(f"the target died and does not start again: {failure.got}")
            raise (failure if requirement.id == READINESS else again)

    def _restart(self) -> NotReady | None:
        """Start the target anew; why it does not become ready, which ends the run's probing, or None."""
        self.target = self._start_target()
        self.client.turn_to(self.target.url)
        try:
            self.target.ready()
        except NotReady as failure:
            self.failure = failure
            return failure
        return None

    def _mend(self) -> None:
        """After a probe that disturbed the target, see that it is as it was; where it is not, start it anew for the rest."""
        before, self._disturbed = self._disturbed, None
        if before is None or not self.target.alive:
            return
        deadline = time.monotonic() + timeouts.HEAL_DEADLINE
        pauses = Pauses()
        while (now := self.target.health()) != before:
            if now.is_mute or time.monotonic() > deadline:
                self.journal.observe(
                    "mend",
                    f"the service did not become as it was ({before.summary}; now {now.summary}), and is started anew",
                )
                self.start_anew()
                return
            time.sleep(pauses.next)

    def start_anew(self) -> None:
        """Kill the target and start it again, for what is to be looked at on a fresh one."""
        self.target.kill()
        self._restart()

    async def life(self, kind: type[T]) -> T:
        """Wait for a life that was begun in the background, or live it now where there is one target. Raises NoEvidence where it never began."""
        if self.launch.control and kind not in self._lives:
            self._lives[kind] = await self._lived_now(kind)
        life = await asyncio.wrap_future(self._lives[kind])
        assert isinstance(life, kind)
        if life.failure:
            raise lifecycle.never_began(life.failure)
        return life

    async def _lived_now(self, kind: type[lifecycle.Life]) -> Future[lifecycle.Life]:
        """Let the target itself live, which somebody else has started, and start it again whatever became of that."""
        assert self.database
        lived: Future[lifecycle.Life] = Future()
        try:
            lived.set_result(await lifecycle.LIVES[kind](self.launch, self.database.access))
        except (NoEvidence, BrokenTestbed) as nothing:
            lived.set_exception(nothing)
        finally:
            await asyncio.to_thread(self._restart)
        return lived

    async def routes(self) -> RouteList:
        """The application's routes, as they stand in its source. Raises NoEvidence where they cannot be read."""
        return await asyncio.wrap_future(self._source)

    async def check_lives(self) -> None:
        """Raise the failure of a copy that did not start, though it had a port and all the services that it needs."""
        for future in self._lives.values():
            if failure := (await asyncio.wrap_future(future)).failure:
                raise failure

    # Judging

    def verdicts(self) -> list[Verdict]:
        """The verdict on each selected requirement, whatever happened."""
        judged = [
            judge(requirement, self.collected[requirement.id], self.outcomes)
            for requirement in self.selected
        ]
        return with_known(judged, self.options.known_failures, self.today)

    def known(self, requirement: Requirement) -> Known | None:
        """The entry by which the failure of a requirement does not count, as far as its probes have run."""
        listed = next(
            (known for known in self.options.known_failures if known.id == requirement.id), None
        )
        failed = (
            outcome
            for outcome in self.outcomes
            if outcome.requirement == requirement.id and outcome.status is Status.FAIL
        )
        first = next(failed, None)
        return listed if first and excused(listed, first.finding, self.today) else None

    def summary(self) -> Summary:
        """All that a report says."""
        verdicts = self.verdicts()
        level = self.options.level
        wrong = list(wrong_entries(verdicts, self.options.known_failures, self.today))
        return Summary(
            target=self.options.title,
            url=getattr(getattr(self, "target", None), "url", None),
            services=self.described,
            seed=self.options.seed,
            level=level,
            verdicts=[self._with_reproduction(verdict) for verdict in verdicts],
            sentence=claim(verdicts, self.catalogue).sentence,
            wrong=wrong,
            status=exit_status(
                verdicts, level, allow_inconclusive=self.options.allow_inconclusive, wrong=wrong
            ),
            seconds=time.monotonic() - self._began,
            timings=self.timings,
        )

    def _with_reproduction(self, verdict: Verdict) -> Verdict:
        if verdict.finding is None or verdict.status is Status.INCONCLUSIVE:
            return verdict
        exchanges = [fact for fact in verdict.finding.evidence if isinstance(fact, Exchange)]
        curl = tuple(
            exchange.curl
            for exchange in exchanges[:1]
            if exchange.url in self._urls and len(exchange.curl) <= LONGEST_CURL
        )
        curl = curl if len(exchanges) == 1 else ()
        programs = [
            fact.text
            for fact in verdict.finding.evidence
            if isinstance(fact, Observation) and is_program(fact)
        ]
        reproduce = (
            self.options.reproduce(verdict.requirement.id, *programs[:1]),
            *(() if programs else curl),
        )
        return replace(verdict, finding=replace(verdict.finding, reproduce=reproduce))

    # Recording

    def _write_header(self) -> None:
        self.record.header(
            suite=__version__,
            began=datetime.now(UTC),
            target=self.options.title,
            url=getattr(getattr(self, "target", None), "url", None),
            services=self.described,
            seed=self.options.seed,
            level=self.options.level,
            requirements=[requirement.id for requirement in self.selected],
        )

    def _saw(self, fact: Fact) -> None:
        self.record.fact(fact)
        if isinstance(fact, Exchange) and fact.method == "POST" and fact.status in range(200, 300):
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                self.submissions.setdefault(str(json.loads(fact.body)["task_id"]), []).append(fact)

    def write_result(self, summary: Summary) -> None:
        """Write the verdicts and the footer of the record."""
        for verdict in summary.verdicts:
            self.record.verdict(verdict)
        self.record.footer(
            claim(summary.verdicts, self.catalogue),
            summary.wrong,
            summary.status,
            summary.seconds,
            summary.timings,
        )

    def write_page(self) -> str | None:
        """Write the page, whole or as far as the run came; a line that says what came of it."""
        file = self.options.html
        if not file:
            return None
        try:
            views.write(
                [record_reader.parsed(self.options.record or file, self.record.text())],
                {"html": str(file)},
                Language.EN,
            )
        except (OSError, WrongUsage) as error:
            return f"the page of this run could not be written: {error}"
        return f"the page of this run is {file}"

    def _took(self, what: str) -> None:
        self.timings[what] = time.monotonic() - self._began - sum(self.timings.values())

    # Closing

    def close(self) -> None:
        """End every process, and remove every folder, role, user, row and key of the run."""
        if self._closing.is_set():
            return
        self._closing.set()
        began = time.monotonic()
        for process in list(self._processes):
            self._attempt(process.kill)
        if self._opening:
            wait([self._opening], timeout=timeouts.BOOT_DEADLINE)
        for pool in (self._pool, self._copies):
            pool.shutdown(wait=True, cancel_futures=True)
        kill_processes(find_processes_started_with(self._scratch))
        self._attempt(self._leave_running)
        self._attempt(self._cleanup.close)
        if self._guard:
            self._guard.dismiss()
        self.timings["stop"] = time.monotonic() - began

    def _leave_running(self) -> None:
        """See that a service that somebody else has started runs on after us."""
        target: Target | None = getattr(self, "target", None)
        if target and self.options.target_url and target.is_ours and not target.alive:
            with suppress(NoEvidence):
                Target.again(self.launch)
        if target and self.options.worker_container:
            with suppress(NoEvidence):
                self.worker.start()

    def _attempt(self, work: Callable[[], object]) -> None:
        """Clean up as far as can be; what cannot makes the run an ERROR."""
        try:
            work()
        except (BrokenTestbed, OSError) as error:
            self.outcomes += [
                Outcome(name, f"cleaning up: {error}", Status.ERROR) for name in self.collected
            ]
