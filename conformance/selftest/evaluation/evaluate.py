"""The evaluation of the suite: every part of it by one command, which writes its figures.

`conformance evaluate` runs all parts, `conformance evaluate PART…` some. Each part writes one file
of `figures/`. The page `README.md` and the table in the project's README are made of these alone.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from conformance.config.paths import PROJECT
from conformance.core.signals import SIGNALS
from conformance.selftest.conforming_services.table import CONFORMING_SERVICES
from conformance.selftest.evaluation import (
    comparison,
    conforming,
    figures_page,
    kill_matrix,
    mutants,
    pairs,
    slots,
    subsets,
)
from conformance.selftest.evaluation.comparison import Testbed
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.selftest.faulty_services.table import FaultyService, load_faulty_services
from conformance.selftest.support.suite import (
    environment,
    interrupt_runs,
    run_suite,
    work_in_memory,
)
from conformance.session import repeat

COMPARED_AT_ONCE = 2  # Schemathesis waits more than it works
REPEATED_AT_ONCE = 6  # each run beside five others, more than two cores can serve
# These are judged in the same slots: a conforming service works while a faulty one waits.
TOGETHER = ("matrix", "conforming")
Figures = dict[str, Any]


def main(parts: Sequence[str], *, runs: int, again: bool) -> int:
    """Run the parts, write their figures and render the pages. Return an exit status.

    0: the figures are as they should be. 1: they are not. 4: wrong usage. `again` keeps the rows
    that are exact and as their table is now, those of the comparison and pairs without a loss, and
    judges the others.
    """
    if unknown := [part for part in parts if part not in figures_page.PARTS]:
        known = ", ".join(figures_page.PARTS)
        print(f"PART must be one of {known}, not {unknown[0]!r}", file=sys.stderr)
        return 4
    single: dict[str, Callable[[], Figures]] = {
        "pairs": partial(_judge_pairs, again=again),
        "mutants": _judge_mutants,
        "subsets": _judge_subsets,
        "comparison": partial(_compare, again=again),
        "repeat": partial(_repeat, runs),
    }
    work_in_memory()
    for number in SIGNALS:  # so that what was started is ended
        signal.signal(number, signal.default_int_handler)
    commit = _find_commit()
    asked = set(parts or figures_page.PARTS)
    for slots_of in (TOGETHER, ("whole",)):
        if together := [part for part in slots_of if part in asked]:
            for judged in judge_parts(together, again=again):
                for part, figures in judged.items():
                    _write_figures(part, figures, commit)
            for part, figures in judged.items():
                print(f"{part}: {figures['seconds']} s")
    for part in (part for part in single if part in asked):
        began = time.monotonic()
        figures = single[part]()
        figures.setdefault("seconds", round(time.monotonic() - began))
        _write_figures(part, figures, commit)
        print(f"{part}: {figures['seconds']} s")
    figures_page.write_pages()
    wrong = list(figures_page.find_wrong(figures_page.read_figures()))
    print("\n".join(wrong) or "all figures are as they should be")
    return 1 if wrong else 0


def _write_figures(part: str, figures: Figures, commit: str) -> None:
    figures["commits"] = list(dict.fromkeys([*figures.get("commits", ()), commit]))
    figures_page.FIGURES.mkdir(exist_ok=True)
    text = json.dumps(figures, indent=1, ensure_ascii=False) + "\n"
    (figures_page.FIGURES / f"{part}.json").write_text(text, "utf-8")


def _find_commit() -> str:
    """Return the commit that the figures are of. What an evaluation itself writes is no change."""
    git = ("git", "-C", str(PROJECT))
    ours = [f":!{path.relative_to(PROJECT)}" for path in figures_page.WRITTEN]
    head, changes = (
        subprocess.run([*git, *words], capture_output=True, text=True, check=False)
        for words in (
            ("rev-parse", "--short=7", "HEAD"),
            ("status", "--porcelain", "--", ".", *ours),
        )
    )
    if head.returncode:
        return "no commit"
    return head.stdout.strip() + (" and changes" if changes.stdout else "")


@dataclass(frozen=True)
class _Row:
    """A target that a part judges once, and what its row says next to the verdicts."""

    part: str
    name: str
    judge: Callable[[Slot], SlotResult]
    find_differences: Callable[[SlotResult], list[str]]
    more: Figures


def _list_rows(part: str) -> list[_Row]:
    """Return a row of each conforming service, or of each faulty one."""
    if part == "conforming":
        return [
            _Row(
                part,
                each.name,
                partial(conforming.judge_conforming_service, each),
                partial(conforming.find_differences, each),
                {"habit": each.habit},
            )
            for each in CONFORMING_SERVICES
        ]
    whole = part == "whole"
    return [
        _Row(
            part,
            each.name,
            partial(kill_matrix.judge_faulty_service, each, whole=whole),
            partial(kill_matrix.find_differences, each, whole=whole),
            {"made_for": list(each.fails[:1])},
        )
        for each in load_faulty_services()
    ]


def judge_parts(parts: Sequence[str], *, again: bool) -> Iterator[dict[str, Figures]]:
    """Judge each target of some parts once, all in the same slots.

    Yield the figures of each part whenever one more is judged, so that none is lost if this ends
    early. The seconds in them are those of all these parts together.
    """
    at_once = slots.RUNS_AT_ONCE if "matrix" in parts else slots.WHOLE_RUNS_AT_ONCE
    before = figures_page.read_figures() if again else {}
    kept = {part: before.get(part, {}) for part in parts}
    rows = [row for part in parts for row in _list_rows(part)]
    done = {part: _choose_kept(part, kept[part], rows) for part in parts}
    missing = _order_rows([row for row in rows if row.name not in done[row.part]])
    began = time.monotonic()

    def make_figures() -> dict[str, Figures]:
        seconds = round(time.monotonic() - began)
        return {
            part: {
                "rows": [
                    done[part][row.name]
                    for row in rows
                    if row.part == part and row.name in done[part]
                ],
                "at_once": at_once,
                "together": list(parts),
                "seconds": kept[part].get("seconds", 0) + seconds,
                "commits": kept[part].get("commits", []),
            }
            for part in parts
        }

    with slots.run_in_slots(at_once, [row.judge for row in missing]) as futures:
        judged = dict(zip(futures, missing, strict=True))
        for future in as_completed(futures):
            row, result = judged[future], future.result()
            done[row.part][row.name] = _make_figures(row, result)
            _print_row(row.name, result, done[row.part][row.name]["inexact"])
            yield make_figures()
    if not missing:
        yield make_figures()


def _choose_kept(part: str, figures: Mapping[str, Any], rows: Sequence[_Row]) -> dict[str, Figures]:
    """Return the rows that are exact and as their table is now, by name."""
    more = {row.name: row.more for row in rows if row.part == part}
    return {
        row["name"]: row
        for row in figures.get("rows", ())
        if row["name"] in more
        and not row["inexact"]
        and row | more[row["name"]] == row
        and not any(figures_page.find_outdated(part, row))
    }


def _order_rows(rows: Sequence[_Row]) -> list[_Row]:
    """Put the longest faulty services, which mostly wait, at one end, conforming ones at the other.

    Slots take their works from both ends.
    """
    took = figures_page.read_seconds("conforming") | figures_page.read_seconds("matrix")
    longest_first = kill_matrix.sort_longest_first(rows, took)
    return [row for row in longest_first if row.part != "conforming"] + [
        row for row in reversed(longest_first) if row.part == "conforming"
    ]


def _make_figures(row: _Row, result: SlotResult) -> Figures:
    return {
        "name": row.name,
        **row.more,
        "failed": sorted(result.ids_with("FAIL")),
        "unseen": sorted(result.ids_with("INCONCLUSIVE") | result.ids_with("NOT_APPLICABLE")),
        "seconds": round(result.seconds, 1),
        "inexact": row.find_differences(result),
    }


def _print_row(name: str, result: SlotResult, inexact: Sequence[str]) -> None:
    failed = ", ".join(sorted(result.ids_with("FAIL"))) or "fails nothing"
    print(f"  {name}: {failed} ({result.seconds:.1f} s)", flush=True)
    for sentence in inexact:
        print(f"    INEXACT: {sentence}", flush=True)


def _judge_pairs(*, again: bool) -> Figures:
    """Judge services with two faults at once."""
    kept = figures_page.read_figures().get("pairs", {}) if again else {}
    rows = {row["name"]: row for row in kept.get("rows", ()) if not pairs.has_lost(row)}
    faults = [each for each in load_faulty_services() if each.fails]
    drawn = pairs.draw_pairs(faults)
    missing = [pair for pair in drawn if pair.name not in rows]
    began = time.monotonic()
    with slots.run_in_slots(slots.RUNS_AT_ONCE, [pair.judge for pair in missing]) as futures:
        for pair, future in zip(missing, futures, strict=True):
            row = rows[pair.name] = pairs.make_figures(pair, future.result())
            outcomes = ", ".join(fault["outcome"] for fault in row["faults"])
            print(f"  {pair.name}: {outcomes} ({row['seconds']} s)", flush=True)
    return {
        "rows": [rows[pair.name] for pair in drawn],
        "arranged": pairs.count_arranged(faults),
        "seconds": kept.get("seconds", 0) + round(time.monotonic() - began),
        "commits": kept.get("commits", []),
    }


def _judge_mutants() -> Figures:
    """Judge every mutant of the reference, up to the first requirement that fails."""
    rows: list[Figures] = []
    chosen = list(mutants.make_mutants())
    works = [partial(mutants.judge_mutant, each) for each in chosen]
    with slots.run_in_slots(slots.WHOLE_RUNS_AT_ONCE, works) as futures:
        for mutant, future in zip(chosen, futures, strict=True):
            result = future.result()
            killer = mutants.find_killer(result)
            rows.append(
                {
                    "name": mutant.name,
                    "operator": mutant.operator,
                    "killed_by": killer,
                    "seconds": round(result.seconds, 1),
                }
            )
            print(f"  {mutant.name}: {killer or 'SURVIVED'} ({result.seconds:.1f} s)", flush=True)
    return {"rows": rows}


def _judge_subsets() -> Figures:
    """Judge some services by parts of the catalogue."""
    rows: list[Figures] = []
    chosen = subsets.list_selections()
    works = [selection.judge for selection in chosen]
    with slots.run_in_slots(slots.RUNS_AT_ONCE, works) as futures:
        for selection, future in zip(chosen, futures, strict=True):
            rows.append(subsets.make_row(selection, future.result()))
            print(f"  {selection.name} ({rows[-1]['seconds']} s)", flush=True)
    return subsets.make_figures(rows)


def _repeat(runs: int) -> Figures:
    """Judge the reference again and again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        repeat.main(
            runs, REPEATED_AT_ONCE, file, {"--services": "embedded"}, (), _open_forked_suite
        )
        figures = dict(json.loads(file.read_text("utf-8")))
        if not figures["runs"]:
            raise SystemExit("repeat: no run ended, so its figures stay as they were")
        # `seconds` are those of the whole part.
        return figures | {"means": figures.pop("seconds")}


@contextmanager
def _open_forked_suite() -> Iterator[repeat.Suite]:
    """Yield what runs the suite, forked from a process that has imported everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield _ForkedSuite(folder)


@dataclass
class _ForkedSuite:
    folder: Path
    is_interrupted: bool = False

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Make a run. Raises KeyboardInterrupt after an interrupt."""
        if self.is_interrupted:
            raise KeyboardInterrupt
        output, env = self.folder / "output.txt", environment(self.folder)
        status = run_suite(arguments, output, env, slots.RUN_DEADLINE, slots.END_DEADLINE)
        slots.expect_empty(self.folder / "scratch")
        return status, output.read_text("utf-8", "replace")

    def interrupt(self) -> None:
        """Interrupt all runs that are under way: those of every such suite."""
        self.is_interrupted = True
        interrupt_runs()


def _compare(*, again: bool) -> Figures:
    """Give every faulty service to Schemathesis alone."""
    kept = figures_page.read_figures().get("comparison", {}) if again else {}
    rows = {row["name"]: row for row in kept.get("rows", ())}
    services = load_faulty_services()
    began = time.monotonic()
    with ExitStack() as stack, ThreadPoolExecutor(COMPARED_AT_ONCE) as pool:
        testbeds: Queue[Testbed] = Queue()
        for _ in range(COMPARED_AT_ONCE):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o711)
            testbeds.put(stack.enter_context(comparison.open_testbed(folder)))
        missing = [each for each in services if each.name not in rows]
        compared = list(pool.map(partial(_compare_one, testbeds), missing))
    rows |= {row["name"]: row for row in compared}
    return {
        "rows": [rows[service.name] for service in services],
        "version": comparison.find_version(),
        "seconds": kept.get("seconds", 0) + round(time.monotonic() - began),
        "commits": kept.get("commits", []),
    }


def _compare_one(testbeds: "Queue[Testbed]", service: FaultyService) -> Figures:
    testbed = testbeds.get()
    try:
        compared = testbed.compare(service)
    finally:
        testbeds.put(testbed)
    found = ", ".join(compared.found) or "nothing"
    print(f"  {service.name}: {found} ({compared.seconds:.1f} s)", flush=True)
    return {"name": service.name, "found": compared.found, "seconds": round(compared.seconds, 1)}
