"""Looking at pages in a real browser: what they complain of, how wide they are, what axe finds."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# What axe calls serious or worse is a barrier; the rest is advice.
GRAVE = frozenset({"serious", "critical"})
# A machine that does much else at the same time is no fault of a page.
TIMEOUT_MS = 120_000


def barriers_of(page: Page) -> list[str]:
    """What keeps people from using a page as it is shown now."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']} at {node['target']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def overflow_of(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def wait_for_status(page: Page, status: str) -> None:
    """Wait until the live part says so, without asking for the page again."""
    page.locator("#live > .job-state .badge").first.filter(has_text=status).wait_for(timeout=TIMEOUT_MS)
