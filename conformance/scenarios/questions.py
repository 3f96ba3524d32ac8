"""Requests that other requests must not delay: which there are, and what each of them needs."""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from conformance.client.http import JSON, Client, InFlightRequests, PendingRequest, RequestSpec
from conformance.core import timeouts
from conformance.core.evidence import Exchange, Fact
from conformance.core.observations import BlockingLine
from conformance.judging.assertions import (
    expect_same,
    expect_status,
    raise_blocked,
    require_situation,
)

SUBMISSION = "/process-data/"
UNKNOWN = "/no-such-path"
NO_OBJECT = b"[]"


class Need(Enum):
    """What a request needs in order to be answered."""

    TABLE = "the table"
    UPSTREAM = "the upstream"
    BROKER = "the broker"


@dataclass(frozen=True)
class Question:
    """A request, and whether every answer to it is the same in every byte."""

    spec: RequestSpec
    need: Need | None = None
    is_fixed: bool = False

    @property
    def name(self) -> str:
        """What is asked, in words."""
        rejected = self.spec.content == NO_OBJECT
        return f"{self.spec.path} with a body that is no object" if rejected else self.spec.path


def list_questions(item: int, without: Collection[Need]) -> list[Question]:
    """A request to each endpoint, and those that are rejected, but for what needs one of these.

    `item` is the id of a row that does not change. Errors may have an id of their own, a
    submission has one, and an upstream that is not the suite's may change.
    """
    every = (
        Question(RequestSpec("GET", "/async"), is_fixed=True),
        Question(RequestSpec("GET", "/sync"), is_fixed=True),
        Question(RequestSpec("GET", "/items/?q=meanwhile"), is_fixed=True),
        Question(RequestSpec("GET", f"/items/{item}"), Need.TABLE, is_fixed=True),
        Question(RequestSpec("GET", "/external-data"), Need.UPSTREAM),
        Question(RequestSpec("POST", SUBMISSION, b"{}", JSON), Need.BROKER),
        Question(RequestSpec("GET", "/items/abc"), is_fixed=True),
        Question(RequestSpec("POST", SUBMISSION, NO_OBJECT, JSON)),
        Question(RequestSpec("GET", UNKNOWN)),
    )
    return [question for question in every if question.need not in without]


@dataclass(frozen=True)
class Asked:
    """A question, and its answer while nothing was held."""

    question: Question
    alone: Exchange

    def is_same(self, exchange: Exchange) -> bool:
        """Whether a later answer is the same, as far as it has to be."""
        bodies = {exchange.body, self.alone.body} if self.question.is_fixed else {b""}
        return exchange.answered and exchange.status == self.alone.status and len(bodies) == 1

    def require_answer(self) -> None:
        """Raises NoEvidence where it was not answered even while nothing was held."""
        why = f"it does not answer even while nothing is held: {self.alone.summary}"
        require_situation(self.alone.answered, why)

    def expect_same(
        self, exchange: Exchange, situation: str, facts: Sequence[Fact], stack: BlockingLine | None
    ) -> None:
        """Expect the answer that it had alone. `stack` says where the event loop is stuck.

        Raises NoEvidence where it had none.
        """
        self.require_answer()
        name = self.question.name
        if not exchange.answered:
            wanted = f"an answer of {name} {situation}"
            raise_blocked(wanted, exchange.outcome, [exchange, *facts], stack)
        status = self.alone.status
        wanted = f"{status} of {name} {situation}, as without"
        expect_status(exchange, (status or 0,), wanted, self.alone, *facts)
        if self.question.is_fixed:
            expect_same(exchange, self.alone)


async def ask_each(client: Client, questions: Sequence[Question]) -> list[Asked]:
    """Ask each question, one after the other, while nothing is held."""
    return [Asked(question, await client.send(question.spec)) for question in questions]


async def ask_alone(client: Client, questions: Sequence[Question]) -> list[Asked]:
    """Do the same, and expect an answer to each. Raises NoEvidence where one has none."""
    asked = await ask_each(client, questions)
    for each in asked:
        each.require_answer()
    return asked


@dataclass(frozen=True)
class AskedAgain:
    """A question that was asked again while something was held, and its answer then."""

    asked: Asked
    exchange: Exchange

    @property
    def is_same(self) -> bool:
        """Whether the answer is the same, as far as it has to be."""
        return self.asked.is_same(self.exchange)

    def expect_same(
        self, situation: str, facts: Sequence[Fact], stack: BlockingLine | None = None
    ) -> None:
        """Expect the answer that it had alone. Raises NoEvidence where it had none."""
        self.asked.expect_same(self.exchange, situation, facts, stack)


async def ask_again(
    send: InFlightRequests, asked: Sequence[Asked], seconds: float | None = None
) -> list[AskedAgain]:
    """Ask all of them at once, and wait so many seconds, by default as long as for any request."""
    requests = [send.send(each.question.spec) for each in asked]
    answers = await asyncio.gather(*(request.wait_for_answer(seconds) for request in requests))
    return [AskedAgain(each, answer) for each, answer in zip(asked, answers, strict=True)]


async def ask_meanwhile(
    send: InFlightRequests, submissions: Sequence[PendingRequest], asked: Sequence[Asked]
) -> AskedAgain | None:
    """The first answer that was not the same while a submission had none. None: all were.

    They are asked again and again, for RETRIES_WATCHED at most. The service may begin with a
    submission after the first of them, and be stuck in a later attempt of several. What is
    answered when every submission has been is no longer looked at.
    """
    deadline = time.monotonic() + timeouts.RETRIES_WATCHED
    tasks = [submission.task for submission in submissions]
    while time.monotonic() < deadline:
        again = await ask_again(send, asked, timeouts.UNBLOCKED_DEADLINE)
        if all(submission.is_done for submission in submissions):
            return None
        if wrong := [each for each in again if not each.is_same]:
            return wrong[0]
        await asyncio.wait(tasks, timeout=timeouts.LONGEST_POLL_INTERVAL)
    return None
