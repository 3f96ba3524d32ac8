"""From outcomes of probes to a verdict per requirement, and an exit status. Pure functions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from conformance.judging.result import Finding, RequirementResult, WrongEntry
from conformance.judging.verdict import Exit, Status
from conformance.spec.catalogue import Level, Requirement


@dataclass(frozen=True)
class Outcome:
    """What one probe of a requirement came to. A probe that never ended has no outcome."""

    requirement: str
    probe: str
    status: Status
    finding: Finding | None = None
    seconds: float = 0.0
    span: tuple[float, float] | None = None  # its begin and end, in seconds since the run began


def judge_requirement(
    requirement: Requirement, collected: Sequence[str], outcomes: Iterable[Outcome]
) -> RequirementResult:
    """Judge a requirement by the probes that were collected for it.

    A FAIL of one probe decides, whatever the others came to: what was found stays found. Then an
    ERROR does. A collected probe without an outcome is an ERROR. Then an INCONCLUSIVE decides.
    Probes that are not applicable are left out of account, unless all are.
    """
    by_probe = _take_last_outcomes(each for each in outcomes if each.requirement == requirement.id)
    ended = list(by_probe.values())
    deciding = (
        _find_first(ended, Status.FAIL)
        or _find_first(ended, Status.ERROR)
        or _find_lost_probe(requirement, collected, by_probe)
        or _find_first(ended, Status.INCONCLUSIVE)
        or _find_not_applicable(ended)
        or _make_pass(requirement, ended)
    )
    return RequirementResult(
        requirement.id,
        requirement.level,
        requirement.sentence,
        deciding.status,
        len(collected),
        _add_likely_cause(deciding.finding, requirement),
        round(sum(outcome.seconds for outcome in ended), 3),
        deciding.span,
    )


def _take_last_outcomes(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    """What each probe came to: the last of its outcomes, except that a FAIL stays one."""
    last: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.probe not in last or last[outcome.probe].status is not Status.FAIL:
            last[outcome.probe] = outcome
    return last


def _find_first(outcomes: Iterable[Outcome], status: Status) -> Outcome | None:
    return next((outcome for outcome in outcomes if outcome.status is status), None)


def _find_lost_probe(
    requirement: Requirement, collected: Sequence[str], reported: Collection[str]
) -> Outcome | None:
    """The ERROR that a probe is missing, or that one is there which nobody expects."""
    unreported = [probe for probe in collected if probe not in reported]
    stray = [probe for probe in reported if probe not in collected]
    if not collected:
        got = "no probe of this requirement was collected"
    elif unreported:
        got = f"{unreported[0]} was collected and never reported an outcome"
    elif stray:
        got = f"{stray[0]} reported an outcome and was never collected"
    else:
        return None
    finding = Finding(
        "every probe of the requirement to run and report",
        got,
        likely_cause="how the run was selected or ended",
    )
    return Outcome(requirement.id, "", Status.ERROR, finding)


def _find_not_applicable(outcomes: Sequence[Outcome]) -> Outcome | None:
    applies = any(outcome.status is not Status.NOT_APPLICABLE for outcome in outcomes)
    return None if applies else _find_first(outcomes, Status.NOT_APPLICABLE)


def _make_pass(requirement: Requirement, outcomes: Iterable[Outcome]) -> Outcome:
    if requirement.level is not Level.MAY:
        return Outcome(requirement.id, "", Status.PASS)
    findings = [outcome.finding for outcome in outcomes if outcome.finding]
    finding = Finding.of_observations(
        (text for each in findings for text in each.observations or (each.got,)),
        (reference for each in findings for reference in each.evidence),
        findings[0].reproduce if len(findings) == 1 else (),
    )
    return Outcome(requirement.id, "", Status.OBSERVED, finding)


def _add_likely_cause(finding: Finding | None, requirement: Requirement) -> Finding | None:
    if finding is None or finding.likely_cause:
        return finding
    return replace(finding, likely_cause=_guess_cause(finding) or requirement.usual_cause)


def _guess_cause(finding: Finding) -> str:
    """Where to look for what the requirement's usual cause does not explain. Empty if it does."""
    silence, exchange = finding.silence, finding.exchange
    if silence and exchange and silence.exchange < exchange.number:
        return (
            f"what {silence.endpoint} waits for since exchange {silence.exchange},"
            f" which {silence.requirement} sent; this requirement found it silent already"
        )
    return ""


def select_required(results: Iterable[RequirementResult], level: Level) -> list[RequirementResult]:
    """The results that the exit status of a run at this level depends on."""
    levels = (Level.MUST,) if level is Level.MUST else (Level.MUST, Level.SHOULD)
    return [result for result in results if result.level in levels]


def exit_status(
    results: Iterable[RequirementResult],
    level: Level,
    *,
    allow_inconclusive: bool = False,
    wrong_entries: Collection[WrongEntry] = (),
) -> Exit:
    """The exit status, derived from the verdicts alone.

    A requirement that failed decides, whatever broke beside it. A known failure does not count; a
    wrong entry in their list does, unless something broke. What is not applicable counts neither
    for nor against: a run that judged nothing else has established nothing.
    """
    results = list(results)
    applicable = [
        result
        for result in select_required(results, level)
        if result.status is not Status.NOT_APPLICABLE
    ]
    if any(result.counts_as_failed for result in applicable):
        return Exit.FAILED
    if any(result.status is Status.ERROR for result in results):
        return Exit.ERROR
    if wrong_entries:
        return Exit.FAILED
    is_unknown = any(result.status is Status.INCONCLUSIVE for result in applicable)
    if (is_unknown and not allow_inconclusive) or not applicable:
        return Exit.NOT_ESTABLISHED
    return Exit.PASSED
