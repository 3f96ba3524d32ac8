"""The evidence: frozen facts, made once where a fact is seen, and the journal that numbers them."""

import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum, auto
from typing import Any, TypeVar

from conformance.spec.model import format_value

SHOWN = 200  # characters of a body in a one-line summary
NOT_RECORDED = {"recorded": False}  # metadata of a field that a live run alone has


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that was seen: its number among its kind, and its time.

    The time is in seconds since the run began.
    """

    number: int
    at: float

    @property
    def summary(self) -> str:
        """The fact in one line, for a person."""
        raise NotImplementedError


class FailureKind(StrEnum):
    """Why an exchange has no complete answer."""

    TIMED_OUT = auto()
    REFUSED = auto()  # nothing accepted the connection
    RESET = auto()
    CLOSED_OR_NOT_HTTP = auto()  # one error of httpx stands for both
    TOO_LARGE = auto()  # the body is longer than BODY_LIMIT
    UNREADABLE = auto()  # the body is coded in a way that the suite cannot undo
    OTHER = auto()


BROKEN_OFF = (
    FailureKind.REFUSED,
    FailureKind.RESET,
    FailureKind.CLOSED_OR_NOT_HTTP,
    FailureKind.OTHER,
)


@dataclass(frozen=True, kw_only=True)
class Exchange(Fact):
    """A request to the target and what came of it.

    `status` is None where no answer came. `failure` says in words why there is no complete answer,
    and is what a record keeps. `failure_kind` is None in an exchange that was read from a record.
    """

    method: str
    url: str  # http://host:port
    target: str  # the request target as sent, /path?query
    sent: bytes
    sent_type: str | None
    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    failure: str | None
    ended: float
    sent_headers: tuple[tuple[str, str], ...] = ()  # in addition to those of every request
    failure_kind: FailureKind | None = field(default=None, metadata=NOT_RECORDED)

    @property
    def answered(self) -> bool:
        """Whether a complete answer came."""
        return self.status is not None and self.failure is None

    @property
    def is_broken_off(self) -> bool:
        """Whether it failed before its time limit, as it does when the process ends."""
        return self.failure_kind in BROKEN_OFF

    @property
    def endpoint(self) -> str:
        """The method, and the path as the contract has it: `GET /items/{item_id}`."""
        return name_endpoint(self.method, self.target)

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty where there is none."""
        return dict(self.headers).get("content-type", "").split(";")[0].strip().lower()

    @property
    def outcome(self) -> str:
        """The status and body, or why there is none."""
        if self.status is None:
            return str(self.failure)
        return f"{self.status} {_text(self.body)}".rstrip() + (
            f" ({self.failure})" if self.failure else ""
        )

    @property
    def summary(self) -> str:
        return f"{self.method} {self.target} → {self.outcome} (exchange {self.number})"

    @property
    def curl(self) -> str:
        """A command that sends the same request again."""
        words = ["curl", "-ig", "--path-as-is"]
        if self.url.startswith("https:"):  # no certificate is verified here either
            words.append("-k")
        if self.method != "GET":
            words += ["-X", self.method]
        sent = [*self.sent_headers, *([("Content-Type", self.sent_type)] if self.sent_type else [])]
        for name, value in sent:
            words += ["-H", f"{name}: {value}"]
        if self.sent or self.method == "POST":
            words += ["--data-binary", self.sent.decode("utf-8", "backslashreplace")]
        return shlex.join([*words, self.url + self.target])


def name_endpoint(method: str, target: str) -> str:
    """The endpoint of a request target, without its query: `GET /items/{item_id}`."""
    path = target.partition("?")[0]
    is_item = path.startswith("/items/") and path != "/items/"
    return f"{method} {'/items/{item_id}' if is_item else path}"


@dataclass(frozen=True, kw_only=True)
class UpstreamRequest(Fact):
    """A request that reached the upstream stub, and the number of its connection."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    connection: int

    @property
    def summary(self) -> str:
        return f"the upstream received {self.method} {self.target} (upstream request {self.number})"


@dataclass(frozen=True, kw_only=True)
class LogLine(Fact):
    """A line that a process of the target printed."""

    process: str
    stream: str
    text: str

    @property
    def summary(self) -> str:
        return f"{self.process} printed {format_value(self.text)} (line {self.number})"


@dataclass(frozen=True, kw_only=True)
class ProcessEvent(Fact):
    """Something that befell a process of the target: started, answered, was signalled, ended."""

    process: str
    event: str

    @property
    def summary(self) -> str:
        return f"{self.process} {self.event} (process event {self.number})"


@dataclass(frozen=True, kw_only=True)
class QueuedMessage(Fact):
    """A Celery message found in a Redis list."""

    key: str
    task_id: str | None
    content_type: str | None
    arguments: Any  # the decoded body, or None where it is not JSON

    @property
    def summary(self) -> str:
        arguments = format_value(self.arguments)
        held = f"list {self.key!r} holds task {self.task_id} with {arguments}"
        return f"{held} (message {self.number})"


@dataclass(frozen=True, kw_only=True)
class Observation(Fact):
    """What a channel showed when it was asked: a row, a count, a result, a stack.

    A subclass adds typed fields (see core/observations.py). A record keeps them as `data`.
    """

    channel: str
    text: str

    @property
    def summary(self) -> str:
        return f"{self.text} ({self.channel} check {self.number})"

    @property
    def data(self) -> dict[str, Any]:
        """The fields that a subclass adds, by name."""
        common = {item.name for item in fields(Observation)}
        return {name: value for name, value in asdict(self).items() if name not in common}


F = TypeVar("F", bound=Fact)


class Journal:
    """Numbers facts as they are seen, and hands each to a sink.

    It keeps none, so a long run costs no memory.
    """

    def __init__(self, sink: Callable[[Fact], None] = lambda _: None) -> None:
        self._began = time.monotonic()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._sink = sink

    def now(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 6)

    def record(
        self, kind: type[F], *, at: float | None = None, keep: bool = True, **values: Any
    ) -> F:
        """Make a fact of this kind, number it, and hand it to the sink.

        It is numbered among its kind, and an Observation among those of its channel. With
        `keep=False` it is only made, and the method `keep` may hand it on later.
        """
        series = values.get("channel", getattr(kind, "channel", kind.__name__))
        with self._lock:
            self._numbers[series] += 1
            fact = kind(number=self._numbers[series], at=self.now() if at is None else at, **values)
            if keep:
                self._sink(fact)
        return fact

    def keep(self, fact: Fact) -> None:
        """Hand a fact to the sink that was only made."""
        with self._lock:
            self._sink(fact)

    def observe(self, channel: str, text: str) -> Observation:
        """Record what a channel showed, where the text says all of it."""
        return self.record(Observation, channel=channel, text=text)


def as_plain(fact: Fact) -> dict[str, Any]:
    """A fact as plain data: its kind in snake case and its fields, except those NOT_RECORDED."""
    if isinstance(fact, Observation):
        plain = {item.name: getattr(fact, item.name) for item in fields(Observation)}
        return {"kind": "observation", **plain, "data": fact.data}
    kind = "".join(
        f"_{letter.lower()}" if letter.isupper() else letter for letter in type(fact).__name__
    ).lstrip("_")
    recorded = (item.name for item in fields(fact) if item.metadata.get("recorded", True))
    return {"kind": kind, **{name: getattr(fact, name) for name in recorded}}


def _text(body: bytes) -> str:
    text = body[: SHOWN * 8].decode("utf-8", "backslashreplace")  # a letter takes 4 bytes at most
    visible = "".join(
        letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: SHOWN * 2]
    )
    return visible if len(visible) <= SHOWN else f"{visible[:SHOWN]}… ({len(body)} bytes)"
