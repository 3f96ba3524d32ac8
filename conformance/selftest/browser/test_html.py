"""The HTML page in a browser: filtered, opened, linked to, copied from, used by keys, printed.

Hostile text stays text. Skipped without Debian's Chromium, unless CHROMIUM=required.
"""

import ast
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from justhtml import JustHTML
from playwright.sync_api import Browser, expect

from conformance.config.paths import PROJECT
from conformance.report.html import page, render_html
from conformance.report.html.requirement import NOT_JUDGED
from conformance.report.html.timeline import LANES, OTHER
from conformance.report.record_reader import read_record
from conformance.report.translations import ZH
from conformance.selftest.support.browser import MISSING, chromium, visited
from conformance.selftest.support.records import NO_SOURCE, write_excluded
from conformance.selftest.support.services import CONTROLS, MARKUP
from conformance.selftest.support.suite import (
    PATIENCE,
    SERVICES,
    command,
    environment,
    judge,
    left_behind,
)
from conformance.spec.catalogue import Channel, Language, Level, catalogue, folder

if MISSING and os.environ.get("CHROMIUM") == "required":
    pytest.fail(f"a browser is required here, and {MISSING}", pytrace=False)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

ONLY = ("CONC-3", "END-1", "END-2", "DB-2", "TASK-5", "DEP-1", "DEP-3", "HTTP-6")
TARGETS = {
    "reference": (),
    "blocks": ("--target-app", f"{SERVICES}:blocks"),
    "hostile": ("--target-app", f"{SERVICES}:answers_with_markup"),
}
LARGEST = 2**20  # bytes of a page of all requirements
# Seconds until such a page can be read. On a machine whose two cores had 15 processes to serve, the
# longest of 20 took 1.8.
LONGEST = 5.0
NARROW = {"viewport": {"width": 360, "height": 740}}
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def records(shared_place: Path) -> dict[str, Path]:
    """Records of real runs, and of one that was killed, whose last line is not whole."""
    made: dict[str, Path] = {}
    for name, arguments in TARGETS.items():
        place = shared_place / name
        place.mkdir(mode=0o711)
        judge(
            place,
            "--seed=7",
            *arguments,
            "--only",
            *(("END-1", "END-2") if name == "hostile" else ONLY),
        )
        made[name] = place / "record.jsonl"
    lines = made["blocks"].read_text("utf-8").splitlines()
    made["killed"] = shared_place / "killed.jsonl"
    made["killed"].write_text(
        "\n".join(
            [
                *(line for line in lines if '"type": "evidence"' in line or '"header"' in line),
                lines[-1][:40],
            ]
        )
    )
    return made


@pytest.fixture(scope="module")
def write(records: Mapping[str, Path], shared_place: Path) -> Callable[..., Path]:
    """Writes the page of records."""

    def write(*names: str, language: Language = Language.EN) -> Path:
        file = shared_place / f"{'-'.join(names)}.{language}.html"
        file.write_text(
            render_html([read_record(records[name]) for name in names], language), "utf-8"
        )
        return file

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def verdict(record: Path, name: str) -> dict[str, Any]:
    """A requirement's line in a record."""
    lines = map(json.loads, record.read_text("utf-8").splitlines())
    return next(line for line in lines if line.get("requirement") == name)


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (["blocks"], {"color_scheme": "light"}),
        (["blocks"], {"color_scheme": "dark", **NARROW}),
        (["hostile"], {"color_scheme": "light", **NARROW}),
        (["killed"], {"color_scheme": "light"}),
        (["reference", "blocks", "killed"], {"color_scheme": "dark"}),
        (["reference", "blocks", "killed"], {"color_scheme": "light", **NARROW}),
    ],
    ids=["light", "dark and narrow", "hostile", "killed", "matrix", "narrow matrix"],
)
def test_a_page_is_valid_and_in_nobodys_way(
    browser: Browser, write: Callable[..., Path], names: list[str], settings: dict[str, Any]
) -> None:
    file = write(*names)
    JustHTML(file.read_text("utf-8"), strict=True)
    with visited(browser, file, **settings) as visit:
        visit.page.get_by_role("button", name="Open all").click()
        visit.page.locator(".reading > summary:visible").first.click() if names != [
            "killed"
        ] else None
        assert visit.obstacles() == []
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ids: list[str] = visit.page.evaluate(
            "[...document.querySelectorAll('[id]')].map((each) => each.id)"
        )
        assert len(ids) == len(set(ids))


def test_the_top_says_what_was_established_on_what(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("blocks")) as visit:
        top = visit.page.get_by_role("banner")
        expect(top.get_by_role("heading", level=1)).to_have_text(f"{SERVICES}:blocks")
        expect(top.locator(".claim")).to_have_text(
            f"no claim 8 of {len(catalogue())} requirements were selected"
        )
        for text in (
            "PostgreSQL 18",
            "Valkey",
            "http://127.0.0.1:",
            "exit status",
            "duration",
            "UTC",
        ):
            expect(top).to_contain_text(text)
        expect(top.locator("dt", has_text="seed").locator("+ dd")).to_have_text("7")
        expect(top.locator(".counts li")).to_have_text(
            ["5FAIL", "1INCONCLUSIVE", "1PASS", "1OBSERVED"]
        )
        assert (
            visit.page.get_by_role("navigation").get_by_role("link").count() == len(ONLY) + 6
        )  # and the sections


def test_a_reader_filters(browser: Browser, write: Callable[..., Path]) -> None:
    with visited(browser, write("blocks")) as visit:
        form, words = visit.page.get_by_role("search"), visit.page.get_by_role("searchbox")
        assert visit.shown() == list(ONLY)
        form.get_by_label("INCONCLUSIVE").check(force=True)
        assert visit.shown() == ["TASK-5"]
        form.get_by_label("PASS", exact=True).check(force=True)
        assert visit.shown() == ["END-2", "TASK-5"]
        expect(form.locator("output")).to_have_text("2 of 8 shown")
        form.get_by_label("SHOULD").check(force=True)
        assert visit.shown() == []
        expect(visit.page.get_by_text("Nothing matches.")).to_be_visible()
        form.get_by_role("button", name="Clear").click()
        assert visit.shown() == list(ONLY)
        form.get_by_role("combobox").select_option("6 Dependencies")
        assert visit.shown() == ["DEP-1", "DEP-3"]
        expect(visit.page.get_by_role("heading", name="3 Database")).to_be_hidden()
        form.get_by_role("button", name="Clear").click()
        words.fill("ABSENT item_id")
        assert visit.shown() == ["DB-2"]


def test_a_reader_finds_what_is_not_applicable(browser: Browser, place: Path) -> None:
    file = place / "page.html"
    file.write_text(render_html([write_excluded(place)], Language.EN), "utf-8")
    with visited(browser, file) as visit:
        visit.page.get_by_role("search").get_by_label("NOT APPLICABLE").check(force=True)
        assert visit.shown() == ["END-6", "DEP-9"]
        item = visit.item("DEP-9")
        item.locator("summary").first.click()
        expect(item.locator("dt", has_text="because").locator("+ dd")).to_have_text(NO_SOURCE.got)
        top = visit.page.get_by_role("banner")
        levels = Counter(each.level for each in catalogue().values())
        claim = f"robust is established: all {levels[Level.SHOULD] - 2} SHOULD that"
        expect(top.locator(".claim")).to_contain_text(claim)
        passed = levels[Level.MUST] + levels[Level.SHOULD] - 2
        counts = [f"{passed}PASS", f"{levels[Level.MAY]}OBSERVED", "2NOT APPLICABLE"]
        expect(top.locator(".counts li")).to_have_text(counts)
        expect(visit.page.get_by_role("link", name="DEP-9 NOT APPLICABLE")).to_be_visible()
        assert visit.obstacles() == []


def test_a_failure_opens_to_what_was_seen_and_what_overlapped(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("blocks")) as visit:
        item = visit.item("CONC-3")
        item.locator("summary").first.click()
        for label, text in {
            "expected": "an answer of /async while outbound calls are held",
            "got": "no complete answer within 5 s",
            "evidence": "the event loop of server",
            "reproduce": "--only CONC-3 --seed 7",
            "likely cause": "services.py:",
            "why it matters": "An upstream that hangs must not take the endpoints with it",
        }.items():
            expect(item.locator("dt", has_text=label).first.locator("+ dd")).to_contain_text(text)
        lanes = item.locator(".lane > span").all_text_contents()
        assert lanes[:2] == ["client", "upstream"]
        bars = item.locator(".lane").first.locator("rect")
        boxes = [box for bar in bars.all() if (box := bar.bounding_box()) and box["width"] > 300]
        assert (
            len(boxes) >= 20
        )  # the outbound calls, each as long as the blocked /async, on a row of its own
        assert len({box["y"] for box in boxes}) == len(boxes)
        named = item.locator("rect.named.open")
        named.hover()
        expect(item.locator(".hint")).to_contain_text("GET /async → no complete answer within 5 s")
        named.click()
        expect(item.locator(".facts .named").filter(has_text="GET /async")).to_be_visible()
        assert item.locator("rect").count() == item.locator(".facts > li").count()


def test_a_link_leads_to_a_requirement_that_is_open(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("blocks"), "#HTTP-6") as visit:
        expect(visit.item("HTTP-6").locator("summary").first).to_be_focused()
        expect(visit.item("HTTP-6").get_by_text("HEAD /async: 405")).to_be_in_viewport()
        visit.page.get_by_role("search").get_by_label("PASS", exact=True).check(force=True)
        visit.page.get_by_role("link", name="DB-2 FAIL").click()  # which the filter hides
        expect(visit.item("DB-2").locator("summary").first).to_be_in_viewport()
        expect(visit.item("DB-2")).to_have_attribute("open", "")
        under = visit.page.evaluate(
            "document.querySelector('#filter').getBoundingClientRect().bottom"
        )
        box = visit.item("DB-2").bounding_box()
        assert box
        assert box["y"] >= under
        visit.page.evaluate("location.hash = '#%E0%A4%A'")  # no text at all


def test_a_line_is_copied(
    browser: Browser, write: Callable[..., Path], records: Mapping[str, Path]
) -> None:
    with visited(browser, write("blocks"), "#DB-2") as visit:
        lines = verdict(records["blocks"], "DB-2")["finding"]["reproduce"]
        for line, button in zip(
            lines, visit.item("DB-2").get_by_role("button", name="Copy").all(), strict=True
        ):
            button.click()
            expect(visit.page.get_by_role("status").filter(has_text="copied")).to_be_visible()
            assert visit.page.evaluate("navigator.clipboard.readText()") == line


def test_keys(browser: Browser, write: Callable[..., Path]) -> None:
    with visited(browser, write("blocks")) as visit:
        press, words = visit.page.keyboard.press, visit.page.get_by_role("searchbox")
        press("/")
        expect(words).to_be_focused()
        visit.page.keyboard.type("dep-1")
        assert visit.shown() == ["DEP-1"]
        press("Escape")
        assert visit.shown() == list(ONLY)
        walked = []
        for key in ("j", "j", "ArrowDown", "k", "n", "N", "ArrowUp"):
            press(key)
            walked.append(visit.focused())
        assert walked == ["CONC-3", "END-1", "END-2", "END-1", "DB-2", "END-1", "CONC-3"]
        press("Enter")
        expect(visit.item("CONC-3")).to_have_attribute("open", "")
        visit.page.get_by_label("Single-key shortcuts").uncheck()
        press("j")
        assert visit.focused() is None


def test_a_hostile_answer_is_text(browser: Browser, write: Callable[..., Path]) -> None:
    with visited(browser, write("hostile")) as visit:
        visit.page.get_by_role("button", name="Open all").click()
        got = visit.item("END-2").locator("dt", has_text="got").first.locator("+ dd")
        expect(got).to_contain_text(MARKUP)
        expect(got).to_contain_text(r"\x1b[2J\x00\u202e\r\n`code`")
        expect(visit.item("END-1")).to_contain_text("(1050015 bytes)")
        assert visit.page.evaluate("document.body.dataset.taken") is None
        assert visit.page.locator("img, b b").count() == 0


@pytest.mark.parametrize(
    "text",
    [
        MARKUP + CONTROLS + "x" * 10**4,
        "\x00" * 10**4,
        "<&\"'>" * 10**4,
        "\ud800\U0001f600\u2066" * 10**4,
        "",
    ],
)
def test_whatever_a_record_says_is_text(
    browser: Browser, records: Mapping[str, Path], place: Path, text: str
) -> None:
    lines = [
        _replaced(json.loads(line), text)
        for line in records["blocks"].read_text("utf-8").splitlines()
    ]
    lines = [line for line in lines if line["type"] != "evidence" or line["number"] <= 30]
    record, file = place / "record.jsonl", place / "page.html"
    record.write_text("\n".join(map(json.dumps, lines)))
    page = render_html([read_record(record)], Language.EN)
    file.write_text(page, "utf-8")
    JustHTML(page, strict=True)
    assert len(page.encode()) < LARGEST
    with visited(browser, file) as visit:
        visit.page.get_by_role("button", name="Open all").click()
        got = visit.item("DB-2").locator("dt", has_text="got").first.locator("+ dd")
        expect(got).to_contain_text(
            "".join(
                letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[:100]
            )
        )
        assert visit.page.evaluate("document.body.dataset.taken") is None
        assert visit.page.evaluate("document.querySelectorAll('script, style, img').length") == 2
        assert not text or f"… cut, of {len(text):,} characters" in got.inner_text()
        assert (visit.page.locator(".c").count() > 0) == (not text.isprintable())


def _replaced(value: Any, text: str, name: str = "") -> Any:
    """A line of a record, of which all that is not one of its own words is another text."""
    if isinstance(value, dict):
        return {key: _replaced(each, text, key) for key, each in value.items()}
    if isinstance(value, list) and name != "requirements":
        return [_replaced(each, text, name) for each in value]
    own = (
        "type",
        "kind",
        "requirement",
        "status",
        "level",
        "requirements",
        "claim",
        "began",
        "missing",
        "claim_with_exceptions",
    )
    return text if isinstance(value, str) and name not in own else value


def test_what_gets_in_all_the_same_is_not_run(browser: Browser, write: Callable[..., Path]) -> None:
    file = write("hostile")
    entered = file.with_name("entered.html")
    entered.write_text(
        file.read_text("utf-8").replace(
            "<main", f"{MARKUP.removeprefix('</script></style>')}<main"
        ),
        "utf-8",
    )
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(entered.as_uri())
    assert page.evaluate("document.body.dataset.taken") is None
    assert len(refused) >= 2
    assert all("Content Security Policy" in text for text in refused)
    page.close()


def test_a_run_that_was_killed_is_shown_as_far_as_it_came(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("killed")) as visit:
        expect(visit.page.locator(".claim")).to_have_text(
            "no claim the record is incomplete because the run did not come to its end"
        )
        notice = visit.page.get_by_role("region", name="This record is incomplete")
        expect(notice).to_contain_text(
            "The run ended before it had judged 8 of its 8 requirements. It claims nothing."
        )
        assert notice.get_by_role("listitem").count() == 12
        assert visit.shown() == list(ONLY)
        expect(visit.item("DB-2").locator("summary")).to_contain_text("not judged")


def test_several_records_are_a_matrix_of_what_differs(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("reference", "blocks")) as visit:
        matrix = visit.page.get_by_role("table")
        expect(matrix.get_by_role("caption")).to_have_text(
            "6 of 8 requirements differ; their rows are marked with ≠"
        )
        row = visit.item("DB-2")
        expect(row.get_by_role("rowheader")).to_have_text("DB-2 An absent item is null")
        expect(row.get_by_role("cell")).to_have_text(["MUST", "PASS", "FAIL"])
        expect(row).to_have_attribute("data-differs", "")
        expect(visit.item("END-2")).not_to_have_attribute("data-differs", "")
        visit.page.get_by_label("only what differs").check(force=True)
        assert visit.shown("tr.item") == [name for name in ONLY if name not in ("END-2", "HTTP-6")]
        row.get_by_role("link", name="FAIL").click()
        expect(visit.item("2-DB-2").get_by_text('200 {"item": null}')).to_be_in_viewport()
        expect(visit.page.get_by_role("heading", name=f"2 {SERVICES}:blocks").last).to_be_visible()


def test_a_known_failure_says_why_it_does_not_count(
    browser: Browser, records: Mapping[str, Path], place: Path
) -> None:
    lines: Lines = [json.loads(line) for line in records["blocks"].read_text("utf-8").splitlines()]
    next(line for line in lines if line.get("requirement") == "DB-2")["known"] = {
        "reason": "<b>ticket</b> 812",
        "expires": "2027-01-31",
    }
    lines[-1]["wrong_entries"] = [
        {"requirement": "END-2", "mistake": "stale", "sentence": "END-2 is listed and passed"}
    ]
    record, file = place / "record.jsonl", place / "page.html"
    record.write_text("\n".join(map(json.dumps, lines)))
    file.write_text(render_html([read_record(record)], Language.EN), "utf-8")
    with visited(browser, file, "#DB-2") as visit:
        expect(visit.item("DB-2").locator(".level")).to_have_text("known · MUST")
        known = visit.item("DB-2").locator("dt", has_text="known").locator("+ dd")
        expect(known).to_have_text("<b>ticket</b> 812 (until 2027-01-31)")
        expect(visit.page.get_by_role("banner")).to_contain_text("END-2 is listed and passed")


def test_without_the_script_it_is_read_all_the_same(
    browser: Browser, write: Callable[..., Path]
) -> None:
    with visited(browser, write("blocks"), java_script_enabled=False) as visit:
        expect(visit.page.locator("#filter")).to_be_hidden()
        expect(visit.page.locator(".copy").first).to_be_hidden()
        visit.item("DB-2").locator("summary").first.click()
        expect(visit.item("DB-2").locator(".found")).to_be_visible()


def test_on_paper_what_did_not_pass_is_open(browser: Browser, write: Callable[..., Path]) -> None:
    with visited(browser, write("blocks")) as visit:
        visit.page.emulate_media(media="print")
        expect(visit.page.locator("#filter")).to_be_hidden()
        heights = {
            name: visit.page.evaluate(f"document.getElementById('{name}').offsetHeight")
            for name in ("DB-2", "END-2")
        }
        assert heights["DB-2"] > 200 > 50 > heights["END-2"]
        assert visit.page.pdf().startswith(b"%PDF")


def test_a_page_of_ninety_failures_is_small_and_opens_at_once(
    browser: Browser, records: Mapping[str, Path], place: Path
) -> None:
    lines: Lines = [json.loads(line) for line in records["blocks"].read_text("utf-8").splitlines()]
    failure = verdict(records["blocks"], "CONC-3")
    lines[0]["requirements"] = list(catalogue())
    record, file = place / "record.jsonl", place / "page.html"
    kept = [line for line in lines if line["type"] != "verdict"]
    kept[-1:-1] = [{**failure, "requirement": name} for name in catalogue()]
    record.write_text("\n".join(map(json.dumps, kept)))
    file.write_text(render_html([read_record(record)], Language.EN), "utf-8")
    assert file.stat().st_size < LARGEST
    began = time.monotonic()
    with visited(browser, file) as visit:
        assert time.monotonic() - began < LONGEST
        assert len(visit.shown()) == len(catalogue())


def test_a_run_writes_its_page_and_leaves_no_record(browser: Browser, place: Path) -> None:
    file = place / "page.html"
    argv = command("--html", str(file), *TARGETS["blocks"], "--only", "END-1", "END-2", "--seed=7")
    done = subprocess.run(
        argv,
        cwd=PROJECT,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert f"the HTML page of this run is {file}\n" in done.stdout
    assert not left_behind(place)
    with visited(browser, file) as visit:
        expect(visit.page.locator(".counts li")).to_have_text(["1FAIL", "1PASS"])
        expect(visit.page.locator("dt", has_text="exit status").locator("+ dd")).to_have_text("1")


def test_a_page_that_cannot_be_written_is_said_before_the_run(place: Path) -> None:
    finished = judge(place, "--html", "/nowhere/page.html", "--only", "END-1")
    assert finished.status == 4
    assert (
        "--html must be a file that can be written; /nowhere/page.html cannot:"
        " No such file or directory" in finished.output
    )


@pytest.mark.skipif(
    not folder(Language.ZH).is_dir(), reason="the specification is not there in Chinese"
)
def test_in_chinese(browser: Browser, write: Callable[..., Path]) -> None:
    for names in (["blocks"], ["killed"], ["reference", "hostile"]):
        file = write(*names, language=Language.ZH)
        JustHTML(file.read_text("utf-8"), strict=True)
        with visited(browser, file) as visit:
            expect(visit.page.locator("html")).to_have_attribute("lang", "zh-Hans")
            assert visit.obstacles() == []


def test_every_word_of_the_page_is_there_in_chinese() -> None:
    sources = [
        ast.parse(path.read_text("utf-8")) for path in Path(page.__file__).parent.glob("*.py")
    ]
    calls = [
        node
        for source in sources
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and node.args
    ]
    own = {
        ast.unparse(call.func).rpartition(".")[2] in ("say", "self") and call.args[0]
        for call in calls
    }
    words = {word.value for word in own if isinstance(word, ast.Constant)}
    assert len(words) > 70
    assert {*words, *LANES, OTHER, *Channel, NOT_JUDGED, "requirement"} <= ZH.keys()
