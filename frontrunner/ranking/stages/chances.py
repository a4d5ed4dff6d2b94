"""Who would be first if everybody had read all examples: probabilities from a sample that all of them have read.

What counts is the result that is expected of a checkpoint, a normal score: what was believed before any pass, moved by
what its score of all N examples will say beyond that. The score reads the result y with some slope and some noise,

    s_m = a + S (rho y_m + kappa mu_m + e_m),    y_m ~ N(mu_m, d_m^2),    Var e = noise

so of a checkpoint whose score is above what its belief mu lets expect, more is expected than was believed. Where
nothing is believed, mu = 0 and d = 1 for all, the order is that of the scores.

The values of a sample differ from those of all N examples by chance, which the paired replicates tell, and by what a
score of few examples gets wrong. The first shrinks as sqrt(1 - n / N), since the sample is part of the N. The second is
not known beforehand; it is taken for more chance: errors are multiplied by `inflation`, as measured. And the one that
leads was lucky more often than not: the model above says how much values differ beyond their errors, so that all are
shrunk towards what is believed of them as far as they are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import log_ndtr, ndtr

from frontrunner.scores import ScoreValue
from frontrunner.scores.intervals import paired_errors, share_of_firsts
from frontrunner.statistics import Floats

# By how much differences really move from a sample to all examples, in standard errors (`python -m benchmarks.budget`).
# Scores of examples that nothing was fitted to grow with the examples that something was fitted to.
_HELD_OUT = frozenset({"knn", "lda", "linear_probe", "ridge_probe", "predicted_accuracy"})
# Most move by 1.4, but the tails are long: with 2 those races are right that call themselves certain.
_OF_HELD_OUT = 2.0
# Others: once there are many examples of a class, and what is added at one example of a class. Of LogME's movements on
# eleven sets of the pack 0.91 to 0.95 and 3.0 to 3.65 were fitted, whichever the twelfth was; errors are not made less.
_SETTLED, _UNSETTLED = 1.0, 3.5
# Variance of the true values is at least this share of the variance of those that were found.
_LEAST_SIGNAL = 0.05
_DRAWS = 4000
# In standard deviations: who would have to be so far up, and the best one so far down, is never drawn.
_FAR = 5.0
# Of an integral: each is a twentieth of a standard deviation or so.
_CELLS = 200
# 16 MB: a hub of ten thousand is drawn in parts.
_NUMBERS_AT_ONCE = 2_000_000


class Expectation(BaseModel):
    """What is believed of a checkpoint before any pass, as a normal score: 0 is the middle, 1.28 the best tenth."""

    model_config = ConfigDict(frozen=True)

    mean: float
    deviation: float


NOTHING = Expectation(mean=0.0, deviation=1.0)


class ScoreReading(BaseModel):
    """How a score, in deviations over checkpoints, reads their results; `frontrunner.evidence.combination` learns it.

    Attributes:
        rho: slope by the result.
        kappa: slope by what was believed anyhow.
        noise: variance of what is left.
    """

    model_config = ConfigDict(frozen=True)

    rho: float = 0.5
    kappa: float = 0.0
    noise: float = 0.75


class Expectations(BaseModel):
    """What is known of checkpoints before any pass.

    Attributes:
        checkpoints: what is believed of them, by id.
        reading: how the score that orders the ranking reads results.
    """

    model_config = ConfigDict(frozen=True)

    checkpoints: dict[str, Expectation] = {}
    reading: ScoreReading = ScoreReading()

    def of(self, checkpoint: str) -> Expectation:
        """What is believed of one; as good as nothing where nothing is."""
        return self.checkpoints.get(checkpoint, NOTHING)


@dataclass(frozen=True)
class Chances:
    """What is believed of m checkpoints at all N examples.

    Attributes:
        expected: (m,) their results, normal scores.
        first: (m,) probability of each to be the first by what will be expected then; they sum to 1.
        scale: S, in units of the score.
    """

    expected: Floats
    first: Floats
    scale: float

    @classmethod
    def of(
        cls,
        found: Sequence[ScoreValue],
        *,
        examples: int,
        whole: int,
        inflation: float = 1.0,
        believed: Sequence[Expectation] = (),
        reading: ScoreReading | None = None,
        scale: float | None = None,
        seed: int = 0,
    ) -> Self:
        """From the scores of one sample.

        Args:
            found: (m) of the same sample, with replicates; those that have none count as exact.
            examples: n, of the sample.
            whole: N, of which the sample is a part.
            inflation: by which the errors are to be multiplied.
            believed: (m) of them before any pass; nothing by default.
            reading: of the score; as little as is known of any by default.
            scale: S, where more checkpoints than these tell it; by default as much as these differ beyond their errors.
            seed: of the draws.

        Example:
            >>> noise = np.array([-0.02, 0.0, 0.01, 0.01])
            >>> close = [ScoreValue(value=v, replicates=tuple(v + s * noise)) for v, s in ((0.8, 1), (0.79, -1))]
            >>> Chances.of(close, examples=100, whole=1000).first.round(1).tolist()
            [0.5, 0.5]
            >>> Chances.of(close, examples=1000, whole=1000).first.tolist()  # all is known
            [1.0, 0.0]
            >>> second = [Expectation(mean=0.0, deviation=0.5), Expectation(mean=1.0, deviation=0.5)]
            >>> Chances.of(close, examples=100, whole=1000, believed=second).first.round(1).tolist()
            [0.0, 1.0]
        """
        reading = reading or ScoreReading()
        believed = believed or [NOTHING] * len(found)
        mean, variance = np.array([(each.mean, each.deviation**2) for each in believed]).T
        values = np.array([score.value for score in found])
        errors = _errors(found, examples, whole, inflation)
        centred, errors = values - values.mean(), errors - errors.mean(axis=0)
        expected = (reading.rho + reading.kappa) * (mean - mean.mean())
        beyond = reading.rho**2 * variance + reading.noise  # variance of a score about what its belief lets expect
        if scale is None:
            signal = true_spread(found, examples=examples, whole=whole, inflation=inflation)
            scale = float(signal / np.sqrt(expected.var() + beyond.mean()))
        # Whatever the score says, checkpoints that are alike in it differ in what was believed.
        unit = scale or 1.0
        gain = reading.rho * variance / beyond
        left = centred / unit - expected
        errors, alone = _shrunk(errors / unit)
        # Cov(true + error) = A + E E': its inverse needs no more than a matrix of one row a group. What is true has
        # then the variance B - B (A + E E')^-1 B, which is a part of each checkpoint's own and one that they share.
        diagonal = beyond + alone
        weighted = errors * (beyond / diagonal)[:, None]
        root = np.linalg.cholesky(np.linalg.inv(np.eye(errors.shape[1]) + errors.T @ (errors / diagonal[:, None])))
        shared, own = weighted @ root, beyond * alone / diagonal
        after = mean + gain * (beyond * left / diagonal - shared @ (root.T @ (errors.T @ (left / diagonal))))
        return cls(after, probabilities_first(after, gain[:, None] * shared, gain**2 * own, seed), scale)


def true_spread(found: Sequence[ScoreValue], *, examples: int, whole: int, inflation: float = 1.0) -> float:
    """Standard deviation of the scores of several checkpoints, beyond their errors; arguments as for `Chances.of`."""
    errors = _errors(found, examples, whole, inflation)
    noise = float(((errors - errors.mean(axis=0)) ** 2).sum(axis=1).mean())
    spread = float(np.var([score.value for score in found]))
    return float(np.sqrt(max(spread - noise, _LEAST_SIGNAL * spread, 1e-12 * noise)))


def _errors(found: Sequence[ScoreValue], examples: int, whole: int, inflation: float) -> Floats:
    """(m, G) a square root of the covariance of what differs between a sample and all examples."""
    return np.asarray(paired_errors(found) * inflation * np.sqrt(max(0.0, 1 - examples / whole)))


def _shrunk(errors: Floats) -> tuple[Floats, Floats]:
    """(m, G) and (m,): errors that checkpoints have in common, and variances of what each has alone.

    G groups say of pairs of many more checkpoints what is not so: their correlations would be perfect in all but G
    directions. They are shrunk by as much as correlations of G values scatter (Schäfer & Strimmer 2005, with
    1 / (G - 1) for the variance of a correlation).
    """
    m, groups = errors.shape
    variance = (errors**2).sum(axis=1)
    unit = errors / np.sqrt(np.where(variance > 0, variance, 1.0))[:, None]
    # Sum of squares of all correlations, from the matrix that is not (m, m); a checkpoint's with itself are no news.
    among = float(((unit.T @ unit) ** 2).sum()) - float((variance > 0).sum())
    chance = min(1.0, m * (m - 1) / (groups - 1) / among) if among > 0 else 1.0
    return np.sqrt(1 - chance) * errors, chance * variance


def probabilities_first(mean: Floats, shared: Floats, variance: Floats, seed: int = 0) -> Floats:
    """(m,) how often each of m normal numbers is the largest; where nothing varies the largest always is.

    Args:
        mean: (m,).
        shared: (m, G) a square root of the covariance of what they have in common.
        variance: (m,) of what each has alone.
        seed: of the draws.

    Example:
        >>> probabilities_first(np.array([0.0, 0.0, -9.0]), np.ones((3, 1)), np.ones(3)).round(1).tolist()
        [0.5, 0.5, 0.0]
    """
    near = _near(mean, np.sqrt((shared**2).sum(axis=1) + variance))
    shared, alone = shared[near], np.sqrt(variance[near])
    first = np.zeros(len(mean))
    if not shared.any() and not alone.any():
        first[near] = 1 / len(near)
        return first
    generator = np.random.default_rng(seed)
    at_once = max(1, min(_DRAWS, _NUMBERS_AT_ONCE // len(near)))
    for start in range(0, _DRAWS, at_once):
        draws = min(at_once, _DRAWS - start)
        drawn = mean[near] + generator.normal(size=(draws, shared.shape[1])) @ shared.T
        if alone.any():
            drawn += alone * generator.normal(size=drawn.shape)
        first[near] += draws * share_of_firsts(drawn)
    return first / _DRAWS


def independent_first(mean: Floats, deviation: Floats) -> Floats:
    """(m,) how often each of m independent normal numbers is the largest: an integral over the largest one's value.

    Args:
        mean, deviation: (m,).

    Example:
        >>> independent_first(np.array([1.0, 0.0]), np.array([0.6, 0.8])).round(3).tolist()  # of a difference: 1 +- 1
        [0.841, 0.159]
    """
    near = _near(mean, deviation)
    middle, scale = mean[near], deviation[near]
    edges = np.linspace((middle - _FAR * scale).max(), (middle + _FAR * scale).max(), _CELLS + 1)[:, None]
    inside = np.diff(ndtr((edges - middle) / scale), axis=0)
    below = log_ndtr(((edges[1:] + edges[:-1]) / 2 - middle) / scale)
    first = np.zeros(len(mean))
    first[near] = (inside * np.exp(below.sum(axis=1, keepdims=True) - below)).sum(axis=0)
    return np.asarray(first / first.sum())


def _near(mean: Floats, deviation: Floats) -> NDArray[np.intp]:
    """Which of m normal numbers may be the largest at all."""
    reach = _FAR * deviation
    return np.flatnonzero(mean + reach >= (mean - reach).max())


def inflation(score: str, examples_per_class: float) -> float:
    """By how much further differences of a score move than their standard errors say.

    Example:
        >>> inflation("logme", 5.0), inflation("logme", 500.0), inflation("linear_probe", 5.0)
        (1.7, 1.007, 2.0)
    """
    return _OF_HELD_OUT if score in _HELD_OUT else _SETTLED + _UNSETTLED / examples_per_class
