"""The prior: variances maximise the evidence, means are shrunk, and what is unknown is wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from frontrunner.evidence import (
    CheckpointFacts,
    DatasetFacts,
    History,
    HistoryTooSmall,
    PastResult,
    believe,
    fit_prior,
    weighted_tau,
)
from frontrunner.evidence.variance_components import fit_variance_components
from tests.evidence.results import made_results


def test_variances_are_those_of_greatest_evidence():
    generator = np.random.default_rng(3)
    X = generator.normal(size=(60, 9))
    y = X @ np.r_[1.5 * generator.normal(size=4), 0.3 * generator.normal(size=5)] + generator.normal(size=60)
    groups = np.repeat([0, 1], [4, 5])

    def evidence(logs):
        variances, noise = np.exp(logs[:2]), np.exp(logs[2])
        return -multivariate_normal.logpdf(y, np.zeros(60), X @ np.diag(variances[groups]) @ X.T + noise * np.eye(60))

    best = minimize(evidence, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).x
    found = fit_variance_components(X, y, [4, 5])
    np.testing.assert_allclose([*found.variances, found.noise], np.exp(best), rtol=0.02)


def test_the_posterior_is_that_of_a_gaussian_conditioned_on_the_targets():
    generator = np.random.default_rng(4)
    X, y = generator.normal(size=(12, 20)), generator.normal(size=12)
    found = fit_variance_components(X, y, [15, 5])
    prior = np.diag(np.repeat(found.variances, [15, 5]))
    gain = prior @ X.T @ np.linalg.inv(X @ prior @ X.T + found.noise * np.eye(12))
    np.testing.assert_allclose(found.mean, gain @ y, atol=1e-9)
    np.testing.assert_allclose(found.covariance, prior - gain @ X @ prior, atol=1e-9)


def test_a_group_without_columns_changes_nothing():
    generator = np.random.default_rng(5)
    X, y = generator.normal(size=(30, 4)), generator.normal(size=30)
    np.testing.assert_allclose(
        fit_variance_components(X, y, [4]).mean, fit_variance_components(X, y, [0, 4, 0]).mean, atol=1e-9
    )


def test_without_facts_and_with_all_results_the_prior_orders_by_mean_normal_scores():
    rows = [
        PastResult(model=row.model, dataset=row.dataset, accuracy=row.accuracy) for row in made_results(15, 5, seed=1)
    ]
    history = History.of(rows)
    belief = fit_prior(history).predict(history.models, history.checkpoints, DatasetFacts())
    means = history.normal_scores.mean(axis=1)
    assert weighted_tau(belief.mean, means) == pytest.approx(1.0)
    ratio = belief.mean / means
    assert ratio.max() - ratio.min() < 1e-6, "one factor shrinks them all"
    assert 0 < ratio.mean() < 1


def test_a_checkpoint_of_few_results_is_shrunk_more_and_is_wider():
    rows = made_results(20, 8, seed=2, noise=1.0)
    kept = [row for row in rows if row.model not in ("m00", "m02")]
    best = [row.model_copy(update={"accuracy": 0.9999}) for row in rows if row.model == "m02"]
    once = [best[0].model_copy(update={"model": "m00"})]
    history = History.of(kept + once + best)
    facts = [CheckpointFacts()] * 2
    belief = fit_prior(history).predict(["m00", "m02"], facts, DatasetFacts())
    assert belief.mean[0] < 0.8 * belief.mean[1]
    assert belief.deviation[0] > belief.deviation[1] + 0.02


def test_what_was_never_seen_is_wide_and_is_believed_by_its_facts():
    history = History.of(made_results(40, 8, seed=3))
    facts = history.checkpoints[0]
    small, large = (replace(facts, parameters=float(np.exp(log))) for log in (15.5, 18.5))
    stranger = CheckpointFacts(family="never seen", parameters=facts.parameters)
    names = ["m00", "new", "new small", "new large", "strange"]
    belief = fit_prior(history).predict(names, [facts, facts, small, large, stranger], DatasetFacts(2000, 3))
    assert belief.mean[3] > belief.mean[2] + 0.5
    assert belief.deviation[1] > belief.deviation[0] + 0.1
    assert belief.deviation[4] >= belief.deviation[1]


def test_nine_in_ten_results_of_a_new_dataset_lie_within_the_90_percent_intervals():
    covered = []
    for seed in range(6):
        history = History.of(made_results(40, 8, seed=seed))
        belief = fit_prior(history.without("d7")).predict(history.models, history.checkpoints, history.sets[7])
        covered.append(np.abs(history.normal_scores[:, 7] - belief.mean) <= 1.645 * belief.deviation)
    assert 0.86 <= np.mean(covered) <= 0.95


def test_one_dataset_is_no_history_and_published_accuracy_takes_its_place():
    history = History.of(made_results(5, 1))
    with pytest.raises(HistoryTooSmall):
        fit_prior(history)
    facts = [CheckpointFacts(public={"imagenet top-1": top1}) for top1 in (70.0, 80.0)] + [CheckpointFacts()]
    for past in (None, history):
        belief = believe(["a", "b", "c"], facts, DatasetFacts(), past)
        assert belief.mean[1] > belief.mean[2] > belief.mean[0]
        assert belief.deviation.tolist() == [pytest.approx(0.75**0.5)] * 2 + [1.0]
