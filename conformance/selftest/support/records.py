"""Records as runs write them, made without a run: for the tests of what is made of records."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.core.evidence import Fact, Journal
from conformance.judging.claim import claim
from conformance.judging.verdict import Finding, Status, Verdict, exit_status
from conformance.report import record_reader
from conformance.report.record import Record
from conformance.report.record_reader import Report
from conformance.report.terminal import Summary
from conformance.spec.catalogue import Level, catalogue

BEGAN = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
SERVICES = {
    "postgres": "PostgreSQL 18.6 (embedded)",
    "redis": "Valkey 9.1.2 (embedded)",
    "containers": "none: no daemon answers",
}
HOSTILE = "\x1b[31m</script></summary></details>|` `` ``` ````\n```\n~~~\n# h\n@octocat <img src=x onerror=alert(1)> ![x](http://h/x) ]]>&amp;\0\ud800"


def fact(text: str) -> Fact:
    """Something that was seen."""
    return Journal().observe("row", text)


def wrong(
    got: str = "404", *evidence: str, reproduce: tuple[str, ...] = ("pytest --only DB-2 --seed 7",)
) -> Finding:
    """What a probe found."""
    return Finding(
        "200",
        got,
        tuple(fact(text) for text in evidence),
        "the branch that handles a missing row",
        reproduce,
    )


UNSEEN = Finding("evidence", "pass --worker-app MODULE:ATTR")
BROKEN = Finding(
    "the testbed to work", "Redis is gone", look_at="the testbed, not the target; please report it"
)
FOUND: dict[str, tuple[Status, Finding | None]] = {
    "DB-2": (Status.FAIL, wrong("404", "GET /items/1 → 404 (exchange 1)")),
    "UP-5": (Status.FAIL, wrong("500")),
    "TASK-5": (Status.INCONCLUSIVE, UNSEEN),
    "TASK-6": (Status.INCONCLUSIVE, UNSEEN),
}
NASTY: dict[str, tuple[Status, Finding | None]] = {
    "DB-2": (
        Status.FAIL,
        Finding(HOSTILE, HOSTILE, wrong("", HOSTILE).evidence, HOSTILE, ("```", HOSTILE)),
    ),
    "DB-3": (Status.INCONCLUSIVE, Finding("evidence", HOSTILE)),
    "DB-4": (Status.ERROR, Finding(HOSTILE, HOSTILE)),
    "HTTP-6": (Status.OBSERVED, Finding(HOSTILE, HOSTILE)),
}


def verdicts(found: Mapping[str, tuple[Status, Finding | None]] = {}) -> list[Verdict]:
    """A verdict on each requirement: what is found, and for the rest what a correct service gets."""
    return [
        Verdict(
            each,
            *_split(found.get(each.id) or _correct(each.level)),
            seconds=0.25,
            span=(1.0, 1.25),
        )
        for each in catalogue().values()
    ]


def summary(judged: list[Verdict], *, allow_inconclusive: bool = False, **about: Any) -> Summary:
    """What a run with these verdicts has to say at its end."""
    status = exit_status(judged, Level.MUST, allow_inconclusive=allow_inconclusive)
    said = {
        "target": "shop.main:app",
        "url": "http://127.0.0.1:1",
        "services": SERVICES,
        "seed": 7,
        **about,
    }
    sentence = claim(judged, catalogue()).sentence
    return Summary(
        **said,
        level=Level.MUST,
        verdicts=judged,
        sentence=sentence,
        status=status,
        seconds=18.5,
        timings={"boot": 1.5},
    )


def written(path: Path, run: Summary, *, killed: bool = False) -> Report:
    """The record of a run, read again; of one that was killed before it judged anything, where that is so."""
    record = Record(path)
    about = {
        "target": run.target,
        "url": run.url,
        "services": run.services,
        "seed": run.seed,
        "level": run.level,
    }
    record.header(
        suite="0.1.0",
        began=BEGAN,
        requirements=[each.requirement.id for each in run.verdicts],
        **about,
    )
    Journal(record.fact).observe("row", "items has no row 1")
    if not killed:
        for verdict in run.verdicts:
            record.verdict(verdict)
        record.footer(
            claim(run.verdicts, catalogue()), run.wrong, run.status, run.seconds, run.timings
        )
    record.close()
    return record_reader.read(path)


def mixed(place: Path) -> Report:
    """A record with failures, and with what could not be judged."""
    return written(place / "mixed.jsonl", summary(verdicts(FOUND)))


def correct(place: Path) -> Report:
    """A record of a robust service."""
    return written(place / "correct.jsonl", summary(verdicts()))


def killed(place: Path) -> Report:
    """A record of a run that was killed before it judged anything."""
    return written(place / "killed.jsonl", summary(verdicts()), killed=True)


def nasty(place: Path) -> Report:
    """A record in which everything that can be hostile is, its header and an id that nobody knows too."""
    path = place / "nasty.jsonl"
    written(
        path, summary(verdicts(NASTY), target=HOSTILE, url=HOSTILE, services={"postgres": HOSTILE})
    )
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    strange = next(line for line in lines if line.get("requirement") == "DB-2") | {
        "requirement": HOSTILE,
        "sentence": HOSTILE,
    }
    lines[0]["requirements"].append(HOSTILE)
    lines.insert(-1, strange)
    lines[-1]["sentence"] = HOSTILE
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return record_reader.read(path)


def _split(found: tuple[Status, Finding | None]) -> tuple[Status, int, Finding | None]:
    return found[0], 1, found[1]


def _correct(level: Level) -> tuple[Status, Finding | None]:
    return (
        (Status.OBSERVED, Finding("nothing", "a redirect is followed; NaN: 422"))
        if level is Level.MAY
        else (Status.PASS, None)
    )
