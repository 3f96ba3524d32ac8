"""The proof: every part of it by one command, its figures as data, and the page and the README's table that are made of them.

`conformance prove` runs all parts and rewrites their figures; `conformance prove PART…` some. Each part writes one file of
`figures/`, from which alone `PROOF.md` and the README's table are rendered; a test holds them to that.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from conformance.config.paths import PROJECT
from conformance.selftest.conforming_services import judging
from conformance.selftest.conforming_services.table import VARIANTS
from conformance.selftest.evaluation import comparison, figures_page, kill_matrix, mutants
from conformance.selftest.evaluation.comparison import Bench
from conformance.selftest.evaluation.kill_matrix import Bed, Judged
from conformance.selftest.faulty_services.table import MINIATURES, Miniature
from conformance.selftest.support.suite import environment, work_in_memory
from conformance.selftest.support.warm import Starter
from conformance.session import repeat

BENCHES = 2  # for Schemathesis, which waits more than it works
TOGETHER = (
    "matrix",
    "variants",
)  # are judged on the same beds: a variant works while a miniature waits
Figures = dict[str, Any]


def main(parts: Sequence[str], *, runs: int, again: bool) -> int:
    """Run the parts, write their figures, and render the pages; 0 where the proof holds, 1 where it does not, 4 for wrong usage.

    `again` keeps the rows of miniatures and variants that are exact, and those of the peer, and judges the others.
    """
    works: dict[str, Callable[[], Figures]] = {
        "whole": lambda: judged_figures(["whole"], again=again)["whole"],
        "mutants": _mutants,
        "peer": partial(_peer, again=again),
        "repeat": partial(_repeat, runs),
    }
    if unknown := [part for part in parts if part not in figures_page.PARTS]:
        print(
            f"conformance prove wants parts of the proof; {unknown[0]!r} is none of {', '.join(figures_page.PARTS)}",
            file=sys.stderr,
        )
        return 4
    work_in_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    commit = _commit()
    asked = set(parts or figures_page.PARTS)
    if together := [part for part in TOGETHER if part in asked]:
        for part, figures in judged_figures(together, again=again).items():
            _write(part, figures, commit)
    for part in (part for part in works if part in asked):
        began = time.monotonic()
        figures = works[part]()
        figures.setdefault("seconds", round(time.monotonic() - began))
        _write(part, figures, commit)
    figures_page.write()
    wrong = list(figures_page.wrong(figures_page.read()))
    print("\n".join(wrong) or "the proof holds")
    return 1 if wrong else 0


def _write(part: str, figures: Figures, commit: str) -> None:
    figures["commits"] = list(dict.fromkeys([*figures.get("commits", ()), commit]))
    figures_page.FIGURES.mkdir(exist_ok=True)
    (figures_page.FIGURES / f"{part}.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    print(f"{part}: {figures['seconds']} s")


def _commit() -> str:
    """The commit that the figures are of; what a proof itself writes is no change of it."""
    git = ("git", "-C", str(PROJECT))
    head = subprocess.run(
        [*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=False
    )
    if head.returncode:
        return "no commit"
    changed = subprocess.run(
        [
            *git,
            "status",
            "--porcelain",
            "--",
            ".",
            *(f":!{path.relative_to(PROJECT)}" for path in figures_page.WRITTEN),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return head.stdout.strip() + (" and changes" if changed else "")


@dataclass(frozen=True)
class _Row:
    """A target that a part of the proof judges once, and what its row says beside the verdicts."""

    part: str
    name: str
    judge: Callable[[Bed], Judged]
    inexact: Callable[[Judged], list[str]]
    beside: Figures


def _rows(part: str) -> list[_Row]:
    """Every variant, by the whole catalogue; or every miniature, by that or by what `kill_matrix.judged_by` says."""
    if part == "variants":
        return [
            _Row(
                part,
                each.name,
                partial(judging.judge, each),
                partial(judging.inexact, each),
                {"habit": each.habit},
            )
            for each in VARIANTS
        ]
    judge, inexact = (
        partial(kill_matrix.judge, whole=part == "whole"),
        partial(kill_matrix.inexact, whole=part == "whole"),
    )
    return [
        _Row(
            part,
            each.name,
            partial(judge, each),
            partial(inexact, each),
            {"made_for": each.must_fail[:1]},
        )
        for each in MINIATURES
    ]


def judged_figures(parts: Sequence[str], *, again: bool) -> dict[str, Figures]:
    """The figures of parts that judge each target once: all of them on the same beds, and the seconds are those of all together."""
    most = kill_matrix.RUNS_AT_ONCE if "matrix" in parts else kill_matrix.WHOLE_RUNS_AT_ONCE
    before = figures_page.read() if again else {}
    kept = {part: before.get(part, {}) for part in parts}
    done = {
        part: {row["name"]: row for row in kept[part].get("rows", ()) if not row["inexact"]}
        for part in parts
    }
    rows = [row for part in parts for row in _rows(part)]
    took = figures_page.seconds("variants") | figures_page.seconds("matrix")
    missing = kill_matrix.longest_first(
        [row for row in rows if row.name not in done[row.part]], took
    )
    # The longest miniatures mostly wait and variants mostly work, so they stand at the two ends from which beds take.
    missing = [row for row in missing if row.part != "variants"] + [
        row for row in reversed(missing) if row.part == "variants"
    ]
    began = time.monotonic()
    with kill_matrix.begun(most, [row.judge for row in missing]) as futures:
        for row, future in zip(missing, futures, strict=True):
            judged = future.result()
            done[row.part][row.name] = {
                "name": row.name,
                **row.beside,
                "failed": sorted(judged.having("FAIL")),
                "unseen": sorted(judged.having("INCONCLUSIVE") | judged.having("NOT_APPLICABLE")),
                "seconds": round(judged.seconds, 1),
                "inexact": row.inexact(judged),
            }
            _tell(row.name, judged, done[row.part][row.name]["inexact"])
    seconds = round(time.monotonic() - began)
    return {
        part: {
            "rows": [done[part][row.name] for row in rows if row.part == part],
            "at_once": most,
            "together": list(parts),
            "seconds": kept[part].get("seconds", 0) + seconds,
            "commits": kept[part].get("commits", []),
        }
        for part in parts
    }


def _mutants() -> Figures:
    """Every mutant of the reference, up to the first requirement that fails."""
    rows: list[Figures] = []
    chosen = list(mutants.mutants())
    with kill_matrix.begun(
        kill_matrix.WHOLE_RUNS_AT_ONCE, [partial(mutants.judge, each) for each in chosen]
    ) as futures:
        for mutant, future in zip(chosen, futures, strict=True):
            judged = future.result()
            killer = mutants.killed_by(judged)
            rows.append(
                {
                    "name": mutant.name,
                    "operator": mutant.operator,
                    "killed_by": killer,
                    "seconds": round(judged.seconds, 1),
                }
            )
            print(f"  {mutant.name}: {killer or 'SURVIVED'} ({judged.seconds:.1f} s)", flush=True)
    return {"rows": rows}


def _repeat(runs: int) -> Figures:
    """The reference, judged again and again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        repeat.main(runs, repeat.AT_ONCE, file, {"--services": "embedded"}, (), _forked)
        figures = dict(json.loads(file.read_text("utf-8")))
        if not figures["runs"]:
            raise SystemExit("repeat: no run ended, so its figures stay as they were")
        return figures | {
            "means": figures.pop("seconds")
        }  # for `seconds` are those of the whole part


@contextmanager
def _forked() -> Iterator[repeat.Suite]:
    """The suite, forked from a process that has imported everything."""
    with tempfile.TemporaryDirectory() as name, closing(Starter()) as starter:
        place, output = Path(name), Path(name) / "output.txt"
        place.chmod(0o711)

        def run(options: Sequence[str]) -> tuple[int, str]:
            status = starter.run(
                options,
                output,
                environment(place),
                kill_matrix.RUN_DEADLINE,
                kill_matrix.END_DEADLINE,
            )
            kill_matrix.expect_empty(place / "scratch")
            return status, output.read_text("utf-8", "replace")

        yield run


def _peer(*, again: bool) -> Figures:
    """Every miniature, by Schemathesis alone."""
    kept = figures_page.read().get("peer", {}) if again else {}
    rows = {row["name"]: row for row in kept.get("rows", ())}
    began = time.monotonic()
    with ExitStack() as stack:
        benches: Queue[Bench] = Queue()
        for _ in range(BENCHES):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o711)
            benches.put(stack.enter_context(comparison.bench(folder)))

        def judge(miniature: Miniature) -> Figures:
            bench = benches.get()
            try:
                peered = bench.judge(miniature)
            finally:
                benches.put(bench)
            print(
                f"  {miniature.name}: {', '.join(peered.found) or 'nothing'} ({peered.seconds:.1f} s)",
                flush=True,
            )
            return {
                "name": miniature.name,
                "found": peered.found,
                "seconds": round(peered.seconds, 1),
            }

        with ThreadPoolExecutor(BENCHES) as pool:
            rows |= {
                row["name"]: row
                for row in pool.map(judge, [each for each in MINIATURES if each.name not in rows])
            }
    seconds = kept.get("seconds", 0) + round(time.monotonic() - began)
    return {
        "rows": [rows[miniature.name] for miniature in MINIATURES],
        "version": comparison.version(),
        "seconds": seconds,
        "commits": kept.get("commits", []),
    }


def _tell(name: str, judged: Judged, inexact: Sequence[str]) -> None:
    """A line of a row, and what is inexact about it."""
    print(
        f"  {name}: {', '.join(sorted(judged.having('FAIL'))) or 'fails nothing'} ({judged.seconds:.1f} s)",
        flush=True,
    )
    for said in inexact:
        print(f"    INEXACT: {said}", flush=True)
