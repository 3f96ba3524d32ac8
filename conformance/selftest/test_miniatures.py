"""Every requirement fails a service that gets it wrong, for that reason, and nothing else fails.

A miniature made for a MUST is judged by every MUST. One made for a SHOULD is judged by every requirement of the sections that
it may fail, and by the whole catalogue, as the control is always, where WHOLE_CATALOGUE is set: `WHOLE_CATALOGUE=1 pytest
conformance/selftest/test_miniatures.py` takes some 25 minutes on 2 cores. The runs take turns on two pairs of servers that
stay up.
"""

import importlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from conformance.options import PROJECT
from conformance.selftest.miniatures.service import Service
from conformance.selftest.miniatures.table import CONTROL, MINIATURES, PACKAGE, Miniature
from conformance.selftest.suite import servers
from conformance.selftest.warm import Starter
from spec.catalogue import Level, catalogue, sections

RUNS_AT_ONCE = 2
RUN_DEADLINE = 180.0  # seconds; the longest run took 31, on two cores kept busy by others
END_DEADLINE = 30.0  # seconds from SIGTERM to the end of a run, which cleans up


@dataclass(frozen=True)
class Judged:
    """What a run came to: its verdicts by requirement, as the record has them, and all that it printed."""

    verdicts: dict[str, dict[str, Any]]
    printed: str

    def having(self, status: str) -> set[str]:
        """The requirements with this status."""
        return {name for name, verdict in self.verdicts.items() if verdict["status"] == status}

    def finding(self, requirement: str) -> str:
        """What was expected and what was got, in two lines."""
        finding = self.verdicts[requirement]["finding"] or {"expected": "", "got": ""}
        return f"{finding['expected']}\n{finding['got']}"


@dataclass(frozen=True)
class Bed:
    """A Postgres and a Redis that stay up, and what starts the runs on them."""

    database_url: str
    redis_url: str
    starter: Starter


WHOLE_CATALOGUE = "WHOLE_CATALOGUE"
SEED = "--seed=2026"  # a search finds what is there for some seeds and not for others; here it must be the same each time


def judged_by(miniature: Miniature) -> list[str]:
    """The requirements that a miniature is judged by."""
    own = [*miniature.must_fail, *miniature.may_fail, *miniature.inconclusive]
    if not own or (os.environ.get(WHOLE_CATALOGUE) and catalogue()[own[0]].level is not Level.MUST):
        return list(catalogue())
    if catalogue()[own[0]].level is Level.MUST:
        return [name for name, requirement in catalogue().items() if requirement.level is Level.MUST]
    return [name for name, requirement in catalogue().items() if requirement.section in {catalogue()[each].section for each in own}]


def judge(miniature: Miniature, record: Path, beds: Queue[Bed]) -> Judged:
    """Run the suite on a miniature, as its users do. A run that hangs is ended in a way that lets it clean up."""
    bed = beds.get()
    urls = [f"--database-url={bed.database_url}", f"--redis-url={bed.redis_url}"]
    target = [f"--target-app={miniature.target_app}", f"--worker-app={miniature.worker_app}"]
    arguments = [*target, *urls, SEED, f"--record={record}", "--only", *judged_by(miniature)]
    output = record.with_suffix(".txt")
    try:
        bed.starter.run(["conformance/probes", *arguments], PROJECT, output, RUN_DEADLINE, END_DEADLINE)
    finally:
        beds.put(bed)
    printed = output.read_text("utf-8", "replace")
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()] if record.exists() else []
    return Judged({line["requirement"]: line for line in lines if line["type"] == "verdict"}, printed)


def expect_empty(folder: Path) -> None:
    """No run has left anything here."""
    assert not list(folder.iterdir())


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[Miniature, Future[Judged]]]:
    """The runs on every miniature that this session asks for, begun ahead in the order of their tests."""
    callspecs = [item.callspec for item in request.session.items if hasattr(item, "callspec")]
    asked = [callspec.params["miniature"] for callspec in callspecs if "miniature" in callspec.params]
    beds: Queue[Bed] = Queue()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o711)  # Postgres may run as another user
        for number in range(RUNS_AT_ONCE):
            place = folder / str(number)
            place.mkdir(0o711)
            stack.callback(expect_empty, scratch := place / "scratch")
            scratch.mkdir(0o711)
            beds.put(Bed(*stack.enter_context(servers(place)), stack.enter_context(closing(Starter(scratch)))))
        pool = stack.enter_context(ThreadPoolExecutor(RUNS_AT_ONCE))
        yield {miniature: pool.submit(judge, miniature, folder / f"{miniature.name}.jsonl", beds) for miniature in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("miniature", MINIATURES, ids=lambda miniature: miniature.name)
def test_a_miniature_fails_what_it_gets_wrong_and_nothing_else(miniature: Miniature, runs: dict[Miniature, Future[Judged]]) -> None:
    judged = runs[miniature].result()
    assert judged.verdicts.keys() == set(judged_by(miniature)), judged.printed
    failed = judged.having("FAIL")
    unexpected = {name: judged.finding(name) for name in failed - {*miniature.must_fail, *miniature.may_fail}}
    assert not unexpected
    assert failed >= set(miniature.must_fail)
    errors = {name: judged.finding(name) for name in judged.having("ERROR")}
    assert not errors
    assert judged.having("INCONCLUSIVE") == set(miniature.inconclusive) & judged.verdicts.keys()
    for name in miniature.must_fail[:1]:
        assert re.search(miniature.because, judged.finding(name), re.DOTALL | re.MULTILINE), judged.finding(name)


def test_every_requirement_that_is_judged_has_a_miniature_made_for_it() -> None:
    judged = {name for name, requirement in catalogue().items() if requirement.level is not Level.MAY}
    assert judged == {miniature.must_fail[0] for miniature in MINIATURES if miniature.must_fail}


def test_the_table_has_a_control_that_fails_nothing() -> None:
    assert any(miniature.app == CONTROL and not miniature.must_fail and not miniature.may_fail for miniature in MINIATURES)


def test_the_table_has_every_miniature_once() -> None:
    names = [miniature.name for miniature in MINIATURES]
    assert len(names) == len(set(names))
    apps = {miniature.app for miniature in MINIATURES if miniature.app != CONTROL}
    modules = [f"section_{section.number}" for section in sections() if any(app.startswith(f"section_{section.number}:") for app in apps)]
    found = {
        f"{module}:{name}"
        for module in modules
        for name, value in vars(importlib.import_module(f"{PACKAGE}.{module}")).items()
        if isinstance(value, Service)
    }
    assert apps == found
