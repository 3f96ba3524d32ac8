"""What an exception that pytest saw is about."""

from collections.abc import Iterator

from conformance.core.errors import Violation


def find_violation(error: BaseException) -> BaseException:
    """The violation that Hypothesis saw and could not reproduce, which it reports in a group.

    Any other error is returned as it is.
    """
    if isinstance(error, BaseExceptionGroup) and (seen := error.subgroup(Violation)):
        return next(each for each in _leaves(seen) if isinstance(each, Violation))
    return error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for each in group.exceptions:
        yield from _leaves(each) if isinstance(each, BaseExceptionGroup) else (each,)
