"""Beliefs and measurements: the posterior of a Gaussian, with weights that other datasets teach."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner.evidence import (
    Belief,
    History,
    HistoryTooSmall,
    default_reading,
    fit_prior,
    learn_reading,
    weighted_tau,
)
from frontrunner.evidence.combination import Reading
from frontrunner.evidence.history import normal_scores
from tests.evidence.results import made_results


def test_the_update_is_the_gaussian_conditioned_on_the_scores():
    generator = np.random.default_rng(0)
    belief = Belief(generator.normal(size=6), generator.uniform(0.3, 1.5, size=6))
    raw = {"a": generator.normal(size=6), "b": generator.normal(size=6)}
    rho, kappa, noise = np.array([0.6, 0.4]), np.array([0.1, 0.3]), np.array([[0.5, 0.2], [0.2, 0.7]])
    found = Reading(("a", "b"), rho, kappa, noise, 3).update(belief, raw)
    centred = belief.mean - belief.mean.mean()
    for i in range(6):
        # y and p are jointly normal: mean (mu, (rho + kappa) mu), covariance from y ~ N(mu, s^2).
        s2 = belief.deviation[i] ** 2
        p = np.array([normal_scores(raw[name])[i] for name in ("a", "b")])
        joint = np.block([[np.array([[s2]]), s2 * rho[None]], [s2 * rho[:, None], s2 * np.outer(rho, rho) + noise]])
        weights = joint[0, 1:] @ np.linalg.inv(joint[1:, 1:])
        assert found.mean[i] == pytest.approx(belief.mean[i] + weights @ (p - (rho + kappa) * centred[i]))
        assert found.deviation[i] ** 2 == pytest.approx(s2 - weights @ joint[1:, 0])


def test_checkpoints_without_a_score_keep_their_belief():
    belief = Belief(np.array([0.5, 0.0, -0.5]), np.ones(3))
    after = default_reading(["logme"]).update(belief, {"logme": np.array([1.0, np.nan, 2.0])})
    assert (after.mean[1], after.deviation[1]) == (0.0, 1.0)
    assert after.mean[2] > belief.mean[2]
    for measured in ({}, {"other": np.arange(3.0)}, {"logme": np.full(3, np.nan)}):
        np.testing.assert_array_equal(default_reading(["logme"]).update(belief, measured).mean, belief.mean)


def test_a_wide_belief_gives_way_sooner_than_a_narrow_one():
    belief = Belief(np.zeros(4), np.array([0.2, 1.0, 1.0, 0.2]))
    after = default_reading(["logme"]).update(belief, {"logme": np.array([9.0, 9.0, 1.0, 1.0])})
    assert after.mean[1] > after.mean[0] > 0 > after.mean[3] > after.mean[2]


def test_a_score_that_reads_results_is_believed_more_than_one_of_noise():
    rows = made_results(40, 8, seed=5)
    generator = np.random.default_rng(5)
    rows = [row.model_copy(update={"scores": row.scores | {"noise": float(generator.normal())}}) for row in rows]
    reading = learn_reading(History.of(rows), ["logme", "noise"])
    # logme = y + .7 e: its slope by y, beside a belief that says nothing of e, is that of standardised y in p.
    assert reading.rho[0] > 0.5 > reading.rho[1] > -0.1
    assert reading.noise[0, 0] < 0.6 < reading.noise[1, 1]
    assert reading.datasets == 8


def test_prior_and_score_together_order_better_than_either_alone():
    taus = []
    for seed in range(4):
        history = History.of(made_results(40, 7, seed=seed, noise=1.0, score_noise=1.0))
        others, y = history.without("d6"), history.accuracy[:, 6]
        belief = fit_prior(others).predict(history.models, history.checkpoints, history.sets[6])
        p = history.scores["logme"][:, 6]
        after = learn_reading(others, ["logme"]).update(belief, {"logme": p})
        taus.append([weighted_tau(found, y) for found in (belief.mean, p, after.mean)])
    prior, score, both = np.mean(taus, axis=0)
    assert both > max(prior, score) + 0.02


def test_scores_that_the_history_does_not_hold_are_left_out_or_refused():
    history = History.of(made_results(10, 4))
    assert learn_reading(history, ["logme", "knn"]).scores == ("logme",)
    with pytest.raises(HistoryTooSmall, match="knn"):
        learn_reading(history, ["knn"])
