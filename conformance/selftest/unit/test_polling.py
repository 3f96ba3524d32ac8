"""Polling: a wait ends when its fact is there or its time is over, and returns what it saw last."""

import time
from collections.abc import Iterator

import pytest

from conformance.core.polling import block_until, wait_until


def count() -> Iterator[int]:
    """The numbers from 1 on."""
    number = 0
    while True:
        number += 1
        yield number


async def test_a_wait_ends_with_the_first_result_that_is_enough() -> None:
    numbers = count()

    async def look() -> int:
        return next(numbers)

    assert await wait_until(look, 5.0, lambda seen: seen >= 3) == 3


def test_a_wait_in_a_thread_ends_with_the_first_result_that_is_enough() -> None:
    numbers = count()
    assert block_until(lambda: next(numbers), 5.0, lambda seen: seen >= 3) == 3


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_wait_whose_time_is_over_returns_what_it_saw_last(seconds: float) -> None:
    seen: list[int] = []
    began = time.monotonic()

    def look() -> int:
        seen.append(len(seen))
        return seen[-1]

    assert block_until(look, seconds, lambda _: False) == seen[-1]
    assert time.monotonic() - began >= seconds
    assert seen


async def test_a_wait_that_got_no_processor_looks_again_when_its_time_is_over() -> None:
    async def look() -> bool:
        is_so = next(looks)
        time.sleep(0.05)  # noqa: ASYNC251 - nothing else runs meanwhile
        return is_so

    looks = iter((False, True))
    assert await wait_until(look, 0.01)


def test_a_wait_in_a_thread_that_got_no_processor_looks_again_when_its_time_is_over() -> None:
    def look() -> bool:
        is_so = next(looks)
        time.sleep(0.05)
        return is_so

    looks = iter((False, True))
    assert block_until(look, 0.01)
