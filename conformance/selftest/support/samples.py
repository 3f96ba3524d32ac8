"""Samples: records of real runs of the whole catalogue, cut to the evidence that reports show.

`version_1.jsonl` stays as it is: it shows that records of version 1 can be read.

`python -m conformance.selftest.support.samples` makes them again.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.report.record_reader import read_record
from conformance.selftest.conforming_services.table import CONFORMING_SERVICES
from conformance.selftest.faulty_services.table import load_faulty_services
from conformance.selftest.support.suite import judge

FOLDER = Path(__file__).parents[1] / "samples"
FAULTY = ("absent_item_is_404", "reads_share_one_connection", "work_is_done_by_the_web_process")
SEED = "--seed=7"
LIMIT = 60  # pieces of evidence of one requirement
LONGEST = 500  # characters of a text, and members of a list


def targets() -> Mapping[str, tuple[str, ...]]:
    """How each is started: the reference, the document's own code, and three faulty services."""
    (document,) = (each for each in CONFORMING_SERVICES if each.name == "document")
    faulty = {
        each.name: (f"--target-app={each.target_app}", f"--worker-app={each.worker_app}")
        for each in load_faulty_services()
        if each.name in FAULTY
    }
    return {"reference": (), "document": document.prepare(FOLDER), **faulty}


def cut(record: Path) -> str:
    """A record without the evidence that no report shows."""
    run = read_record(record)
    shown = {each.key for result in run.results for each in run.select_evidence(result, LIMIT)}
    lines = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    return "".join(
        f"{json.dumps(shortened(line))}\n"
        for line in lines
        if line["type"] != "evidence"
        or (line.get("channel") or line["kind"], line["number"]) in shown
    )


def shortened(value: Any) -> Any:
    """The same without the most of what is long, such as a megabyte that was submitted."""
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[:LONGEST]]
    return value[:LONGEST] if isinstance(value, str) else value


def main() -> None:
    """Run each, and write its record."""
    FOLDER.mkdir(exist_ok=True)
    for name, arguments in targets().items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            place.chmod(0o711)
            finished = judge(place, SEED, *arguments, env={"CONFORMANCE_SERVICES": "embedded"})
            (FOLDER / f"{name}.jsonl").write_text(cut(place / "record.jsonl"), "utf-8")
        print(f"{name}: {', '.join(sorted(finished.ids('FAIL'))) or 'fails nothing'}")


if __name__ == "__main__":
    main()
