"""Probes of section 7: what copies of the target printed, answered and left in the whole of their lives."""

import signal
from collections.abc import Sequence

import pytest

from conformance.client.http import Client
from conformance.core.errors import Violation
from conformance.core.evidence import LogLine
from conformance.core.observations import EndedSessions
from conformance.judging.assertions import expect, expect_status, no_evidence_unless, require
from conformance.scenarios.lifecycle import (
    STARTING,
    STOPPING,
    Ending,
    RefusedLife,
    RestartedLife,
    StoppedLife,
    UnansweredLife,
    goodbyes,
)
from conformance.session.run import Run
from conformance.spec import model
from conformance.target.external import UNSEEN

CLEAN = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
UNHEARD = "what the service prints goes to somebody else: let the suite start it, or give --container NAME"
INTERRUPTED = (0, -signal.SIGINT, 128 + signal.SIGINT)


def saying(text: str, lines: Sequence[LogLine]) -> list[LogLine]:
    """The lines that contain a text."""
    return [line for line in lines if text in line.text]


@pytest.mark.requirement("LIFE-1")
async def test_starting_up_is_printed_once_before_the_first_answer(run: Run) -> None:
    no_evidence_unless(run.target.process.has_output, UNHEARD)
    life = await run.life(StoppedLife)
    assert life.ending
    early, all_lines = (
        saying(STARTING, life.lines_at_first_answer),
        saying(STARTING, life.ending.lines),
    )
    wanted = f"one line {STARTING!r}"
    require(
        len(early) == 1,
        f"{wanted} when the first answer comes",
        f"{len(early)} of them",
        early or life.lines_at_first_answer[-4:],
    )
    require(
        len(all_lines) == 1,
        f"{wanted} in the whole life of the process",
        f"{len(all_lines)} of them",
        all_lines,
    )


@pytest.mark.requirement("LIFE-2")
async def test_shutting_down_is_printed_once_only_after_the_stop_signal(run: Run) -> None:
    no_evidence_unless(run.target.process.has_output, UNHEARD)
    life = await run.life(StoppedLife)
    assert life.ending
    early = saying(STOPPING, life.ending.lines_at_signal)
    require(
        not early,
        f"no line {STOPPING!r} before the stop signal",
        f"{len(early)} of them",
        [*early, life.ending.signalled],
    )
    expect_stopping_once(life.ending, "SIGTERM")


def expect_stopping_once(ending: Ending, signal_name: str) -> None:
    """The line that says so was printed once in all."""
    lines = saying(STOPPING, ending.lines)
    evidence = [ending.signalled, *(lines or ending.lines[-4:])]
    require(
        len(lines) == 1,
        f"one line {STOPPING!r} after {signal_name}",
        f"{len(lines)} of them",
        evidence,
    )


@pytest.mark.requirement("LIFE-3")
async def test_sigterm_ends_the_process_cleanly(run: Run) -> None:
    life = await run.life(StoppedLife)
    assert life.ending
    expect_clean(life.ending, "SIGTERM", CLEAN)


def expect_clean(ending: Ending, signal_name: str, statuses: Sequence[int]) -> None:
    """The process ended by itself, with one of these statuses, and left nothing."""
    unseen = ending.status == UNSEEN and UNSEEN not in statuses
    got = "a process that had to be killed" if ending.status is None else f"status {ending.status}"
    wanted = f"an end by itself after {signal_name}, with status {' or '.join(str(int(status)) for status in statuses if status != UNSEEN)}"
    require(
        ending.status in statuses or unseen, wanted, got, [ending.signalled, *ending.lines[-4:]]
    )
    require(
        ending.port_is_free,
        "nothing listening on the port any more",
        "something listens",
        [ending.signalled],
    )
    left = f"{len(ending.children)} left: {ending.children[0] if ending.children else ''}"
    require(not ending.children, "no child process left", left, [ending.signalled])
    no_evidence_unless(
        not unseen,
        "the service ended, and its status can be seen only where the suite starts it, or by --container",
    )


@pytest.mark.requirement("LIFE-4")
async def test_a_request_in_flight_at_sigterm_is_answered(run: Run) -> None:
    life = await run.life(RestartedLife)
    assert life.waiting and life.in_flight and life.terminated and life.sessions_at_end
    no_evidence_unless(
        life.waiting.waiting > 0,
        "no read waited for the locked table, so none was in flight",
    )
    expect(life.in_flight, model.item(life.row), life.waiting, life.terminated.signalled)
    expect_goodbyes(life.sessions_at_end, life.terminated)


def expect_goodbyes(seen: EndedSessions, ending: Ending) -> None:
    """Every session was closed with a goodbye."""
    require(
        goodbyes(seen), "every session closed with a goodbye", seen.text, [ending.signalled, seen]
    )


@pytest.mark.requirement("LIFE-5")
async def test_sigint_does_the_same(run: Run) -> None:
    life = await run.life(RestartedLife)
    no_evidence_unless(
        life.interrupted is not None, "the copy that was to be interrupted did not start (LIFE-9)"
    )
    assert life.interrupted and life.sessions_after_interrupt
    expect_clean(life.interrupted, "SIGINT", INTERRUPTED)
    expect_stopping_once(life.interrupted, "SIGINT")
    expect_goodbyes(life.sessions_after_interrupt, life.interrupted)


@pytest.mark.requirement("LIFE-6")
async def test_without_a_database_the_service_does_not_start(run: Run) -> None:
    life = await run.life(RefusedLife)
    wanted = "no answer, and an end with a status other than 0, of a service at whose database's address nothing listens"
    if life.answer:
        raise Violation(wanted, life.answer.outcome, [life.answer, *life.lines[-4:]])
    await run.life(StoppedLife)  # a copy that has its database starts
    assert life.refused
    require(life.refused.status not in (0, None), wanted, life.refused.got, life.lines[-4:])


@pytest.mark.requirement("LIFE-7")
async def test_it_is_not_ready_before_startup_has_finished(run: Run) -> None:
    life = await run.life(UnansweredLife)
    if life.answer:
        raise Violation(
            "no answer while the database has taken the connection and not answered",
            life.answer.outcome,
            [life.answer],
        )
    no_evidence_unless(
        life.connected, "the service did not connect to its database while it started"
    )


@pytest.mark.requirement("LIFE-8")
async def test_idle_kept_alive_clients_do_not_hold_up_a_stop(run: Run) -> None:
    life = await run.life(RestartedLife)
    assert life.terminated
    expect_clean(life.terminated, "SIGTERM", (*CLEAN, UNSEEN))  # here it is the time that counts


@pytest.mark.requirement("LIFE-9")
async def test_it_starts_again_after_a_stop_and_after_a_kill(run: Run) -> None:
    life = await run.life(RestartedLife)
    for failure in (life.after_stop, life.after_kill):
        if failure:
            raise failure


@pytest.mark.requirement("LIFE-10")
async def test_the_service_starts_and_answers(client: Client, run: Run) -> None:
    expect_status(await client.get("/async"), (200,), "200 of /async")
    if run.deaths:
        raise run.deaths[0]
    await run.check_lives()
