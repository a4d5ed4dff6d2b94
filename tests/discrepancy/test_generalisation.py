"""The bounds of one trained head, side by side."""

from __future__ import annotations

import numpy as np

from frontrunner import FeatureStatistics
from frontrunner.discrepancy import (
    Gap,
    Terminal,
    TunedHead,
    bootstrap_step,
    generalisation_report,
    head_discrepancy,
    linear_head_rademacher_bound,
    rademacher_gap,
    terminal_state_bound,
    trajectory_bound,
    vc_gap,
)

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
    report = generalisation_report(
        N,
        D,
        head=TunedHead(statistics, float(np.linalg.norm(weights))),
        discrepancy=head_discrepancy(statistics),
        trajectory=moments,
        terminal=terminal,
        measured=errors[1] - errors[0],
    )
    found = {gap.name: gap.value for gap in report.gaps}
    complexity = linear_head_rademacher_bound(statistics, float(np.linalg.norm(weights)))
    assert found["VC"] == vc_gap(N, D, 0.05)
    assert found["Rademacher (head)"] == rademacher_gap(complexity, N, 0.05)
    assert found["PAC-Bayes (head)"] == head_discrepancy(statistics).pac_bayes_gap
    assert found["trajectory"] == trajectory_bound(moments, N)
    assert found["trajectory, anisotropic"] <= found["trajectory"]
    assert found["terminal state"] == terminal_state_bound(terminal.weights, terminal.covariances, N)
    assert all(report.measured <= value for value in found.values())


def test_a_bound_above_one_is_printed_as_vacuous():
    report = generalisation_report(1000, 5_000_000)
    assert "VC gap <= " in str(report)
    assert "(vacuous)" in str(report)
    assert report.as_dict()["gaps"][0]["vacuous"] is True
    assert not Gap("VC", 0.4).vacuous
