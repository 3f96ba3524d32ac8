"""Probes of section 7: what a copy of the target printed and left in the whole of its life, and whether this one goes on."""

import signal

import pytest

from conformance.client import Client
from conformance.evidence import LogLine
from conformance.expectations import expect_status, require
from conformance.lives import STARTING, STOPPING, StoppedLife
from conformance.run import Run

CLEAN = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def saying(text: str, lines: list[LogLine]) -> list[LogLine]:
    """The lines that contain a text."""
    return [line for line in lines if text in line.text]


@pytest.mark.requirement("LIFE-1")
async def test_starting_up_is_printed_once_before_the_first_answer(stopped_life: StoppedLife) -> None:
    life = stopped_life.lived()
    early, all_lines = saying(STARTING, life.lines_at_first_answer), saying(STARTING, life.lines)
    require(
        len(early) == 1,
        f"one line {STARTING!r} when the first answer comes",
        f"{len(early)} of them",
        early or life.lines_at_first_answer[-4:],
    )
    require(len(all_lines) == 1, f"one line {STARTING!r} in the whole life of the process", f"{len(all_lines)} of them", all_lines)


@pytest.mark.requirement("LIFE-2")
async def test_shutting_down_is_printed_once_only_after_the_stop_signal(stopped_life: StoppedLife) -> None:
    life = stopped_life.lived()
    assert life.signalled
    early, all_lines = saying(STOPPING, life.lines_at_signal), saying(STOPPING, life.lines)
    require(not early, f"no line {STOPPING!r} before the stop signal", f"{len(early)} of them", [*early, life.signalled])
    got = f"{len(all_lines)} of them"
    require(len(all_lines) == 1, f"one line {STOPPING!r} after SIGTERM", got, [life.signalled, *(all_lines or life.lines[-4:])])


@pytest.mark.requirement("LIFE-3")
async def test_sigterm_ends_the_process_cleanly(stopped_life: StoppedLife) -> None:
    life = stopped_life.lived()
    assert life.signalled
    got = "a process that had to be killed" if life.status is None else f"status {life.status}"
    require(life.status in CLEAN, f"an end by itself after SIGTERM, with status {CLEAN}", got, [life.signalled, *life.lines[-4:]])
    require(life.port_is_free, "nothing listening on the port any more", "something listens", [life.signalled])
    require(
        not life.children,
        "no child process left",
        f"{len(life.children)} left: {life.children[0] if life.children else ''}",
        [life.signalled],
    )


@pytest.mark.requirement("LIFE-10")
async def test_the_service_starts_and_answers(client: Client, run: Run) -> None:
    expect_status(await client.get("/async"), (200,), "200 of /async")
    if run.deaths:
        raise run.deaths[0]
    await run.check_lives()
