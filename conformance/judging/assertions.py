"""Assertions: functions of evidence that raise a Violation if a fact is not as specified."""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from conformance.core.decoding import decode_json
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact
from conformance.core.observations import BlockingLine
from conformance.spec.model import Answer, find_difference, format_value


def expect(exchange: Exchange, answer: Answer, *also: Fact) -> None:
    """The exchange is this answer, in status and in the meaning of its JSON body."""
    wanted = f"{answer.status} {format_value(answer.body, 300)}"
    expect_status(exchange, (answer.status,), wanted, *also)
    if found := find_difference(answer.body, parse_body(exchange, wanted, *also)):
        raise Violation(wanted, f"{exchange.outcome} — {found}", (exchange, *also))


def expect_status(exchange: Exchange, statuses: Iterable[int], wanted: str, *also: Fact) -> None:
    """The exchange has a complete answer with one of these statuses."""
    if not exchange.answered or exchange.status is None or exchange.status not in statuses:
        raise Violation(wanted, exchange.outcome, (exchange, *also))


def expect_same(exchange: Exchange, other: Exchange) -> None:
    """Both exchanges have an answer, and it is the same to the byte."""
    wanted = f"the answer of {other.target} that came before: {other.outcome}"
    same = (
        other.answered
        and exchange.answered
        and (exchange.status, exchange.body) == (other.status, other.body)
    )
    require(same, wanted, exchange.outcome, [exchange, other])


def parse_body(exchange: Exchange, wanted: str, *also: Fact) -> Any:
    """The JSON value of a body. Raises Violation if it is not JSON.

    RFC 8259 allows no NaN, no Infinity and no encoding but UTF-8.
    """
    try:
        return decode_json(exchange.body, strict=True)
    except ValueError as error:
        raise Violation(
            wanted, f"{exchange.outcome} — the body is not JSON: {error}", (exchange, *also)
        ) from None


def require(
    condition: bool,
    expected: str,
    got: str,
    evidence: Sequence[Fact],
    likely_cause: str | None = None,
) -> None:
    """The condition holds, as the evidence shows. Raises Violation if not."""
    if not condition:
        raise Violation(expected, got, evidence, likely_cause)


def raise_blocked(
    expected: str, got: str, evidence: Sequence[Fact], stack: BlockingLine | None
) -> NoReturn:
    """Raise the Violation that something was held up, with the line that blocks the event loop.

    `stack` shows that line. It is None if the loop is not blocked.
    """
    if stack is None:
        raise Violation(expected, got, evidence)
    raise Violation(
        expected,
        got,
        (*evidence, stack),
        likely_cause=f"{stack.line}, which blocks the event loop",
    )


def require_situation(condition: bool, why: str) -> None:
    """The situation that a probe needs could be produced. Raises NoEvidence if not."""
    if not condition:
        raise NoEvidence(why)
