"""Causes: which failures follow from another one, and which is to be looked at first.

A failure is a consequence of another one for one of two reasons. Both show the same sign: the same
line blocks the event loop, the process printed the same words, or the same endpoint has been silent
since the same exchange. Or its requirement needs the other's, as the specification says. Nothing
here changes a verdict. Pure functions.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from conformance.judging.result import (
    LINE_NUMBER,
    Finding,
    RequirementResult,
    leave_out_changing,
)
from conformance.judging.verdict import Status
from conformance.spec.catalogue import Level, Requirement

BLOCKED = ", which blocks the event loop"  # how a likely cause ends that names a line
_ID = re.compile(r"\b[A-Z]+-[1-9]\d*\b")
# What a requirement is silent about lets nothing through: its needs are looked at in its place.
_OPEN = (Status.INCONCLUSIVE, None)


class Link(StrEnum):
    """Why a result is the consequence of another."""

    LINE = "the same line blocks the event loop"
    PRINTED = "the process printed the same exception"
    SILENCE = "the same endpoint has been silent since"
    NEED = "without that, this says little"


@dataclass(frozen=True)
class Consequence:
    """A result that follows from another, and why."""

    result: RequirementResult
    cause: str  # the id of the requirement that comes first of all
    link: Link


@dataclass(frozen=True)
class Cause:
    """A failure that follows from no other one, and those that follow from it."""

    result: RequirementResult
    consequences: tuple[Consequence, ...] = ()

    @property
    def all_results(self) -> tuple[RequirementResult, ...]:
        """The cause and its consequences."""
        return self.result, *(each.result for each in self.consequences)


def group_by_cause(
    results: Sequence[RequirementResult], catalogue: Mapping[str, Requirement]
) -> list[Cause]:
    """Every failure, and what could not be judged because of one, under its cause.

    Causes of which a MUST fails that is not known come first, then those with most consequences.
    """
    found = _Links({each.id: each for each in results}, catalogue)
    found.link_same_signs()
    found.link_needs()
    causes = [
        Cause(each, tuple(found.list_consequences(each.id)))
        for each in results
        if each.status is Status.FAIL and each.id not in found.parents
    ]
    return sorted(causes, key=_rank)


def map_consequences(causes: Iterable[Cause]) -> dict[str, Consequence]:
    """Each consequence by the id of its requirement."""
    return {each.result.id: each for cause in causes for each in cause.consequences}


def _rank(cause: Cause) -> tuple[bool, bool, int]:
    counting = [each for each in cause.all_results if each.counts_as_failed]
    has_must = any(each.level is Level.MUST for each in counting)
    return not counting, not has_must, -len(counting)


@dataclass
class _Links:
    """From which other result each result follows, as far as that was found."""

    results: Mapping[str, RequirementResult]
    catalogue: Mapping[str, Requirement]
    parents: dict[str, tuple[str, Link]] = field(default_factory=dict)

    def list_consequences(self, cause: str) -> Iterator[Consequence]:
        """What follows from a cause, at once or through others. Failures come first."""
        for status in (Status.FAIL, Status.INCONCLUSIVE):
            for each in self._select(status):
                if each.id in self.parents and self._find_root(each.id) == cause:
                    yield Consequence(each, cause, self.parents[each.id][1])

    def link_same_signs(self) -> None:
        """Put results with the same sign under the first failure of them."""
        found = [*self._select(Status.FAIL), *self._select(Status.INCONCLUSIVE)]
        for link, groups in _group_by_sign(found).items():
            for group in groups:
                if head := self._choose_head(link, group):
                    for each in group:
                        self._link(each.id, head, link)

    def link_needs(self) -> None:
        """Put what needs a failure under it, as far as that explains it."""
        for each in self._select(Status.FAIL):
            self._link_to_first(each.id, self._find_explaining(each))
        for each in self._select(Status.INCONCLUSIVE):
            if not each.lacks_channel:
                named = _ID.findall(each.finding.got) if each.finding else []
                failed = self._list_failed_needs(each.id)
                self._link_to_first(each.id, [*filter(self._has_failed, named), *failed])

    def _select(self, status: Status) -> list[RequirementResult]:
        return [each for each in self.results.values() if each.status is status]

    def _has_failed(self, name: str) -> bool:
        return name in self.results and self.results[name].status is Status.FAIL

    def _choose_head(self, link: Link, group: Sequence[RequirementResult]) -> str | None:
        """The failure of a group that comes first. None if there is none.

        That is the requirement whose exchange the silence began with, or one that needs no other of
        the group. Of these it is the one that was found first.
        """
        silence = group[0].finding and group[0].finding.silence
        if link is Link.SILENCE and silence and self._has_failed(silence.requirement):
            return silence.requirement
        failed = [each for each in group if each.status is Status.FAIL]
        names = {each.id for each in failed}
        free = [each for each in failed if names.isdisjoint(self._list_failed_needs(each.id))]
        first = min(free or failed, key=lambda each: each.span or (0.0, 0.0), default=None)
        return first.id if first else None

    def _find_explaining(self, result: RequirementResult) -> list[str]:
        return [
            name
            for name in self._list_failed_needs(result.id)
            if _explains(self.results[name].finding, result.finding)
        ]

    def _list_failed_needs(self, name: str) -> list[str]:
        """The failures that a requirement needs, the nearest first.

        A need that could not be judged is replaced by its own needs. One that passed is none.
        """
        failed: list[str] = []
        seen, waiting = {name}, list(self._get_needs(name))
        while waiting:
            need = waiting.pop(0)
            if need in seen:
                continue
            seen.add(need)
            if self._has_failed(need):
                failed.append(need)
            elif need not in self.results or self.results[need].status in _OPEN:
                waiting += self._get_needs(need)
        return failed

    def _get_needs(self, name: str) -> tuple[str, ...]:
        requirement = self.catalogue.get(name)
        return requirement.needs if requirement else ()

    def _link_to_first(self, name: str, causes: Sequence[str]) -> None:
        if causes:
            self._link(name, causes[0], Link.NEED)

    def _link(self, name: str, cause: str, link: Link) -> None:
        """Note what a result follows from, unless that is known or follows from it."""
        if name not in self.parents and self._find_root(cause) != name:
            self.parents[name] = (cause, link)

    def _find_root(self, name: str) -> str:
        while name in self.parents:
            name = self.parents[name][0]
        return name


def _group_by_sign(
    results: Iterable[RequirementResult],
) -> dict[Link, list[list[RequirementResult]]]:
    """The results with the same sign, by its kind. Those without any are left out."""
    groups: dict[tuple[Link, object], list[RequirementResult]] = {}
    for each in results:
        if each.finding and (sign := _find_sign(each.finding)):
            groups.setdefault(sign, []).append(each)
    return {link: [group for (kind, _), group in groups.items() if kind is link] for link in Link}


def _find_sign(finding: Finding) -> tuple[Link, object] | None:
    if finding.likely_cause.endswith(BLOCKED):
        return Link.LINE, finding.likely_cause
    if finding.printed:
        text = LINE_NUMBER.sub("", finding.printed.summary)
        return Link.PRINTED, leave_out_changing(text)
    if finding.silence:
        return Link.SILENCE, (finding.silence.endpoint, finding.silence.exchange)
    return None


def _explains(cause: Finding | None, finding: Finding | None) -> bool:
    """Whether a failure that a requirement needs can be why this is found.

    A wrong answer explains wrong answers of the same endpoint. A missing answer, or a 5xx, explains
    those of the same endpoint, and whatever is not an answer. What is not an answer explains all.
    """
    if cause is None or finding is None or cause.exchange is None:
        return True
    if finding.exchange is None:
        return cause.has_no_answer_of_its_own
    is_the_same = cause.exchange.endpoint == finding.exchange.endpoint
    return is_the_same and cause.has_no_answer_of_its_own == finding.has_no_answer_of_its_own
