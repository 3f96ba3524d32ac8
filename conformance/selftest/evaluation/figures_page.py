"""What the figures say: the page README.md, the table in the guides, and what is wrong.

It starts nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from conformance.config.paths import PROJECT
from conformance.selftest.conforming_services.table import CONFORMING_SERVICES
from conformance.selftest.evaluation import pairs
from conformance.selftest.evaluation.kill_matrix import choose_requirements
from conformance.selftest.evaluation.survivors import FAILED, NOT_STARTED, SURVIVORS
from conformance.selftest.faulty_services.table import load_faulty_services
from conformance.spec.catalogue import Language, Level, catalogue

HERE = Path(__file__).parent
FIGURES, PAGE = HERE / "figures", HERE / "README.md"
GUIDES = {  # the pages that show the table
    Language.EN: PROJECT / "spec" / "guide" / "evaluation.md",
    Language.ZH: PROJECT / "spec" / "zh" / "guide" / "evaluation.md",
}
WRITTEN = (FIGURES, PAGE, *GUIDES.values())  # by `conformance evaluate`
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
PARTS = (
    "matrix",
    "whole",
    "conforming",
    "pairs",
    "mutants",
    "comparison",
    "repeat",
    "subsets",
)
MOST_NAMES = 8  # in a cell
MOST_WORDS = 160  # characters of a finding in a cell
RULE_OF_THREE = 3  # of n cases none: at most 3 of n, with 95 % confidence
BOUND = {
    Language.EN: " (with 95 % confidence at most {of_runs:.1%} of runs and"
    " {of_verdicts:.3%} of verdicts differ)",
    Language.ZH: "（在 95 % 置信度下，至多 {of_runs:.1%} 的运行和 {of_verdicts:.3%} 的判定不同）",
}
Figures = Mapping[str, Any]


def read_figures() -> dict[str, Figures]:
    """Return the figures of each part that `conformance evaluate` has written."""
    return {
        part: json.loads((FIGURES / f"{part}.json").read_text("utf-8"))
        for part in PARTS
        if (FIGURES / f"{part}.json").exists()
    }


def read_seconds(part: str) -> dict[str, float]:
    """Return what each row of a part took."""
    return {row["name"]: row["seconds"] for row in read_figures().get(part, {"rows": ()})["rows"]}


def write_pages() -> None:
    """Render the page, and the table in each guide."""
    figures = read_figures()
    PAGE.write_text(render_page(figures), "utf-8")
    for language, guide in GUIDES.items():
        before, _, rest = guide.read_text("utf-8").partition(BEGIN)
        guide.write_text(
            before + BEGIN + render_summary(figures, language) + END + rest.partition(END)[2],
            "utf-8",
        )


def find_wrong(figures: Mapping[str, Figures]) -> Iterator[str]:
    """Yield a sentence for each row, mutant or verdict that is not as it should be."""
    faulty = [each.name for each in load_faulty_services()]
    tables = {
        "matrix": faulty,
        "whole": faulty,
        "comparison": faulty,
        "conforming": [each.name for each in CONFORMING_SERVICES],
    }
    for part in tables.keys() & figures.keys():
        if [row["name"] for row in figures[part]["rows"]] != tables[part]:
            again = f"run `conformance evaluate {part}` again"
            yield f"{part}: the figures are of another table; {again}"
            continue
        yield from (
            f"{part}: {row['name']}: {said}"
            for row in figures[part]["rows"]
            for said in row.get("inexact", ())
        )
        yield from (
            f"{part}: {row['name']}: {said}, as its table is now"
            for row in figures[part]["rows"]
            for said in find_outdated(part, row)
        )
    if "pairs" in figures:
        yield from pairs.find_wrong(figures["pairs"], faulty)
    yield from _find_wrong_runs(figures)


def _find_wrong_runs(figures: Mapping[str, Figures]) -> Iterator[str]:
    """The same of the parts whose rows are no row of a table."""
    if "mutants" in figures:
        yield from (
            f"mutants: the suite failed over {row['name']}"
            for row in figures["mutants"]["rows"]
            if row["killed_by"] == FAILED
        )
        yield from (
            f"mutants: {name} survived, and nothing says why"
            for name in _list_survivors(figures["mutants"])
            if name not in SURVIVORS
        )
    if "repeat" in figures:
        yield from (
            f"repeat: {flip['requirement']} was not always the same for {flip['target']}"
            for flip in figures["repeat"]["flips"]
        )
    if "subsets" in figures:
        yield from (
            f"subsets: {each['run']}: {each['requirement']} is {each['here']!r},"
            f" in the whole {each['whole']!r}"
            for each in figures["subsets"]["differences"]
        )


def find_outdated(part: str, row: Figures) -> Iterator[str]:
    """Yield what an exact row has otherwise than its table, which has changed since."""
    if part == "comparison" or row["inexact"]:
        return
    failed, unseen = set(row["failed"]), set(row["unseen"])
    if part == "conforming":
        service = next(each for each in CONFORMING_SERVICES if each.name == row["name"])
        unseen ^= {*service.inconclusive, *service.not_applicable}
        wrong = sorted((failed ^ service.fails) | unseen)
        yield from (f"{name} has another verdict" for name in wrong)
    else:
        faulty = next(each for each in load_faulty_services() if each.name == row["name"])
        judged = set(choose_requirements(faulty, whole=part == "whole"))
        for name, what in faulty.differences(judged, failed, unseen):
            yield f"{name} {what}"


HEAD = {Language.EN: "| given | result | again by |", Language.ZH: "| 给出 | 结果 | 重新得出 |"}
# The README's table: what is given and what comes of it in each part.
SUMMARY: Mapping[Language, Mapping[str, tuple[str, str]]] = {
    Language.EN: {
        "matrix": (
            (
                "{faults} services with one fault each, at least two for each of the {judged}"
                " requirements that are judged"
            ),
            (
                "{exact} found, each for its own reason, and nothing else failed of what each was"
                " judged by"
            ),
        ),
        "whole": (
            "the same, each judged by the whole catalogue",
            (
                "{exact} found, each for its own reason, and nothing else failed but what is named"
                " as its consequence"
            ),
        ),
        "comparison": (
            "the same, given to Schemathesis {version} alone (the contract, all phases)",
            "{found} found",
        ),
        "conforming": (
            "{services} conforming services, each in a style of its own",
            "{exact} pass every MUST that is asked of them, and every SHOULD that they claim",
        ),
        "pairs": (
            "{pairs} services with two of these faults each, drawn by a seed",
            (
                "of {faults} faults, {found} found for their own reason, {changed} for another,"
                " {folded} folded under the other fault, {explained} explained, {lost} lost"
            ),
        ),
        "mutants": (
            "{mutants} mutants of the reference, which cosmic-ray made",
            "{found} found ({unstarted} of them do not start); {survivors} survive, each explained",
        ),
        "repeat": (
            (
                "{runs} runs of the reference: fresh and re-used, alone and beside others, in any"
                " order"
            ),
            "{flips} of {verdicts:,} verdicts differed{bound}",
        ),
        "subsets": (
            (
                "{services} correct services, judged by each requirement alone and by drawn"
                " subsets in drawn orders: {runs} runs"
            ),
            "{differences} of {verdicts:,} verdicts differed from that of the whole",
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
        "comparison": (
            "同样的服务，只交给 Schemathesis {version}（契约，所有阶段）",
            "{found} 个被找出",
        ),
        "conforming": (
            "{services} 个正确的服务，风格各不相同",
            "{exact} 个通过了对其提出的每条 MUST，以及其声明的每条 SHOULD",
        ),
        "pairs": (
            "{pairs} 个各有其中两处缺陷的服务，由种子抽取",
            (
                "{faults} 处缺陷中，{found} 处因其自身的理由被找出，{changed} 处因别的理由被找出，"
                "{folded} 处归于另一处缺陷之下，{explained} 处有解释，{lost} 处遗漏"
            ),
        ),
        "mutants": (
            "{mutants} 个由 cosmic-ray 生成的参考实现变异体",
            "{found} 个被找出（其中 {unstarted} 个无法启动）；{survivors} 个存活，均有解释",
        ),
        "repeat": (
            "参考实现的 {runs} 次运行：全新的和复用的、单独的和与其他运行并行的，顺序任意",
            "{verdicts:,} 项判定中有 {flips} 项不同{bound}",
        ),
        "subsets": (
            "{services} 个正确的服务，按每条要求单独判定，再按抽取的子集和顺序判定：{runs} 次运行",
            "{verdicts:,} 项判定中有 {differences} 项与整个目录的不同",
        ),
    },
}


def render_summary(figures: Mapping[str, Figures], language: Language = Language.EN) -> str:
    """Return the table of the guides: a line for each part that has figures."""
    lines = [HEAD[language], "| --- | --- | --- |"]
    for part, count in (
        ("matrix", _count_faulty),
        ("whole", _count_faulty),
        ("comparison", _count_compared),
        ("conforming", _count_conforming),
        ("pairs", _count_pairs),
        ("mutants", _count_mutants),
        ("repeat", partial(_count_runs, language=language)),
        ("subsets", _count_subsets),
    ):
        if part in figures:
            numbers = count(figures[part])
            given, result = (cell.format(**numbers) for cell in SUMMARY[language][part])
            lines.append(f"| {given} | {result} | `conformance evaluate {part}` |")
    return "\n".join(lines) + "\n"


def _count_faulty(matrix: Figures) -> Figures:
    faults = [row for row in matrix["rows"] if row["made_for"]]
    judged = sum(requirement.level is not Level.MAY for requirement in catalogue().values())
    return {
        "faults": len(faults),
        "judged": judged,
        "exact": sum(not row["inexact"] for row in faults),
    }


def _count_compared(compared: Figures) -> Figures:
    found = sum(bool(row["found"]) for row in compared["rows"])
    return {"version": compared["version"], "found": found}


def _count_conforming(conforming: Figures) -> Figures:
    exact = sum(not row["inexact"] for row in conforming["rows"])
    return {"services": len(conforming["rows"]), "exact": exact}


def _count_pairs(figures: Figures) -> Figures:
    outcomes = pairs.count_outcomes(figures)
    explained = len(pairs.list_explained(figures))
    return {
        "pairs": len(figures["rows"]),
        "faults": sum(outcomes.values()),
        "found": outcomes.get(pairs.Outcome.FOUND, 0),
        "changed": outcomes.get(pairs.Outcome.CHANGED, 0),
        "folded": outcomes.get(pairs.Outcome.FOLDED, 0),
        "explained": explained,
        "lost": outcomes.get(pairs.Outcome.LOST, 0) - explained,
    }


def _count_mutants(mutants: Figures) -> Figures:
    rows = mutants["rows"]
    survivors = len(_list_survivors(mutants))
    unstarted = sum(row["killed_by"] == NOT_STARTED for row in rows)
    return {
        "mutants": len(rows),
        "found": len(rows) - survivors,
        "unstarted": unstarted,
        "survivors": survivors,
    }


def _count_runs(repeat: Figures, language: Language) -> Figures:
    flips = len(repeat["flips"])
    bound = "" if flips else BOUND[language].format(**_bound(repeat))
    return {"runs": repeat["runs"], "verdicts": repeat["verdicts"], "flips": flips, "bound": bound}


def _count_subsets(figures: Figures) -> Figures:
    return {
        "services": len(figures["services"]),
        "runs": figures["runs"],
        "verdicts": figures["verdicts"],
        "differences": len(figures["differences"]),
    }


def _bound(repeat: Figures) -> dict[str, float]:
    """Return the highest rates of which none in so many is seen by chance in 1 of 20 series.

    By the rule of three: 3/n. Verdicts of one run depend on each other, so that of runs counts.
    """
    return {
        "of_runs": RULE_OF_THREE / repeat["runs"],
        "of_verdicts": RULE_OF_THREE / repeat["verdicts"],
    }


def render_page(figures: Mapping[str, Figures]) -> str:
    """Return the page."""
    begin = (
        "# The evaluation\n\nWritten by `conformance evaluate` from `figures/`. Do not edit."
        " Seconds are of 2 cores."
    )
    parts = [begin, render_summary(figures).rstrip()]
    parts += (
        [f"There are no figures yet of: {', '.join(missing)}."]
        if (missing := [part for part in PARTS if part not in figures])
        else []
    )
    parts += (
        [_render_matrix(figures["matrix"], figures.get("whole"), figures.get("comparison"))]
        if "matrix" in figures
        else []
    )
    parts += [_render_conforming(figures["conforming"])] if "conforming" in figures else []
    parts += [_render_pairs(figures["pairs"])] if "pairs" in figures else []
    parts += [_render_mutants(figures["mutants"])] if "mutants" in figures else []
    parts += [_render_runs(figures["repeat"])] if "repeat" in figures else []
    parts += [_render_commits(figures)]
    return "\n\n".join(parts) + "\n"


def _render_matrix(matrix: Figures, whole: Figures | None, compared: Figures | None) -> str:
    given = ((whole, _render_whole), (compared, _render_compared))
    others = [({row["name"]: row for row in part["rows"]}, cells) for part, cells in given if part]
    rows = matrix["rows"]
    each = sum(row["seconds"] for row in rows) / len(rows) / matrix["at_once"]
    together = [part for part in matrix["together"] if part != "matrix"]
    others_too = "".join(f", together with the {part} services below," for part in together)
    took = f"{matrix['at_once']} at once, took {matrix['seconds']} s"
    lines = [
        "## Faulty services\n",
        "Each is judged by what it must fail, by the MUSTs of its section that are cheap to judge,",
        "and by one such MUST of every other section:",
        f"{_median(rows)} s (median). {len(rows)} of them{others_too or ','} {took}.",
        f"Each further one takes {each:.1f} s.",
    ]
    if whole:
        took = f"{_median(whole['rows'])} s (median), {whole['seconds']} s together"
        lines.append(f"By the whole catalogue: {took}.")
    if compared:
        lines.append(f"By Schemathesis: {_median(compared['rows'])} s (median), two at a time.")
    lines += [
        "",
        "| made for | faulty service | fails as well | s |"
        + (" of the whole catalogue | cannot be judged | s |" if whole else "")
        + (" Schemathesis finds | s |" if compared else ""),
        "| --- | --- | --- | --- |"
        + (" --- | --- | --- |" if whole else "")
        + (" --- | --- |" if compared else ""),
    ]
    for row in rows:
        cells = [
            "".join(row["made_for"]) or "none",
            f"`{row['name']}`",
            _list_other_failures(row),
            str(row["seconds"]),
        ]
        for theirs, of_theirs in others:
            cells += of_theirs(theirs[row["name"]]) if row["name"] in theirs else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _render_whole(row: Figures) -> list[str]:
    return [_list_other_failures(row), _list_names(row["unseen"]), str(row["seconds"])]


def _render_compared(row: Figures) -> list[str]:
    return [_escape_cell(", ".join(row["found"]) or "nothing"), str(row["seconds"])]


def _list_other_failures(row: Figures) -> str:
    return _list_names([name for name in row["failed"] if name not in row["made_for"]])


def _list_names(names: Sequence[str]) -> str:
    """Return the names of requirements, or how many where they are more than MOST_NAMES."""
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} of {len(catalogue())}"


def _render_conforming(conforming: Figures) -> str:
    lines = [
        "## Conforming services\n",
        "| service | habit | does not claim | cannot be judged | s |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{row['name']}` | {_escape_cell(row['habit'])} | {', '.join(row['failed'])} "
        f"| {', '.join(row['unseen'])} | {row['seconds']} |"
        for row in conforming["rows"]
    ]
    return "\n".join(lines)


def _render_pairs(figures: Figures) -> str:
    lines = ["## Pairs of faults\n", "| of all pairs of faults | pairs |", "| --- | --- |"]
    lines += [f"| {what} | {count} |" for what, count in figures["arranged"].items()]
    lines += [
        "",
        "Each was found for its own reason but for these:",
        "",
        "| made for | fault | beside | is | as |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {fault['made_for']} | `{fault['name']}` | `{other}` | {fault['outcome']} "
        f"| {_escape_cell(' / '.join(fault['why'].splitlines())[:MOST_WORDS])} |"
        for fault, other in pairs.list_covered(figures)
    ]
    lines += [
        f"| | `{beside}` | | explained | {reason} |"
        for beside, reason in pairs.list_explained(figures)
    ]
    return "\n".join(lines)


def _render_mutants(mutants: Figures) -> str:
    lines = ["## Mutants that survive\n", "| mutant | why nothing fails |", "| --- | --- |"]
    lines += [
        f"| `{_escape_cell(name)}` | {SURVIVORS.get(name, 'UNEXPLAINED')} |"
        for name in _list_survivors(mutants)
    ]
    return "\n".join(lines)


def _render_runs(repeat: Figures) -> str:
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
        + (
            "\n\n" + "\n".join(flips)
            if flips
            else "none" + BOUND[Language.EN].format(**_bound(repeat)) + "."
        )
    )


def _render_commits(figures: Mapping[str, Figures]) -> str:
    """Return of which commits the figures are. Rows that were judged again are of a later one."""
    lines = ["## Of which commits\n", "| part | commits | s |", "| --- | --- | --- |"]
    lines += [
        f"| {part} | {', '.join(figures[part]['commits'])} | {_render_seconds(figures[part])} |"
        for part in PARTS
        if part in figures
    ]
    return "\n".join(lines)


def _render_seconds(part: Figures) -> str:
    """Return what a part took, or all those that were judged together."""
    together = part.get("together", ())
    return f"{part['seconds']}" + (f" ({' and '.join(together)})" if len(together) > 1 else "")


def _list_survivors(mutants: Figures) -> list[str]:
    return [row["name"] for row in mutants["rows"] if row["killed_by"] is None]


def _median(rows: Sequence[Figures]) -> float:
    return round(float(median(row["seconds"] for row in rows)), 1)


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")
