"""What the figures of the proof say: PROOF.md, the README's table, and whether the proof holds. It starts nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from conformance.options import PROJECT
from conformance.selftest.miniatures.table import MINIATURES
from conformance.selftest.survivors import FAILED, NOT_STARTED, SURVIVORS
from conformance.selftest.variants.table import VARIANTS
from spec.catalogue import Level, catalogue

HERE = Path(__file__).parent
FIGURES, PAGE, README = HERE / "figures", HERE / "PROOF.md", PROJECT / "README.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
PARTS = ("matrix", "variants", "mutants", "peer", "repeat")
Figures = Mapping[str, Any]


def read() -> dict[str, Figures]:
    """The figures of each part that `conformance prove` has written."""
    return {part: json.loads((FIGURES / f"{part}.json").read_text("utf-8")) for part in PARTS if (FIGURES / f"{part}.json").exists()}


def write() -> None:
    """Render both pages."""
    figures = read()
    PAGE.write_text(page(figures), "utf-8")
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    README.write_text(before + BEGIN + summary(figures) + END + rest.partition(END)[2], "utf-8")


def wrong(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Where the proof does not hold, a sentence each; of the parts that there are figures of."""
    tables = {
        "matrix": [each.name for each in MINIATURES],
        "peer": [each.name for each in MINIATURES],
        "variants": [each.name for each in VARIANTS],
    }
    for part in tables.keys() & figures.keys():
        if [row["name"] for row in figures[part]["rows"]] != tables[part]:
            yield f"{part}: the figures are of another table; run `conformance prove {part}` again"
        yield from (f"{part}: {row['name']}: {said}" for row in figures[part]["rows"] for said in row.get("inexact", ()))
    if "mutants" in figures:
        yield from (f"mutants: the suite failed over {row['name']}" for row in figures["mutants"]["rows"] if row["killed_by"] == FAILED)
        yield from (f"mutants: {name} survived, and nothing says why" for name in _survivors(figures["mutants"]) if name not in SURVIVORS)
    if "repeat" in figures:
        yield from (f"repeat: {flip['requirement']} was not always the same for {flip['target']}" for flip in figures["repeat"]["flips"])


def summary(figures: Mapping[str, Figures]) -> str:
    """The README's table: a line for each part that there are figures of."""
    lines = ["| given | result | again by |", "| --- | --- | --- |"]
    for part, line in (
        ("matrix", _of_matrix),
        ("peer", _of_peer),
        ("variants", _of_variants),
        ("mutants", _of_mutants),
        ("repeat", _of_repeat),
    ):
        if part in figures:
            given, result = line(figures[part])
            lines.append(f"| {given} | {result} | `conformance prove {part}` |")
    return "\n".join(lines) + "\n"


def _of_matrix(matrix: Figures) -> tuple[str, str]:
    faults = [row for row in matrix["rows"] if row["made_for"]]
    judged = sum(requirement.level is not Level.MAY for requirement in catalogue().values())
    exact = sum(not row["inexact"] for row in faults)
    return (
        f"{len(faults)} services with one fault each, at least two for each of the {judged} requirements that are judged",
        f"{exact} found, each for its own reason, and nothing else failed",
    )


def _of_peer(peer: Figures) -> tuple[str, str]:
    found = sum(bool(row["found"]) for row in peer["rows"])
    return f"the same, given to Schemathesis {peer['version']} alone (the contract, all phases)", f"{found} found"


def _of_variants(variants: Figures) -> tuple[str, str]:
    exact = sum(not row["inexact"] for row in variants["rows"])
    return (
        f"{len(variants['rows'])} correct services, each in a style of its own",
        f"{exact} pass every MUST that is asked of them, and every SHOULD that they claim",
    )


def _of_mutants(mutants: Figures) -> tuple[str, str]:
    rows = mutants["rows"]
    unstarted = sum(row["killed_by"] == NOT_STARTED for row in rows)
    survivors = len(_survivors(mutants))
    return (
        f"{len(rows)} mutants of the reference, which cosmic-ray made",
        f"{len(rows) - survivors} found ({unstarted} of them do not start); {survivors} survive, each explained",
    )


def _of_repeat(repeat: Figures) -> tuple[str, str]:
    return (
        f"{repeat['runs']} runs of the reference: fresh and re-used, alone and beside others, in any order",
        f"{len(repeat['flips']) or 'none'} of {repeat['verdicts']:,} verdicts differed",
    )


def page(figures: Mapping[str, Figures]) -> str:
    """PROOF.md."""
    begin = "# The proof\n\nWritten by `conformance prove` from `figures/`; do not edit. Seconds are of 2 cores, three runs at once."
    parts = [begin, summary(figures).rstrip()]
    parts += [f"There are no figures yet of: {', '.join(missing)}."] if (missing := [part for part in PARTS if part not in figures]) else []
    parts += [_matrix(figures["matrix"], figures.get("peer"))] if "matrix" in figures else []
    parts += [_variants(figures["variants"])] if "variants" in figures else []
    parts += [_mutants(figures["mutants"])] if "mutants" in figures else []
    parts += [_repeat(figures["repeat"])] if "repeat" in figures else []
    return "\n\n".join(parts) + "\n"


def _matrix(matrix: Figures, peer: Figures | None) -> str:
    peered = {row["name"]: row for row in peer["rows"]} if peer else {}
    rows = matrix["rows"]
    scope = (
        "the whole catalogue" if matrix["whole"] else "its own requirements, its sections' MUSTs and every MUST that is cheap to look at"
    )
    lines = [
        "## Miniatures\n",
        f"Each judged by {scope}: {_median(rows)} s (median). {len(rows)} of them, three at once, took {matrix['seconds']} s, which is",
        f"{matrix['seconds'] / len(rows):.1f} s each, and grows by that much with each more."
        + (f" Schemathesis takes {_median(peer['rows'])} s (median), two at a time." if peer else ""),
        "",
        "| made for | miniature | fails as well | s |" + (" Schemathesis finds | s |" if peer else ""),
        "| --- | --- | --- | --- |" + (" --- | --- |" if peer else ""),
    ]
    for row in rows:
        also = ", ".join(name for name in row["failed"] if name not in row["made_for"])
        cells = ["".join(row["made_for"]) or "none", f"`{row['name']}`", also, str(row["seconds"])]
        if theirs := peered.get(row["name"]):
            cells += [_cell(", ".join(theirs["found"]) or "nothing"), str(theirs["seconds"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _variants(variants: Figures) -> str:
    lines = ["## Variants\n", "| variant | habit | does not claim | cannot be looked at | s |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `{row['name']}` | {_cell(row['habit'])} | {', '.join(row['failed'])} | {', '.join(row['unseen'])} | {row['seconds']} |"
        for row in variants["rows"]
    ]
    return "\n".join(lines)


def _mutants(mutants: Figures) -> str:
    lines = ["## Mutants that survive\n", "| mutant | why nothing fails |", "| --- | --- |"]
    lines += [f"| `{_cell(name)}` | {SURVIVORS.get(name, 'UNEXPLAINED')} |" for name in _survivors(mutants)]
    return "\n".join(lines)


def _repeat(repeat: Figures) -> str:
    lines = ["## Repeatability\n", "| kind of run | runs | s (mean) |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {count} | {repeat['seconds'][kind]} |" for kind, count in sorted(repeat["kinds"].items())]
    flips = [f"- {flip['requirement']}, {flip['target']}: {flip['runs']}" for flip in repeat["flips"]]
    return "\n".join(lines) + "\n\nVerdicts that differed: " + ("\n\n" + "\n".join(flips) if flips else "none.")


def _survivors(mutants: Figures) -> list[str]:
    return [row["name"] for row in mutants["rows"] if row["killed_by"] is None]


def _median(rows: Sequence[Figures]) -> float:
    return round(float(median(row["seconds"] for row in rows)), 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
