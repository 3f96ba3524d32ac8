"""Typed observations: what each channel can show, with a field for each figure.

The fields beyond `channel` and `text` are what a record keeps under `data`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from conformance.core.evidence import Observation

# What Postgres showed


@dataclass(frozen=True, kw_only=True)
class RowCheck(Observation):
    """What the table holds under an id."""

    channel: str = "row"
    row: Mapping[str, Any] | None  # by column; None if there is no such row


@dataclass(frozen=True, kw_only=True)
class TableSnapshot(Observation):
    """The rows with their physical versions, which every write and every row lock changes."""

    channel: str = "table"
    versions: Mapping[int, tuple[object, ...]]  # by id

    def is_same_as(self, other: "TableSnapshot") -> bool:
        """Whether no row was written or locked between the two."""
        return self.versions == other.versions


@dataclass(frozen=True, kw_only=True)
class LockCount(Observation):
    """How many reads wait for a lock of the suite's own."""

    channel: str = "lock"
    waiting: int


@dataclass(frozen=True, kw_only=True)
class SessionCount(Observation):
    """How many sessions the target's role has."""

    channel: str = "session"
    sessions: int


@dataclass(frozen=True, kw_only=True)
class SessionList(Observation):
    """Which sessions the target's role has, and the process ids of those idle in a transaction."""

    channel: str = "session"
    identities: tuple[str, ...]  # process id and start of each
    idle_in_transaction: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class EndedSessions(Observation):
    """How the target's sessions ended: how many without a Terminate message, and how many not."""

    channel: str = "session"
    abandoned: int
    open: int

    @property
    def all_disconnected(self) -> bool:
        """Whether each session was closed by a Terminate message."""
        return self.abandoned == 0 and self.open == 0


@dataclass(frozen=True, kw_only=True)
class TerminatedSessions(Observation):
    """How many sessions of the target the server has terminated."""

    channel: str = "fault"
    terminated: int


@dataclass(frozen=True, kw_only=True)
class SearchCoverage(Observation):
    """What the search of CONC-11 has tried."""

    channel: str = "search"
    programs: int
    steps: Mapping[str, int]  # how often each kind was taken
    asked: Mapping[str, Mapping[str, int]]  # by state, how often each question was asked in it
    combinations: tuple[tuple[str, ...], ...]  # of states, in which anything was asked


# What Redis showed

PENDING = "PENDING"
UNREADABLE = "UNREADABLE"  # a result that cannot be decoded
FINAL_STATES = ("SUCCESS", "FAILURE", "REVOKED", UNREADABLE)  # they do not change any more


@dataclass(frozen=True, kw_only=True)
class TaskLocation(Observation):
    """Where a task is at one moment."""

    channel: str = "whereabouts"
    waiting: bool  # in a list, so no worker has taken it
    kept: bool  # in a list or in another key, such as kombu's `unacked`
    done: bool  # its result is stored


@dataclass(frozen=True, kw_only=True)
class TaskResult(Observation):
    """The state of a task, as `celery.result.AsyncResult` has it, or UNREADABLE."""

    channel: str = "result"
    state: str

    @property
    def is_pending(self) -> bool:
        """Whether there is no result yet, or no such task."""
        return self.state == PENDING

    @property
    def is_success(self) -> bool:
        """Whether the task succeeded."""
        return self.state == "SUCCESS"

    @property
    def is_failure(self) -> bool:
        """Whether the task raised an exception."""
        return self.state == "FAILURE"


@dataclass(frozen=True, kw_only=True)
class ResultLifetime(Observation):
    """How long the result of a task is kept."""

    channel: str = "result"
    seconds: int  # -1: for ever; -2: there is no result


@dataclass(frozen=True, kw_only=True)
class RejectionCount(Observation):
    """How many times the broker has rejected the target's user so far."""

    channel: str = "broker"
    refusals: int


@dataclass(frozen=True, kw_only=True)
class WaitingWrites(Observation):
    """How many writes of the target wait for the stalled broker."""

    channel: str = "broker"
    waiting: int


@dataclass(frozen=True, kw_only=True)
class EndedConnections(Observation):
    """How many connections of the target the broker has ended."""

    channel: str = "fault"
    ended: int


# What the upstream, a process and an application's source showed


@dataclass(frozen=True, kw_only=True)
class ClosedConnections(Observation):
    """How many idle connections the upstream has closed."""

    channel: str = "fault"
    closed: int


@dataclass(frozen=True, kw_only=True)
class HeldCounts(Observation):
    """How many of each the target holds: sessions, connections, descriptors and so on."""

    channel: str = "holding"
    counts: Mapping[str, int]


def find_growing(looks: Sequence[HeldCounts], still: int = 1) -> list[str]:
    """Of what there were never `still` looks in succession with no more than at the one before.

    One such look proves little: something else may have been closed meanwhile.
    """
    pairs = list(pairwise(look.counts for look in looks))

    def grows(name: str) -> bool:
        looks_still = 0
        for earlier, later in pairs:
            is_more = later.get(name, 0) > earlier.get(name, 0)
            looks_still = 0 if is_more else looks_still + 1
            if looks_still == still:
                return False
        return True

    return [name for name in looks[0].counts if grows(name)]


@dataclass(frozen=True, kw_only=True)
class BlockingLine(Observation):
    """The line in which an event loop is stuck."""

    channel: str = "stack"
    line: str  # FILE:LINE
    frames: tuple[str, ...]  # FILE:LINE:FUNCTION, innermost first


@dataclass(frozen=True)
class Dependency:
    """What FastAPI's `Depends` was given, and whether it is a coroutine function."""

    name: str
    coroutine: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A route of an application, and whether its endpoint is a coroutine function."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    coroutine: bool
    dependencies: tuple[Dependency, ...]

    @classmethod
    def from_json(cls, route: Mapping[str, Any]) -> "Route":
        """Make a route of what `injected/routes.py` has written of it.

        Raises KeyError, TypeError or AttributeError if it is anything else.
        """
        return cls(
            path=_expect_text(route["path"]),
            methods=_expect_texts(route["methods"]),
            endpoint=_expect_text(route["endpoint"]),
            coroutine=bool(route["coroutine"]),
            dependencies=tuple(
                Dependency(
                    _expect_text(each["name"]),
                    bool(each["coroutine"]),
                    _expect_texts(each["parameters"]),
                )
                for each in route["dependencies"]
            ),
        )


def _expect_texts(values: Any) -> tuple[str, ...]:
    return tuple(map(_expect_text, values))


def _expect_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is wanted, not {type(value).__name__}")
    return value


@dataclass(frozen=True, kw_only=True)
class RouteList(Observation):
    """The routes of an application, as its source has them."""

    channel: str = "source"
    routes: tuple[Route, ...]

    def find_routes(self, path: str) -> tuple[Route, ...]:
        """The routes of a path."""
        return tuple(route for route in self.routes if route.path == path)
