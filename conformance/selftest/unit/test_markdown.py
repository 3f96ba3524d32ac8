"""Markdown: it fits a comment, reads as the page does, and is broken by no hostile text."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conformance.judging.result import RunResult
from conformance.judging.verdict import Status
from conformance.report.markdown import render_markdown
from conformance.report.markup import quote_block, quote_cell, quote_code, quote_inline
from conformance.report.terminal import summarize_run
from conformance.selftest.support.records import (
    FOUND,
    make_finding,
    make_results,
    make_run,
    write_run,
)
from conformance.spec.catalogue import Language, catalogue

EN = Language.EN
ALL = {
    name: (Status.FAIL, make_finding(f"{name}: " + "x" * 10**5, *["y" * 5_000] * 50))
    for name in catalogue()
}
MANY = {name: (Status.FAIL, make_finding("x" * 700)) for name in catalogue()}
MARKS = st.sampled_from(
    [
        *"`|\\<>&*_[]()!#~-+=\n a1.;",
        "```",
        "www.",
        "//",
        "@octocat",
        "</code>",
        "</details>",
        "<!--",
        "\0",
    ]
)


class Shown(HTMLParser):
    """What a browser makes of a page: its tags, and which of its text is no code."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.prose: list[str] = []
        self.code: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags[tag] += 1
        self.attributes += attrs
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """A tag ends, which must be the last that began."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        (self.code if "code" in self._open else self.prose).append(data)


def rendered(source: str) -> Shown:
    """A page as GitHub's Markdown has it, with tables and HTML."""
    return Shown(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(source))


def test_markdown_begins_with_the_claim_and_counts_the_verdicts(mixed: RunResult) -> None:
    shown = render_markdown([mixed], EN)
    assert shown.startswith(
        "## Conformance: no claim\n\n"
        "`shop.main:app`: core is not established: of 43 MUST 1 (DB-2) failed"
    )
    assert "| section | PASS | FAIL | INCONCLUSIVE | OBSERVED |\n" in shown
    assert "| 3 Database | 16 | 1 |  | 1 |\n" in shown
    assert rendered(shown).tags["details"] == 2
    assert "- pass --worker-app MODULE:ATTR: TASK-5, TASK-6\n" in shown.replace("`", "")


def test_markdown_of_a_failure_reads_as_the_page_does(mixed: RunResult) -> None:
    shown = render_markdown([mixed], EN)
    failure = summarize_run(make_run(make_results(FOUND)))
    lines = [line.text for line in failure]
    start = lines.index("expected      200")
    assert "\n".join(lines[start : start + 3]) in shown
    assert "```sh\npytest --only DB-2 --seed 7\n```" in shown
    assert f"**how to fix** {catalogue()['UP-5'].mend}" in shown


@pytest.mark.parametrize("found", [ALL, MANY])
def test_markdown_fits_a_comment_and_says_what_it_leaves_out(
    place: Path, found: dict[str, Any]
) -> None:
    report = write_run(
        place / "all.jsonl",
        make_run(make_results(found), target="t" * 5_000, services={"redis": "r" * 5_000}),
    )
    shown = render_markdown([report], EN)
    assert len(shown) <= 65_536
    told = rendered(shown).tags["details"] + shown.count("\n- **")
    assert told > 0
    left = len(ALL) - told
    said = (
        f"\n{left} more are not shown here; `conformance report {report.path}` shows all of them.\n"
    )
    assert (said in shown) is (left > 0)


@pytest.mark.parametrize("count", [2, 9, 200])
def test_markdown_of_many_records_fits_a_comment(place: Path, mixed: RunResult, count: int) -> None:
    report = write_run(place / "all.jsonl", make_run(make_results(ALL)))
    shown = render_markdown([mixed, *[report] * (count - 1)], EN)
    assert len(shown) <= 65_536
    assert rendered(shown).tags["table"] >= 1
    assert ("not shown here" in shown) is (count > 1)


def test_markdown_of_several_records_begins_with_what_differs(
    mixed: RunResult, correct: RunResult
) -> None:
    shown = render_markdown([mixed, correct], EN)
    assert (
        "| what differs | 1 | 2 |\n| --- | --- | --- |\n"
        f"| DB-2 | FAIL {make_finding('404').fingerprint} | PASS |\n" in shown
    )
    assert "Every requirement has the same verdict in each." in render_markdown(
        [correct, correct], EN
    )


@pytest.mark.parametrize("language", Language)
def test_hostile_text_breaks_out_of_nothing_in_markdown(
    nasty: RunResult, correct: RunResult, language: Language
) -> None:
    for found in (
        rendered(render_markdown([nasty], language)),
        rendered(render_markdown([nasty, correct], language)),
    ):
        expected = {
            "h2",
            "h3",
            "p",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "b",
            "i",
            "pre",
            "code",
            "strong",
            "ul",
            "ol",
            "li",
        }
        assert set(found.tags) <= expected
        assert {name for name, _ in found.attributes} <= {"class", "style"}
        assert not any(
            mark in part
            for part in found.prose
            for mark in ("@", "octocat", "<", "onerror", "![", "~~~", "```")
        )
        assert found.tags["details"] == found.tags["summary"] == 3
        assert any("@octocat <img src=x onerror=alert(1)>" in part for part in found.code)


@settings(max_examples=200, database=None, deadline=None, derandomize=True)
@given(st.lists(MARKS, max_size=12).map("".join))
def test_whatever_a_text_is_it_stays_where_it_is_put(text: str) -> None:
    page = f"- **x** {quote_inline(text)}: {quote_code(text)}\n\n| h | i |\n| --- | --- |\n"
    page += f"| {quote_cell(text)} | j |\n\n{quote_block(text, text)}\n"
    found = rendered(page)
    assert set(found.tags) <= {
        "ul",
        "li",
        "strong",
        "code",
        "pre",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert (found.tags["li"], found.tags["pre"], found.tags["td"], found.tags["tr"]) == (1, 1, 2, 2)
    assert not set("".join(found.prose)) & set("`@<|*_[]!#~")
