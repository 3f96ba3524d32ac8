"""A browser: Chromium without a window. A page may request and complain of nothing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which(
    "chromium"
)  # the first takes half of the other's CPU
MISSING = (
    None if CHROMIUM else "there is no chromium here (apt-get install chromium-headless-shell)"
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Visit:
    """A page that is open, and what it asked for and complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def shown(self, kind: str = "details.item") -> list[str]:
        """The ids of the requirements that can be seen."""
        return [
            each.get_attribute("id") or "" for each in self.page.locator(f"{kind}:visible").all()
        ]

    def item(self, name: str) -> Locator:
        """A requirement."""
        return self.page.locator(f"[id='{name}']")

    def focused(self) -> str | None:
        """The id of the requirement that has the focus."""
        found: str | None = self.page.evaluate("document.activeElement.closest('.item')?.id")
        return found

    def obstacles(self) -> list[str]:
        """What is in the way of those who see little or hear the page."""
        found: list[dict[str, Any]] = (
            Axe().run(self.page, options={"runOnly": RULES}).response["violations"]
        )
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]} ({len(each['nodes'])})"
            for each in found
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser: Browser, file: Path, fragment: str = "", **settings: Any) -> Iterator[Visit]:
    """Visit a page, which may request nothing but itself, and complain of nothing."""
    context = browser.new_context(
        permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce", **settings
    )
    visit = Visit(context.new_page())
    visit.page.set_default_timeout(10_000)
    visit.page.on("request", lambda request: visit.asked.append(request.url))
    visit.page.on("console", lambda message: visit.complaints.append(message.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.goto(file.as_uri() + fragment)
    yield visit
    context.close()
    assert [url for url in visit.asked if not url.startswith((file.as_uri(), "data:"))] == []
    assert visit.complaints == []
