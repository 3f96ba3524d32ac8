"""Typed observations: each has a line in a record, with its fields as data."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.config.paths import PROJECT
from conformance.core import observations
from conformance.core.evidence import Fact, Journal, Observation
from conformance.core.observations import (
    BlockingLine,
    ClosedConnections,
    EndedConnections,
    EndedSessions,
    HeldCounts,
    LockCount,
    RejectionCount,
    ResultLifetime,
    Route,
    RouteList,
    RowCheck,
    SearchCoverage,
    SessionCount,
    SessionList,
    TableSnapshot,
    TaskLocation,
    TaskResult,
    TerminatedSessions,
    WaitingWrites,
)
from conformance.judging.result import RunHeader
from conformance.report.record import RecordWriter, read_lines
from conformance.spec.catalogue import Level

SCHEMA = json.loads((PROJECT / "conformance" / "report" / "record.schema.json").read_text("utf-8"))
HEADER = RunHeader(
    suite="0",
    began=datetime(2026, 7, 1, tzinfo=UTC),
    target="t",
    url=None,
    services={},
    seed=1,
    level=Level.MUST,
    requirements=("DB-2",),
)
ROUTE = {
    "path": "/items/",
    "methods": ["GET"],
    "endpoint": "read_items",
    "coroutine": True,
    "dependencies": [{"name": "common", "coroutine": True, "parameters": ["q"]}],
}

# The typed fields of each, its channel, and what a record keeps as `data`.
SHAPES: dict[type[Observation], tuple[dict[str, Any], str, dict[str, Any]]] = {
    RowCheck: ({"row": {"id": 7, "name": "x"}}, "row", {"row": {"id": 7, "name": "x"}}),
    TableSnapshot: (
        {"versions": {7: (7, "(0,1)", "1", "0", "(7,x)")}},
        "table",
        {"versions": {"7": [7, "(0,1)", "1", "0", "(7,x)"]}},
    ),
    SearchCoverage: (
        {
            "programs": 1,
            "steps": {"lock": 1, "hold": 0},
            "asked": {"as usual": {"item 0": 2}},
            "combinations": ((), ("reads are held", "restarted")),
        },
        "search",
        {
            "programs": 1,
            "steps": {"lock": 1, "hold": 0},
            "asked": {"as usual": {"item 0": 2}},
            "combinations": [[], ["reads are held", "restarted"]],
        },
    ),
    LockCount: ({"waiting": 2}, "lock", {"waiting": 2}),
    SessionCount: ({"sessions": 3}, "session", {"sessions": 3}),
    SessionList: (
        {"identities": ("9 since noon",), "idle_in_transaction": (9,)},
        "session",
        {"identities": ["9 since noon"], "idle_in_transaction": [9]},
    ),
    EndedSessions: ({"abandoned": 1, "open": 0}, "session", {"abandoned": 1, "open": 0}),
    TerminatedSessions: ({"terminated": 4}, "fault", {"terminated": 4}),
    TaskLocation: (
        {"waiting": False, "kept": True, "done": False},
        "whereabouts",
        {"waiting": False, "kept": True, "done": False},
    ),
    TaskResult: ({"state": "SUCCESS"}, "result", {"state": "SUCCESS"}),
    ResultLifetime: ({"seconds": 86400}, "result", {"seconds": 86400}),
    RejectionCount: ({"refusals": 5}, "broker", {"refusals": 5}),
    WaitingWrites: ({"waiting": 1}, "broker", {"waiting": 1}),
    EndedConnections: ({"ended": 2}, "fault", {"ended": 2}),
    ClosedConnections: ({"closed": 3}, "fault", {"closed": 3}),
    HeldCounts: ({"counts": {"threads": 2}}, "holding", {"counts": {"threads": 2}}),
    BlockingLine: (
        {"line": "app.py:3", "frames": ("app.py:3:sync", "base_events.py:9:_run_once")},
        "stack",
        {"line": "app.py:3", "frames": ["app.py:3:sync", "base_events.py:9:_run_once"]},
    ),
    RouteList: ({"routes": (Route.from_json(ROUTE),)}, "source", {"routes": [ROUTE]}),
}


def record_line(fact: Fact, place: Path) -> dict[str, Any]:
    """The line that a record has of a fact, checked against the schema."""
    record = RecordWriter(place / "record.jsonl")
    record.write_header(HEADER)
    record.write_evidence(fact)
    record.close()
    line = read_lines(place / "record.jsonl")[1]
    jsonschema.validate(line, {**SCHEMA["$defs"]["evidence"], "$defs": SCHEMA["$defs"]})
    return dict(line)


def test_every_typed_observation_has_a_shape_here() -> None:
    typed = {
        kind
        for kind in vars(observations).values()
        if isinstance(kind, type) and issubclass(kind, Observation) and kind is not Observation
    }
    assert typed == set(SHAPES)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
def test_a_record_keeps_the_fields_of_a_kind_as_its_data(
    kind: type[Observation], tmp_path: Path
) -> None:
    values, channel, data = SHAPES[kind]
    fact = Journal().record(kind, at=1.5, text="what was seen", **values)
    line = record_line(fact, tmp_path)
    assert line == {
        "type": "evidence",
        "kind": "observation",
        "number": 1,
        "at": 1.5,
        "channel": channel,
        "text": "what was seen",
        "data": data,
        "summary": f"what was seen ({channel} check 1)",
    }


def test_an_observation_without_fields_has_empty_data(tmp_path: Path) -> None:
    line = record_line(Journal().observe("lock", "the table is locked"), tmp_path)
    assert (line["kind"], line["channel"], line["data"]) == ("observation", "lock", {})


def test_observations_are_numbered_by_their_channel_whatever_their_kind() -> None:
    journal = Journal()
    numbers = [
        journal.observe("lock", "the table is locked").number,
        journal.record(LockCount, text="1 reads wait in pg_locks", waiting=1).number,
        journal.record(SessionCount, text="1 session", sessions=1).number,
        journal.record(
            SessionList, text="no session", identities=(), idle_in_transaction=()
        ).number,
    ]
    assert numbers == [1, 2, 1, 2]
