"""Mutants of the reference: cosmic-ray changes one thing at a time, and the suite judges that.

A mutant is killed if a requirement fails or if it does not even start. One that survives is either
equivalent, and survivors.py says why, or it shows something that no probe looks at.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import ndiff
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB

from conformance.config.paths import PROJECT, REFERENCE_APP, REFERENCE_WORKER
from conformance.judging.verdict import Exit
from conformance.selftest.evaluation.slots import Slot, SlotResult
from conformance.selftest.evaluation.survivors import FAILED, NOT_STARTED

ORIGINAL = PROJECT / "reference_impl"


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    operator: str
    before: str  # the line, or lines, that it changes
    after: str
    source: str  # of the whole file

    @property
    def name(self) -> str:
        """The change in words. survivors.py knows it by that, whatever lines are around it."""
        return f"{self.file}: {self.before or 'nothing'} → {self.after or 'nothing'}"


def make_mutants() -> Iterator[Mutant]:
    """Make every mutant of the reference that differs from the others."""
    files = sorted(path for path in ORIGINAL.glob("*.py") if path.name != "__init__.py")
    seen: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder:
        work = WorkDB(str(Path(folder) / "work.sqlite"), WorkDB.Mode.create)
        try:
            init(files, work, {})
            for item in list(work.work_items):
                (mutation,) = item.mutations
                path = Path(mutation.module_path)
                before = path.read_text("utf-8")
                after = mutate_code(
                    before,
                    get_operator(mutation.operator_name)(**mutation.operator_args),
                    mutation.occurrence,
                )
                if after and after != before and (path.name, after) not in seen:
                    seen.add((path.name, after))
                    yield Mutant(
                        path.name,
                        mutation.operator_name.removeprefix("core/"),
                        *_find_change(before, after),
                        after,
                    )
        finally:
            work.close()


def _find_change(before: str, after: str) -> tuple[str, str]:
    lines = list(ndiff(before.splitlines(), after.splitlines()))
    old, new = (
        " / ".join(line[2:].strip() for line in lines if line.startswith(sign) and line[2:].strip())
        for sign in ("- ", "+ ")
    )
    return old, new


def judge_mutant(mutant: Mutant, slot: Slot) -> SlotResult:
    """Run the suite on a mutant, up to the first requirement that fails."""
    with tempfile.TemporaryDirectory(dir=slot.folder) as name:
        folder = Path(name)
        folder.chmod(0o711)
        shutil.copytree(
            ORIGINAL, folder / ORIGINAL.name, ignore=shutil.ignore_patterns("__pycache__")
        )
        (folder / ORIGINAL.name / mutant.file).write_text(mutant.source, "utf-8")
        target = (
            f"--target-app={REFERENCE_APP}",
            f"--worker-app={REFERENCE_WORKER}",
            f"--target-dir={folder}",
            "--level=should",
            "--allow-inconclusive",
        )
        return slot.judge(*target, stop_at_first=True)


def find_killer(result: SlotResult) -> str | None:
    """Return what tells a mutant from the reference, or None if it survived.

    That is a requirement that failed or could not be judged, or NOT_STARTED. It is FAILED where
    the suite itself did.
    """
    if failed := result.ids_with("FAIL"):
        return min(failed)
    if not result.verdicts and result.status == Exit.WRONG_USAGE:
        return NOT_STARTED
    if result.ids_with("ERROR") or not result.verdicts:
        return FAILED
    if unseen := result.ids_with("INCONCLUSIVE"):
        return f"{min(unseen)} cannot be judged"
    return None
