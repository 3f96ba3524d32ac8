"""Samples: records of whole runs in every view.

Of the reference, of the tutorial's own code, and of three services with a fault.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from conformance.judging.result import RequirementResult, RunResult
from conformance.judging.verdict import Status
from conformance.report import views
from conformance.report.html import render_html
from conformance.report.joins import describe_claim
from conformance.report.markdown import LIMIT
from conformance.report.record_reader import read_record
from conformance.selftest.faulty_services.table import load_faulty_services
from conformance.selftest.support import samples
from conformance.selftest.support.browser import MISSING, chromium, visited
from conformance.selftest.support.targets import MISSED_BY_THE_DOCUMENT
from conformance.spec.catalogue import Language, catalogue

if MISSING and os.environ.get("CHROMIUM") == "required":
    pytest.fail(f"a browser is required here, and {MISSING}", pytrace=False)
LARGEST = 2**20  # bytes of a page of all requirements
NAMES = list(samples.targets())


def sample(name: str) -> RunResult:
    """One of them."""
    return read_record(samples.FOLDER / f"{name}.jsonl")


def failed(report: RunResult) -> list[RequirementResult]:
    """What failed, in the order of the specification."""
    return [each for each in report.results if each.status is Status.FAIL]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if MISSING:
        pytest.skip(MISSING)
    with chromium() as started:
        yield started


def test_each_is_of_the_whole_catalogue_and_came_out_as_the_tables_say() -> None:
    of = {each.name: each for each in load_faulty_services()}
    for name in NAMES:
        report = sample(name)
        assert list(report.by_id) == list(catalogue()), name
        assert report.footer
        assert describe_claim(report, Language.EN) == report.footer.sentence
        ids = {each.id for each in failed(report)}
        if name in of:
            # What follows from the fault at the level SHOULD is not in the table.
            assert set(of[name].fails) <= ids
    assert sample("reference").claim == "robust"
    assert (sample("document").claim, {each.id for each in failed(sample("document"))}) == (
        "core",
        MISSED_BY_THE_DOCUMENT,
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_page_is_filtered_opened_linked_to_and_copied_from(
    browser: Browser, place: Path, name: str
) -> None:
    report, file = sample(name), place / "page.html"
    file.write_text(render_html([report], Language.EN), "utf-8")
    assert file.stat().st_size < LARGEST
    with visited(browser, file, "#TASK-18") as visit:
        expect(visit.item("TASK-18").get_by_text("a megabyte: ")).to_be_in_viewport()
        assert visit.shown() == list(catalogue())
        names = [each.id for each in failed(report)]
        if not names:
            return
        visit.page.get_by_role("search").get_by_label("FAIL").check(force=True)
        assert visit.shown() == names
        item, found = visit.item(names[0]), failed(report)[0].finding
        assert found
        item.locator("summary").first.click()
        expect(item.locator("dt", has_text="got").first.locator("+ dd")).to_contain_text(
            found.got[:60]
        )
        item.get_by_role("button", name="Copy").first.click()
        expect(visit.page.get_by_role("status").filter(has_text="copied")).to_be_visible()
        assert visit.page.evaluate("navigator.clipboard.readText()") == found.reproduce[0]


def test_all_of_them_make_a_matrix(browser: Browser, place: Path) -> None:
    reports, file = [sample(name) for name in NAMES], place / "page.html"
    file.write_text(render_html(reports, Language.EN), "utf-8")
    with visited(browser, file) as visit:
        for report in reports:
            expect(
                visit.page.get_by_role("main")
                .or_(visit.page.get_by_role("banner"))
                .get_by_text(report.target)
                .first
            ).to_be_visible()


@pytest.mark.parametrize("form", views.FORMATS)
@pytest.mark.parametrize("language", Language)
def test_each_has_every_form(form: str, language: Language) -> None:
    for name in NAMES:
        shown = views.FORMATS[form].render([sample(name)], language)
        assert shown or form == "annotations"
        assert form != "markdown" or len(shown) < LIMIT
