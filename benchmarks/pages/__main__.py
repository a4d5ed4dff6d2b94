"""`python -m benchmarks.pages [FOLDER]`: every page at 400 and 1,600 pixels, light and dark, as PNG files.

With `--docs DOCS` the three that README and docs show are put there too, small.
The checkpoints are those of FRONTRUNNER_HUB, or of installed packages where there is none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from benchmarks.pages.world import EXAMPLES, fill
from benchmarks.service.fleet import Fleet
from benchmarks.service.servers import require
from benchmarks.service.setting import embedded
from jobs.keys import create_key

WIDTHS = (400, 1600)
SCHEMES = ("light", "dark")
# Pages in README and docs, and how much of them from the top on.
SHOWN = ("dataset-with-faults", "ranking", "tuning")
_SHOWN_HEIGHT = 1500
_DRAWN_MS = 400


def main(folder: Path) -> None:
    """Fill a service, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    hub = os.environ.get("FRONTRUNNER_HUB", "")
    settings = {"HUB": hub, "PACKAGES": str(not hub).lower()}
    with tempfile.TemporaryDirectory() as scratch, embedded(**settings) as service, sync_playwright() as playwright:
        service.start_api()
        worker = service.start_worker()
        program = require(shutil.which("chromium"), "chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        places = fill(service, Path(scratch))
        running = service.rank(places["dataset"].rpartition("/")[2], max_examples=EXAMPLES + 60)
        places["ranking-running"] = f"/rankings/{running}"
        _take(browser, service, {"ranking-running": places.pop("ranking-running")}, folder, after_step=True)
        worker.terminate()
        worker.wait(60)
        _take(browser, service, places, folder)
        _make_a_key(service)
        _take(browser, service, {"sign-in": "/sign-in"}, folder)
        browser.close()


def _take(browser: Browser, service: Fleet, places: dict[str, str], folder: Path, *, after_step: bool = False) -> None:
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(
                base_url=f"http://127.0.0.1:{service.port}",
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
            )
            page = context.new_page()
            for name, path in places.items():
                page.goto(path)
                if after_step:
                    page.locator(".lines tbody tr").first.wait_for(timeout=300_000)
                if page.locator("figure[data-chart]").count():
                    page.locator("figure[data-drawn]").first.wait_for()
                page.wait_for_timeout(_DRAWN_MS)
                page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
                print(f"{name}-{width}-{scheme}.png")
            context.close()


def _make_a_key(service: Fleet) -> None:
    """From now on the service asks for one."""
    with service.database.write_transaction() as session:
        create_key(session, b"any: it is never shown", name="first")


def _put_into_docs(folder: Path, docs: Path) -> None:
    for name in SHOWN:
        with Image.open(folder / f"{name}-1600-light.png") as picture:
            top = picture.convert("RGB").crop((0, 0, 1600, min(picture.height, _SHOWN_HEIGHT)))
        small = top.resize((1200, round(top.height * 1200 / 1600)), Image.Resampling.LANCZOS)
        small.save(docs / f"page_{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=Path("build/pages"))
    arguments.add_argument("--docs", type=Path)
    given = arguments.parse_args()
    main(given.folder)
    if given.docs is not None:
        _put_into_docs(given.folder, given.docs)
