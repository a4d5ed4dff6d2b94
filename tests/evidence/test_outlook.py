"""A ranking in the light of past results: by hand where a hand can, and as the command prints it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

import frontrunner
from frontrunner.cli import build_app
from frontrunner.evidence import History, PastResult, believe
from frontrunner.evidence.history import CheckpointFacts, DatasetFacts
from frontrunner.evidence.outlook import outlook
from frontrunner.settings import Settings, get_settings

NAMES = ("weak", "middling", "strong")


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three feature sets; LogME orders them strong, middling, weak."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    path = tmp_path_factory.mktemp("outlook") / "features.npz"
    sets = {
        name: (generator.normal(size=(120, 8)) + signal * np.eye(8)[labels]).astype(np.float32)
        for name, signal in zip(NAMES, (0.5, 1.5, 4.0), strict=True)
    }
    np.savez(path, labels=labels, **sets)
    return path


def rank(features: Path):
    return frontrunner.rank(features, settings=Settings(home=features.parent / "home", packages=False))


def past(places: dict[str, float], datasets: int = 6) -> list[PastResult]:
    """Results that follow one order, up to small changes."""
    generator = np.random.default_rng(1)
    return [
        PastResult(model=model, dataset=f"d{i}", accuracy=float(value + generator.normal(scale=0.01)))
        for i in range(datasets)
        for model, value in places.items()
    ]


def test_scores_that_the_history_does_not_hold_correlate_by_a_half(features: Path) -> None:
    """The normal posterior by hand: a reading 0.5 y with variance 0.75 about the belief."""
    history = History.of(past({"weak": 0.9, "middling": 0.6, "other": 0.5, "another": 0.7}))
    ranking = rank(features)
    found = outlook(ranking, history)
    ids = [line.checkpoint for line in ranking.ranking]
    assert ids == ["features:strong", "features:middling", "features:weak"]
    facts = [CheckpointFacts(family="features")] * 3
    belief = believe(["features:strong", "middling", "weak"], facts, DatasetFacts(120, 3), history)
    measured = norm.ppf((np.array([3, 2, 1]) - 0.5) / 3)
    surprise = measured - 0.5 * (belief.mean - belief.mean.mean())
    variance = belief.deviation**2
    gain = 0.5 * variance / (0.25 * variance + 0.75)
    expected = dict(zip(ids, belief.mean + gain * surprise, strict=True))
    deviation = dict(zip(ids, np.sqrt(variance * (1 - 0.5 * gain)), strict=True))
    for place in found.places:
        assert place.expected == pytest.approx(expected[place.checkpoint])
        assert place.deviation == pytest.approx(deviation[place.checkpoint])
    assert (found.scores, found.learned_from) == (("logme",), 0)


def test_a_checkpoint_that_always_came_out_best_leads_and_one_never_tried_is_wide(features: Path) -> None:
    history = History.of(past({"weak": 0.95, "middling": 0.2, "a": 0.5, "b": 0.4, "c": 0.3, "d": 0.25}))
    whole = outlook(rank(features), history)
    found = {place.checkpoint: place for place in whole.places}
    assert whole.places[0].checkpoint == "features:weak"
    assert found["features:weak"].past_results == 6
    assert found["features:strong"].past_results == 0
    assert found["features:strong"].deviation > 2 * found["features:weak"].deviation
    assert sum(place.probability_best for place in whole.places) == pytest.approx(1.0)
    assert whole.summary.startswith("With 6 past datasets features:weak is the best of all with probability")
    assert "features:strong, which leads by score alone" in whole.summary
    assert whole.summary.endswith("1 of 3 were never tried before.")


def test_the_command_prints_the_outlook_and_refuses_a_bad_file_before_reading(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    rows = past({"weak": 0.95, "middling": 0.2, "a": 0.5})
    file = tmp_path / "past.csv"
    lines = [f"{row.model},{row.dataset},{row.accuracy:.4f}" for row in rows]
    file.write_text("\n".join(["model,dataset,accuracy", *lines]))
    app, arguments = build_app(["rank"]), ["rank", str(features), "--history", str(file)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert "with past results" in told.output
    assert "With 6 past datasets" in told.output
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert len(found["outlook"]["places"]) == 3
    assert "outlook" not in json.loads(CliRunner().invoke(app, [*arguments[:2], "--json"]).stdout)
    file.write_text("model,accuracy\na,0.5\n")
    refused = CliRunner().invoke(app, ["rank", "nowhere.npz", "--history", str(file)])
    assert refused.exit_code == 5
    assert "history_invalid" in refused.output
    get_settings.cache_clear()
