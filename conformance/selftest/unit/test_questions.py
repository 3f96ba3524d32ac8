"""The table of what each request needs, and how an answer is compared with the one before."""

from dataclasses import replace

import pytest
import yaml

from conformance.client.http import RequestSpec
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Journal
from conformance.scenarios.questions import SUBMISSION, Asked, Need, Question, list_questions
from conformance.selftest.support.simulated import make_exchange
from conformance.spec.catalogue import FOLDER

SITUATION = "while something is held"
FIXED = Question(RequestSpec("GET", "/async"), is_fixed=True)
WITH_AN_ID = Question(RequestSpec("POST", SUBMISSION, b"{}"), Need.BROKER)


def make_answer(status: int | None, body: bytes = b"") -> Exchange:
    """An exchange with this answer, or without one."""
    failure = None if status else "no complete answer within 5 s"
    return make_exchange("/async", status, body, Journal(), failure=failure)


def test_every_endpoint_of_the_contract_is_asked() -> None:
    contract = yaml.safe_load((FOLDER / "openapi.yaml").read_text("utf-8"))
    asked = {question.spec.path.partition("?")[0] for question in list_questions(7, without=[])}
    assert {path.replace("{item_id}", "7") for path in contract["paths"]} <= asked


@pytest.mark.parametrize(
    ("need", "path"),
    [(Need.TABLE, "/items/7"), (Need.UPSTREAM, "/external-data"), (Need.BROKER, SUBMISSION)],
)
def test_what_needs_something_is_left_out_without_it(need: Need, path: str) -> None:
    every, left = list_questions(7, without=[]), list_questions(7, without=[need])
    assert [question.spec.path for question in every if question not in left] == [path]


def test_rejected_requests_need_nothing() -> None:
    names = [question.name for question in list_questions(7, without=[*Need])]
    assert names[-3:] == [
        "/items/abc",
        "/process-data/ with a body that is no object",
        "/no-such-path",
    ]


@pytest.mark.parametrize(
    ("question", "later", "is_same"),
    [
        (FIXED, make_answer(200, b"a"), True),
        (FIXED, make_answer(200, b"b"), False),
        (FIXED, make_answer(503, b"a"), False),
        (FIXED, make_answer(None), False),
        (WITH_AN_ID, make_answer(200, b"b"), True),
        (WITH_AN_ID, make_answer(503, b"a"), False),
        (WITH_AN_ID, make_answer(None), False),
    ],
)
def test_an_answer_is_compared_as_far_as_it_has_to_be_the_same(
    question: Question, later: Exchange, is_same: bool
) -> None:
    asked = Asked(question, make_answer(200, b"a"))
    assert asked.is_same(later) is is_same
    if is_same:
        asked.expect_same(later, SITUATION, [], None)
    else:
        with pytest.raises(Violation):
            asked.expect_same(later, SITUATION, [], None)


def test_what_was_not_answered_alone_shows_nothing() -> None:
    asked = Asked(FIXED, make_answer(None))
    with pytest.raises(NoEvidence, match="does not answer even while nothing is held"):
        asked.expect_same(replace(asked.alone, number=2), SITUATION, [], None)
