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
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

from conformance import verify
from conformance.options import PROJECT
from conformance.selftest import matrix, mutants, peer, proof_page
from conformance.selftest.matrix import Judged
from conformance.selftest.miniatures.table import MINIATURES, Miniature
from conformance.selftest.peer import Bench
from conformance.selftest.suite import environment, work_in_memory
from conformance.selftest.variants import judging
from conformance.selftest.variants.table import VARIANTS
from conformance.selftest.warm import Starter

BENCHES = 2  # for Schemathesis, which waits more than it works
Figures = dict[str, Any]


def main(parts: Sequence[str], *, runs: int, again: bool) -> int:
    """Run the parts, write their figures, and render the pages; 0 where the proof holds, 1 where it does not, 4 for wrong usage.

    `again` keeps the rows of the matrix that are exact, and those of the peer, and judges the others.
    """
    works: dict[str, Callable[[], Figures]] = {
        "matrix": partial(matrix_figures, "matrix", again=again),
        "whole": partial(matrix_figures, "whole", again=again),
        "variants": _variants,
        "mutants": _mutants,
        "peer": partial(_peer, again=again),
        "repeat": partial(_repeat, runs),
    }
    if unknown := [part for part in parts if part not in works]:
        print(f"conformance prove wants parts of the proof; {unknown[0]!r} is none of {', '.join(works)}", file=sys.stderr)
        return 4
    work_in_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    commit = _commit()
    for part in parts or works:
        began = time.monotonic()
        figures = works[part]()
        figures.setdefault("seconds", round(time.monotonic() - began))
        figures["commits"] = list(dict.fromkeys([*figures.get("commits", ()), commit]))
        proof_page.FIGURES.mkdir(exist_ok=True)
        (proof_page.FIGURES / f"{part}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(f"{part}: {figures['seconds']} s")
    proof_page.write()
    wrong = list(proof_page.wrong(proof_page.read()))
    print("\n".join(wrong) or "the proof holds")
    return 1 if wrong else 0


def _commit() -> str:
    """The commit that the figures are of; what a proof itself writes is no change of it."""
    git = ("git", "-C", str(PROJECT))
    head = subprocess.run([*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "no commit"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", ".", *(f":!{path.relative_to(PROJECT)}" for path in proof_page.WRITTEN)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return head.stdout.strip() + (" and changes" if changed else "")


def matrix_figures(part: str, *, again: bool) -> Figures:
    """Every miniature, by the whole catalogue or by what `matrix.judged_by` says."""
    kept = proof_page.read().get(part, {}) if again else {}
    rows = {row["name"]: row for row in kept.get("rows", ()) if not row["inexact"]}
    most = matrix.WHOLE_RUNS_AT_ONCE if part == "whole" else matrix.RUNS_AT_ONCE
    missing = [each for each in matrix.longest_first(MINIATURES, proof_page.seconds("matrix")) if each.name not in rows]
    began = time.monotonic()
    with matrix.begun(most, [partial(matrix.judge, each, whole=part == "whole") for each in missing]) as futures:
        for miniature, future in zip(missing, futures, strict=True):
            judged = future.result()
            inexact = matrix.inexact(miniature, judged, whole=part == "whole")
            rows[miniature.name] = {
                "name": miniature.name,
                "made_for": miniature.must_fail[:1],
                "failed": sorted(judged.having("FAIL")),
                "unseen": sorted(judged.having("INCONCLUSIVE")),
                "seconds": round(judged.seconds, 1),
                "inexact": inexact,
            }
            _tell(miniature.name, judged, inexact)
    seconds = kept.get("seconds", 0) + round(time.monotonic() - began)
    return {
        "rows": [rows[miniature.name] for miniature in MINIATURES],
        "at_once": most,
        "seconds": seconds,
        "commits": kept.get("commits", []),
    }


def _variants() -> Figures:
    """Every variant, by the whole catalogue."""
    rows: list[Figures] = []
    with matrix.begun(matrix.WHOLE_RUNS_AT_ONCE, [partial(judging.judge, each) for each in VARIANTS]) as futures:
        for variant, future in zip(VARIANTS, futures, strict=True):
            judged = future.result()
            rows.append(
                {
                    "name": variant.name,
                    "habit": variant.habit,
                    "passed": len(judged.having("PASS")),
                    "failed": sorted(judged.having("FAIL")),
                    "unseen": sorted(judged.having("INCONCLUSIVE")),
                    "seconds": round(judged.seconds, 1),
                    "inexact": judging.inexact(variant, judged),
                }
            )
            _tell(variant.name, judged, rows[-1]["inexact"])
    return {"rows": rows, "at_once": matrix.WHOLE_RUNS_AT_ONCE}


def _mutants() -> Figures:
    """Every mutant of the reference, up to the first requirement that fails."""
    rows: list[Figures] = []
    chosen = list(mutants.mutants())
    with matrix.begun(matrix.WHOLE_RUNS_AT_ONCE, [partial(mutants.judge, each) for each in chosen]) as futures:
        for mutant, future in zip(chosen, futures, strict=True):
            judged = future.result()
            killer = mutants.killed_by(judged)
            rows.append({"name": mutant.name, "operator": mutant.operator, "killed_by": killer, "seconds": round(judged.seconds, 1)})
            print(f"  {mutant.name}: {killer or 'SURVIVED'} ({judged.seconds:.1f} s)", flush=True)
    return {"rows": rows}


def _repeat(runs: int) -> Figures:
    """The reference, judged again and again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        verify.main(runs, verify.AT_ONCE, file, ["--services", "embedded"], _forked)
        figures = dict(json.loads(file.read_text("utf-8")))
        if not figures["runs"]:
            raise SystemExit("repeat: no run ended, so its figures stay as they were")
        return figures | {"means": figures.pop("seconds")}  # for `seconds` are those of the whole part


@contextmanager
def _forked() -> Iterator[verify.Suite]:
    """The suite, forked from a process that has imported everything."""
    with tempfile.TemporaryDirectory() as name, closing(Starter()) as starter:
        place, output = Path(name), Path(name) / "output.txt"
        place.chmod(0o711)

        def run(options: Sequence[str]) -> tuple[int, str]:
            status = starter.run(options, output, environment(place), matrix.RUN_DEADLINE, matrix.END_DEADLINE)
            matrix.expect_empty(place / "scratch")
            return status, output.read_text("utf-8", "replace")

        yield run


def _peer(*, again: bool) -> Figures:
    """Every miniature, by Schemathesis alone."""
    kept = proof_page.read().get("peer", {}) if again else {}
    rows = {row["name"]: row for row in kept.get("rows", ())}
    began = time.monotonic()
    with ExitStack() as stack:
        benches: Queue[Bench] = Queue()
        for _ in range(BENCHES):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o711)
            benches.put(stack.enter_context(peer.bench(folder)))

        def judge(miniature: Miniature) -> Figures:
            bench = benches.get()
            try:
                peered = bench.judge(miniature)
            finally:
                benches.put(bench)
            print(f"  {miniature.name}: {', '.join(peered.found) or 'nothing'} ({peered.seconds:.1f} s)", flush=True)
            return {"name": miniature.name, "found": peered.found, "seconds": round(peered.seconds, 1)}

        with ThreadPoolExecutor(BENCHES) as pool:
            rows |= {row["name"]: row for row in pool.map(judge, [each for each in MINIATURES if each.name not in rows])}
    seconds = kept.get("seconds", 0) + round(time.monotonic() - began)
    return {
        "rows": [rows[miniature.name] for miniature in MINIATURES],
        "version": peer.version(),
        "seconds": seconds,
        "commits": kept.get("commits", []),
    }


def _tell(name: str, judged: Judged, inexact: Sequence[str]) -> None:
    """A line of a row, and what is inexact about it."""
    print(f"  {name}: {', '.join(sorted(judged.having('FAIL'))) or 'fails nothing'} ({judged.seconds:.1f} s)", flush=True)
    for said in inexact:
        print(f"    INEXACT: {said}", flush=True)
