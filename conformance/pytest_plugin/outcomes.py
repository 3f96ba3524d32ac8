"""From what pytest saw of a probe to its status and finding."""

from collections.abc import Iterator

import pytest

from conformance.core.errors import BrokenTestbed, NoEvidence, Violation
from conformance.judging.verdict import Finding, Status, observed
from conformance.pytest_plugin.keys import OBSERVED
from conformance.spec.catalogue import Level, Requirement

REPORT_IT = "please report it"


def judge_pass(item: pytest.Item) -> tuple[Status, Finding | None]:
    """A pass; or what was observed, by a probe that must say so."""
    if OBSERVED not in item.stash:
        return Status.PASS, None
    seen = item.stash[OBSERVED]
    if not seen:
        cause = f"the suite, not the target; {REPORT_IT}"
        wanted = "the probe to say what it observed"
        return Status.ERROR, Finding(wanted, "nothing", look_at=cause)
    facts = (fact for _, evidence in seen for fact in evidence)
    return Status.OBSERVED, observed((text for text, _ in seen), facts)


def judge_error(error: BaseException, requirement: Requirement) -> tuple[Status, Finding]:
    """What an exception of a probe means for its requirement."""
    if isinstance(error, Violation):
        is_observed = requirement.level is Level.MAY
        status = Status.OBSERVED if is_observed else Status.FAIL
        return status, Finding(error.expected, error.got, error.evidence, error.look_at)
    if isinstance(error, NoEvidence):
        return Status.INCONCLUSIVE, Finding("evidence", str(error))
    where = "the testbed" if isinstance(error, BrokenTestbed) else "the suite"
    got = f"{type(error).__name__}: {error}".split("\n")[0]
    cause = f"{where}, not the target; {REPORT_IT}"
    return Status.ERROR, Finding(f"{where} to work", got, look_at=cause)


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
