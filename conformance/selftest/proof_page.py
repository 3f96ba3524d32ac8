"""What the figures of the proof say: PROOF.md, the README's table, and whether the proof holds. It starts nothing."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from conformance.options import PROJECT
from conformance.selftest.miniatures.table import MINIATURES
from conformance.selftest.survivors import NOT_STARTED, SURVIVORS
from conformance.selftest.variants.table import VARIANTS
from spec.catalogue import Level, catalogue

HERE = Path(__file__).parent
FIGURES, PAGE, README = HERE / "figures", HERE / "PROOF.md", PROJECT / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
PARTS = ("matrix", "variants", "mutants", "peer", "repeat")
Figures = Mapping[str, Any]


def read() -> dict[str, Figures]:
    """The figures of each part, as `conformance prove` has written them."""
    return {part: json.loads((FIGURES / f"{part}.json").read_text("utf-8")) for part in PARTS}


def write() -> None:
    """Render both pages."""
    figures = read()
    PAGE.write_text(page(figures), "utf-8")
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    README.write_text(before + BEGIN + summary(figures) + END + rest.partition(END)[2], "utf-8")


def wrong(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Where the proof does not hold, a sentence each."""
    for part, names in (("matrix", [each.name for each in MINIATURES]), ("peer", [each.name for each in MINIATURES]),
                        ("variants", [each.name for each in VARIANTS])):  # fmt: skip
        if [row["name"] for row in figures[part]["rows"]] != names:
            yield f"{part}: the figures are of another table; run `conformance prove {part}` again"
        yield from (f"{part}: {row['name']}: {said}" for row in figures[part]["rows"] for said in row.get("inexact", ()))
    yield from (f"mutants: {name} survived, and nothing says why" for name in _survivors(figures) if name not in SURVIVORS)
    yield from (f"repeat: {flip['requirement']} was not always the same for {flip['target']}" for flip in figures["repeat"]["flips"])


def summary(figures: Mapping[str, Figures]) -> str:
    """The README's table."""
    faults = [row for row in figures["matrix"]["rows"] if row["made_for"]]
    exact = [row for row in faults if not row["inexact"]]
    peered = _peered(figures)
    variants = figures["variants"]["rows"]
    mutants = figures["mutants"]["rows"]
    survivors = _survivors(figures)
    unstarted = sum(row["killed_by"] == NOT_STARTED for row in mutants)
    judged = sum(requirement.level is not Level.MAY for requirement in catalogue().values())
    repeat = figures["repeat"]
    rows = [
        (
            f"{len(faults)} services with one fault each, at least two for each of the {judged} requirements that are judged",
            f"{len(exact)} found, each for its own reason, and nothing else failed",
            "matrix",
        ),
        (
            f"the same, given to Schemathesis {figures['peer']['version']} alone (the contract, all phases)",
            f"{sum(bool(peered[row['name']]['found']) for row in faults)} found",
            "peer",
        ),
        (
            f"{len(variants)} correct services that share no habit",
            f"{sum(not row['inexact'] for row in variants)} pass every MUST, and every SHOULD that they claim",
            "variants",
        ),
        (
            f"{len(mutants)} mutants of the reference, which cosmic-ray made",
            f"{len(mutants) - len(survivors)} found ({unstarted} do not start); {len(survivors)} survive, each explained",
            "mutants",
        ),
        (
            f"{repeat['runs']} runs of the reference: fresh and re-used, alone and beside others, in any order",
            f"{len(repeat['flips']) or 'none'} of {repeat['verdicts']:,} verdicts differed",
            "repeat",
        ),
    ]
    lines = ["| given | result | again by |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {given} | {result} | `conformance prove {part}` |" for given, result, part in rows)]) + "\n"


def page(figures: Mapping[str, Figures]) -> str:
    """PROOF.md."""
    return (
        "\n\n".join(
            [
                "# The proof\n\nWritten by `conformance prove` from `figures/`; do not edit. Seconds are of this machine: 2 cores, three runs at once.",
                summary(figures).rstrip(),
                _costs(figures),
                _matrix(figures),
                _variants(figures),
                _mutants(figures),
                _repeat(figures),
            ]
        )
        + "\n"
    )


def _costs(figures: Mapping[str, Figures]) -> str:
    rows = figures["matrix"]["rows"]
    ours, theirs = (round(median(row["seconds"] for row in figures[part]["rows"]), 1) for part in ("matrix", "peer"))
    each = figures["matrix"]["seconds"] / len(rows)
    scope = "the whole catalogue" if figures["matrix"]["whole"] else "its own requirements, its sections' MUSTs and all cheap MUSTs"
    return (
        "## What it costs\n\n"
        f"A miniature judged by {scope} takes {ours} s (median); {len(rows)} of them, three at once, took {figures['matrix']['seconds']} s, "
        f"{each:.1f} s each, and it grows by that much with each more. Schemathesis takes {theirs} s (median), two at a time. `.ci/run` runs the matrix and the variants, each once."
    )


def _matrix(figures: Mapping[str, Figures]) -> str:
    peered = _peered(figures)
    lines = [
        "## Miniatures\n",
        "What each fails, and what Schemathesis finds of it.\n",
        "| made for | miniature | fails as well | s | Schemathesis finds | s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in figures["matrix"]["rows"]:
        also = ", ".join(name for name in row["failed"] if name not in row["made_for"])
        found = ", ".join(peered[row["name"]]["found"]) or "nothing"
        cells = ("".join(row["made_for"]) or "none", f"`{row['name']}`", also, row["seconds"], _cell(found), peered[row["name"]]["seconds"])
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _variants(figures: Mapping[str, Figures]) -> str:
    lines = ["## Variants\n", "| variant | habit | does not claim | cannot be looked at | s |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{row['name']}` | {_cell(row['habit'])} | {', '.join(row['failed'])} | {', '.join(row['unseen'])} | {row['seconds']} |"
        for row in figures["variants"]["rows"]
    ]
    return "\n".join(lines)


def _mutants(figures: Mapping[str, Figures]) -> str:
    lines = ["## Mutants that survive\n", "| mutant | why nothing fails |", "| --- | --- |"]
    lines += [f"| `{_cell(name)}` | {SURVIVORS.get(name, 'UNEXPLAINED')} |" for name in _survivors(figures)]
    return "\n".join(lines)


def _repeat(figures: Mapping[str, Figures]) -> str:
    repeat = figures["repeat"]
    lines = ["## Repeatability\n", "| kind of run | runs | s (mean) |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {count} | {repeat['seconds'][kind]} |" for kind, count in sorted(repeat["kinds"].items())]
    flips = [f"- {flip['requirement']}, {flip['target']}: {flip['runs']}" for flip in repeat["flips"]]
    return "\n".join(lines) + "\n\nVerdicts that differed:\n\n" + ("\n".join(flips) or "none.")


def _peered(figures: Mapping[str, Figures]) -> dict[str, Figures]:
    return {row["name"]: row for row in figures["peer"]["rows"]}


def _survivors(figures: Mapping[str, Figures]) -> list[str]:
    return [row["name"] for row in figures["mutants"]["rows"] if row["killed_by"] is None]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
