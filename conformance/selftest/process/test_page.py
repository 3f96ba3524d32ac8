"""The terminal page, word for word, through pytester; and what it says when nothing answers."""

import os
import re
from pathlib import Path

import pytest

from conformance.config.paths import PROJECT
from conformance.selftest.support.suite import SERVICES, command, judge, left_behind

pytest_plugins = ["pytester"]

GOLDEN = Path(__file__).parents[1] / "golden"
# Seconds, mostly of timeouts: 185 next to two other files of tests and a run of the browser's.
BOUND = 240
UPDATE = "UPDATE_GOLDEN"  # set it, run, and read the diff

# What differs from run to run and from machine to machine.
VARYING = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"PostgreSQL [\d.]+", "PostgreSQL VERSION"),
    (r"Valkey [\d.]+", "Valkey VERSION"),
    (r"\d+\.\d+ s,", "N s,"),
    (r"in \d+\.\d+s", "in Ns"),
    (r"pid \d+", "pid N"),
    (r"of \d+ requirements", "of N requirements"),
    (r"line \d+, in", "line N, in"),
    (r"/items/\d{9,}", "/items/ID"),
    (r"row \d{9,}", "row ID"),
    (r"\((exchange|upstream request|line|process event|stack check|row check) \d+\)", r"(\1 N)"),
    (re.escape(str(PROJECT)), "PROJECT"),
    (r"\w+\.py:\d+", "FILE:LINE"),
    (r" {2,}(FAIL|INCONCLUSIVE)", r"  \1"),
    (r" +$", ""),
    (r"=+ (.*?) =+", r"== \1 =="),
)


def normal(output: str) -> str:
    """The page of an output, without what varies."""
    page = output[output.index("conformance =") - 80 :]
    page = page[page.index("\n", page.index("conformance =")) + 1 :]
    for pattern, replacement in VARYING:
        page = re.sub(pattern, replacement, page, flags=re.MULTILINE)
    return page


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("passed", ("--only", "DB-2", "DEP-1", "HTTP-6")),
        pytest.param(
            "failed",
            (
                f"--target-app={SERVICES}:blocks",
                f"--target-dir={PROJECT}",
                "--only",
                "CONC-1",
                "CONC-3",
                "CONC-4",
                "CONC-7",
                "END-1",
                "DEP-1",
                "TASK-5",
            ),
            marks=pytest.mark.thorough,
        ),
        (
            "not-ready",
            (
                f"--target-app={SERVICES}:fails_to_start",
                f"--target-dir={PROJECT}",
                "--only",
                "LIFE-10",
                "DEP-1",
            ),
        ),
    ],
)
def test_the_page_word_for_word(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    place: Path,
    name: str,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setenv("TMPDIR", str(place))
    result = pytester.run(*command("--seed=7", *arguments))
    page, golden = normal(result.stdout.str()), GOLDEN / f"{name}.txt"
    if os.environ.get(UPDATE):
        golden.write_text(page, "utf-8")
    assert page == golden.read_text("utf-8")
    assert not any(place.iterdir())


@pytest.mark.thorough
def test_a_target_that_hangs_on_nearly_everything_gets_every_verdict_in_bounded_time(
    place: Path,
) -> None:
    finished = judge(
        place,
        "--target-app",
        f"{SERVICES}:answers_async_alone",
        "--worker-app",
        "reference_impl.tasks:celery_app",
    )
    assert finished.status == 1
    assert len(finished.verdicts) == len(finished.record[0]["requirements"])
    assert not finished.ids("ERROR")
    expected = {"END-2", "END-5", "LIFE-10", "LIFE-9", "TASK-17"}
    assert finished.ids("PASS") == expected, finished.output
    assert finished.record[-1]["seconds"] < BOUND
    assert not left_behind(place)
