"""The result of a run, as pure data. A live run and a record that is read back yield the same.

`report/record.py` writes it and `report/record_reader.py` reads it back. Every report is made of
it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from conformance.core.evidence import Exchange, Fact, as_plain
from conformance.judging.verdict import Exit, Status
from conformance.spec.catalogue import PREFIXES, Channel, Level, Requirement

# The kind of a piece of evidence (of an observation: its channel), and its number of that kind.
EvidenceKey = tuple[str, int]

LINE_NUMBER = re.compile(r" \(line \d+\)$")  # at the end of the summary of a line that was printed

# Parts of a finding that differ from run to run: UUIDs, numbers of four and more digits (ids,
# ports), and decimals (times). No HTTP status has four digits.
_CHANGING = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{4,}\b|\b\d+\.\d+\b")


def leave_out_changing(text: str) -> str:
    """A text without what differs from run to run."""
    return _CHANGING.sub("#", text)


@dataclass(frozen=True)
class EvidenceReference:
    """How a finding names a piece of evidence, and what that says in one line."""

    kind: str  # "exchange", "log_line", "observation", …
    number: int
    summary: str
    channel: str | None = None  # of an observation
    endpoint: str | None = None  # of an exchange, and the status of its answer
    status: int | None = None

    @classmethod
    def to(cls, fact: Fact) -> "EvidenceReference":
        """The reference to a fact."""
        channel = getattr(fact, "channel", None)
        answer = (fact.endpoint, fact.status) if isinstance(fact, Exchange) else (None, None)
        return cls(as_plain(fact)["kind"], fact.number, fact.summary, channel, *answer)

    @property
    def series(self) -> str:
        """What the number counts: the channel of an observation, else the kind."""
        return self.channel or self.kind

    @property
    def key(self) -> EvidenceKey:
        """The series and the number, which no other evidence of the run has."""
        return self.series, self.number


@dataclass(frozen=True)
class Evidence:
    """A piece of evidence as timelines draw it. Times are seconds since the run began."""

    reference: EvidenceReference
    at: float
    ended: float | None = None  # of an exchange
    is_unanswered: bool = False

    @classmethod
    def of(cls, fact: Fact) -> "Evidence":
        """A fact without what no report shows, such as whole bodies."""
        exchange = fact if isinstance(fact, Exchange) else None
        return cls(
            EvidenceReference.to(fact),
            fact.at,
            exchange.ended if exchange else None,
            exchange is not None and exchange.status is None,
        )

    @property
    def key(self) -> EvidenceKey:
        """The key of its reference."""
        return self.reference.key


@dataclass(frozen=True)
class Silence:
    """Since when an endpoint has given no answer, and of which requirement that exchange was."""

    endpoint: str
    exchange: int  # its number
    requirement: str


@dataclass(frozen=True)
class Finding:
    """What a probe found that was not simply a pass.

    A violation has its two sides in `expected` and `got`. Otherwise `got` says why there is no
    evidence, what broke, or, in one line, what was observed.
    """

    expected: str
    got: str
    evidence: tuple[EvidenceReference, ...] = ()
    likely_cause: str = ""  # empty until judged: then the requirement's usual cause takes its place
    reproduce: tuple[str, ...] = ()  # commands
    missing: tuple[Channel, ...] = ()  # the channels without which nothing could be observed
    observations: tuple[str, ...] = ()  # of a MAY
    printed: EvidenceReference | None = None  # the exception that the process printed meanwhile
    silence: Silence | None = None  # of the endpoint that did not answer

    @property
    def exchange(self) -> EvidenceReference | None:
        """The exchange that decided: the first of the evidence. None if there is none."""
        return next((each for each in self.evidence if each.endpoint), None)

    @property
    def has_no_answer_of_its_own(self) -> bool:
        """Whether the exchange that decided was not answered, or by 5xx."""
        exchange = self.exchange
        return exchange is not None and (exchange.status is None or exchange.status >= 500)

    @classmethod
    def of_observations(
        cls,
        observations: Iterable[str],
        evidence: Iterable[EvidenceReference],
        reproduce: Iterable[str] = (),
    ) -> "Finding":
        """What was observed of a MAY."""
        texts = tuple(observations)
        return cls(
            "nothing: it is observed, not judged",
            "; ".join(texts),
            tuple(evidence),
            reproduce=tuple(reproduce),
            observations=texts,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits, the same for the same defect in every run."""
        stable = leave_out_changing(f"{self.expected}\n{self.got}")
        return hashlib.sha256(stable.encode("utf-8", "backslashreplace")).hexdigest()[:8]


@dataclass(frozen=True)
class KnownFailure:
    """An entry of the list of known failures: a requirement that is expected to fail, and why."""

    id: str
    reason: str
    expires: date | None = None  # the last day on which the entry holds
    fingerprint: str | None = None  # of the only failure that it is about

    def has_expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and today > self.expires

    def is_about(self, fingerprint: str | None) -> bool:
        """Whether it is about a failure with this fingerprint."""
        return self.fingerprint in (None, fingerprint)


class Mistake(StrEnum):
    """In what way an entry of the known failures is wrong."""

    STALE = "stale"
    EXPIRED = "expired"
    CHANGED = "changed"


@dataclass(frozen=True)
class WrongEntry:
    """An entry of the known failures that a run has shown to be wrong, and what to do about it."""

    requirement: str
    mistake: Mistake
    sentence: str


@dataclass(frozen=True)
class RequirementResult:
    """What a run found out about one requirement, with the first finding that decided it."""

    id: str
    level: Level
    sentence: str
    status: Status | None  # None: the run ended before it was judged
    probes: int = 0
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = None  # when the probe that decided began and ended
    known: KnownFailure | None = None  # the entry because of which a FAIL does not count

    @classmethod
    def of(
        cls, requirement: Requirement, status: Status | None, finding: Finding | None = None
    ) -> "RequirementResult":
        """The result of a requirement, without what a run would know of its probes."""
        return cls(requirement.id, requirement.level, requirement.sentence, status, finding=finding)

    @property
    def counts_as_failed(self) -> bool:
        """Whether it is a failure that is not listed as known."""
        return self.status is Status.FAIL and self.known is None

    @property
    def lacks_channel(self) -> bool:
        """Whether it could not be judged because this run was given no way to observe it."""
        return (
            self.status is Status.INCONCLUSIVE
            and self.finding is not None
            and bool(self.finding.missing)
        )

    @property
    def section(self) -> int:
        """The number of its section. 0 if this specification does not have the requirement."""
        return PREFIXES.get(self.id.split("-")[0], 0)


@dataclass(frozen=True)
class RunHeader:
    """What ran, on what."""

    suite: str  # its version
    began: datetime
    target: str
    url: str | None
    services: Mapping[str, str]
    seed: int
    level: Level  # that the exit status depends on
    requirements: tuple[str, ...]  # ids of those that were selected


@dataclass(frozen=True)
class RunFooter:
    """What a run that came to its end established, and what it took."""

    claim: str | None  # `core`, `robust` or None
    sentence: str  # the claim, in English
    exceptions: tuple[str, ...]  # the known failures: no claim counts them as passed
    claim_with_exceptions: str | None  # the claim if those had passed
    wrong_entries: tuple[WrongEntry, ...]
    exit_status: Exit
    seconds: float
    timings: Mapping[str, float]  # seconds of boot, ready and stop
    memory_mb: int  # peak of the suite's own process


@dataclass(frozen=True)
class RunResult:
    """All that a run found."""

    header: RunHeader
    results: tuple[RequirementResult, ...]  # of each selected requirement, in their order
    footer: RunFooter | None  # None: the run was interrupted or killed
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)  # in the order of observation
    path: Path | None = field(default=None, compare=False)  # of its record

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end."""
        return self.footer is not None

    @property
    def target(self) -> str:
        """What was judged."""
        return self.header.target

    @property
    def claim(self) -> str | None:
        """`core`, `robust` or None."""
        return self.footer.claim if self.footer else None

    @property
    def exit_status(self) -> Exit:
        """The exit status. INTERRUPTED if the run did not come to its end."""
        return self.footer.exit_status if self.footer else Exit.INTERRUPTED

    @property
    def wrong_entries(self) -> tuple[WrongEntry, ...]:
        """The entries of the known failures that are wrong."""
        return self.footer.wrong_entries if self.footer else ()

    @property
    def exceptions(self) -> tuple[str, ...]:
        """The ids of the known failures."""
        return tuple(each.id for each in self.results if each.known)

    @property
    def seconds(self) -> float:
        """How long the run took. If it did not come to its end: until its last evidence."""
        if self.footer:
            return self.footer.seconds
        return max((each.at for each in self.evidence), default=0.0)

    @property
    def counts(self) -> Counter[Status | None]:
        """How many requirements have each status."""
        return Counter(each.status for each in self.results)

    @cached_property
    def by_id(self) -> dict[str, RequirementResult]:
        """Each result by the id of its requirement."""
        return {each.id: each for each in self.results}

    @cached_property
    def _by_key(self) -> dict[EvidenceKey, Evidence]:
        return {each.key: each for each in self.evidence}

    def select_evidence(
        self, result: RequirementResult, limit: int | None = None
    ) -> list[Evidence]:
        """The evidence that a finding names, then what was observed while its probe ran.

        At most `limit` pieces, if one is given, in order of time. None without a finding.
        """
        if result.finding is None:
            return []
        keys = [each.key for each in result.finding.evidence]
        named = {key: self._by_key[key] for key in keys if key in self._by_key}
        began, ended = result.span or (0.0, -1.0)
        nearby = [
            each for each in self.evidence if began <= each.at <= ended and each.key not in named
        ]
        room = None if limit is None else max(0, limit - len(named))
        return sorted([*named.values(), *nearby[:room]], key=lambda each: each.at)
