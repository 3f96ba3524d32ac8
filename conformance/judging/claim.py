"""The claim: the highest that the verdicts establish, as data and as a sentence. Pure functions.

A known failure is a failure to a claim. What would be established if the known failures had
passed is said as well. What is not applicable counts neither for nor against.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.judging.result import RequirementResult
from conformance.judging.verdict import Status
from conformance.spec.catalogue import Level, Requirement

LISTED = 5  # ids that a claim lists before it says "…"


@dataclass(frozen=True)
class Tally:
    """How many requirements of a level there are, and which of them did not pass."""

    level: Level
    total: int
    failed: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    known: tuple[str, ...] = ()  # failed, and are listed as known
    not_applicable: tuple[str, ...] = ()

    @property
    def applicable(self) -> int:
        """How many of them apply to the target."""
        return self.total - len(self.not_applicable)

    @property
    def passed_except_known(self) -> bool:
        """Whether all passed that apply and are not known to fail."""
        return not self.failed and not self.unjudged

    @property
    def passed(self) -> bool:
        """Whether all passed that apply."""
        return self.passed_except_known and not self.known


@dataclass(frozen=True)
class CountPhrases:
    """How many requirements of a level did not pass, in one language."""

    failed: str = "{count} ({names}) failed"
    unjudged: str = "{count} ({names}) could not be judged"
    as_known: str = "{count} ({names}) failed as known"
    one_known: str = "1 known failure ({names})"
    many_known: str = "{count} known failures ({names})"
    one_not_applicable: str = ", {count} is not applicable"
    many_not_applicable: str = ", {count} are not applicable"


@dataclass(frozen=True)
class Separators:
    """What stands between the parts of a sentence, in one language."""

    together: str = " and "
    then: str = "; "
    comma: str = ", "
    more: str = ", …"


@dataclass(frozen=True)
class Phrases:
    """What the sentence of a claim is made of, in one language. The defaults are English."""

    broken: str = "no claim: the suite or its testbed failed, so this run says nothing"
    broken_beside: str = (
        "core is not established: {failed}; the suite or its testbed failed as well, so this run"
        " says nothing of the rest"
    )
    partial: str = "no claim: {selected} of {catalogued} requirements were selected"
    not_counted: str = "{known} not counted"
    established: str = "{claim} is established: {passed} passed"
    except_known: str = "{claim} is established except for {known}: {passed} passed"
    every: str = "all {total} {level}"
    others: str = "the other {total} {level}"
    no_core: str = "core is not established: of {total} {level} {missed}"
    no_robust: str = "robust is not: of {total} {level} {missed}"
    level: str = "{level}"
    applicable_level: str = "{level} that apply"
    counts: CountPhrases = CountPhrases()
    separators: Separators = Separators()


ENGLISH = Phrases()


@dataclass(frozen=True)
class Claim:
    """What a run establishes.

    Without a tally of the MUSTs it establishes nothing: it broke, or did not select them all. The
    tally of the SHOULDs is None if they were not all selected.
    """

    selected: int
    catalogued: int
    broken: bool = False
    musts: Tally | None = None
    shoulds: Tally | None = None
    exceptions: tuple[str, ...] = ()
    failed_beside: tuple[str, ...] = ()  # MUSTs that failed in a run that broke

    @property
    def name(self) -> str | None:
        """`core`, `robust` or None."""
        if self.musts is None or not self.musts.passed:
            return None
        return "robust" if self.shoulds and self.shoulds.passed else "core"

    @property
    def name_with_exceptions(self) -> str | None:
        """The name if the known failures had passed."""
        if self.musts is None or not self.musts.passed_except_known:
            return None
        return "robust" if self.shoulds and self.shoulds.passed_except_known else "core"

    @property
    def sentence(self) -> str:
        """The claim and why, in one English sentence."""
        return self.phrase(ENGLISH)

    def phrase(self, phrases: Phrases) -> str:
        """The claim and why, in one sentence of these phrases."""
        if self.broken:
            return self._phrase_broken(phrases)
        if self.musts is None:
            return self._phrase_partial(phrases)
        core = _phrase_level(phrases, "core", self.musts, self.musts.known)
        if self.shoulds is None or not self.musts.passed_except_known:
            return core
        robust = _phrase_level(phrases, "robust", self.shoulds, self.exceptions)
        return core + phrases.separators.then + robust

    def _phrase_broken(self, phrases: Phrases) -> str:
        if not self.failed_beside:
            return phrases.broken
        names = _list_names(phrases, self.failed_beside)
        failed = phrases.counts.failed.format(count=len(self.failed_beside), names=names)
        return phrases.broken_beside.format(failed=failed)

    def _phrase_partial(self, phrases: Phrases) -> str:
        partial = phrases.partial.format(selected=self.selected, catalogued=self.catalogued)
        if not self.exceptions:
            return partial
        known = _phrase_known(phrases, self.exceptions)
        return partial + phrases.separators.then + phrases.not_counted.format(known=known)


def _phrase_level(phrases: Phrases, claim: str, tally: Tally, known: Sequence[str]) -> str:
    """Whether the requirements of a level establish a claim, and what is missing if not."""
    level = (phrases.applicable_level if tally.not_applicable else phrases.level).format(
        level=tally.level
    )
    if tally.passed_except_known:
        which = phrases.others if tally.known else phrases.every
        passed = which.format(total=tally.applicable - len(tally.known), level=level)
        template = phrases.except_known if known else phrases.established
        sentence = template.format(claim=claim, passed=passed, known=_phrase_known(phrases, known))
    else:
        template = phrases.no_core if claim == "core" else phrases.no_robust
        missed = _phrase_missed(phrases, tally)
        sentence = template.format(total=tally.applicable, level=level, missed=missed)
    return sentence + _phrase_not_applicable(phrases, len(tally.not_applicable))


def _phrase_not_applicable(phrases: Phrases, count: int) -> str:
    if not count:
        return ""
    template = (
        phrases.counts.one_not_applicable if count == 1 else phrases.counts.many_not_applicable
    )
    return template.format(count=count)


def _phrase_missed(phrases: Phrases, tally: Tally) -> str:
    """How many of a level failed, could not be judged, and are known to fail."""
    kinds = (
        (phrases.counts.failed, tally.failed),
        (phrases.counts.unjudged, tally.unjudged),
        (phrases.counts.as_known, tally.known),
    )
    return phrases.separators.together.join(
        kind.format(count=len(names), names=_list_names(phrases, names))
        for kind, names in kinds
        if names
    )


def _phrase_known(phrases: Phrases, names: Sequence[str]) -> str:
    template = phrases.counts.one_known if len(names) == 1 else phrases.counts.many_known
    return template.format(count=len(names), names=_list_names(phrases, names))


def _list_names(phrases: Phrases, names: Sequence[str]) -> str:
    return phrases.separators.comma.join(names[:LISTED]) + (
        phrases.separators.more if len(names) > LISTED else ""
    )


def make_claim(results: Iterable[RequirementResult], catalogue: Mapping[str, Requirement]) -> Claim:
    """The highest claim that the results establish.

    A run that leaves out a MUST establishes nothing. One that leaves out a SHOULD establishes no
    more than core. Results without a status are ignored.
    """
    judged = {each.id: each for each in results if each.status}
    broken = any(each.status is Status.ERROR for each in judged.values())
    musts, shoulds = (
        None if broken else _make_tally(level, judged, catalogue)
        for level in (Level.MUST, Level.SHOULD)
    )
    return Claim(
        len(judged),
        len(catalogue),
        broken,
        musts,
        shoulds if shoulds and shoulds.total else None,
        tuple(name for name, each in judged.items() if each.known),
        tuple(name for name, each in judged.items() if broken and _is_failed_must(each)),
    )


def _is_failed_must(result: RequirementResult) -> bool:
    return result.level is Level.MUST and result.counts_as_failed


def _make_tally(
    level: Level,
    judged: Mapping[str, RequirementResult],
    catalogue: Mapping[str, Requirement],
) -> Tally | None:
    """The tally of a level. None if not all of it was selected."""
    names = [name for name, requirement in catalogue.items() if requirement.level is level]
    if not judged.keys() >= set(names):
        return None
    failed, unjudged, not_applicable = (
        [name for name in names if judged[name].status is status]
        for status in (Status.FAIL, Status.INCONCLUSIVE, Status.NOT_APPLICABLE)
    )
    return Tally(
        level,
        len(names),
        tuple(name for name in failed if not judged[name].known),
        tuple(unjudged),
        tuple(name for name in failed if judged[name].known),
        tuple(not_applicable),
    )
