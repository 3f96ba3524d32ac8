"""What the figures of the proof say: PROOF.md, the README's table, and whether the proof holds. It starts nothing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from conformance.config.paths import PROJECT
from conformance.selftest.conforming_services.table import VARIANTS
from conformance.selftest.evaluation.kill_matrix import judged_by
from conformance.selftest.evaluation.survivors import FAILED, NOT_STARTED, SURVIVORS
from conformance.selftest.faulty_services.table import MINIATURES
from conformance.spec.catalogue import Language, Level, catalogue

HERE = Path(__file__).parent
FIGURES, PAGE = HERE / "figures", HERE / "README.md"
READMES = {  # the pages that show the table
    Language.EN: PROJECT / "spec" / "guide" / "evaluation.md",
    Language.ZH: PROJECT / "spec" / "zh" / "guide" / "evaluation.md",
}
WRITTEN = (FIGURES, PAGE, *READMES.values())  # by `conformance prove`
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
PARTS = ("matrix", "whole", "variants", "mutants", "peer", "repeat")
MOST_NAMES = 8  # in a cell
Figures = Mapping[str, Any]


def read() -> dict[str, Figures]:
    """The figures of each part that `conformance prove` has written."""
    return {
        part: json.loads((FIGURES / f"{part}.json").read_text("utf-8"))
        for part in PARTS
        if (FIGURES / f"{part}.json").exists()
    }


def seconds(part: str) -> dict[str, float]:
    """What each row of a part took."""
    return {row["name"]: row["seconds"] for row in read().get(part, {"rows": ()})["rows"]}


def write() -> None:
    """Render the page, and the table in each README."""
    figures = read()
    PAGE.write_text(page(figures), "utf-8")
    for language, readme in READMES.items():
        before, _, rest = readme.read_text("utf-8").partition(BEGIN)
        readme.write_text(
            before + BEGIN + summary(figures, language) + END + rest.partition(END)[2], "utf-8"
        )


def wrong(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Where the proof does not hold, a sentence each; of the parts that there are figures of."""
    tables = {
        "matrix": [each.name for each in MINIATURES],
        "whole": [each.name for each in MINIATURES],
        "peer": [each.name for each in MINIATURES],
        "variants": [each.name for each in VARIANTS],
    }
    for part in tables.keys() & figures.keys():
        if [row["name"] for row in figures[part]["rows"]] != tables[part]:
            yield f"{part}: the figures are of another table; run `conformance prove {part}` again"
            continue
        yield from (
            f"{part}: {row['name']}: {said}"
            for row in figures[part]["rows"]
            for said in row.get("inexact", ())
        )
        yield from (
            f"{part}: {row['name']}: {said}, as its table is now"
            for row in figures[part]["rows"]
            for said in _differs(part, row)
        )
    if "mutants" in figures:
        yield from (
            f"mutants: the suite failed over {row['name']}"
            for row in figures["mutants"]["rows"]
            if row["killed_by"] == FAILED
        )
        yield from (
            f"mutants: {name} survived, and nothing says why"
            for name in _survivors(figures["mutants"])
            if name not in SURVIVORS
        )
    if "repeat" in figures:
        yield from (
            f"repeat: {flip['requirement']} was not always the same for {flip['target']}"
            for flip in figures["repeat"]["flips"]
        )


def _differs(part: str, row: Figures) -> Iterator[str]:
    """Where the verdicts of an exact row are not what its table says: it has changed since they were made."""
    if part == "peer" or row["inexact"]:
        return
    failed, unseen = set(row["failed"]), set(row["unseen"])
    if part == "variants":
        variant = next(each for each in VARIANTS if each.name == row["name"])
        wrong = sorted(
            (failed ^ variant.missed) | (unseen ^ {*variant.inconclusive, *variant.not_applicable})
        )
        yield from (f"{name} has another verdict" for name in wrong)
    else:
        miniature = next(each for each in MINIATURES if each.name == row["name"])
        judged = set(judged_by(miniature, whole=part == "whole"))
        yield from (f"{name} {what}" for name, what in miniature.differs(judged, failed, unseen))


HEAD = {Language.EN: "| given | result | again by |", Language.ZH: "| 给出 | 结果 | 重新得出 |"}
# The README's table: what is given and what comes of it in each part.
SUMMARY: Mapping[Language, Mapping[str, tuple[str, str]]] = {
    Language.EN: {
        "matrix": (
            "{faults} services with one fault each, at least two for each of the {judged} requirements that are judged",
            "{exact} found, each for its own reason, and nothing else failed of what each was judged by",
        ),
        "whole": (
            "the same, each judged by the whole catalogue",
            "{exact} found, each for its own reason, and nothing else failed but what is named as its consequence",
        ),
        "peer": (
            "the same, given to Schemathesis {version} alone (the contract, all phases)",
            "{found} found",
        ),
        "variants": (
            "{variants} correct services, each in a style of its own",
            "{exact} pass every MUST that is asked of them, and every SHOULD that they claim",
        ),
        "mutants": (
            "{mutants} mutants of the reference, which cosmic-ray made",
            "{found} found ({unstarted} of them do not start); {survivors} survive, each explained",
        ),
        "repeat": (
            "{runs} runs of the reference: fresh and re-used, alone and beside others, in any order",
            "{flips} of {verdicts:,} verdicts differed",
        ),
    },
    Language.ZH: {
        "matrix": (
            "{faults} 个各有一处缺陷的服务，{judged} 条参与判定的要求每条至少两个",
            "{exact} 个被找出，理由均为各自的缺陷，且在各自所判定的要求中没有误报其他",
        ),
        "whole": (
            "同样的服务，每个都按整个目录判定",
            "{exact} 个被找出，理由均为各自的缺陷，除表中列为其后果的要求外没有误报其他",
        ),
        "peer": ("同样的服务，只交给 Schemathesis {version}（契约，所有阶段）", "{found} 个被找出"),
        "variants": (
            "{variants} 个正确的服务，风格各不相同",
            "{exact} 个通过了对其提出的每条 MUST，以及其声明的每条 SHOULD",
        ),
        "mutants": (
            "{mutants} 个由 cosmic-ray 生成的参考实现变异体",
            "{found} 个被找出（其中 {unstarted} 个无法启动）；{survivors} 个存活，均有解释",
        ),
        "repeat": (
            "参考实现的 {runs} 次运行：全新的和复用的、单独的和与其他运行并行的，顺序任意",
            "{verdicts:,} 项判定中有 {flips} 项不同",
        ),
    },
}


def summary(figures: Mapping[str, Figures], language: Language = Language.EN) -> str:
    """The README's table: a line for each part that there are figures of."""
    lines = [HEAD[language], "| --- | --- | --- |"]
    for part, counted in (
        ("matrix", _of_matrix),
        ("whole", _of_matrix),
        ("peer", _of_peer),
        ("variants", _of_variants),
        ("mutants", _of_mutants),
        ("repeat", _of_repeat),
    ):
        if part in figures:
            given, result = (
                cell.format(**counted(figures[part])) for cell in SUMMARY[language][part]
            )
            lines.append(f"| {given} | {result} | `conformance prove {part}` |")
    return "\n".join(lines) + "\n"


def _of_matrix(matrix: Figures) -> Figures:
    faults = [row for row in matrix["rows"] if row["made_for"]]
    judged = sum(requirement.level is not Level.MAY for requirement in catalogue().values())
    return {
        "faults": len(faults),
        "judged": judged,
        "exact": sum(not row["inexact"] for row in faults),
    }


def _of_peer(peer: Figures) -> Figures:
    return {"version": peer["version"], "found": sum(bool(row["found"]) for row in peer["rows"])}


def _of_variants(variants: Figures) -> Figures:
    return {
        "variants": len(variants["rows"]),
        "exact": sum(not row["inexact"] for row in variants["rows"]),
    }


def _of_mutants(mutants: Figures) -> Figures:
    rows = mutants["rows"]
    survivors = len(_survivors(mutants))
    unstarted = sum(row["killed_by"] == NOT_STARTED for row in rows)
    return {
        "mutants": len(rows),
        "found": len(rows) - survivors,
        "unstarted": unstarted,
        "survivors": survivors,
    }


def _of_repeat(repeat: Figures) -> Figures:
    return {"runs": repeat["runs"], "verdicts": repeat["verdicts"], "flips": len(repeat["flips"])}


def page(figures: Mapping[str, Figures]) -> str:
    """PROOF.md."""
    begin = "# The proof\n\nWritten by `conformance prove` from `figures/`; do not edit. Seconds are of 2 cores."
    parts = [begin, summary(figures).rstrip()]
    parts += (
        [f"There are no figures yet of: {', '.join(missing)}."]
        if (missing := [part for part in PARTS if part not in figures])
        else []
    )
    parts += (
        [_matrix(figures["matrix"], figures.get("whole"), figures.get("peer"))]
        if "matrix" in figures
        else []
    )
    parts += [_variants(figures["variants"])] if "variants" in figures else []
    parts += [_mutants(figures["mutants"])] if "mutants" in figures else []
    parts += [_repeat(figures["repeat"])] if "repeat" in figures else []
    parts += [_made_of(figures)]
    return "\n\n".join(parts) + "\n"


def _matrix(matrix: Figures, whole: Figures | None, peer: Figures | None) -> str:
    given = ((whole, _of_the_catalogue), (peer, _of_the_peer))
    others = [({row["name"]: row for row in part["rows"]}, cells) for part, cells in given if part]
    rows = matrix["rows"]
    each = sum(row["seconds"] for row in rows) / len(rows) / matrix["at_once"]
    beside = "".join(
        f", together with the {part} below," for part in matrix["together"] if part != "matrix"
    )
    lines = [
        "## Miniatures\n",
        "Each judged by what it must fail, by the MUSTs of its section that are cheap to look at, and by one such of every other section:",
        f"{_median(rows)} s (median). {len(rows)} of them{beside or ','} {matrix['at_once']} at once, took {matrix['seconds']} s; each more takes {each:.1f} s.",
        *(
            [
                f"By the whole catalogue: {_median(whole['rows'])} s (median), {whole['seconds']} s together."
            ]
            if whole
            else []
        ),
        *([f"By Schemathesis: {_median(peer['rows'])} s (median), two at a time."] if peer else []),
        "",
        "| made for | miniature | fails as well | s |"
        + (" of the whole catalogue | cannot be judged | s |" if whole else "")
        + (" Schemathesis finds | s |" if peer else ""),
        "| --- | --- | --- | --- |"
        + (" --- | --- | --- |" if whole else "")
        + (" --- | --- |" if peer else ""),
    ]
    for row in rows:
        cells = [
            "".join(row["made_for"]) or "none",
            f"`{row['name']}`",
            _also(row),
            str(row["seconds"]),
        ]
        for theirs, of_theirs in others:
            cells += of_theirs(theirs[row["name"]]) if row["name"] in theirs else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _of_the_catalogue(row: Figures) -> list[str]:
    return [_also(row), _some(row["unseen"]), str(row["seconds"])]


def _of_the_peer(row: Figures) -> list[str]:
    return [_cell(", ".join(row["found"]) or "nothing"), str(row["seconds"])]


def _also(row: Figures) -> str:
    return _some([name for name in row["failed"] if name not in row["made_for"]])


def _some(names: Sequence[str]) -> str:
    """Requirements; of more than eight, how many."""
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} of {len(catalogue())}"


def _variants(variants: Figures) -> str:
    lines = [
        "## Variants\n",
        "| variant | habit | does not claim | cannot be looked at | s |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{row['name']}` | {_cell(row['habit'])} | {', '.join(row['failed'])} | {', '.join(row['unseen'])} | {row['seconds']} |"
        for row in variants["rows"]
    ]
    return "\n".join(lines)


def _mutants(mutants: Figures) -> str:
    lines = ["## Mutants that survive\n", "| mutant | why nothing fails |", "| --- | --- |"]
    lines += [
        f"| `{_cell(name)}` | {SURVIVORS.get(name, 'UNEXPLAINED')} |"
        for name in _survivors(mutants)
    ]
    return "\n".join(lines)


def _repeat(repeat: Figures) -> str:
    lines = ["## Repeatability\n", "| kind of run | runs | s (mean) |", "| --- | --- | --- |"]
    lines += [
        f"| {kind} | {count} | {repeat['means'][kind]} |"
        for kind, count in sorted(repeat["kinds"].items())
    ]
    flips = [
        f"- {flip['requirement']}, {flip['target']}: {flip['runs']}" for flip in repeat["flips"]
    ]
    return (
        "\n".join(lines)
        + "\n\nVerdicts that differed: "
        + ("\n\n" + "\n".join(flips) if flips else "none.")
    )


def _made_of(figures: Mapping[str, Figures]) -> str:
    """Of which commits the figures are: rows that were judged again later are of a later one."""
    lines = ["## Of which commits\n", "| part | commits | s |", "| --- | --- | --- |"]
    lines += [
        f"| {part} | {', '.join(figures[part]['commits'])} | {_seconds(figures[part])} |"
        for part in PARTS
        if part in figures
    ]
    return "\n".join(lines)


def _seconds(part: Figures) -> str:
    """What a part took, or all those that were judged at once."""
    together = part.get("together", ())
    return f"{part['seconds']}" + (f" ({' and '.join(together)})" if len(together) > 1 else "")


def _survivors(mutants: Figures) -> list[str]:
    return [row["name"] for row in mutants["rows"] if row["killed_by"] is None]


def _median(rows: Sequence[Figures]) -> float:
    return round(float(median(row["seconds"] for row in rows)), 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
