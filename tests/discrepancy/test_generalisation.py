"""The bounds of one trained head, side by side."""

from __future__ import annotations

import numpy as np

from frontrunner import FeatureStatistics
from frontrunner.discrepancy import (
    Gap,
    HeadMargins,
    Terminal,
    anisotropic_trajectory_bound,
    bootstrap_step,
    generalisation_report,
    head_discrepancy,
    margin_risk_bound,
    terminal_state_bound,
    trajectory_bound,
    tuned_discrepancy,
    vc_gap,
)
from frontrunner.discrepancy.curvature import Curvature

N, D = 2000, 4


def squared_loss_gradients(features, outcome, weights):
    return (features @ weights - outcome)[:, None] * features


def trained(features, outcome, rate=0.05, steps=60):
    """Gradient descent on a small linear head, and each step's moments."""
    weights, moments = np.zeros(D), []
    for _ in range(steps):
        gradients = squared_loss_gradients(features, outcome, weights)
        moments.append(bootstrap_step(gradients, batch_size=N, resamples=4))
        weights = weights - rate * gradients.mean(axis=0)
    return weights, moments


def test_every_bound_of_a_trained_head_is_its_own_function_and_holds_for_the_measured_gap():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=D)
    features, unseen = generator.normal(size=(2, N, D))
    outcome, later = (np.sign(rows @ truth + 0.5 * generator.normal(size=N)) for rows in (features, unseen))
    weights, moments = trained(features, outcome)
    errors = [float((np.sign(rows @ weights) != y).mean()) for rows, y in ((features, outcome), (unseen, later))]
    statistics = FeatureStatistics().update(features, targets=outcome)
    resampled = np.stack([weights + 0.01 * generator.normal(size=D) for _ in range(5)])
    terminal = Terminal(resampled, np.full((5, D), 1e-4))
    margins = HeadMargins.of(features, (outcome > 0).astype(int), np.c_[-weights, weights])
    report = generalisation_report(
        N,
        D,
        head=margins,
        features_were_frozen=True,
        discrepancy=head_discrepancy(statistics),
        trajectory=moments,
        terminal=terminal,
        measured=errors[1] - errors[0],
    )
    found = {gap.name: gap.value for gap in report.gaps}
    assert found["VC"] == vc_gap(N, D, 0.05)
    assert found["Rademacher (head)"] == margin_risk_bound(margins, 0.05).gap
    assert found["PAC-Bayes estimate (head)"] == head_discrepancy(statistics).pac_bayes_gap
    assert found["trajectory"] == trajectory_bound(moments, N)
    assert found["trajectory, anisotropic"] == anisotropic_trajectory_bound(moments, N)
    assert found["terminal state"] == terminal_state_bound(terminal.weights, terminal.covariances, N)
    assert all(report.measured <= value for value in found.values())
    assert [gap.name for gap in report.gaps if gap.kind == "bound"] == ["Rademacher (head)"]
    assert report.delta == 0.05
    assert "measured gap" in str(report)


def test_a_head_on_features_learned_from_the_same_examples_has_an_estimate_and_not_a_bound():
    head = HeadMargins.of(np.eye(4), [0, 1, 0, 1], np.eye(4, 2))
    kinds = {
        frozen: generalisation_report(4, 8, head=head, features_were_frozen=frozen).gaps[1].kind
        for frozen in (True, False)
    }
    assert kinds == {True: "bound", False: "estimate"}
    assert generalisation_report(4, 8, head=head).gaps[1].kind == "estimate"
    assert generalisation_report(4, 8, head=head, delta=0.2).gaps[1].value == margin_risk_bound(head, 0.2).gap


def test_only_a_head_measured_from_its_source_has_a_pac_bayes_bound():
    features, labels = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    target = FeatureStatistics().update(features, labels=labels)
    source = FeatureStatistics().update(features[::-1] + 1.0, labels=labels)
    rows = np.random.default_rng(1).normal(size=(50, 7))
    side = Curvature(50, rows, rows)
    for discrepancy, name, kind in (
        (head_discrepancy(target, source), "PAC-Bayes (head)", "bound"),
        (head_discrepancy(target), "PAC-Bayes estimate (head)", "estimate"),
        (tuned_discrepancy(side, side, np.ones(7)), "PAC-Bayes estimate (tuned, 7 directions)", "estimate"),
    ):
        gap = generalisation_report(60, 8, discrepancy=discrepancy).gaps[-1]
        assert (gap.name, gap.kind, gap.value) == (name, kind, discrepancy.pac_bayes_gap)


def test_a_bound_above_one_is_printed_as_vacuous():
    report = generalisation_report(1000, 5_000_000)
    assert "VC gap about " in str(report)
    assert "(vacuous)" in str(report)
    assert report.as_dict()["gaps"][0]["vacuous"] is True
    assert not Gap("VC", 0.4).vacuous
    assert "measured" not in str(report)


def test_a_gap_without_a_finite_value_is_null_in_json():
    singular = bootstrap_step(np.random.default_rng(0).normal(size=(5, 20)), batch_size=2)
    vc, trajectory, anisotropic = generalisation_report(5, 8, trajectory=[singular]).as_dict()["gaps"]
    assert trajectory == {"name": "trajectory", "kind": "estimate", "value": None, "vacuous": True}
    assert anisotropic["value"] is None
    assert vc["value"] == vc_gap(5, 8, 0.05)
