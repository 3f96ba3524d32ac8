"""Feeds the suite what a target could say, until a time has passed or something breaks.

Each input is made from a seed and its number alone, so that it can be made again.
"""

import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from conformance.core.evidence import Journal
from conformance.judging.result import EvidenceReference, Finding, RequirementResult
from conformance.judging.verdict import Status
from conformance.report import views
from conformance.report.record import RecordWriter
from conformance.report.record_reader import read_record
from conformance.selftest.fuzzing.answers import list_judges
from conformance.selftest.fuzzing.inputs import EXPECTED, FEEDS, Feed, UpstreamFeed
from conformance.selftest.fuzzing.mutations import make_draw
from conformance.selftest.support import records
from conformance.selftest.support.suite import environment, judge
from conformance.spec.catalogue import Language, catalogue

BATCH = 400  # inputs of one record, which is then read and shown in every format
LONGEST = 10.0  # seconds of the processor that one input may take
WHOLE = 120.0  # seconds of inputs between two whole runs
BY_SEED = "conformance.selftest.fuzzing.by_seed"


class Broken(Exception):
    """An input broke the suite. The message says which, and how to make it again."""


def main(seconds: float, seed: int | None) -> int:
    """Feed for so many seconds. The exit status: 0 if nothing broke."""
    seed = secrets.randbelow(2**32) if seed is None else seed
    print(f"seed {seed}", flush=True)
    try:
        counts = run_for(seconds, seed)
    except Broken as error:
        print(error, file=sys.stderr)
        return 1
    done = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"nothing broke in {seconds:.0f} s: {done}")
    return 0


def run_for(seconds: float, seed: int) -> Counter[str]:
    """Feed for so many seconds, and judge a service that is made from the seed now and then.

    Returns how many inputs of each kind there were. Raises Broken.
    """
    list_judges()  # imports much, which is no input's
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    whole_run = time.monotonic()  # when the next is due
    number = 0
    while time.monotonic() < deadline:
        if time.monotonic() >= whole_run:
            judge_whole(seed + counts["whole runs"])
            counts["whole runs"] += 1
            whole_run = time.monotonic() + WHOLE
        counts.update(feed_batch(seed, range(number, number + BATCH), deadline))
        number += BATCH
    return counts


def feed_batch(seed: int, numbers: Sequence[int], deadline: float) -> Iterator[str]:
    """Feed inputs, and read and show the record of them. Yields the name of each."""
    with _recording() as (journal, upstream, texts):
        for number in numbers:
            yield feed_one(seed, number, (*FEEDS, upstream), journal)
            if time.monotonic() > deadline:
                break
    _show(seed, numbers[0], texts)


def feed_one(seed: int, number: int, feeds: Sequence[Feed], journal: Journal) -> str:
    """Feed one input; the name of its kind. Raises Broken."""
    draw = make_draw(seed, number)
    feed = draw.choice(feeds)
    name = getattr(feed, "__name__", type(feed).__name__)
    began = time.process_time()
    try:
        feed(draw, journal)
    except EXPECTED as verdict:
        str(verdict).encode("utf-8", "backslashreplace")
    except Exception as error:
        raise Broken(f"{name} broke: seed {seed}, input {number}: {error!r}") from error
    if (took := time.process_time() - began) > LONGEST:
        raise Broken(f"{name} took {took:.0f} s: seed {seed}, input {number}")
    return name


@contextmanager
def _recording() -> Iterator[tuple[Journal, UpstreamFeed, list[EvidenceReference]]]:
    """A journal whose facts are recorded, and read back in the end; the summaries of some."""
    kept: list[EvidenceReference] = []
    with tempfile.TemporaryDirectory() as folder:
        record = RecordWriter(Path(folder) / "record.jsonl")
        header = records.make_run([]).header
        record.write_header(header)

        def note(fact: object) -> None:
            record.write_evidence(fact)  # type: ignore[arg-type]
            kept[:] = [*kept[-40:], EvidenceReference.to(fact)]  # type: ignore[arg-type]

        journal = Journal(note)
        upstream = UpstreamFeed(journal)
        try:
            yield journal, upstream, kept
        finally:
            upstream.stub.stop()
            record.close()
        read_record(Path(folder) / "record.jsonl")


def _show(seed: int, number: int, seen: Sequence[EvidenceReference]) -> None:
    """Show findings that quote what was seen, in every format and language. Raises Broken."""
    results = []
    for each, reference in zip(catalogue().values(), seen, strict=False):
        finding = Finding(reference.summary, reference.summary, (reference,), reference.summary)
        results.append(RequirementResult.of(each, Status.FAIL, finding))
    run = records.make_run(results)
    for name, form in views.FORMATS.items():
        for language in Language:
            try:
                form.render([run], language).encode("utf-8")
            except Exception as error:
                where = f"seed {seed}, inputs from {number}"
                raise Broken(f"the format {name} broke: {where}: {error!r}") from error


def judge_whole(seed: int) -> None:
    """Judge a service that says what a seed makes it say. Raises Broken if anything is an ERROR."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        place = Path(name)
        place.chmod(0o711)
        target = ("--target-app", f"{BY_SEED}:app", "--worker-app", f"{BY_SEED}:worker")
        sections = ("END", "DEP", "HTTP")
        only = (*sections, "DB-1", "DB-5", "CONC-11", "UP-1", "UP-5", "TASK-1", "TASK-3", "TASK-5")
        env = {**environment(place), "HOSTILE_SEED": str(seed)}
        finished = judge(place, *target, "--level", "should", "--only", *only, env=env)
        wrong = finished.ids("ERROR")
        if wrong or finished.status not in (0, 1, 6):
            raise Broken(
                f"a whole run broke ({finished.status}, {sorted(wrong)}): seed {seed}\n"
                f"{finished.output}"
            )
