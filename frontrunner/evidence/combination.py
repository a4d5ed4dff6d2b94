"""A belief and what was measured, weighed by what such measurements were worth on other datasets.

A score's normal scores p are modelled as a noisy reading of the results y that also leans on what was believed anyhow:

    p_mk = rho_k y_m + kappa_k mu_m + e_mk,    e_m ~ N(0, T)

mu is the prior's mean, all centred over the checkpoints that have the score. Given p, the belief N(mu, s^2) becomes
the posterior of y: a wide belief, of a checkpoint that was never seen, gives way to the measurement sooner than a
narrow one. rho, kappa and T come from datasets whose results are known, with priors that have not seen those results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.history import History, normal_scores
from frontrunner.evidence.prior import Belief, Prior, fit_prior

Floats = NDArray[np.float64]
# What a score is taken for where nothing is known of it: published correlations of transferability scores with
# fine-tuned accuracy spread about .5.
DEFAULT_RHO, DEFAULT_KAPPA = 0.5, 0.0
# How many datasets the default counts for. Slopes of one score scatter by about .2 from one dataset to another, and the
# default is meant to be right within .1: (.2 / .1)^2.
DEFAULT_WEIGHT = 4.0
# With fewer checkpoints that have a result and a score, a dataset teaches nothing about the score.
_FEWEST = 5


@dataclass(frozen=True)
class Reading:
    """How scores read results.

    Attributes:
        scores: (k) names.
        rho: (k,) slope by the result.
        kappa: (k,) slope by the belief.
        noise: (k, k) covariance of what is left.
        datasets: how many it was learned from; 0 is the default alone.
    """

    scores: tuple[str, ...]
    rho: Floats
    kappa: Floats
    noise: Floats
    datasets: int

    def update(self, belief: Belief, measured: Mapping[str, Floats]) -> Belief:
        """The belief after measurements.

        Args:
            belief: of n checkpoints.
            measured: (n,) by score, raw values, higher is better; NaN where it was not measured, or left out.
        """
        seen, centred = self._readings(belief.mean, measured)
        mean, variance = belief.mean.copy(), belief.deviation**2
        for i in np.flatnonzero(seen.any(axis=1)):
            k = seen[i]
            rho, noise = self.rho[k], self.noise[np.ix_(k, k)]
            gain = variance[i] * np.linalg.solve(variance[i] * np.outer(rho, rho) + noise, rho)
            mean[i] += gain @ centred[i, k]
            variance[i] *= 1 - min(float(gain @ rho), 1.0)
        return Belief(mean, np.sqrt(variance))

    def _readings(self, mean: Floats, measured: Mapping[str, Floats]) -> tuple[NDArray[np.bool_], Floats]:
        """(n, k) what was measured, and (n, k) by how much it differs from what the belief expects."""
        seen = np.zeros((mean.size, len(self.scores)), dtype=np.bool_)
        difference = np.zeros(seen.shape)
        for k, name in enumerate(self.scores):
            if name not in measured:
                continue
            p = normal_scores(np.asarray(measured[name], dtype=np.float64))
            here = np.isfinite(p)
            if here.sum() < 2:
                continue
            expected = (self.rho[k] + self.kappa[k]) * (mean[here] - mean[here].mean())
            seen[here, k], difference[here, k] = True, p[here] - expected
        return seen, difference


def default_reading(scores: Sequence[str]) -> Reading:
    """How scores are read where no history tells: each alone as `DEFAULT_RHO`, and as if they all said the same.

    Example:
        >>> belief = Belief(np.zeros(3), np.ones(3))
        >>> after = default_reading(["logme"]).update(belief, {"logme": np.array([0.1, 0.5, 0.3])})
        >>> after.mean.round(2).tolist(), after.deviation.round(2).tolist()
        ([-0.48, 0.48, 0.0], [0.87, 0.87, 0.87])
    """
    k = len(scores)
    # Copies of one score: k of them are worth little more than one.
    correlation = np.full((k, k), 0.9) + 0.1 * np.eye(k)
    noise = (1 - DEFAULT_RHO**2) * correlation
    return Reading(tuple(scores), np.full(k, DEFAULT_RHO), np.full(k, DEFAULT_KAPPA), noise, 0)


def learn_reading(history: History, scores: Sequence[str], fit: Callable[[History], Prior] = fit_prior) -> Reading:
    """How scores read results, learned from a history.

    For each dataset with scores the prior is fitted to the others; the slopes of its checkpoints are averaged over
    datasets, with the default among them as `DEFAULT_WEIGHT` datasets. Scores that the history does not hold, on one
    dataset at least, are left out.

    Args:
        history: results and scores.
        scores: names.
        fit: how a prior is fitted; for callers that keep the fits.

    Raises:
        HistoryTooSmall: a prior cannot be fitted without one of the datasets, or no score is there.
    """
    names = [name for name in scores if name in history.scores and _columns(history, [name])]
    columns = _columns(history, names)
    if not names:
        raise HistoryTooSmall(f"the history holds results beside none of the scores {', '.join(scores)}")
    slopes: list[list[Floats]] = [[] for _ in names]
    regressors: list[Floats] = []
    readings: list[Floats] = []
    for column in columns:
        dataset = history.datasets[column]
        belief = fit(history.without(dataset)).predict(history.models, history.checkpoints, history.sets[column])
        y = history.normal_scores[:, column]
        p = np.stack(
            [normal_scores(np.where(np.isfinite(y), history.scores[name][:, column], np.nan)) for name in names]
        )
        regressors.append(np.stack([y, belief.mean], axis=1))
        readings.append(p.T)
        for k in range(len(names)):
            here = np.isfinite(p[k])
            if here.sum() >= _FEWEST:
                x = regressors[-1][here] - regressors[-1][here].mean(axis=0)
                slopes[k].append(np.linalg.lstsq(x, p[k][here], rcond=None)[0])
    default = np.array([DEFAULT_RHO, DEFAULT_KAPPA])
    shrunk = np.stack(
        [(np.sum(found, axis=0) + DEFAULT_WEIGHT * default) / (len(found) + DEFAULT_WEIGHT) for found in slopes]
    )
    return Reading(tuple(names), shrunk[:, 0], shrunk[:, 1], _noise(regressors, readings, shrunk), len(columns))


def _columns(history: History, names: Sequence[str]) -> list[int]:
    """Datasets on which at least one of the scores lies beside enough results."""
    enough = [
        (np.isfinite(history.accuracy) & np.isfinite(history.scores[name])).sum(axis=0) >= _FEWEST for name in names
    ]
    return np.flatnonzero(np.any(enough, axis=0)).tolist() if enough else []


def _noise(regressors: Sequence[Floats], readings: Sequence[Floats], slopes: Floats) -> Floats:
    """(k, k) Covariance of what the slopes leave, over checkpoints that have all scores; the default where none has."""
    left = []
    for x, p in zip(regressors, readings, strict=True):
        here = np.isfinite(p).all(axis=1)
        if here.sum() >= _FEWEST:
            left.append(p[here] - p[here].mean(axis=0) - (x[here] - x[here].mean(axis=0)) @ slopes.T)
    k = len(slopes)
    if not left:
        return default_reading([""] * k).noise
    residuals = np.concatenate(left)
    # One part in a thousand keeps columns that are copies of each other apart.
    noise: Floats = residuals.T @ residuals / len(residuals) + 1e-3 * np.eye(k)
    return noise
