"""Scores against their definitions written out plainly, and what follows from the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from frontrunner import FeatureStatistics, scores
from frontrunner.scores.lda import leave_one_out_discriminants, oracle_approximating_intensity
from frontrunner.scores.leave_one_out import _interpolation, leave_one_out, log_predictive_density
from frontrunner.scores.logme import moments_of
from frontrunner.scores.regularized_h_score import ledoit_wolf_intensity
from frontrunner.scores.ridge_probe import penalties_of
from frontrunner.scores.scatter import Scatter
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.spectrum import Eigenbasis, Tridiagonal, decompose
from tests.scores.inputs import oracle, separable


def statistics_and_input(data: dict[str, Any]) -> tuple[FeatureStatistics, ScoringInput]:
    shard = scores.shard_of(data["features"], data["labels"], data.get("source_probabilities"))
    return shard.statistics(), ScoringInput(shard.statistics(), [shard])


def test_log_evidence_is_the_gaussian_marginal_density_of_the_labels() -> None:
    data = separable(40, 6, 2)
    evidence = scores.logme_from_statistics(scores.statistics_of(data["features"], data["labels"]))
    for c in range(2):
        covariance = np.eye(40) / evidence.beta[c] + data["features"] @ data["features"].T / evidence.alpha[c]
        density = multivariate_normal(np.zeros(40), covariance).logpdf(data["labels"] == c)
        assert density / 40 == pytest.approx(evidence.log_evidence[c], rel=1e-10)


def test_posterior_mean_and_variance_are_those_of_the_bayesian_linear_model() -> None:
    data = separable(50, 7, 3)
    features, y = data["features"], np.eye(3)[data["labels"]]
    model = scores.posterior(scores.statistics_of(features, data["labels"]))
    new = np.random.default_rng(1).normal(size=(9, 7))
    for c, (alpha, beta) in enumerate(zip(model.evidence.alpha, model.evidence.beta, strict=True)):
        precision = alpha * np.eye(7) + beta * features.T @ features
        mean = beta * solve(precision, features.T @ y[:, c])
        np.testing.assert_allclose(model.mean[:, c], mean, rtol=1e-9)
        np.testing.assert_allclose(model.predict_mean(new)[:, c], new @ mean, rtol=1e-9)
        variance = 1 / beta + np.einsum("md,dm->m", new, solve(precision, new.T))
        np.testing.assert_allclose(model.predict_variance(new)[:, c], variance, rtol=1e-9)
    trace = np.trace(
        model.evidence.beta[0]
        * features.T
        @ features
        @ np.linalg.inv(model.evidence.alpha[0] * np.eye(7) + model.evidence.beta[0] * features.T @ features)
    )
    assert model.evidence.effective_parameters[0] == pytest.approx(trace, rel=1e-9)


def test_a_direction_never_seen_keeps_the_variance_of_the_prior() -> None:
    data = separable(30, 4, 2)
    features = np.hstack([data["features"], np.zeros((30, 40))])
    model = scores.posterior(scores.statistics_of(features, data["labels"]))
    unseen = np.zeros((1, 44))
    unseen[0, 20] = 1.0
    np.testing.assert_allclose(model.predict_variance(unseen)[0], 1 / model.evidence.beta + 1 / model.evidence.alpha)


@pytest.mark.parametrize("shape", [(60, 9), (60, 60), (25, 40)])
def test_both_forms_of_the_spectrum_answer_alike(shape: tuple[int, int]) -> None:
    data = separable(*shape, classes=3)
    moments = moments_of(scores.statistics_of(data["features"], data["labels"]))
    y = np.eye(3)[data["labels"]]
    forms = [Eigenbasis.of_moments(moments), Eigenbasis.of_rows(moments.mean, data["features"] - moments.mean, y)]
    if shape[0] > shape[1]:
        forms.append(Tridiagonal.of_moments(moments))
    t = np.array([0.3, 2.0, 11.0])
    for form in forms[1:]:
        np.testing.assert_allclose(form.unexplained(t).total, forms[0].unexplained(t).total, rtol=1e-9)
        np.testing.assert_allclose(form.unexplained(t).curvature, forms[0].unexplained(t).curvature, rtol=1e-7)
        np.testing.assert_allclose(form.on_grid(t), forms[0].on_grid(t), rtol=1e-9)
        np.testing.assert_allclose(form.posterior_mean(t), forms[0].posterior_mean(t), rtol=1e-7, atol=1e-10)
        new = np.random.default_rng(1).normal(size=(5, shape[1]))
        np.testing.assert_allclose(form.leverages(new, t), forms[0].leverages(new, t), rtol=1e-7)


def test_rows_are_used_where_there_are_fewer_of_them_than_features() -> None:
    data = oracle("fewer_rows_than_features")
    shard = scores.shard_of(data["features"], data["labels"])
    by_rows = scores.evaluate(["logme"], shard.statistics(), [shard])["logme"].value
    by_sums = scores.evaluate(["logme"], shard.statistics(), [])["logme"].value
    assert by_rows == pytest.approx(by_sums, rel=1e-9)
    assert isinstance(decompose(moments_of(shard.statistics())), Eigenbasis)


@pytest.mark.parametrize("shape", [(40, 6), (20, 30)])
def test_a_rows_influence_on_logme_is_its_leave_one_out_predictive_density(shape: tuple[int, int]) -> None:
    data = separable(*shape, classes=2)
    statistics, scored = statistics_and_input(data)
    moments, rows = moments_of(statistics), scored.rows(shape[0])
    alpha, beta = np.array([3.0, 5.0]), np.array([20.0, 9.0])
    by_rows = Eigenbasis.of_rows(moments.mean, rows.features - moments.mean, rows.outputs)
    form = Tridiagonal.of_moments(moments) if shape[0] > shape[1] else by_rows
    density = log_predictive_density(*leave_one_out(form, rows, alpha / beta), beta)
    for c in range(2):
        covariance = np.eye(shape[0]) / beta[c] + rows.features @ rows.features.T / alpha[c]
        for i in (0, 7, 13):
            rest = np.delete(np.arange(shape[0]), i)
            without = multivariate_normal(np.zeros(rest.size), covariance[np.ix_(rest, rest)])
            whole = multivariate_normal(np.zeros(shape[0]), covariance)
            expected = whole.logpdf(rows.outputs[:, c]) - without.logpdf(rows.outputs[rest, c])
            assert density[i, c] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("shape", [(200, 12), (30, 50)])
def test_the_shrinkage_intensity_from_sums_is_that_of_the_rows(shape: tuple[int, int]) -> None:
    data = separable(*shape, classes=3)
    found = ledoit_wolf_intensity(scores.statistics_of(data["features"] + 5.0, data["labels"]))
    assert found == pytest.approx(ledoit_wolf_shrinkage(data["features"]), rel=1e-8)


def test_h_score_stays_within_its_bound_where_features_outnumber_rows() -> None:
    data = oracle("fewer_rows_than_features")
    for features in (data["features"], data["features"].astype(np.float16)):
        assert scores.score("h_score", features, data["labels"]) == pytest.approx(3.0, abs=1e-9)


def test_gbc_is_minus_the_sum_of_bhattacharyya_coefficients() -> None:
    data = separable(90, 3, 3, gap=0.3)
    expected = 0.0
    parts = [data["features"][data["labels"] == c] for c in range(3)]
    for c in range(3):
        for d in range(c):
            (m1, s1), (m2, s2) = ((p.mean(axis=0), p.var(axis=0).mean()) for p in (parts[c], parts[d]))
            mean = np.eye(3) * (s1 + s2) / 2
            distance = (m1 - m2) @ np.linalg.inv(mean) @ (m1 - m2) / 8
            distance += 0.5 * np.log(np.linalg.det(mean) / np.sqrt(s1**3 * s2**3))
            expected -= np.exp(-distance)
    assert scores.score("gbc", data["features"], data["labels"]) == pytest.approx(expected, rel=1e-9)


def test_energy_is_the_mean_log_sum_exp_and_its_raw_value_the_energy() -> None:
    data = separable(40, 5, 2)
    shard = scores.shard_of(data["features"], data["labels"])
    found = scores.evaluate(["energy"], shard.statistics(), [shard])["energy"]
    assert found.value == pytest.approx(np.log(np.exp(data["features"]).sum(axis=1)).mean(), rel=1e-12)
    assert found.raw == -found.value


def test_leep_of_hard_predictions_is_nce() -> None:
    data = separable(120, 4, 3)
    data["source_probabilities"] = np.eye(6)[data["source_probabilities"].argmax(axis=1)]
    assert scores.score("leep", **data) == pytest.approx(scores.score("nce", **data), rel=1e-12)


def test_a_source_class_that_is_never_predicted_changes_nothing() -> None:
    data = separable(60, 4, 3)
    wider = np.hstack([data["source_probabilities"], np.zeros((60, 2))])
    for name in ("leep", "nce"):
        assert scores.score(name, **{**data, "source_probabilities": wider}) == pytest.approx(
            scores.score(name, **data), rel=1e-12
        )


def test_lda_leaves_each_row_out_exactly() -> None:
    data = separable(36, 5, 3)
    _, scored = statistics_and_input(data)
    rows, features, labels, n = scored.rows(36), data["features"], data["labels"], 36
    found, _ = leave_one_out_discriminants(Scatter.of(scored.statistics), rows)
    within = Scatter.of(scored.statistics).within()
    a = oracle_approximating_intensity(within, n)
    target = np.trace(within) / n / 5
    for i in (0, 10, 35):
        keep = np.arange(n) != i
        means = np.stack([features[keep & (labels == c)].mean(axis=0) for c in range(3)])
        inner = features[keep] - means[labels[keep]]
        covariance = (1 - a) * inner.T @ inner / n + a * target * np.eye(5)
        away = features[i] - means
        expected = np.log(np.bincount(labels)) - 0.5 * np.einsum("cd,dc->c", away, solve(covariance, away.T))
        np.testing.assert_allclose(found[i] - found[i, 0], expected - expected[0], rtol=1e-7)


@pytest.mark.parametrize("shape", [(48, 6), (24, 40)])
def test_ridge_probe_leaves_each_row_out_exactly(shape: tuple[int, int]) -> None:
    n, dimension = shape
    data = separable(n, dimension, 3, gap=0.25)
    features, y = data["features"], np.eye(3)[data["labels"]]
    shard = scores.shard_of(features, data["labels"])
    found = scores.score("ridge_probe", features, data["labels"])
    penalties = penalties_of(ScoringInput(shard.statistics(), [shard]))
    hits = []
    for i in range(n):
        keep = np.arange(n) != i
        centre, level = features[keep].mean(axis=0), y[keep].mean(axis=0)
        x = features[keep] - centre
        outputs = x.T @ (y[keep] - level)
        weights = [solve(x.T @ x + t * np.eye(dimension), b) for t, b in zip(penalties, outputs.T, strict=True)]
        # Class frequencies are those of all rows.
        predicted = np.array(weights) @ (features[i] - centre) + y.mean(axis=0)
        hits.append(predicted.argmax() == data["labels"][i])
    assert found == pytest.approx(np.mean(hits), abs=1e-12)


def test_knn_agrees_with_a_plain_search() -> None:
    data = separable(80, 6, 3)
    hits = []
    for i in range(80):
        keep = np.arange(80) != i
        model = KNeighborsClassifier(5, metric="cosine", weights=lambda d: 2 - d)
        model.fit(data["features"][keep], data["labels"][keep])
        hits.append(model.predict(data["features"][[i]])[0] == data["labels"][i])
    assert scores.score("knn", data["features"], data["labels"]) == pytest.approx(np.mean(hits), abs=1e-12)


def test_every_score_ranks_informative_features_above_noise() -> None:
    good = separable(240, 8, 3, gap=1.0)
    noise = {**good, "features": np.random.default_rng(9).normal(size=(240, 8))}
    noise["source_probabilities"] = np.random.default_rng(9).dirichlet(np.ones(6), size=240)
    for name in scores.names():
        if name != "energy":  # which sees no labels
            assert scores.score(name, **good) > scores.score(name, **noise), name


def test_regression_baselines_give_explained_variance_of_unseen_rows() -> None:
    data = oracle("regression")
    noise = np.random.default_rng(0).normal(size=data["features"].shape)
    for name in ("knn", "ridge_probe"):
        assert scores.score(name, noise, data["targets"]) < 0.05 < scores.score(name, data["features"], data["targets"])


def test_scores_from_sums_do_not_depend_on_how_rows_were_sharded() -> None:
    data = separable(120, 7, 3)
    whole = scores.shard_of(**data)
    pieces = [
        scores.shard_of(data["features"][r], data["labels"][r], data["source_probabilities"][r])
        for r in np.array_split(np.arange(120), 7)
    ]
    statistics = sum((p.statistics() for p in pieces), FeatureStatistics())
    a = scores.evaluate(scores.names(), whole.statistics(), [whole])
    b = scores.evaluate(scores.names(), statistics, pieces)
    for name in scores.names():
        assert a[name].value == pytest.approx(b[name].value, rel=1e-9), name
        np.testing.assert_allclose(a[name].replicates, b[name].replicates, rtol=1e-7, err_msg=name)


def test_a_target_without_signal_leaves_the_ridge_probe_of_the_others_as_it_is() -> None:
    generator = np.random.default_rng(3)
    features = generator.normal(size=(500, 20))
    signal = features @ generator.normal(size=20) + generator.normal(size=500)
    noise = generator.normal(size=500)
    both = scores.score("ridge_probe", features, np.c_[signal, noise])
    assert both == pytest.approx(0.469, abs=5e-4)
    # Scikit-learn's leave-one-out ridge, with the best of 60 penalties for each target.
    grid = np.geomspace(1e-3, 1e9, 60)
    model = RidgeCV(grid, alpha_per_target=True, store_cv_results=True).fit(features, np.c_[signal, noise])
    errors = np.array([model.cv_results_[:, c, np.argmin(model.cv_results_[:, c].mean(axis=0))] for c in (0, 1)])
    spread = np.array([signal.var(), noise.var()])
    assert both == pytest.approx(float((1 - errors.mean(axis=1) / spread).mean()), abs=5e-3)


def test_rare_classes_do_not_lower_the_ridge_probe() -> None:
    generator = np.random.default_rng(2)
    share = 0.6 ** np.arange(10)
    labels = generator.choice(10, 400, p=share / share.sum())
    features = generator.normal(size=(400, 64)) + 0.3 * generator.normal(size=(10, 64))[labels]
    folds = KFold(10, shuffle=True, random_state=0)
    models = [RidgeClassifier(alpha) for alpha in (30.0, 100.0)]
    expected = max(float((cross_val_predict(m, features, labels, cv=folds) == labels).mean()) for m in models)
    assert scores.score("ridge_probe", features, labels) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("units", [0.1, 2.0, 8.0, 20.0])
def test_leverages_between_nodes_are_right_to_a_thousandth_and_no_nodes_are_wasted(units: float) -> None:
    t = np.exp(np.linspace(-1.0, units - 1.0, 60))
    nodes, weights = _interpolation(t)
    # A leverage is a weighted mean of s^2 / (s^2 + t); the worst single term bounds its error.
    squared = np.exp(np.linspace(-20, 40, 300))[:, None]
    worst = float(np.abs((squared / (squared + nodes)) @ weights - squared / (squared + t)).max())
    assert 1e-5 < worst < 1e-3


def test_the_linear_probe_tries_every_penalty_though_a_weaker_one_did_worse() -> None:
    # What the columns share is noise, and drowns the signal until the penalty is weak.
    generator = np.random.default_rng(1)
    own = generator.normal(size=(200, 12))
    features = 8.0 * generator.normal(size=(200, 1)) + own
    labels = (own @ generator.normal(size=12) > 0).astype(int)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    accuracies = [
        float((cross_val_predict(LogisticRegression(C=c, max_iter=2000), standard, labels, cv=5) == labels).mean())
        for c in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    ]
    assert min(accuracies[1:3]) < accuracies[0]
    assert accuracies[-1] > 0.8
    assert scores.score("linear_probe", features, labels) == pytest.approx(accuracies[-1], abs=0.05)
