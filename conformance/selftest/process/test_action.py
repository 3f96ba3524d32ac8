"""The GitHub Action: valid by tools that are not ours, and its steps run as a runner does."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.config.paths import PROJECT
from conformance.judging.verdict import Status
from conformance.report import annotations
from conformance.report.annotations import render_annotations
from conformance.selftest.support.records import (
    FOUND,
    HOSTILE,
    make_finding,
    make_results,
    make_run,
    write_killed,
    write_nasty,
    write_run,
)
from conformance.spec.catalogue import Language, Level, catalogue

FOLDER = PROJECT / ".github" / "actions" / "conformance"
ACTION, EXAMPLE = FOLDER / "action.yml", FOLDER / "example.yml"
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
SERVICE = """from fastapi import FastAPI

app = FastAPI()


@app.get("/async")
async def answered() -> dict[str, str]:
    return {"message": "This is an asynchronous endpoint"}


@app.get("/items/")
async def listed(q: str | None = None) -> dict[str, str | None]:
    return {"q": ANSWER}
"""


@pytest.mark.parametrize(
    ("file", "schema"), [(ACTION, "vendor.github-actions"), (EXAMPLE, "vendor.github-workflows")]
)
def test_the_files_are_as_github_wants_them(file: Path, schema: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        check=True,
    )
    zizmor = Path(sys.executable).with_name("zizmor")
    subprocess.run(
        [
            zizmor,
            "--offline",
            "--no-progress",
            "--config",
            PROJECT / ".github" / "zizmor.yml",
            file,
        ],
        check=True,
    )


def test_the_example_gives_inputs_that_the_action_has() -> None:
    (step,) = (
        each
        for each in yaml.safe_load(EXAMPLE.read_text("utf-8"))["jobs"]["conformance"]["steps"]
        if "OWNER" in each.get("uses", "")
    )
    assert step["uses"].split("@")[0].endswith(str(FOLDER.relative_to(PROJECT)))
    assert set(step["with"]) <= set(yaml.safe_load(ACTION.read_text("utf-8"))["inputs"])


@dataclass
class Runner:
    """What a runner knows while it runs the steps that are scripts. A test does the others."""

    place: Path
    values: dict[str, str]
    said: list[str] = field(default_factory=list)

    def run(self, step: dict[str, Any]) -> int:
        """Carry out one step; its exit status."""
        output, page = self.place / "output", self.place / "summary.md"
        env = {name: self._filled(str(value)) for name, value in step.get("env", {}).items()}
        own = {
            "RUNNER_TEMP": str(self.place),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(page),
        }
        output.write_text("")
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.place / "repository",
            env={**os.environ, **own, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        self.said.append(done.stdout + done.stderr)
        lines = [line.partition("=") for line in output.read_text("utf-8").splitlines()]
        self.values |= {
            f"steps.{step['id']}.outputs.{name}": value for name, _, value in lines if "id" in step
        }
        return done.returncode

    def _filled(self, text: str) -> str:
        return EXPRESSION.sub(lambda match: self.values[match[1]], text)


def steps() -> dict[str, dict[str, Any]]:
    """The steps that are scripts, by name."""
    return {
        step["name"]: step
        for step in yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]
        if "run" in step
    }


@pytest.mark.thorough
def test_the_steps_judge_a_service_report_and_keep_the_baseline(place: Path) -> None:
    (place / "repository").mkdir()
    service = place / "repository" / "app.py"
    service.write_text(SERVICE.replace("ANSWER", "q"))
    values = {
        "inputs.python": sys.executable,
        "inputs.package": "",
        "github.action_path": str(FOLDER),
        "inputs.fail-on": "worse",
        "inputs.lang": "en",
    }
    values["inputs.arguments"] = (
        f"--target-app app:app --target-python '{sys.executable}'\n"
        "--only DEP-1 DEP-2 END-2 --services embedded --seed 7"
    )
    runner, of = Runner(place, values), steps()
    assert [
        runner.run(of[name])
        for name in (
            "Install the suite",
            "Judge the service",
            "Report",
            "Make it the next baseline",
        )
    ] == [0] * 4
    assert runner.values["steps.judge.outputs.status"] == "0"
    assert "::error" not in runner.said[2]
    assert f"no claim: 3 of {len(catalogue())} requirements were selected" in (
        place / "summary.md"
    ).read_text("utf-8")
    assert (place / "conformance" / "conformance.html").stat().st_size > 1000

    service.write_text(SERVICE.replace("ANSWER", "q or ''"))
    (place / "summary.md").unlink()
    assert [runner.run(of[name]) for name in ("Judge the service", "Report")] == [0, 1], runner.said
    assert re.search(
        r"^::error title=DEP-1 Without `q` the answer is null::expected: 200 .*%0Agot: 200 ",
        runner.said[-1],
        re.MULTILINE,
    )
    page = (place / "summary.md").read_text("utf-8")
    assert "newly failing" in page
    assert "**DEP-1**" in page or "<b>DEP-1</b>" in page

    runner.values["inputs.arguments"] = "--target-app app"
    (place / "conformance" / "record.jsonl").unlink()
    assert [runner.run(of[name]) for name in ("Judge the service", "Report")] == [0, 4]
    assert "--target-app must be MODULE:ATTR" in runner.said[-2]


def shown(path: Path, language: Language = Language.EN, **found: tuple[Status, Any]) -> list[str]:
    """The commands of a record with these findings."""
    report = write_run(
        path / "record.jsonl",
        make_run(make_results({name.replace("_", "-"): each for name, each in found.items()})),
    )
    return render_annotations([report], language).splitlines()


def test_an_annotation_names_what_failed_and_the_line_that_blocks(place: Path) -> None:
    finding = make_finding("nothing, it is stuck")
    blocking = type(finding)(
        finding.expected,
        finding.got,
        likely_cause="/srv/shop/app.py:12, which blocks the event loop",
    )
    message = (
        "expected: 200%0Agot: nothing, it is stuck%0A"
        "likely cause: /srv/shop/app.py:12, which blocks the event loop"
    )
    assert shown(place, DB_2=FOUND["DB-2"], CONC_1=(Status.FAIL, blocking)) == [
        f"::error title=CONC-1 Outbound calls overlap,file=/srv/shop/app.py,line=12::{message}",
        (
            "::error title=DB-2 An absent item is null::"
            "expected: 200%0Agot: 404%0Alikely cause: the branch that handles a missing row"
        ),
    ]
    assert shown(place) == []


def test_more_than_are_shown_are_named_and_a_must_comes_first(place: Path) -> None:
    shoulds = [
        name
        for name, each in catalogue().items()
        if each.level is Level.SHOULD and not each.needs  # so that each is a cause
    ]
    found: dict[str, Any] = {
        name.replace("-", "_"): (Status.FAIL, make_finding()) for name in [*shoulds, "DB-2"]
    }
    lines = shown(place, **found)
    assert len(lines) == annotations.SHOWN
    assert lines[0].startswith("::error title=DB-2 ")
    assert lines[-1] == f"::error title={len(shoulds) - 8} more::" + ", ".join(shoulds[8:])
    assert f"另有 {len(shoulds) - 8} 项" in shown(place, Language.ZH, **found)[-1]


def test_no_text_of_a_targets_begins_a_command_of_its_own(place: Path) -> None:
    lines = render_annotations([write_nasty(place)], Language.EN).splitlines()
    assert lines
    assert all(
        line.startswith(("::error title=", "::warning title=", "::notice title="))
        and line.count("::") <= 2 + line.count(HOSTILE)
        for line in lines
    )
    assert render_annotations([write_killed(place)], Language.EN).startswith(
        "::error title=shop.main%3Aapp::"
    )
