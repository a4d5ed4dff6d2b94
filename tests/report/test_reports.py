"""Reports: one file that needs nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from frontrunner.report import ranking_html, tuning_html
from frontrunner.tuning import TuningOutput
from tests.browser import complaints_of
from tests.pages.browsing import barriers_of, overflow_of
from tests.report.rankings import ranking_of
from tests.report.test_charts import CURVE, TUNING


def test_a_report_opens_as_a_file_and_asks_for_nothing(browser, tmp_path):
    file = tmp_path / "ranking.html"
    ranking_of(12).to_html(file)
    context = browser.new_context(offline=True)
    page = context.new_page()
    complaints, asked = complaints_of(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.locator("figure[data-drawn]").nth(4).wait_for()
    assert page.locator("[data-chart=scores] .value circle").count() == 12
    assert page.locator("table:has(thead) tbody tr").count() == 12
    assert page.locator("h1").inner_text() == "<b>flowers</b>.zip"  # a stranger's name is text
    assert "<img src=x" in page.locator("details ul li").inner_text()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_keeps_nobody_out(browser, tmp_path, scheme):
    file = tmp_path / "ranking.html"
    ranking_of(12).to_html(file)
    page = browser.new_page(color_scheme=scheme, viewport={"width": 400, "height": 900})
    page.goto(file.as_uri())
    page.locator("figure[data-drawn]").nth(6).wait_for()
    for summary in page.get_by_text("As a table").all():
        summary.click()
    assert barriers_of(page) == []
    assert overflow_of(page) <= 0
    page.close()


def test_a_report_of_a_thousand_checkpoints_stays_below_a_megabyte_and_a_half():
    assert len(ranking_html(ranking_of(1000)).encode()) < 1_500_000


def test_a_report_names_no_address_that_a_browser_would_fetch():
    html = ranking_html(ranking_of(3))
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "connect-src" not in html  # default-src 'none' holds for whatever is not named
    assert "default-src 'none'" in html


def test_the_command_line_writes_a_report(tmp_path):
    labels = np.repeat(["a", "b"], 40)
    features = np.random.default_rng(0).normal(size=(80, 4)) + (labels == "b")[:, None]
    np.savez(tmp_path / "sets.npz", labels=labels, seen=features, blind=features[:, :1] * 0 + features[::-1, :1])
    file = tmp_path / "deep" / "report.html"
    done = subprocess.run(
        [sys.executable, "-m", "frontrunner.cli", "rank", tmp_path / "sets.npz", "--json", "--report", file],
        env=os.environ | {"FRONTRUNNER_HOME": str(tmp_path / "home"), "FRONTRUNNER_PACKAGES": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [line["checkpoint"] for line in answer["ranking"]] == ["features:seen", "features:blind"]
    said = answer["summary"].replace("features:", "")  # what all names begin with is said once
    assert f'<p class="lead">{said}</p>' in file.read_text()


def test_a_notebook_shows_the_charts_in_a_frame_of_their_own(browser, tmp_path):
    file = tmp_path / "cell.html"
    file.write_text(f"<!doctype html><title>notebook</title>{ranking_of(4)._repr_html_()}")
    page = browser.new_page()
    complaints = complaints_of(page)
    page.goto(file.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("figure[data-drawn]").nth(1).wait_for()
    assert frame.locator("[data-chart=scores] .value circle").count() == 4
    assert complaints == []
    page.close()


def test_a_report_of_a_tuning_shows_how_it_learnt_and_what_it_takes_for_what(browser, tmp_path):
    output = TuningOutput.model_validate(
        {
            "method": "<b>tuning",
            "folder": "/nowhere",
            "weights": "tuned.safetensors",
            "models": [],
            "ended": "completed",
            "ended_because": "all epochs are over",
            "best_epoch": 3,
            "epochs": 5,
            "learning_rate": 0.03,
            "train_examples": 80,
            "validation_examples": 20,
            "micro_batch": 8,
            "parameters": 1_500_000,
            "held_norms": 0,
            "generalisation": {
                "n": 80,
                "delta": 0.05,
                "gaps": [{"name": "PAC-Bayes", "kind": "bound", "value": 1.2, "vacuous": True}],
                "measured": 0.05,
            },
            "curve": CURVE,
            "seconds": 75.0,
            "metrics": TUNING["output"]["metrics"]
            | {"split": "test", "log_loss": 0.4, "accuracy": {"value": 0.8, "low": 0.6, "high": 0.9}},
        }
    )
    file = tmp_path / "tuning.html"
    file.write_text(tuning_html(output, "photos.zip"))
    page = browser.new_page()
    complaints = complaints_of(page)
    page.goto(file.as_uri())
    page.locator("[data-chart=confusion][data-drawn]").wait_for()
    page.locator("[data-chart=curves][data-drawn]").wait_for()
    assert page.locator("h1").inner_text() == "<b>tuning on photos.zip"
    assert "80.0% of 20 test examples are right (60.0 to 90.0)" in page.locator(".lead").inner_text()
    assert page.locator("[data-chart=confusion] .cell rect").count() == 4
    assert page.locator("[data-chart=curves] .curve path").count() == 2
    assert "vacuous" in page.locator("tbody").last.inner_text()
    assert complaints == []
    page.close()
