"""A ranking of a thousand checkpoints on its page, while it runs and afterwards: `python -m benchmarks.pages.live`.

The API is a real process; the worker is this one, which claims steps and answers them at once, so that the page and not
a model is measured. The page is open in Chromium and hears twenty events a second: nine of ten say how far a step is,
one that a step is over, which changes the whole ranking. Counted are the tasks that block the page (the browser's own
long-task observer, which counts from 50 ms). Then the finished page is loaded several times.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.setting import embedded, state_of_the_machine
from frontrunner.progress import Stage
from jobs import lifecycle
from jobs.notification import QUEUES

_LEASE_S = 3600.0
# Steps that are left for the time in which the page is watched.
_LEFT = 100
_WATCH = """
window.tasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.tasks.push(entry.duration);
}).observe({entryTypes: ["longtask"]});
"""


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    # With the labels a thousand arrays: as many as a file of features may hold.
    arguments.add_argument("--checkpoints", type=int, default=999)
    arguments.add_argument("--seconds", type=float, default=20.0, help="of watching while it runs")
    arguments.add_argument("--rate", type=float, default=20.0, help="events a second")
    arguments.add_argument("--repeats", type=int, default=5)
    given = arguments.parse_args()
    print(state_of_the_machine())
    with tempfile.TemporaryDirectory() as folder, embedded() as service, sync_playwright() as playwright:
        service.start_api()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000}, base_url=f"http://127.0.0.1:{service.port}")
        page.add_init_script(_WATCH)
        dataset = service.upload(write_features(Path(folder) / "features.npz", given.checkpoints))
        path = f"/rankings/{service.rank(dataset)}"
        for place in range(given.checkpoints - _LEFT):
            _finish(service, _claim(service), place)
        _watch_running(page, service, path, given.seconds, given.rate)
        for place in range(_LEFT):
            if (held := _claim(service)) is not None:
                _finish(service, held, place)
        _load(page, path, given.repeats)
        browser.close()


def _claim(service: Fleet) -> lifecycle.Claim | None:
    with service.database.write_transaction() as session:
        return lifecycle.claim_best(session, QUEUES, _LEASE_S)


def _finish(service: Fleet, held: lifecycle.Claim | None, seed: int) -> None:
    assert held is not None
    value = float(np.random.default_rng(seed).normal())
    score = {"value": value, "low": value - 0.2, "high": value + 0.2}
    said = {
        "scores": dict.fromkeys(("logme", "discrepancy", "knn", "linear_probe"), score),
        "examples": 60,
        "forward_examples": 60,
        "feature_dimension": 8,
        "feature_key": f"k{seed}",
        "feature_bytes": 1,
        "seconds": 0.1,
        "scoring_seconds": 0.0,
    }
    with service.database.write_transaction() as session:
        lifecycle.succeed_step(session, held, json.dumps(said))


def _watch_running(page: Page, service: Fleet, path: str, seconds: float, rate: float) -> None:
    held = _claim(service)
    assert held is not None
    page.goto(path)
    page.locator("[data-step]").wait_for()
    page.locator("[data-chart=scores][data-drawn]").wait_for()
    page.locator("[data-chart=scores]").scroll_into_view_if_needed()  # charts out of sight are not drawn again
    page.wait_for_timeout(3000)
    page.evaluate("window.tasks.length = 0")
    before = int(page.locator("[data-chart=scores]").get_attribute("data-drawn") or 0)
    fetched: list[float] = []
    page.on("requestfinished", lambda request: fetched.append(request.timing["responseEnd"]))
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        if sent % 10 == 9:
            _finish(service, held, 10_000 + sent)
            held = _claim(service)
            assert held is not None
        else:
            reached = lifecycle.StepProgress(Stage.READ, 6 * (sent % 10), 60)
            with service.database.write_transaction() as session:
                lifecycle.beat(session, held, _LEASE_S, reached)
        sent += 1
        page.wait_for_timeout(max(0.0, 1000 * (sent / rate - now)))
    spent = time.perf_counter() - began
    tasks = page.evaluate("window.tasks")
    drawn = int(page.locator("[data-chart=scores]").get_attribute("data-drawn") or 0) - before
    print(
        f"running: {sent / spent:.1f} events a second for {spent:.0f} s; ranking fetched {len(fetched)} times (a "
        f"median of {median(fetched or [0.0]):.0f} ms), charts drawn {drawn} times; "
        f"{len(tasks)} tasks over 50 ms, longest {max(tasks, default=0):.0f} ms"
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
