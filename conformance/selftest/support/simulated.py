"""A service in memory with its database, broker and upstream, for unit tests of the scenario."""

import json
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from conformance.core.errors import Violation
from conformance.core.evidence import Exchange, Journal
from conformance.scenarios.stateful import COLUMN, ProgramRun
from conformance.testbed.upstream_hold import HoldMode
from conformance.testbed.upstream_replies import Reply

Answer = tuple[int, Any]  # a status and the JSON value of a body
FIXED_ANSWERS: dict[str, Answer] = {
    "/sync": (200, {"message": "This is a synchronous endpoint"}),
    "/async": (200, {"message": "This is an asynchronous endpoint"}),
    "/items/?q=a": (200, {"q": "a"}),
    "/items/": (200, {"q": None}),
}


class Rows:
    """The rows of the table, as `DatabaseRows` offers them."""

    def __init__(self) -> None:
        self.stored: dict[int, dict[str, Any]] = {}
        self.added: dict[str, Any] = {}  # a column, and its value in every row
        self._last_id = 1000

    def pick_unused_id(self) -> int:
        """An id that no row has."""
        self._last_id += 1
        return self._last_id

    pick_small_id = pick_unused_id

    async def insert(self, **values: Any) -> dict[str, Any]:
        """Insert a row with these values."""
        self.stored[values["id"]] = {"quantity": 0} | values | self.added
        return dict(self.stored[values["id"]])

    async def update(self, item_id: int, **values: Any) -> dict[str, Any]:
        """Update a row. Returns it whole."""
        self.stored[item_id] = self.stored[item_id] | values
        return dict(self.stored[item_id])

    async def delete(self, item_id: int) -> None:
        """Delete a row. Raises KeyError if there is none."""
        del self.stored[item_id]

    def add_column(self, added: dict[str, Any]) -> None:
        """Add a column with this value to every row."""
        self.added = added
        self.stored = {item_id: row | added for item_id, row in self.stored.items()}

    def drop_column(self) -> None:
        """Take the column away again."""
        for row in self.stored.values():
            for name in self.added:
                del row[name]
        self.added = {}


class States:
    """The states of a database or a broker that last as long as a block."""

    def __init__(self, active: list[str], rows: Rows | None = None) -> None:
        self._active = active
        self._rows = rows

    def table_locked(self) -> Any:
        """Count as locked."""
        return self._activate("locked")

    def logins_refused(self) -> Any:
        """Count as refusing connections."""
        return self._activate("refusing")

    def writes_refused(self) -> Any:
        """Count as refusing submissions."""
        return self._activate("refusing writes")

    @asynccontextmanager
    async def column_added(self) -> AsyncIterator[None]:
        """Add a column to every row, and remove it again."""
        assert self._rows
        self._rows.add_column(COLUMN)
        async with self._activate("another column"):
            yield
        self._rows.drop_column()

    @asynccontextmanager
    async def _activate(self, name: str) -> AsyncIterator[None]:
        self._active.append(name)
        yield
        self._active.remove(name)


class Sessions:
    """The sessions of the target, as `DatabaseSessions` offers them."""

    async def terminate_sessions(self) -> None:
        """End no session, for there is none."""


class Items:
    """The table, as `Database` offers it."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.rows = Rows()
        self.locks = self.faults = States(self.active, self.rows)
        self.sessions = Sessions()


class Upstream:
    """The stub, as `Upstream` offers it."""

    def __init__(self) -> None:
        self.reply = Reply()
        self.active: list[str] = []

    @contextmanager
    def answering(self, reply: Reply) -> Iterator[None]:
        """Answer with this reply."""
        before, self.reply = self.reply, reply
        self.active.append("answering")
        yield
        self.active.remove("answering")
        self.reply = before

    @asynccontextmanager
    async def holding(self, mode: HoldMode) -> AsyncIterator[None]:
        """Count as holding requests."""
        self.active.append(mode.name)
        yield
        self.active.remove(mode.name)


class Queue:
    """The broker, as `Broker` offers it."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.faults = States(self.active)


class Service:
    """A service that answers right. Its subclasses in tests get one thing wrong."""

    def __init__(self) -> None:
        self.items, self.queue, self.upstream = Items(), Queue(), Upstream()
        self.journal = Journal()
        self.requests: list[str] = []
        self.further_reads = 0  # how many of the requests were made in a batch or in turn
        self.restarts: list[signal.Signals] = []

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        """The rows of the table by id."""
        return self.items.rows.stored

    @property
    def active(self) -> list[str]:
        """Every lock, hold and fault that is active."""
        return [*self.items.active, *self.queue.active, *self.upstream.active]

    def begin_program(self) -> ProgramRun:
        """Begin a program on this service, which stands in for the client, too."""
        service: Any = self
        items: Any = self.items
        queue: Any = self.queue
        upstream: Any = self.upstream
        return ProgramRun(service, service, items, queue, upstream, self.journal, self.restart)

    def restart(self, number: signal.Signals) -> Violation | None:
        """Note how the process ended. It starts again."""
        self.restarts.append(number)
        return None

    # What the service answers

    def _read_row(self, item_id: int) -> Answer:
        if "refusing" in self.items.active:
            return 503, {"detail": "the database is not available"}
        return 200, {"item": self.rows.get(item_id)}

    def _call_upstream(self) -> Answer:
        if self.upstream.reply.status != 200:
            return 502, {"detail": "the upstream failed"}
        return 200, json.loads(self.upstream.reply.body)

    def _take_submission(self) -> Answer:
        if self.queue.active:
            return 503, {"detail": "the task queue is not available"}
        return 200, {"message": "Task submitted", "task_id": "1"}

    def answer(self, path: str) -> Answer:
        """What the service answers to a request with this path."""
        if path == "/process-data/":
            return self._take_submission()
        if path == "/external-data":
            return self._call_upstream()
        return FIXED_ANSWERS.get(path) or self._read_row(int(path.removeprefix("/items/")))

    # As the client offers it

    def __call__(self, *paths: str) -> "list[Request]":
        """GET each path."""
        return [self.post(path, None) for path in paths]

    def post(self, path: str, _: Any) -> "Request":
        """Note a request."""
        self.requests.append(path)
        return Request(self, path)

    async def get_all(self, *paths: str) -> list[Exchange]:
        """GET each path, and wait for the answers."""
        return await self.get_in_turn(paths)

    async def get_in_turn(self, paths: Sequence[str]) -> list[Exchange]:
        """GET one path after the other."""
        self.further_reads += len(paths)
        return [await request.wait_for_answer() for request in self(*paths)]


class Request:
    """A request whose answer is decided when it is waited for, as of one that was held."""

    def __init__(self, service: Service, path: str) -> None:
        self._service = service
        self._path = path

    async def wait_for_answer(self) -> Exchange:
        """The answer that the service gives now."""
        status, body = self._service.answer(self._path)
        return make_exchange(self._path, status, json.dumps(body).encode(), self._service.journal)


def make_exchange(
    path: str, status: int | None, body: bytes, journal: Journal, **values: Any
) -> Exchange:
    """An exchange with this answer."""
    return journal.record(
        Exchange,
        method="GET",
        url="http://127.0.0.1:8000",
        target=path,
        sent=b"",
        sent_type=None,
        status=status,
        headers=(),
        body=body,
        ended=journal.now(),
        **{"failure": None, **values},
    )
