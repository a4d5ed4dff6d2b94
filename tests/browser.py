"""A real browser for tests: Debian's Chromium, without a head."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers import require


def browsers_environment() -> dict[str, str]:
    """This process's, with a short folder for temporary files: the path of a socket has no more than 107 bytes."""
    return os.environ | {"TMPDIR": "/tmp"}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for as long as the block lasts; where it is not installed the test is skipped, and fails in CI."""
    program = require(shutil.which("chromium"), "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], env=browsers_environment())
        try:
            yield browser
        finally:
            browser.close()


def complaints_of(page: Page) -> list[str]:
    """What the page complains of from now on: errors and warnings of its console, violations of its policy."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found
