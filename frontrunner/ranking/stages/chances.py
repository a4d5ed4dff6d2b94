"""Who would be first if everybody had read all examples: probabilities from a sample that all of them have read.

The values of a sample differ from those of all N examples by chance, which the paired replicates tell, and by what a
score of few examples gets wrong. The first shrinks as sqrt(1 - n / N), since the sample is part of the N. The second is
not known beforehand; it is taken for more chance: errors are multiplied by `inflation`, as measured. And the one that
leads was lucky more often than not: true values are drawn from one normal distribution, whose variance is what the
values vary by beyond their errors, so that all are shrunk towards their mean as far as they are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from frontrunner.scores import ScoreValue
from frontrunner.scores.intervals import paired_errors, share_of_firsts
from frontrunner.statistics import Floats

# By how much differences really move from a sample to all examples, in standard errors (`python -m benchmarks.budget`).
# Scores of examples that nothing was fitted to grow with the examples that something was fitted to.
_HELD_OUT = frozenset({"knn", "lda", "linear_probe", "ridge_probe", "predicted_accuracy"})
# Most move by 1.4, but the tails are long: with 2 those races are right that call themselves certain.
_OF_HELD_OUT = 2.0
# Others: once there are many examples of a class, and what is added at one example of a class.
_SETTLED, _UNSETTLED = 1.1, 5.0
# Variance of the true values is at least this share of the variance of those that were found.
_LEAST_SIGNAL = 0.05
_DRAWS = 4000
# 16 MB: a hub of ten thousand is drawn in parts.
_NUMBERS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Chances:
    """What is believed of m checkpoints at all N examples.

    Attributes:
        expected: (m,) their values.
        first: (m,) probability of each to be the first; they sum to 1.
    """

    expected: Floats
    first: Floats

    @classmethod
    def of(
        cls, found: Sequence[ScoreValue], *, examples: int, whole: int, inflation: float = 1.0, seed: int = 0
    ) -> Self:
        """From the scores of one sample.

        Args:
            found: (m) of the same sample, with replicates; those that have none count as exact.
            examples: n, of the sample.
            whole: N, of which the sample is a part.
            inflation: by which the errors are to be multiplied.
            seed: of the draws.

        Example:
            >>> noise = np.array([-0.02, 0.0, 0.01, 0.01])
            >>> close = [ScoreValue(value=v, replicates=tuple(v + s * noise)) for v, s in ((0.8, 1), (0.79, -1))]
            >>> Chances.of(close, examples=100, whole=1000).first.round(1).tolist()
            [0.5, 0.5]
            >>> Chances.of(close, examples=1000, whole=1000).first.tolist()  # all is known
            [1.0, 0.0]
        """
        values = np.array([score.value for score in found])
        errors = paired_errors(found) * inflation * np.sqrt(max(0.0, 1 - examples / whole))
        centred, errors = values - values.mean(), errors - errors.mean(axis=0)
        noise = float((errors**2).sum(axis=1).mean())
        spread = float(centred.var())
        if noise <= 1e-24 * max(spread, 1e-300):
            best = (values == values.max()).astype(np.float64)
            return cls(values, best / best.sum())
        signal = max(spread - noise, _LEAST_SIGNAL * spread, 1e-12 * noise)
        # Cov(true + error) = signal I + E E': its inverse needs no more than a matrix of one row a group.
        inner = np.linalg.inv(signal * np.eye(errors.shape[1]) + errors.T @ errors)
        expected = centred - errors @ (inner @ (errors.T @ centred))

        def draw(generator: np.random.Generator, draws: int) -> Floats:
            """Of the posterior: a draw of truth and error, moved by what the values say beyond it (Matheron's rule)."""
            drawn = generator.normal(size=(draws, errors.shape[1])) @ errors.T
            true = generator.normal(scale=np.sqrt(signal), size=drawn.shape)
            moved: Floats = centred - drawn
            moved -= (((moved - true) @ errors) @ inner) @ errors.T
            return moved

        return cls(expected + values.mean(), probabilities_first(draw, len(found), seed))


def probabilities_first(draw: Callable[[np.random.Generator, int], Floats], m: int, seed: int = 0) -> Floats:
    """(m,) how often each is the largest.

    Args:
        draw: makes a number of draws, (draws, m).
        m: how many are drawn each time.
        seed: of the draws.
    """
    generator, counts = np.random.default_rng(seed), np.zeros(m)
    at_once = max(1, min(_DRAWS, _NUMBERS_AT_ONCE // m))
    for start in range(0, _DRAWS, at_once):
        draws = draw(generator, min(at_once, _DRAWS - start))
        counts += len(draws) * share_of_firsts(draws)
    return np.asarray(counts / _DRAWS)


def inflation(score: str, examples_per_class: float) -> float:
    """By how much further differences of a score move than their standard errors say.

    Example:
        >>> inflation("logme", 5.0), inflation("logme", 500.0), inflation("linear_probe", 5.0)
        (2.1, 1.11, 2.0)
    """
    return _OF_HELD_OUT if score in _HELD_OUT else _SETTLED + _UNSETTLED / examples_per_class
