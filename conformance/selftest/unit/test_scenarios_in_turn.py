"""Scenarios on somebody else's target: which end it, and which stand apart. Nothing runs here."""

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from conformance.core.errors import NoEvidence
from conformance.scenarios.lifecycle.scenario import Scenario
from conformance.session import background
from conformance.session.background import ScenariosInTurn
from conformance.target.launch import Launch
from conformance.target.server import NotReady
from conformance.testbed.postgres_admin import DatabaseAccess


class Noting(Scenario[str]):
    """Notes that it was run, and does what the test says."""

    requirements = frozenset[str]()
    failure: ClassVar[Exception | None] = None
    runs: ClassVar[list[str]] = []

    async def run(self, _: Launch, __: DatabaseAccess) -> str:
        """Note it."""
        self.runs.append(type(self).__name__)
        if self.failure:
            raise self.failure
        return "observed"


class Control(Noting):
    """Stands for the copy on unchanged settings."""

    is_apart = True


class First(Noting):
    """A copy that lacks something."""

    is_apart = True


class Second(First):
    """Another one."""


class OnTheTarget(Noting):
    """Ends the target and starts it again."""


class InTurn:
    """The scenarios, and how often the target was started again."""

    def __init__(self) -> None:
        self.restarts = 0
        launch: Any = SimpleNamespace(external=object())
        database: Any = SimpleNamespace(access=None)
        self.scenarios = ScenariosInTurn(launch, database, self.restart)

    def restart(self) -> None:
        """Count it."""
        self.restarts += 1

    def observe(self, scenario: type[Noting]) -> str:
        """What a scenario observed."""
        return asyncio.run(self.scenarios.observe(scenario))


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> InTurn:
    monkeypatch.setattr(background, "UnchangedCopy", Control)
    monkeypatch.setattr(Noting, "runs", [])
    return InTurn()


def test_a_scenario_apart_follows_one_control_and_leaves_the_target_alone(in_turn: InTurn) -> None:
    assert [in_turn.observe(each) for each in (First, Second, First)] == ["observed"] * 3
    assert Noting.runs == ["Control", "First", "Second"]
    assert in_turn.restarts == 0


def test_any_other_scenario_is_followed_by_a_start_of_the_target(in_turn: InTurn) -> None:
    in_turn.observe(OnTheTarget)
    assert Noting.runs == ["OnTheTarget"]
    assert in_turn.restarts == 1


def test_copies_that_cannot_be_made_are_no_fault_of_the_target(
    in_turn: InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Control, "failure", NoEvidence("no second copy"))
    for scenario in (First, Second):
        with pytest.raises(NoEvidence, match="no second copy"):
            in_turn.observe(scenario)
    assert Noting.runs == ["Control"]
    asyncio.run(in_turn.scenarios.expect_all_started())


def test_a_target_that_did_not_start_for_a_scenario_is_told_of(
    in_turn: InTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnTheTarget, "failure", NotReady("it ended", None))
    with pytest.raises(NoEvidence, match="it ended"):
        in_turn.observe(OnTheTarget)
    with pytest.raises(NotReady):
        asyncio.run(in_turn.scenarios.expect_all_started())
