"""Predicted accuracies hold as often as they claim, on datasets that were never seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.prediction import Observation, fit_accuracy_model
from frontrunner.ranking.prediction import AccuracyModel, shipped_models
from frontrunner.scores import ScoreValue

BETWEEN, WITHIN, SLOPE = 0.4, 0.25, 0.8


def simulated(generator: np.random.Generator, datasets: int, checkpoints: int, shift: float = 0.0) -> list[Observation]:
    """Accuracies whose logits follow the model: a probe's logit, one useless column, a dataset's own part, noise."""
    found = []
    for dataset in range(datasets):
        own, level = generator.normal(scale=BETWEEN), generator.normal(1.0 + shift, 0.5)
        for checkpoint in range(checkpoints):
            probe = level + generator.normal(scale=0.6)
            y = 0.5 + SLOPE * probe + own + generator.normal(scale=WITHIN)
            found.append(
                Observation(
                    dataset=f"d{dataset}",
                    checkpoint=f"c{checkpoint}",
                    measured={"probe": float(expit(probe)), "useless": float(generator.normal())},
                    accuracy=float(expit(y)),
                )
            )
    return found


def fitted(seed: int, datasets: int = 8) -> AccuracyModel:
    return fit_accuracy_model(simulated(np.random.default_rng(seed), datasets, 12), ["logit probe", "useless"])


def test_the_model_finds_what_the_data_were_made_of() -> None:
    model = fitted(0, datasets=60)
    slopes = np.array(model.mean[1:]) / np.array(model.scale)
    assert slopes == pytest.approx([SLOPE, 0.0], abs=0.05)
    assert model.between**0.5 == pytest.approx(BETWEEN, rel=0.2)
    assert model.within**0.5 == pytest.approx(WITHIN, rel=0.1)


def test_intervals_on_new_datasets_cover_as_often_as_they_claim() -> None:
    """Of 200 histories of eight datasets, and a new dataset each; the share's standard error is two points."""
    covered, narrow = [], []
    for seed in range(200):
        model = fitted(seed)
        new = simulated(np.random.default_rng(1000 + seed), 1, 12)
        for level, into in ((0.9, covered), (0.5, narrow)):
            found = model.predict([each.measured for each in new], level=level)
            into.append(np.mean([p.low <= n.accuracy <= p.high for p, n in zip(found, new, strict=True)]))
    assert 0.86 < np.mean(covered) < 0.95
    assert 0.44 < np.mean(narrow) < 0.58


def test_the_probability_of_being_best_comes_true_as_often_as_it_says() -> None:
    """Over 200 new datasets: the mean of what was said of the first pick, and how often it was the best."""
    said, true = [], []
    for seed in range(200):
        new = simulated(np.random.default_rng(2000 + seed), 1, 6)
        found = fitted(seed).predict([each.measured for each in new])
        assert sum(line.probability_best for line in found) == pytest.approx(1.0)
        pick = int(np.argmax([line.accuracy for line in found]))
        said.append(found[pick].probability_best)
        true.append(pick == int(np.argmax([line.accuracy for line in new])))
    assert np.mean(said) == pytest.approx(np.mean(true), abs=0.09)


def test_what_lies_outside_the_evidence_is_said_and_widened() -> None:
    model = fitted(0)
    inside, outside = ({"probe": accuracy, "useless": 0.0} for accuracy in (0.7, 0.9999))
    near, far = model.predict([inside, outside])
    assert (near.unlike_evidence, far.unlike_evidence) == (False, True)
    again = model.model_copy(update={"highest": tuple(10.0 for _ in model.highest)}).predict([outside])[0]
    assert far.high - far.low > again.high - again.low


def test_two_datasets_are_too_few_and_the_model_survives_json() -> None:
    with pytest.raises(HistoryTooSmall, match="three datasets, got 2"):
        fitted(0, datasets=2)
    model = fitted(0)
    assert AccuracyModel.model_validate_json(model.model_dump_json()) == model


def test_a_perfect_probe_has_a_logit() -> None:
    found = fitted(0).predict([{"probe": 1.0, "useless": 0.0}])[0]
    assert 0.9 < found.low < found.accuracy < found.high < 1.0
    assert found.probability_best == 1.0


def test_a_fact_beyond_the_evidence_is_worth_no_more_than_the_largest_in_it() -> None:
    """Sizes up to 10 were seen, and each unit is worth .3; size 100 is taken for 10, and said to be unlike."""
    generator = np.random.default_rng(0)
    found = [
        Observation(
            dataset=f"d{dataset}",
            checkpoint=f"c{size}",
            measured={"parameters": size},
            accuracy=float(expit(0.3 * size - 2 + generator.normal(scale=0.01))),
        )
        for dataset in range(4)
        for size in range(11)
    ]
    largest, beyond = fit_accuracy_model(found, ["parameters"]).predict([{"parameters": 10}, {"parameters": 100}])
    assert largest.accuracy == beyond.accuracy == pytest.approx(float(expit(1.0)), abs=0.01)
    assert (largest.unlike_evidence, beyond.unlike_evidence) == (False, True)


def test_the_score_is_the_prediction_and_its_replicates_are_those_of_the_scores_behind_it() -> None:
    model = fit_accuracy_model(simulated(np.random.default_rng(0), 8, 12), ["logit probe"])
    value, replicates = 0.7, (0.68, 0.7, 0.72)
    found = model.score({"probe": ScoreValue(value=value, replicates=replicates)}, {})
    said = [model.predict([{"probe": share}])[0].accuracy for share in (value, *replicates)]
    assert [found.value, *found.replicates] == pytest.approx(said)


def test_the_models_that_come_with_the_library_are_those_of_the_committed_tables() -> None:
    from benchmarks.ranking_quality.predictor import evidence, fitted_models

    again = fitted_models(evidence())
    assert [model.adaptation for model in again] == [model.adaptation for model in shipped_models()]
    for model, shipped in zip(again, shipped_models(), strict=True):
        assert model.columns == shipped.columns
        assert model.mean == pytest.approx(shipped.mean, rel=1e-6)
        assert (model.between, model.within) == pytest.approx((shipped.between, shipped.within), rel=1e-6)
