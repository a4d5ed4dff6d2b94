"""A ranking of a thousand checkpoints on its page, while it runs and afterwards: `python -m benchmarks.pages.live`.

A real service with a worker ranks precomputed features, a step for each set. While it does, the page is open in
Chromium: counted are the events that it hears and the tasks that block it (the browser's own long-task observer, which
counts from 50 ms). Afterwards the finished page is loaded several times.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from benchmarks.service.fleet import write_features
from benchmarks.service.setting import embedded, state_of_the_machine

_WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({entryTypes: ["longtask"]});
window.heard = 0;
const Original = window.EventSource;
window.EventSource = class extends Original {
  addEventListener(name, ...rest) {
    if (name !== "error") super.addEventListener(name, () => window.heard++);
    super.addEventListener(name, ...rest);
  }
};
"""


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    # With the labels a thousand arrays: as many as a file of features may hold.
    arguments.add_argument("--checkpoints", type=int, default=999)
    arguments.add_argument("--seconds", type=float, default=20.0, help="of watching while it runs")
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    print(state_of_the_machine())
    with tempfile.TemporaryDirectory() as folder, embedded() as service, sync_playwright() as playwright:
        service.start_api()
        service.start_worker()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, base_url=f"http://127.0.0.1:{service.port}")
        page.add_init_script(_WATCH)
        dataset = service.upload(write_features(Path(folder) / "features.npz", given.checkpoints))
        job = service.rank(dataset)
        _watch_running(page, f"/rankings/{job}", given.seconds)
        service.wait(job, timeout_s=3600)
        _load(page, f"/rankings/{job}", given.repeats)
        browser.close()


def _watch_running(page: Page, path: str, seconds: float) -> None:
    page.goto(path)
    page.locator(".lines tbody tr").nth(20).wait_for(timeout=120_000)
    page.evaluate("window.tasks.length = 0; window.heard = 0")
    began = time.perf_counter()
    page.wait_for_timeout(1000 * seconds)
    spent = time.perf_counter() - began
    tasks = page.evaluate("window.tasks")
    longest = max(tasks, default=0)
    print(
        f"running: {page.evaluate('window.heard') / spent:.1f} events a second; {len(tasks)} tasks over 50 ms, "
        f"longest {longest:.0f} ms; {page.locator('.job-state .muted').first.inner_text()}"
    )


def _load(page: Page, path: str, repeats: int) -> None:
    shown, drawn, longest, sizes = [], [], [], []
    for _ in range(repeats):
        began = time.perf_counter()
        page.goto(path, wait_until="commit")
        page.locator(".lines tbody tr").nth(50).wait_for()
        shown.append(time.perf_counter() - began)
        page.locator("[data-chart=scores][data-drawn]").wait_for()
        drawn.append(time.perf_counter() - began)
        page.wait_for_timeout(1500)
        longest.append(max(page.evaluate("window.tasks"), default=0))
        sizes.append(page.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize"))
    print(
        f"finished: table after {median(shown):.2f} s, first chart after {median(drawn):.2f} s ({min(drawn):.2f} to "
        f"{max(drawn):.2f}); longest task {median(longest):.0f} ms; page {median(sizes) / 1e3:.0f} kB"
    )


if __name__ == "__main__":
    main()
