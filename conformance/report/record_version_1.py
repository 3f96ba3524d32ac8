"""Records of version 1, as version 0.1.0 of the suite wrote them, turned into version 2.

Version 1 had no summaries of evidence, no channels that were missing, and the observations of a
MAY in one text.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from conformance.core.evidence import (
    Exchange,
    Fact,
    LogLine,
    Observation,
    ProcessEvent,
    QueuedMessage,
    UpstreamRequest,
)
from conformance.spec.catalogue import Channel

KINDS: dict[str, type[Fact]] = {
    "exchange": Exchange,
    "upstream_request": UpstreamRequest,
    "log_line": LogLine,
    "process_event": ProcessEvent,
    "queued_message": QueuedMessage,
    "observation": Observation,
}
BYTES = ("sent", "body")  # of an exchange; a record has them as text
ADVICE = "pass "  # began the text of what another option would have shown
SEPARATOR = "; and "  # between the options for two channels

# What the advice for each channel contained, and that for no other one did.
ADVICE_FOR = {
    Channel.POSTGRES: "--database-url",
    Channel.REDIS: "--redis-url",
    Channel.UPSTREAM: "--upstream-port",
    Channel.PROCESS: "--restart-command",
    Channel.COPY: "starts copies on other settings",
    Channel.WORKER: "--worker-app",
    Channel.SOURCE: "where it is a FastAPI application",
}


def upgrade_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of version 1 as version 2 has it. Raises KeyError or TypeError for a broken one."""
    match line["type"]:
        case "evidence":
            return {**line, "summary": _summarize(line)}
        case "verdict" if line["finding"]:
            return {**line, "finding": _upgrade_finding(line["finding"], line["status"])}
        case "footer":
            claim = line.get("claim_but_for_exceptions", line["claim"])
            absent: dict[str, Any] = {"exceptions": [], "wrong_entries": []}  # in the oldest
            return {**absent, **line, "claim_with_exceptions": claim}
    return dict(line)


def _upgrade_finding(finding: Mapping[str, Any], status: str) -> dict[str, Any]:
    got = str(finding["got"])
    return {
        **finding,
        "likely_cause": finding["look_at"],
        "missing": _missing_channels(got) if status == "INCONCLUSIVE" else [],
        "observations": got.split("; ") if status == "OBSERVED" else [],
    }


def _missing_channels(got: str) -> list[Channel]:
    if not got.startswith(ADVICE):
        return []
    advice = got.removeprefix(ADVICE).split(SEPARATOR)
    return [channel for each in advice for channel, part in ADVICE_FOR.items() if part in each]


def _summarize(line: Mapping[str, Any]) -> str:
    """Evidence in one line, as the run would have said it, or all of a line that is malformed."""
    kind = KINDS.get(str(line["kind"]))
    try:
        values: dict[str, Any] = {
            each.name: line[each.name] for each in fields(kind or Fact) if each.name in line
        }
        values |= {
            name: values[name].encode("utf-8", "backslashreplace")
            for name in BYTES
            if name in values
        }
        return kind(**values).summary if kind else str(dict(line))
    except (TypeError, ValueError, AttributeError, KeyError):
        return str(dict(line))
