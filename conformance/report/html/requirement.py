"""A requirement on the page: a line with its verdict that opens to all that is known of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conformance.judging.verdict import Status
from conformance.report.html.chart import chart, time
from conformance.report.html.markup import Content, Markup, Say, element, facts, prose
from conformance.report.html.timeline import timeline
from conformance.report.record_reader import Found, Judged, Report
from conformance.report.terminal import REMEDY
from conformance.spec.catalogue import FOLDER, Requirement, catalogue, folder

SIDE = 1500  # characters of what was expected, and of what was got
SUMMARY = 400  # of a line of evidence
SUMMARIES = 12  # lines of evidence
COMMAND = 4000  # of a line to reproduce
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Shown:
    """How a report's requirements are shown: in which words, under which ids, with how many facts each."""

    report: Report
    known: Mapping[str, Requirement]
    say: Say
    room: int
    prefix: str = ""


def entry(shown: Shown, judged: Judged) -> Markup:
    """The requirement."""
    requirement = shown.known.get(judged.id)
    level = judged.level or (requirement.level if requirement else None)
    summary = element(
        "summary",
        verdict(judged.status, shown.say),
        element("span", judged.id, class_="id"),
        element("h3", prose(sentence(shown, judged))),
        element(
            "span", f"{shown.say('known')} · " if judged.known else None, level, class_="level"
        ),
    )
    return element(
        "details",
        summary,
        element("div", _opened(shown, judged, requirement), class_="opened"),
        class_="item",
        id=shown.prefix + judged.id,
        data_status=judged.status or NOT_JUDGED,
        data_level=level,
        data_section=judged.section,
    )


def verdict(status: Status | None, say: Say) -> Markup:
    """A verdict as a word with its sign."""
    return element(
        "span", status or say(NOT_JUDGED), class_="verdict", data_is=status or NOT_JUDGED
    )


def sentence(shown: Shown, judged: Judged) -> str:
    """The requirement in a sentence: this catalogue's, or for one that it does not have the record's."""
    return shown.known[judged.id].sentence if judged.id in shown.known else judged.sentence


def _opened(shown: Shown, judged: Judged, requirement: Requirement | None) -> Iterator[Content]:
    say = shown.say
    if requirement:
        yield [
            element("p", prose(paragraph), class_="text")
            for paragraph in requirement.text.split("\n\n")
        ]
    if judged.found:
        yield _found(judged, judged.found, say)
        was_looked_at = not judged.found.got.startswith(REMEDY)
        drawn = timeline(shown.report, judged, shown.room) if was_looked_at else None
        yield chart(drawn, say) if drawn else None
        yield _reproduce(judged.found, say)
        yield _where(judged, judged.found, requirement, say)
    if requirement:
        usual = None if _is_usual(judged) else prose(requirement.usual_cause)
        yield facts(
            {say("why it matters"): prose(requirement.why), say("usual cause of failing"): usual},
            class_="notes",
        )
    yield element("p", _colophon(shown, judged, requirement), class_="colophon")


def _found(judged: Judged, found: Found, say: Say) -> Markup:
    got: Content = say.cut(found.got, SIDE)
    evidence = [element("li", say.cut(each, SUMMARY)) for each in found.summaries[:SUMMARIES]]
    if more := len(found.summaries) - len(evidence):
        evidence.append(element("li", say("and {count} more", count=more), class_="cut"))
    told: dict[str, Content] = {}
    match judged.status:
        case Status.OBSERVED:
            told[say("seen")] = element(
                "ul",
                (element("li", say.cut(each, SIDE)) for each in found.got.split("; ")[:SUMMARIES]),
            )
        case Status.INCONCLUSIVE:
            told[say("to judge") if found.got.startswith(REMEDY) else say("because")] = got
        case _:
            told[say("expected")] = say.cut(found.expected, SIDE)
            told[say("got")] = got
    told[say("known")] = _known(judged, say)
    told[say("evidence")] = element("ul", evidence) if evidence else None
    return facts(told, class_="found")


def _known(judged: Judged, say: Say) -> Content:
    """Why a failure does not count, in the words of the target's owner."""
    if judged.known is None:
        return None
    until = say(" (until {day})", day=judged.known.expires) if judged.known.expires else ""
    return [say.cut(judged.known.reason, SIDE), until]


def _reproduce(found: Found, say: Say) -> Content:
    """Commands to run again. What is copied is what is seen: a character that a terminal would act on stays an escape."""
    if not found.reproduce:
        return None
    button = element("button", say("Copy"), type="button", class_="copy", hidden=True)
    lines = [
        element(
            "div", element("pre", element("code", say.cut(each, COMMAND))), button, class_="command"
        )
        for each in found.reproduce
    ]
    return facts({say("reproduce"): lines}, class_="notes")


def _where(judged: Judged, found: Found, requirement: Requirement | None, say: Say) -> Content:
    if judged.status in (Status.INCONCLUSIVE, Status.OBSERVED):
        return None
    look_at = (
        prose(requirement.usual_cause)
        if requirement and _is_usual(judged)
        else say.cut(found.look_at, SIDE)
    )
    return facts(
        {
            say("look at"): look_at,
            say("to mend it"): prose(requirement.mend) if requirement else None,
        },
        class_="notes",
    )


def _is_usual(judged: Judged) -> bool:
    """Whether the run has nothing else to look at than the usual cause, which a record has in English."""
    known = catalogue().get(judged.id)
    return judged.status in (Status.FAIL, Status.ERROR) and bool(
        judged.found and known and judged.found.look_at == known.usual_cause
    )


def _colophon(shown: Shown, judged: Judged, requirement: Requirement | None) -> Iterator[Content]:
    say = shown.say
    parts: list[Content] = [element("a", f"#{judged.id}", href=f"#{shown.prefix}{judged.id}")]
    if requirement:
        parts += [
            requirement.source,
            say("seen through {channels}", channels=", ".join(map(say, requirement.channels))),
        ]
        parts += [
            f"{folder(say.language).relative_to(FOLDER.parent)}/{requirement.document}:{requirement.line}"
        ]
    if judged.status:
        parts += [say("probes: {count}, {time}", count=judged.probes, time=time(judged.seconds))]
    if judged.found and judged.status is Status.FAIL:
        parts += [say("fingerprint {digits}", digits=judged.found.fingerprint[:8])]
    for number, part in enumerate(parts):
        yield [" · " if number else None, part]
