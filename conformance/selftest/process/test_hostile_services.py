"""Each hostile service fails what it gets wrong, is no ERROR, and costs bounded time and memory."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from conformance.judging.verdict import Exit
from conformance.selftest.hostile_services.table import (
    HOSTILE_SERVICES,
    RAW,
    SERVICES,
    HostileService,
)
from conformance.selftest.support.suite import judge, left_behind

for module in (SERVICES, RAW):
    importlib.import_module(module)

QUICK = ("header_beyond_ascii", "openapi_paths_are_a_list", "routes_are_junk", "results_are_junk")


def list_rows() -> list[object]:
    """Each service as a parameter. A few are judged in the quick tier."""
    return [
        pytest.param(each, id=each.name, marks=[] if each.name in QUICK else [pytest.mark.thorough])
        for each in HOSTILE_SERVICES
    ]


def find_target(hostile: HostileService) -> tuple[str, ...]:
    """The options that name the service and its worker."""
    if hostile.is_raw:
        return ("--target-command", f"{sys.executable} -m {RAW} {hostile.name}")
    return ("--target-app", f"{SERVICES}:{hostile.name}", "--worker-app", hostile.worker)


def find_status(hostile: HostileService) -> Exit:
    """The exit status that the verdicts come to."""
    if hostile.fails:
        return Exit.FAILED
    return Exit.NOT_ESTABLISHED if hostile.unseen else Exit.PASSED


@pytest.mark.parametrize("hostile", list_rows())
def test_a_hostile_service_is_judged_like_any_other(place: Path, hostile: HostileService) -> None:
    finished = judge(place, *find_target(hostile), "--level", "should", "--only", *hostile.only)
    status = (
        Exit.FAILED if hostile.fails else Exit.NOT_ESTABLISHED if hostile.unseen else Exit.PASSED
    )
    assert finished.status == status, finished.output
    assert finished.ids("ERROR") == set()
    assert finished.ids("FAIL") == set(hostile.fails), finished.output
    assert finished.ids("INCONCLUSIVE") == set(hostile.unseen), finished.output
    footer = finished.record[-1]
    assert footer["memory_mb"] < hostile.memory_mb
    assert footer["seconds"] < hostile.seconds
    assert (place / "record.jsonl").stat().st_size < hostile.record_mb * 2**20
    assert not left_behind(place)
    for line in finished.record:
        if line.get("requirement") in hostile.fails[:1]:
            said = f"{line['finding']['expected']}\n{line['finding']['got']}"
            assert re.search(hostile.because, said), said
