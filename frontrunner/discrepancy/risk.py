"""A bound's form of the risk of a linear head: its empirical risk plus the gap that the discrepancy gives.

The discrepancy alone says how far the data move a head, not how well the head then does: useless features move it
least. The theory bounds the risk, which is both together.

The empirical risk is the leave-one-out error of LogME's posterior mean, in closed form from the fit of all examples: in
high dimension the training error is 0 for every checkpoint. PAC-Bayes is stated for the training error of a head drawn
from the posterior, so the sum has the form of the bound and orders checkpoints; it is no guarantee for one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.discrepancy.head import head_discrepancy
from frontrunner.scores.baseline import losses_of
from frontrunner.scores.leave_one_out import leave_one_out
from frontrunner.scores.logme import evidence_of
from frontrunner.scores.registry import shard_of
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import FeatureStatistics

# Rows whose leave-one-out prediction is made: an error rate's standard error is then below 0.8%.
LARGEST_SAMPLE = 4096


@dataclass(frozen=True)
class RiskBound:
    """Empirical risk plus gap, for a loss in [0, 1]; lower is better.

    Attributes:
        empirical_risk: leave-one-out error of the head, 0 to 1.
        gap: sqrt((D + 2 log(1/delta) + 2 log n + 4) / (4n - 2)) with D = `twice_kl`.
        published_gap: the same with Definition 3 (Corollary 1); None where the root is not real.

    Example:
        >>> found = RiskBound(empirical_risk=0.1, gap=0.3, published_gap=None)
        >>> found.value, found.published_value
        (0.4, None)
    """

    empirical_risk: float
    gap: float
    published_gap: float | None

    @property
    def value(self) -> float:
        """Empirical risk plus the gap from `twice_kl`; at least 0, above 1 it says nothing of the risk itself."""
        return self.empirical_risk + self.gap

    @property
    def published_value(self) -> float | None:
        """Empirical risk plus the published gap."""
        return None if self.published_gap is None else self.empirical_risk + self.published_gap


def risk_bound(
    features: ArrayLike, labels: ArrayLike, source: FeatureStatistics | None = None, *, delta: float = 0.05
) -> RiskBound:
    """Leave-one-out risk of a linear head on frozen features, plus the gap from its discrepancy.

    Args:
        features: F, (n, D).
        labels: integers or strings (n,) are classes, floats (n,) or (n, K) real targets.
        source: labelled statistics of the same checkpoint on its source dataset; None means the prior.
        delta: failure probability in the gaps' formula.

    Raises:
        NothingToSeparate, InvalidFeatures, FeaturesNotFinite: as LogME does.
        IncompatibleStatistics, SingularCovariance, InvalidDiscrepancyInput: as `head_discrepancy` does.

    Source: He & Tao 2021, Theorem 2 and Corollary 1, on LogME's head (You et al. 2021); McAllester 1999.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(200) % 2
        >>> good, useless = rng.normal(size=(200, 4)) + 2 * labels[:, None], rng.normal(size=(200, 4))
        >>> risk_bound(good, labels).value < risk_bound(useless, labels).value
        True
    """
    shard = shard_of(features, labels)
    data = ScoringInput(shard.statistics(), [shard])
    spectrum, evidence = data.once(evidence_of)
    found = head_discrepancy(data.statistics, source, delta=delta, spectrum=spectrum, evidence=evidence)
    return RiskBound(leave_one_out_risk(data), found.pac_bayes_gap, found.published_gap)


def leave_one_out_risk(data: ScoringInput) -> float:
    """The mean loss of LogME's head on each row, fitted without the row at the same alpha and beta; 0 to 1.

    Classes: the 0-1 loss of the largest output. Real targets: the squared error over the column's variance, at most 1
    (predicting the mean costs 1 on average), averaged over columns.

    Args:
        data: all of its rows are predicted where n <= D, at most 4,096 otherwise.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: the closed form of a ridge fit without one row, Allen, Technometrics 16 (1974).

    Example:
        >>> shard = shard_of(np.eye(2)[[0, 0, 0, 0, 1, 1, 1, 1]], [0, 0, 0, 1, 1, 1, 1, 1])  # one odd label in eight
        >>> leave_one_out_risk(ScoringInput(shard.statistics(), [shard]))
        0.125
    """
    spectrum, evidence = data.once(evidence_of)
    rows = data.fitted_rows(LARGEST_SAMPLE)
    residual, unseen = leave_one_out(spectrum, rows, evidence.alpha / evidence.beta)
    losses = losses_of(rows.outputs - residual / unseen, rows)
    if rows.codes is not None:
        return float(losses.mean())
    variance = np.maximum(rows.outputs.var(axis=0), np.finfo(np.float64).tiny)
    return float(np.minimum(losses / variance, 1.0).mean())
