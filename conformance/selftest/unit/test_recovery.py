"""Recovery: who is to blame when a target dies, and what is started again. Nothing runs here."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast

import pytest

from conformance.core import timeouts
from conformance.core.errors import BrokenTestbed, NoEvidence, Violation
from conformance.core.evidence import Exchange, Fact, FailureKind, Journal
from conformance.session.environment import Environment
from conformance.session.recovery import (
    READINESS,
    RESTARTS,
    RESTARTS_OF_HARMED,
    Recovery,
)
from conformance.session.testimony import Testimony
from conformance.target.server import Health, NotReady, Target

WELL = Health(200, 200, 200)
HALF = Health(200, None, 200)
SILENT = Health(None, None, None)


class ProcessDouble:
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.last_status: int | None = None  # which it has once somebody waits for its end

    def wait_for_end(self, _deadline: float) -> int | None:
        """Its status."""
        self.status = self.status if self.last_status is None else self.last_status
        return self.status

    def read_output(self) -> list[Any]:
        """No line."""
        return []


class TargetDouble:
    """A target without a server: its health is what the test says."""

    def __init__(
        self,
        health: Sequence[Health] = (WELL,),
        failure: NotReady | None = None,
        answers: Mapping[str, int | None] = MappingProxyType({}),
    ) -> None:
        self.url = "http://127.0.0.1:1"
        self.process = ProcessDouble()
        self.is_ending = False
        self.killed = False
        self._failure = failure
        self._health = list(health)
        self._answers = answers
        self.asked: set[str] = set()

    def ask_endpoints(self, names: Collection[str]) -> dict[str, int | None]:
        """What the test says of each, and 200 of the others."""
        self.asked |= set(names)
        return {name: self._answers.get(name, 200) for name in names}

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process.status is None

    def check_health(self) -> Health:
        """The next health, and the last one for ever."""
        return self._health.pop(0) if len(self._health) > 1 else self._health[0]

    def wait_until_ready(self) -> int:
        """Answer, or raise why not."""
        if self._failure:
            raise self._failure
        return 200

    def kill(self) -> None:
        """Note it."""
        self.killed = True


class Bench:
    """A recovery over doubles, and the targets that it starts in turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: TargetDouble) -> None:
        self.facts: list[Fact] = []
        self.next: list[TargetDouble] = []
        self.turned_to: list[str] = []
        launch = SimpleNamespace(
            journal=Journal(self.facts.append),
            capabilities=SimpleNamespace(stops_target=True, starts_target=True),
        )
        self.client = SimpleNamespace(switch_to=self.turned_to.append, has_lost_connection=False)
        environment = SimpleNamespace(launch=launch, client=self.client, target=first)
        monkeypatch.setattr(Target, "start_copy", lambda _launch: self.next.pop(0))
        self.recovery = Recovery(cast("Environment", environment))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(timeouts, "HEAL_DEADLINE", 0.05)
    return Bench(monkeypatch, TargetDouble())


def first_of(bench: Bench) -> TargetDouble:
    return cast("TargetDouble", bench.recovery.target)


def reset_exchange() -> Exchange:
    journal = Journal()
    return journal.record(
        Exchange,
        method="GET",
        url="http://127.0.0.1:1",
        target="/async",
        sent=b"",
        sent_type=None,
        status=None,
        headers=(),
        body=b"",
        failure="no answer: the connection was reset",
        failure_kind=FailureKind.RESET,
        ended=0.0,
    )


def test_a_violation_of_a_living_target_stands(bench: Bench) -> None:
    violation = Violation("an answer", "none", [reset_exchange()])
    assert bench.recovery.blame("DB-2", violation) is violation


def test_a_death_under_a_probe_is_not_held_against_its_requirement(bench: Bench) -> None:
    violation = Violation("an answer", "none", [reset_exchange()])
    first_of(bench).process.status = 1
    blamed = bench.recovery.blame("DB-2", violation)
    assert isinstance(blamed, NoEvidence)
    assert READINESS in str(blamed)


@pytest.mark.parametrize("requirement", [READINESS, "END-5"])
def test_a_death_counts_for_what_is_about_it(bench: Bench, requirement: str) -> None:
    violation = Violation("an answer", "none", [reset_exchange()])
    first_of(bench).process.status = 1
    assert bench.recovery.blame(requirement, violation) is violation


def test_a_wrong_answer_of_a_target_that_died_later_stands(bench: Bench) -> None:
    violation = Violation("200", "500", [])
    first_of(bench).process.status = 1
    assert bench.recovery.blame("DB-2", violation) is violation


def test_a_target_that_died_is_started_again_and_its_death_is_kept(bench: Bench) -> None:
    again = TargetDouble()
    bench.next = [again]
    first_of(bench).process.status = 3
    bench.recovery.revive("DB-2")
    assert bench.recovery.target is cast("Target", again)
    assert [death.got for death in bench.recovery.deaths] == [
        "the process ended by itself with status 3"
    ]
    assert bench.turned_to == [again.url]


def test_a_target_that_is_still_dying_when_the_next_probe_begins_is_started_again(
    bench: Bench,
) -> None:
    bench.next = [TargetDouble()]
    first_of(bench).process.last_status = 3
    bench.recovery.revive("DB-1")
    assert not bench.recovery.deaths
    bench.client.has_lost_connection = True
    bench.recovery.revive("DB-2")
    assert len(bench.recovery.deaths) == 1
    assert not bench.client.has_lost_connection


def test_a_target_that_was_given_away_to_be_ended_is_not_started_again(bench: Bench) -> None:
    first = first_of(bench)
    bench.recovery.stop_reviving()
    first.process.status = 0
    bench.recovery.revive("LIFE-2")
    assert bench.recovery.target is cast("Target", first)
    assert not bench.recovery.deaths


def test_every_start_of_the_target_is_a_life(bench: Bench) -> None:
    first, again = bench.recovery.target, TargetDouble()
    bench.next = [again]
    bench.recovery.kill_and_restart()
    assert bench.recovery.lives == [first, cast("Target", again)]


def test_after_too_many_deaths_no_more_is_started(bench: Bench) -> None:
    for number in range(RESTARTS):
        first_of(bench).process.status = 1
        bench.next = [TargetDouble()]
        bench.recovery.revive(f"DB-{number + 1}")
    first_of(bench).process.status = 1
    with pytest.raises(NoEvidence, match=f"died {RESTARTS + 1} times and is not started again"):
        bench.recovery.revive("DB-9")
    with pytest.raises(Violation, match="status 1"):
        bench.recovery.check_usable(READINESS)


def test_one_that_does_not_start_again_ends_all_probing(bench: Bench) -> None:
    bench.next = [TargetDouble(failure=NotReady("no answer", None))]
    first_of(bench).process.status = 1
    with pytest.raises(NoEvidence, match="does not start again: no answer"):
        bench.recovery.revive("DB-2")
    with pytest.raises(NoEvidence, match=READINESS):
        bench.recovery.check_usable("DB-3")


def test_a_broken_testbed_is_nobodys_evidence(bench: Bench) -> None:
    bench.recovery.failure = BrokenTestbed("no Postgres")
    with pytest.raises(BrokenTestbed, match="no Postgres"):
        bench.recovery.check_usable(READINESS)


def test_a_target_that_heals_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    first = TargetDouble([WELL, HALF, HALF, WELL])
    bench = Bench(monkeypatch, first)
    bench.recovery.note_health()
    bench.recovery.expect_healed()
    assert not first.killed
    assert not bench.facts


@pytest.mark.parametrize("after", [HALF, SILENT])
def test_one_that_does_not_heal_is_started_again(
    monkeypatch: pytest.MonkeyPatch, after: Health
) -> None:
    monkeypatch.setattr(timeouts, "HEAL_DEADLINE", 0.05)
    first, again = TargetDouble([WELL, after]), TargetDouble()
    bench = Bench(monkeypatch, first)
    bench.next = [again]
    bench.recovery.note_health()
    bench.recovery.expect_healed()
    assert first.killed
    assert bench.recovery.target is cast("Target", again)
    assert "did not become as it was" in bench.facts[-1].summary


def doubted(*worked: str, in_doubt: bool = True) -> Testimony:
    testimony = Testimony()
    testimony.worked = set(worked)
    testimony.is_in_doubt = in_doubt
    return testimony


@pytest.mark.parametrize("answer", [None, 500])
def test_a_target_is_started_again_on_which_an_endpoint_broke_that_had_worked(
    monkeypatch: pytest.MonkeyPatch, answer: int | None
) -> None:
    monkeypatch.setattr(timeouts, "UNHARMED_DEADLINE", 0.05)
    first, again = TargetDouble(answers={"GET /external-data": answer}), TargetDouble()
    bench = Bench(monkeypatch, first)
    bench.next = [again]
    bench.recovery.expect_unharmed(doubted("GET /async", "GET /external-data"))
    assert first.killed
    assert bench.recovery.target is cast("Target", again)
    assert f"(GET /external-data {answer or 'nothing'})" in bench.facts[-1].summary


def test_one_that_never_had_that_endpoint_is_left_running(bench: Bench) -> None:
    target = first_of(bench)
    bench.recovery.expect_unharmed(doubted("GET /async"))
    assert target.asked == {"GET /async"}
    assert not target.killed


def test_one_that_nothing_went_wrong_with_is_not_asked(bench: Bench) -> None:
    testimony = doubted("GET /async")
    bench.recovery.expect_unharmed(testimony)
    bench.recovery.expect_unharmed(testimony)
    first_of(bench).asked.clear()
    bench.recovery.expect_unharmed(testimony)
    assert not first_of(bench).asked


def test_after_too_many_times_it_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "UNHARMED_DEADLINE", 0.0)
    broken = {"GET /sync": None}
    bench = Bench(monkeypatch, TargetDouble(answers=broken))
    for _ in range(RESTARTS_OF_HARMED):
        bench.next = [TargetDouble(answers=broken)]
        bench.recovery.expect_unharmed(doubted("GET /sync"))
    bench.recovery.expect_unharmed(doubted("GET /sync"))
    assert not first_of(bench).killed


def test_without_a_fault_nothing_is_compared(bench: Bench) -> None:
    bench.recovery.expect_healed()
    assert not first_of(bench).killed
