"""`frontrunner evaluate` on a tiny hub: what it prints is what its tables hold."""

from __future__ import annotations

import json
import shutil

import pytest
from scipy.stats import weightedtau
from typer.testing import CliRunner

from frontrunner.cli import build_app
from frontrunner.evidence.own_hub import evaluate_hub, verdict
from frontrunner.evidence.quality import Figure, Quality
from frontrunner.evidence.runs import MeasuredRun, MeasuredScore, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.settings import Settings, get_settings
from tests.conftest import class_images, write_timm_checkpoint, write_zip

PROTOCOL = Protocol(image_size=32, examples=30, epochs=1, batch_size=8)


def quality(score, tau, error, regret=1.0):
    figure = Figure(mean=tau, error=error)
    lost = Figure(mean=regret, error=error)
    return Quality(
        score=score,
        datasets=1,
        weighted_tau=figure,
        kendall=figure,
        regret=lost,
        regret_of_three=lost,
        of_ceiling=None,
        by_dataset={},
    )


def test_the_verdict_trusts_no_score_that_chance_explains():
    clear, usual = quality("lda", 0.6, 0.2), quality("logme", 0.4, 0.2, regret=2.5)
    assert verdict([clear, usual], 0.02) == (
        "Trust lda (tau_w 0.60 ± 0.20, 1.0 points lost); the default is logme (tau_w 0.40 ± 0.20, 2.5 points lost)."
    )
    assert verdict([clear], 0.06).startswith("Trust no score on this evidence: the best of 1, lda")
    # Two scores were tried: twice the probability that one of them comes out so by chance.
    assert verdict([clear, usual], 0.03).startswith("Trust no score")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    root = tmp_path_factory.mktemp("own-hub")
    data = write_zip(root / "colours.zip", class_images(5, 10, splits=("train", "test")))
    for seed, architecture in enumerate(("test_vit", "test_vit2", "test_resnet")):
        write_timm_checkpoint(root / "hub" / f"net{seed}", architecture, seed=seed)
    settings = Settings(home=root / "home", packages=False, hub_mode="offline")
    found = evaluate_hub([data], hub=root / "hub", protocol=PROTOCOL, seeds=2, settings=settings, folder=root / "out")
    return root, data, settings, found


def test_an_evaluation_says_what_its_tables_hold(evaluated):
    root, _, _, found = evaluated
    runs, rows = (
        list(Table(root / "out" / "truth.csv", MeasuredRun)),
        list(Table(root / "out" / "scores.csv", MeasuredScore)),
    )
    assert (found.datasets, found.checkpoints, found.seeds, found.left_out) == (["colours.zip"], 3, 2, [])
    assert len(runs) == 6
    names = [f"local:net{seed}" for seed in range(3)]
    truth = [sum(run.accuracy for run in runs if run.checkpoint == name) / 2 for name in names]
    by_name = {line.score: line for line in found.scores}
    assert {"logme", "linear_probe", "discrepancy", "parameters", "feature_dimension"} <= set(by_name)
    for score in ("logme", "parameters"):
        values = {row.checkpoint: row.value for row in rows if row.score == score}
        expected = weightedtau([values[name] for name in names], truth).statistic
        assert by_name[score].weighted_tau.mean == pytest.approx(expected)
    taus = [line.weighted_tau.mean for line in found.scores]
    assert taus == sorted(taus, reverse=True)


def test_a_second_call_measures_nothing_and_says_the_same(evaluated, monkeypatch):
    root, data, settings, found = evaluated
    monkeypatch.setattr("frontrunner.evidence.ground_truth.measure_run", lambda *a, **b: pytest.fail("measured again"))
    monkeypatch.setattr("frontrunner.evidence.own_hub.rank_with_every_score", lambda *a, **b: pytest.fail("ranked"))
    again = evaluate_hub([data], hub=root / "hub", protocol=PROTOCOL, seeds=2, settings=settings, folder=root / "out")
    assert again == found


def test_a_checkpoint_that_joins_is_measured_alone_and_one_that_leaves_counts_no_more(evaluated):
    root, data, settings, found = evaluated
    write_timm_checkpoint(root / "hub" / "net3", "test_resnet", seed=9)
    before = len(list(Table(root / "out" / "truth.csv", MeasuredRun)))
    more = {"hub": root / "hub", "protocol": PROTOCOL, "seeds": 2, "settings": settings, "folder": root / "out"}
    joined = evaluate_hub([data], **more)
    assert joined.checkpoints == 4
    runs = list(Table(root / "out" / "truth.csv", MeasuredRun))
    assert {run.checkpoint for run in runs[before:]} == {"local:net3"}
    rows = [row for row in Table(root / "out" / "scores.csv", MeasuredScore) if row.score == "logme"]
    assert len(rows) == 4
    shutil.rmtree(root / "hub" / "net3")
    assert evaluate_hub([data], **more) == found


def test_the_command_prints_the_table_and_json(evaluated, monkeypatch):
    root, data, _, _ = evaluated
    monkeypatch.setenv("FRONTRUNNER_HOME", str(root / "home"))
    get_settings.cache_clear()
    app = build_app(["evaluate"])
    arguments = ["evaluate", str(data), "--hub", str(root / "hub"), "--seeds", "1", "--epochs", "1"]
    arguments += ["--max-examples", "30", "--image-size", "32"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert "colours.zip: 3 checkpoints, full adaptation, one seed" in told.output
    assert "logme" in told.output
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert found["seeds"] == 1
    assert found["scores"][0]["weighted_tau"]["error"] is None
    refused = CliRunner().invoke(app, [*arguments, "--adaptation", "half"])
    assert refused.exit_code == 2
    get_settings.cache_clear()
