"""Probes of section 7: what copies of the target printed, answered and left until their end."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from conformance.client.http import JSON, Client, RequestSpec, Sent
from conformance.core import timeouts
from conformance.core.errors import NoEvidence, Violation
from conformance.core.evidence import Exchange, Journal, LogLine, QueuedMessage
from conformance.core.observations import EndedSessions, HeldCounts, find_growing
from conformance.core.polling import wait_until
from conformance.judging.assertions import expect, expect_status, require, require_situation
from conformance.scenarios.lifecycle.copies import Ending, is_clean_disconnect
from conformance.scenarios.lifecycle.database_unreachable import DatabaseUnreachable
from conformance.scenarios.lifecycle.database_unresponsive import DatabaseUnresponsive
from conformance.scenarios.lifecycle.graceful_stop import GracefulStop
from conformance.scenarios.lifecycle.observer import LifecycleObserver
from conformance.scenarios.lifecycle.restart import Restart, StopObserved
from conformance.scenarios.lifecycle.stops import HeldRequest, Load, StopUnderLoad
from conformance.scenarios.lifecycle.whole_life import WholeLife
from conformance.spec import model
from conformance.target.capabilities import Capabilities
from conformance.target.external import UNSEEN_STATUS
from conformance.target.server import Target
from conformance.testbed.broker import Broker
from conformance.testbed.database import Database
from conformance.testbed.process_output import STARTING, STOPPING, find_lines_saying

CLEAN = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
OF_EACH = 2  # requests of a round
UNHEARD = (
    "what the service prints goes to somebody else: "
    "let the suite start it, or give --container NAME"
)
REFUSALS = (502, 503, 504)  # by which a caller learns that nothing was done for it
INTERRUPTED = (0, -signal.SIGINT, 128 + signal.SIGINT)


@pytest.mark.requirement("LIFE-1")
@pytest.mark.stage("SCENARIOS")
async def test_starting_up_is_printed_once_before_the_first_answer(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    require_situation(capabilities.reads_output, UNHEARD)
    observed = await lifecycle.observe(GracefulStop)
    expect_starting_once(observed.lines_at_first_answer, "when the first answer comes")
    require(
        bool(find_lines_saying(STARTING, observed.lines_before_first_request)),
        f"one line {STARTING!r} before the first request is sent",
        "it came with the first request",
        observed.lines_at_first_answer[-4:],
    )
    expect_starting_once(observed.ending.lines, "in the whole life of the process")


def expect_starting_once(lines: list[LogLine], when: str) -> None:
    """The line that says so was printed once."""
    found = find_lines_saying(STARTING, lines)
    wanted = f"one line {STARTING!r} {when}"
    require(len(found) == 1, wanted, f"{len(found)} of them", found or lines[-4:])


@pytest.mark.requirement("LIFE-1")
@pytest.mark.stage("WHOLE_LIFE")
async def test_starting_up_is_printed_once_in_the_whole_life(
    whole_life: WholeLife, capabilities: Capabilities
) -> None:
    require_situation(capabilities.reads_output, UNHEARD)
    for life in whole_life.lives:
        found = find_lines_saying(STARTING, life.lines)
        if found or capabilities.starts_target:  # else its start may not have been seen
            expect_starting_once(life.lines, "from its start to the end of the run")


@pytest.mark.requirement("LIFE-2")
@pytest.mark.stage("SCENARIOS")
async def test_shutting_down_is_printed_once_only_after_the_stop_signal(
    lifecycle: LifecycleObserver, capabilities: Capabilities
) -> None:
    require_situation(capabilities.reads_output, UNHEARD)
    observed = await lifecycle.observe(GracefulStop)
    early = find_lines_saying(STOPPING, observed.ending.lines_at_signal)
    require(
        not early,
        f"no line {STOPPING!r} before the stop signal",
        f"{len(early)} of them",
        [*early, observed.ending.signalled],
    )
    expect_stopping_once(observed.ending, "SIGTERM")


def expect_stopping_once(ending: Ending, signal_name: str) -> None:
    """The line that says so was printed once in all."""
    lines = find_lines_saying(STOPPING, ending.lines)
    evidence = [ending.signalled, *(lines or ending.lines[-4:])]
    require(
        len(lines) == 1,
        f"one line {STOPPING!r} after {signal_name}",
        f"{len(lines)} of them",
        evidence,
    )


@pytest.mark.requirement("LIFE-2")
@pytest.mark.stage("WHOLE_LIFE")
async def test_shutting_down_is_not_printed_in_the_whole_life_before(
    whole_life: WholeLife, capabilities: Capabilities
) -> None:
    require_situation(capabilities.reads_output, UNHEARD)
    for life in whole_life.lives:
        found = [] if life.ended_by_itself else find_lines_saying(STOPPING, life.unasked_lines)
        require(
            not found,
            f"no line {STOPPING!r} before the stop signal at the end of the run",
            f"{len(found)} of them",
            found[:4],
        )


@pytest.mark.requirement("LIFE-3")
@pytest.mark.stage("SCENARIOS")
async def test_sigterm_ends_the_process_cleanly(lifecycle: LifecycleObserver) -> None:
    observed = await lifecycle.observe(GracefulStop)
    expect_clean(observed.ending, "SIGTERM", CLEAN)


@pytest.mark.requirement("LIFE-3")
@pytest.mark.stage("WHOLE_LIFE")
async def test_the_target_can_be_ended_after_its_whole_life(whole_life: WholeLife) -> None:
    if ending := whole_life.terminated:
        expect_ended(ending, "SIGTERM, after the whole run,")


def expect_ended(ending: Ending, signal_name: str) -> None:
    """The process ended by itself, with whatever status."""
    require(
        ending.status is not None,
        f"an end by itself after {signal_name}",
        f"a process that had to be killed after {timeouts.STOP_DEADLINE:.0f} s",
        [ending.signalled, *ending.lines[-4:]],
    )


def expect_clean(ending: Ending, signal_name: str, statuses: Sequence[int]) -> None:
    """The process ended by itself, with one of these statuses, and left nothing."""
    unseen = ending.status == UNSEEN_STATUS and UNSEEN_STATUS not in statuses
    expect_ended(ending, signal_name)
    allowed = " or ".join(str(int(each)) for each in statuses if each != UNSEEN_STATUS)
    wanted = f"an end by itself after {signal_name}, with status {allowed}"
    got, evidence = f"status {ending.status}", [ending.signalled, *ending.lines[-4:]]
    require(ending.status in statuses or unseen, wanted, got, evidence)
    require(
        ending.port_is_free,
        "nothing listening on the port any more",
        f"something listens: {ending.listener}" if ending.listener else "something listens",
        [ending.signalled],
    )
    left = f"{len(ending.children)} left: {ending.children[0] if ending.children else ''}"
    require(not ending.children, "no child process left", left, [ending.signalled])
    require_situation(
        not unseen,
        "the service ended, and its status can be seen only where the suite starts it, "
        "or by --container",
    )


@pytest.mark.requirement("LIFE-4")
@pytest.mark.stage("SCENARIOS")
async def test_a_request_in_flight_at_sigterm_is_answered(lifecycle: LifecycleObserver) -> None:
    stopped = (await lifecycle.observe(Restart)).stopped
    under_all = stopped.under_all
    for request in under_all.requests:
        if request.is_held:
            expect_answer_at_stop(request, under_all)
    if under_all.ending.status is None:
        await require_end_without_load(lifecycle)
        require_situation(
            stopped.culprit is not Load.IDLE,
            "idle clients alone keep the service from ending (LIFE-8)",
        )
        raise_not_ended(stopped, "SIGTERM")
    if under_all.sessions_at_end:
        expect_clean_disconnects(under_all.sessions_at_end, under_all.ending)
    require_all_held(stopped)


def expect_answer_at_stop(request: HeldRequest, under: StopUnderLoad) -> None:
    """The request was done and answered, or its caller was told that it was not."""
    answer, facts = request.answer, (*request.seen, under.ending.signalled)
    match request.load:
        case Load.READ:
            expect(answer, model.item_answer(under.row), *facts)
        case Load.CALL:
            expect_status(answer, (200, *REFUSALS), "200, 502, 503 or 504", *facts)
        case Load.SUBMISSION:
            expect_status(answer, (200, *REFUSALS), "200 or 503", *facts)
            if answer.status == 200 and request.queued is not None:
                require(
                    is_named(answer, request.queued),
                    "the task in the queue, whose submission was answered with 200",
                    f"{len(request.queued)} other messages in the broker",
                    [answer, *facts, *request.queued[:4]],
                )


def is_named(answer: Exchange, messages: Sequence[QueuedMessage]) -> bool:
    """Whether an answer names the task of a message."""
    text = answer.body.decode("utf-8", "replace")
    return any(str(message.task_id) in text for message in messages)


async def require_end_without_load(lifecycle: LifecycleObserver) -> None:
    """Raise NoEvidence where the service does not end with nothing in flight either."""
    idle = await lifecycle.observe(GracefulStop)
    why = "the service does not end after SIGTERM with nothing in flight either (LIFE-3)"
    require_situation(idle.ending.status is not None, why)


def raise_not_ended(stopped: StopObserved, signal_name: str) -> NoReturn:
    """Raise the Violation that a copy did not end, and what alone kept one from ending."""
    under = stopped.under_one or stopped.under_all
    load = stopped.culprit or "all that was in flight, though of nothing that was alone"
    raise Violation(
        f"an end by itself after {signal_name}, once what was in flight was released",
        f"a process that had to be killed after {timeouts.STOP_DEADLINE:.0f} s, because of {load}",
        [under.ending.signalled, *(each.answer for each in under.requests)],
    )


def require_all_held(stopped: StopObserved) -> None:
    """Raise NoEvidence where something was not in flight when the signal came."""
    held = {each.load for each in stopped.under_all.requests if each.is_held}
    free = [load for load in (Load.READ, Load.CALL, Load.SUBMISSION) if load not in held]
    require_situation(not free, f"{' and '.join(free)} could not be held, so it was not in flight")


def expect_clean_disconnects(seen: EndedSessions, ending: Ending) -> None:
    """Every session was closed by a Terminate message."""
    require(
        is_clean_disconnect(seen),
        "every session closed by a Terminate message",
        seen.text,
        [ending.signalled, seen],
    )


@pytest.mark.requirement("LIFE-5")
@pytest.mark.stage("SCENARIOS")
async def test_sigint_does_the_same(lifecycle: LifecycleObserver) -> None:
    interrupted = (await lifecycle.observe(Restart)).interrupted
    if interrupted is None:
        raise NoEvidence("the copy that was to be interrupted did not start (LIFE-9)")
    ending, sessions = interrupted.under_all.ending, interrupted.under_all.sessions_at_end
    if ending.status is None:
        raise_not_ended(interrupted, "SIGINT")
    expect_clean(ending, "SIGINT", INTERRUPTED)
    expect_stopping_once(ending, "SIGINT")
    if sessions:
        expect_clean_disconnects(sessions, ending)
    require_all_held(interrupted)


@pytest.mark.requirement("LIFE-5")
@pytest.mark.stage("WHOLE_LIFE")
async def test_sigint_ends_the_target_after_its_whole_life(whole_life: WholeLife) -> None:
    ending = whole_life.interrupted
    if ending is None:  # somebody else's, whose copies were interrupted
        return
    require_situation(
        whole_life.terminated is None or whole_life.terminated.status is not None,
        "neither SIGINT nor SIGTERM ends the target after the whole run (LIFE-3)",
    )
    expect_clean(ending, "SIGINT, after the whole run,", INTERRUPTED)
    if not find_lines_saying(STOPPING, ending.lines_at_signal):  # else LIFE-2 says so
        expect_stopping_once(ending, "SIGINT")
    if whole_life.sessions_at_end:
        expect_clean_disconnects(whole_life.sessions_at_end, ending)


@pytest.mark.requirement("LIFE-6")
@pytest.mark.stage("SCENARIOS")
async def test_without_a_database_the_service_does_not_start(lifecycle: LifecycleObserver) -> None:
    observed = await lifecycle.observe(DatabaseUnreachable)
    wanted = (
        "no answer, and an end with a status other than 0, "
        "of a service at whose database's address nothing listens"
    )
    if observed.answer:
        raise Violation(wanted, observed.answer.outcome, [observed.answer, *observed.lines[-4:]])
    await lifecycle.observe(GracefulStop)  # a copy that has its database starts
    assert observed.failure
    has_failed = observed.failure.status not in (0, None)
    require(has_failed, wanted, observed.failure.got, observed.lines[-4:])


@pytest.mark.requirement("LIFE-7")
@pytest.mark.stage("SCENARIOS")
async def test_it_is_not_ready_before_startup_has_finished(lifecycle: LifecycleObserver) -> None:
    observed = await lifecycle.observe(DatabaseUnresponsive)
    if observed.answer:
        raise Violation(
            "no answer while the database has taken the connection and not answered",
            observed.answer.outcome,
            [observed.answer],
        )
    require_situation(
        observed.is_connected, "the service did not connect to its database while it started"
    )


@pytest.mark.requirement("LIFE-8")
@pytest.mark.stage("SCENARIOS")
async def test_idle_kept_alive_clients_do_not_hold_up_a_stop(lifecycle: LifecycleObserver) -> None:
    stopped = (await lifecycle.observe(Restart)).stopped
    if stopped.culprit is Load.IDLE:
        await require_end_without_load(lifecycle)
        raise_not_ended(stopped, "SIGTERM")


@pytest.mark.requirement("LIFE-9")
@pytest.mark.stage("SCENARIOS")
async def test_it_starts_again_after_a_stop_and_after_a_kill(lifecycle: LifecycleObserver) -> None:
    observed = await lifecycle.observe(Restart)
    for failure in (observed.after_stop, observed.after_kill):
        if failure:
            raise failure


@pytest.mark.requirement("LIFE-11")
@pytest.mark.stage("SCENARIOS")
@pytest.mark.worker("stopped")
async def test_it_holds_no_more_the_longer_it_runs(
    client: Client, items: Database, queue: Broker, target: Target, journal: Journal
) -> None:
    async def look() -> HeldCounts:
        connections = await queue.clients.count_connections()
        counts = {
            "database sessions": (await items.sessions.count_sessions()).sessions,
            **({} if connections is None else {"connections to the broker": connections}),
            **await asyncio.to_thread(target.process.count_held),
        }
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        return journal.record(HeldCounts, text=f"the service holds {text}", counts=counts)

    row, looks = await items.rows.insert(), [await look()]
    async with client.on_one_connection() as send:
        while len(looks) < 2 or (
            find_growing(looks, timeouts.STILL_ROUNDS) and len(looks) <= timeouts.ROUNDS_OF_GROWTH
        ):
            answers = await ask_for_everything(send, queue, f"/items/{row['id']}")
            looks.append(await look())
    growing = find_growing(looks, timeouts.STILL_ROUNDS)
    if growing:  # what only lingers becomes less again
        first = looks[1]
        now = await wait_until(
            look, timeouts.LINGERING_DEADLINE, lambda now: not find_growing([first, now])
        )
        growing = [name for name in growing if name in find_growing([first, now])]
        looks.append(now)
    what = " and ".join(growing)
    require(
        not growing,
        f"no more {what} after {timeouts.STILL_ROUNDS} rounds in succession, of "
        f"{timeouts.ROUNDS_OF_GROWTH} rounds of the same requests",
        ", ".join(str(each.counts[growing[0]]) for each in looks) if growing else "",
        looks,
    )
    for answer in answers:
        require_situation(answer.answered, f"a request was not answered: {answer.summary}")


async def ask_for_everything(
    send: Callable[[RequestSpec], Sent], queue: Broker, item: str
) -> list[Exchange]:
    """A round of requests in turn, right and wrong ones, each several times."""
    paths = ("/sync", "/async", "/items/?q=a", item, "/items/1", "/items/abc", "/external-data")
    submission = RequestSpec("POST", "/process-data/", b'{"round": true}', JSON)
    specs = [
        *(RequestSpec("GET", path) for path in (*paths, "/nowhere")),
        replace(submission, content=b"[1]"),
        replace(submission, content=b"{"),
        submission,
    ]
    exchanges = [await send(spec) for spec in specs * OF_EACH]
    for message in await queue.messages.list_messages():
        if any(is_named(exchange, [message]) for exchange in exchanges):
            await queue.messages.remove_task(str(message.task_id))
    return exchanges


@pytest.mark.requirement("LIFE-10")
@pytest.mark.stage("READINESS")
async def test_the_service_starts_and_answers(
    client: Client, lifecycle: LifecycleObserver, deaths: list[Violation]
) -> None:
    expect_status(await client.get("/async"), (200,), "200 of /async")
    if deaths:
        raise deaths[0]
    await lifecycle.expect_all_started()
