"""A ranking of a thousand checkpoints in Chromium: `python -m benchmarks.pages.charts`.

The page has the figures, style and scripts of a report, served from this machine. Measured are the time from the
request to the last chart, and how long the longest task blocks the page while the ranking changes twenty times a second
(the browser's own long-task observer, which counts from 50 ms).
"""

from __future__ import annotations

import argparse
import gzip
import http.server
import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from frontrunner.report import assets
from frontrunner.report.templates import environment

_PAGE = """<!doctype html>
{% from "charts.html" import chart, data as data_element, titles %}
<html lang="en"><head><meta charset="utf-8"><title>Ranking</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css"><script type="module" src="/charts.js"></script></head>
<body><main class="page"><h1>Ranking</h1>{{ titles("classification") }}{{ data_element("ranking-data", data) }}
<div class="split">
{% for name in names %}
<section class="card">{{ chart(name, "ranking-data", title=name, items=count) }}</section>
{% endfor %}</div></main></body></html>"""
_CHARTS = ("scores", "cost", "chances", "agreement", "discrepancy")
_WATCH = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({entryTypes: ["longtask"]});
}"""
# Every update is parsed from text, as one that comes by an event is.
_UPDATE = """async (each_ms) => {
  const texts = window.updates;
  const begun = performance.now();
  for (let index = 0; index < texts.length; index++) {
    const data = JSON.parse(texts[index]);
    document.dispatchEvent(new CustomEvent("frontrunner:data", {detail: {id: "ranking-data", data}}));
    const next = begun + (index + 1) * each_ms;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  return performance.now() - begun;
}"""


def ranking_data(count: int, seed: int) -> dict[str, Any]:
    """A ranking as charts read it, of `count` made-up checkpoints."""
    generator = np.random.default_rng(seed)
    accuracy = np.sort(generator.uniform(0.3, 0.95, count))[::-1]
    shares = generator.dirichlet(np.full(count, 0.05))
    lines = []
    for index in range(count):
        value = round(float(accuracy[index]), 6)
        scores = {
            "predicted_accuracy": {"value": value},
            "logme": {"value": value - 1, "low": value - 1.05, "high": value - 0.95},
            "knn": {"value": round(float(generator.uniform(0.2, 0.9)), 6), "low": 0.2, "high": 0.9},
            "linear_probe": {"value": value - 0.05, "low": value - 0.1, "high": value},
            "discrepancy": {"value": -round(float(generator.uniform(7, 9)), 6)},
        }
        lines.append(
            {
                "rank": index + 1,
                "checkpoint": f"hf:organisation-{index % 37}/checkpoint-with-a-name-{index:04d}",
                "scores": scores,
                "tied_with_best": index < 5,
                "probability_best": round(float(shares[index]), 6),
                "parameters": int(generator.uniform(1e6, 1e9)),
                "prediction": {"low": round(value - 0.1, 6), "high": round(value + 0.04, 6)},
                "reading_cost": {"latency_ms": round(float(generator.uniform(1, 90)), 2), "memory_mb": 500.0},
            }
        )
    return {
        "dataset": {"name": "made up", "task": "classification"},
        "provenance": {"ordered_by": "predicted_accuracy"},
        "ranking": lines,
    }


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--checkpoints", type=int, default=1000)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=3.0, help="of updates")
    arguments.add_argument("--rate", type=float, default=20.0, help="updates a second")
    given = arguments.parse_args()
    count = given.checkpoints
    html = environment().from_string(_PAGE).render(data=ranking_data(count, 0), names=_CHARTS, count=count)
    sent = [html, *(assets.read(name).text for name in assets.names() if name.endswith((".css", ".js")))]
    texts = [json.dumps(ranking_data(count, seed)) for seed in range(int(given.seconds * given.rate))]
    print(f"{count} checkpoints: page {len(html) / 1e3:.0f} kB, {len(texts[0]) / 1e3:.0f} kB an update;", end=" ")
    print(
        f"all that is sent at first, compressed: {sum(len(gzip.compress(each.encode())) for each in sent) / 1e3:.0f} kB"
    )
    with _served(html) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first, drawn, worked, longest, drawings = [], [], [], [], []
        for _ in range(given.repeats):
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.add_init_script(f"({_WATCH})()")
            inside = page.context.new_cdp_session(page)
            inside.send("Performance.enable", {"timeDomain": "threadTicks"})
            began = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.locator("[data-chart=scores][data-drawn]").wait_for()
            first.append(time.perf_counter() - began)
            page.locator("figure[data-drawn]").nth(len(_CHARTS) - 1).wait_for()
            drawn.append(time.perf_counter() - began)
            measured = {each["name"]: each["value"] for each in inside.send("Performance.getMetrics")["metrics"]}
            worked.append(measured["TaskDuration"])
            page.wait_for_timeout(300)
            before = _drawings(page)
            page.evaluate("(texts) => { window.updates = texts; }", texts)
            page.wait_for_timeout(300)
            page.evaluate("() => { window.tasks = []; }")
            page.evaluate(_UPDATE, 1000 / given.rate)
            tasks = page.evaluate("() => window.tasks")
            longest.append(max(tasks, default=0.0))
            drawings.append((_drawings(page) - before) / given.seconds)
            page.close()
        browser.close()
    print("seconds from the request to the first chart:", _spread(first))
    print("seconds from the request to all charts:", _spread(drawn))
    print("of which the page's own thread had a processor, in seconds:", _spread(worked))
    print(f"longest task in ms during {given.rate:.0f} updates a second (0: below 50):", _spread(longest, 0))
    print("drawings a second of the chart on top:", _spread(drawings, 1))


def _drawings(page: Page) -> int:
    return int(page.locator("[data-chart=scores]").get_attribute("data-drawn") or 0)


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


@contextmanager
def _served(html: str) -> Iterator[str]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            known = name in assets.names()
            content = assets.read(name).content if known else html.encode() if not name else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", assets.read(name).media_type if known else "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
