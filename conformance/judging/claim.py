"""The claim: the highest that the verdicts establish, as data and as a sentence in any language. Pure functions.

A known failure is a failure to a claim. What would be established but for those, its exceptions, stands beside it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from conformance.judging.verdict import Status, Verdict
from conformance.spec.catalogue import Level, Requirement

LISTED = 5  # names that a claim lists before it says "…"


@dataclass(frozen=True)
class Tally:
    """How many requirements of a level there are, and which of them did not pass."""

    level: Level
    total: int
    failed: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    known: tuple[str, ...] = ()  # failed as they are listed

    @property
    def passed_but_for_known(self) -> bool:
        """Whether all did that are not known to fail."""
        return not self.failed and not self.unjudged

    @property
    def passed(self) -> bool:
        """Whether all of them did."""
        return self.passed_but_for_known and not self.known


@dataclass(frozen=True)
class Phrases:
    """What the sentence of a claim is made of, in one language: in English, where nothing else is said."""

    broken: str = "no claim: the suite or its testbed failed, so this run says nothing"
    partial: str = "no claim: {selected} of {catalogued} requirements were selected"
    not_counted: str = "{known} not counted"
    established: str = "{claim} is established: {passed} passed"
    but_for: str = "{claim} is established but for {known}: {passed} passed"
    every: str = "all {total} {level}"
    others: str = "the other {total} {level}"
    one_known: str = "1 known failure ({names})"
    many_known: str = "{count} known failures ({names})"
    no_core: str = "core is not established: of {total} {level} {missed}"
    no_robust: str = "robust is not: of {total} {level} {missed}"
    failed: str = "{count} ({names}) failed"
    unjudged: str = "{count} ({names}) could not be judged"
    as_known: str = "{count} ({names}) failed as known"
    together: str = " and "
    then: str = "; "
    comma: str = ", "
    more: str = ", …"


ENGLISH = Phrases()


@dataclass(frozen=True)
class Claim:
    """What a run establishes. Without a tally of the MUSTs nothing: it broke, or not all were selected; one of the SHOULDs may lack."""

    selected: int
    catalogued: int
    broken: bool = False
    musts: Tally | None = None
    shoulds: Tally | None = None
    exceptions: tuple[str, ...] = ()

    @property
    def name(self) -> str | None:
        """`core`, `robust` or None."""
        if self.musts is None or not self.musts.passed:
            return None
        return "robust" if self.shoulds and self.shoulds.passed else "core"

    @property
    def but_for_exceptions(self) -> str | None:
        """The same, if the known failures had passed."""
        if self.musts is None or not self.musts.passed_but_for_known:
            return None
        return "robust" if self.shoulds and self.shoulds.passed_but_for_known else "core"

    @property
    def sentence(self) -> str:
        """The claim and why, in one English sentence."""
        return self.said(ENGLISH)

    def said(self, phrases: Phrases) -> str:
        """The claim and why, in one sentence of these phrases."""
        if self.broken:
            return phrases.broken
        if self.musts is None:
            partial = phrases.partial.format(selected=self.selected, catalogued=self.catalogued)
            not_counted = phrases.then + phrases.not_counted.format(
                known=_known(phrases, self.exceptions)
            )
            return partial + (not_counted if self.exceptions else "")
        core = _part(phrases, "core", self.musts, self.musts.known, phrases.no_core)
        if self.shoulds is None or not self.musts.passed_but_for_known:
            return core
        return (
            core
            + phrases.then
            + _part(phrases, "robust", self.shoulds, self.exceptions, phrases.no_robust)
        )


def _part(phrases: Phrases, claim: str, tally: Tally, known: Sequence[str], otherwise: str) -> str:
    """Whether the claim of a level is established by its own requirements, but for what is known to fail."""
    if not tally.passed_but_for_known:
        return otherwise.format(
            total=tally.total, level=tally.level, missed=_missed(phrases, tally)
        )
    which = phrases.others if tally.known else phrases.every
    passed = which.format(total=tally.total - len(tally.known), level=tally.level)
    template = phrases.but_for if known else phrases.established
    return template.format(claim=claim, passed=passed, known=_known(phrases, known))


def _missed(phrases: Phrases, tally: Tally) -> str:
    """How many of a level failed, could not be judged, and are known to fail."""
    kinds = (
        (phrases.failed, tally.failed),
        (phrases.unjudged, tally.unjudged),
        (phrases.as_known, tally.known),
    )
    return phrases.together.join(
        kind.format(count=len(names), names=_listed(phrases, names))
        for kind, names in kinds
        if names
    )


def _known(phrases: Phrases, names: Sequence[str]) -> str:
    return (phrases.one_known if len(names) == 1 else phrases.many_known).format(
        count=len(names), names=_listed(phrases, names)
    )


def _listed(phrases: Phrases, names: Sequence[str]) -> str:
    return phrases.comma.join(names[:LISTED]) + (phrases.more if len(names) > LISTED else "")


def claim(verdicts: Sequence[Verdict], catalogue: Mapping[str, Requirement]) -> Claim:
    """The highest claim that the verdicts establish; a run that leaves out a MUST establishes none, one without the SHOULDs no more than core."""
    known = [verdict.requirement.id for verdict in verdicts if verdict.known]
    return claimed(
        {verdict.requirement.id: verdict.status for verdict in verdicts}, known, catalogue
    )


def claimed(
    statuses: Mapping[str, Status], known: Collection[str], catalogue: Mapping[str, Requirement]
) -> Claim:
    """The same of statuses by id and of the known failures among them, as a record has them."""
    broken = Status.ERROR in statuses.values()
    musts, shoulds = (
        None if broken else _tally(level, statuses, known, catalogue)
        for level in (Level.MUST, Level.SHOULD)
    )
    return Claim(
        len(statuses),
        len(catalogue),
        broken,
        musts,
        shoulds if shoulds and shoulds.total else None,
        tuple(known),
    )


def _tally(
    level: Level,
    statuses: Mapping[str, Status],
    known: Collection[str],
    catalogue: Mapping[str, Requirement],
) -> Tally | None:
    """The tally of a level; None where not all of it was selected."""
    names = [name for name, requirement in catalogue.items() if requirement.level is level]
    if not statuses.keys() >= set(names):
        return None
    failed, unjudged = (
        [name for name in names if statuses[name] is status]
        for status in (Status.FAIL, Status.INCONCLUSIVE)
    )
    news, listed = (
        [name for name in failed if (name in known) is wanted] for wanted in (False, True)
    )
    return Tally(level, len(names), tuple(news), tuple(unjudged), tuple(listed))
