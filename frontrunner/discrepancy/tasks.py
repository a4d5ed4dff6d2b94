"""Tasks as points: how complex one is for a checkpoint, and how far another lies from it.

Achille, Mbeng & Soatto, "Dynamics and Reachability of Learning Tasks" (2018). The complexity of a task is the least
of E_Q[L] + beta KL(Q || P) over Gaussians Q around a weight w, with the prior P = N(0, lambda^2 I):

    C_beta(w) = L(w) + beta/2 [ |w|^2 / lambda^2 + log det(lambda^2/beta H + I) ],   H = the Hessian of L at w.

The paper writes 2 lambda^2/beta F because its F comes without the 1/2 of KL ~ 1/2 dw' I dw; with the standard Fisher
information H the 2 goes away, and the formula is then the exact optimum, which the tests check by minimising.

In the `head` space L(w) = 1/2 |Y - F w|^2 summed over examples and columns, so H is F'F for every column, the best w
is a ridge solution, and the complexity needs statistics alone. beta is then the noise variance of a label. Both beta
and lambda must be the same for all tasks that are compared: fitted to each task, they would absorb its complexity, and
distances could be negative.

The union of two tasks has all their examples and the label columns of both side by side (a class of one task is
never a class of the other). Adding terms to a sum of squares cannot lower its minimum, so d(1 -> 2) >= 0; and
d(1 -> 2) - d(2 -> 1) = C(2) - C(1): the asymmetry of a distance is exactly the difference of complexities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from frontrunner.discrepancy.covariance import Covariance, LowRankPlusDiagonal, as_covariance, semidefinite_factor
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, TooFewPoints
from frontrunner.errors import IncompatibleStatistics, NothingToSeparate
from frontrunner.statistics import FeatureStatistics, Floats

# The variance of a one-hot label that good features leave unexplained is a few hundredths; see docs/theory.md.
BETA = 0.05


@dataclass(frozen=True)
class TaskDistances:
    """Complexities and asymmetric distances between T tasks, in units of the loss (divide by beta for nats).

    Attributes:
        names: of the tasks.
        complexity: (T,) C_beta of each; not negative.
        distance: (T, T), from the row's task to the column's; 0 on the diagonal, not negative, not symmetric.
        beta: the weight of information against loss.
        prior_scale: lambda, the standard deviation of the prior over weights.
    """

    names: tuple[str, ...]
    complexity: Floats
    distance: Floats
    beta: float
    prior_scale: float


def complexity(loss: float, squared_norm: float, fisher: Covariance, *, beta: float, prior_scale: float) -> float:
    """C_beta(w) at a minimum w: L + beta/2 [ |w|^2/lambda^2 + log det(lambda^2/beta H + I) ].

    Args:
        loss: L(w), summed over examples.
        squared_norm: |w|^2, from the prior's centre.
        fisher: H, the Hessian of L (or its Fisher) at w: (d, d), (d,) or `LowRankPlusDiagonal`.
        beta: > 0; 1 with a log-loss in nats is Laplace's evidence, negated.
        prior_scale: lambda > 0.

    Raises:
        InvalidDiscrepancyInput: a parameter out of range.
        NotPositiveSemidefinite: H has an eigenvalue below -beta/lambda^2, so that w is no minimum.

    Source: Achille et al. 2018, with the standard Fisher information instead of the paper's, which is half of it.

    Example:
        >>> round(complexity(1.0, 2.0, [3.0], beta=1.0, prior_scale=1.0), 3)
        2.693
    """
    _require_positive(beta, prior_scale)
    return loss + beta / 2 * (squared_norm / prior_scale**2 + _log_det_plus_identity(fisher, prior_scale**2 / beta))


def head_complexity(statistics: FeatureStatistics, *, beta: float = BETA, prior_scale: float) -> float:
    """C_beta of a labelled task in the `head` space, in units of the squared loss, summed over examples.

    Args:
        statistics: of the task; classes that do not occur are left out.
        beta: noise variance of a label, > 0.
        prior_scale: lambda; `unit_prior_scale` gives one that suits the features.

    Raises:
        NothingToSeparate: no labelled example.
        InvalidDiscrepancyInput: a parameter out of range.

    Example:
        >>> task = FeatureStatistics().update(np.eye(4), labels=[0, 0, 1, 1])
        >>> round(head_complexity(task, beta=0.05, prior_scale=1.0), 3)
        0.704
    """
    _require_positive(beta, prior_scale)
    return _Head.of(statistics).complexity(beta, prior_scale)


def task_union(first: FeatureStatistics, second: FeatureStatistics) -> FeatureStatistics:
    """Both tasks at once: their examples together, their label columns side by side.

    Raises:
        IncompatibleStatistics: feature dimensions differ, or either is not a classification.

    Example:
        >>> one = FeatureStatistics().update(np.eye(2), labels=[0, 1])
        >>> task_union(one, one).classes
        ('1/0', '1/1', '2/0', '2/1')
    """
    return _relabelled(first, "1") + _relabelled(second, "2")


def task_distance(
    start: FeatureStatistics, goal: FeatureStatistics, *, beta: float = BETA, prior_scale: float
) -> float:
    """d_beta(start -> goal) = C_beta(start and goal) - C_beta(start): what the goal adds to the start. At least 0.

    Errors as for `task_union` and `head_complexity`.

    Source: Achille et al. 2018.

    Example:
        >>> simple = FeatureStatistics().update(np.eye(4), labels=[0, 0, 1, 1])
        >>> rich = FeatureStatistics().update(np.eye(4), labels=[0, 1, 2, 3])
        >>> task_distance(rich, simple, prior_scale=1.0) < task_distance(simple, rich, prior_scale=1.0)
        True
    """
    found = task_distances({"start": start, "goal": goal}, beta=beta, prior_scale=prior_scale)
    return float(found.distance[0, 1])


def task_distances(
    tasks: Mapping[str, FeatureStatistics], *, beta: float = BETA, prior_scale: float | None = None
) -> TaskDistances:
    """All complexities and pairwise distances; one Cholesky factorisation for each task and each pair.

    Args:
        tasks: two or more, all with features of one checkpoint.
        beta: as in `head_complexity`.
        prior_scale: None takes `unit_prior_scale` of all tasks.

    Raises:
        TooFewPoints: fewer than two tasks.
        IncompatibleStatistics: feature dimensions differ.
        NothingToSeparate: a task without labelled examples.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> clouds = {f"{c} classes": FeatureStatistics().update(
        ...     rng.normal(size=(120, 6)), labels=np.arange(120) % c) for c in (2, 4)}
        >>> found = task_distances(clouds)
        >>> bool(found.distance[0, 1] > found.distance[1, 0])
        True
    """
    if len(tasks) < 2:
        raise TooFewPoints(f"a distance needs two tasks, got {len(tasks)}")
    scale = unit_prior_scale(*tasks.values()) if prior_scale is None else prior_scale
    _require_positive(beta, scale)
    heads = [_Head.of(statistics) for statistics in tasks.values()]
    alone = np.array([head.complexity(beta, scale) for head in heads])
    distance = np.zeros((len(heads), len(heads)))
    for i, first in enumerate(heads):
        for j in range(i):
            together = first.with_columns_of(heads[j]).complexity(beta, scale)
            # The union is never simpler; where it adds nothing, rounding may say so by a few units in the last place.
            distance[i, j], distance[j, i] = max(together - alone[i], 0.0), max(together - alone[j], 0.0)
    return TaskDistances(tuple(tasks), alone, distance, beta, scale)


def unit_prior_scale(*tasks: FeatureStatistics) -> float:
    """The lambda with which a weight drawn from the prior predicts with unit mean square: sqrt(n / tr F'F).

    Raises:
        NothingToSeparate: no example, or features that are all zero.

    Example:
        >>> unit_prior_scale(FeatureStatistics().update(2 * np.eye(4)))
        0.5
    """
    n = sum(task.n for task in tasks)
    square = sum(float(np.trace(task.gram_lower)) for task in tasks)
    if n == 0 or square <= 0:
        raise NothingToSeparate("no example with a feature other than zero was folded in")
    return math.sqrt(n / square)


@dataclass(frozen=True)
class _Head:
    """What the squared loss of a linear head needs of a task: F'F (lower), F'Y and y'y per occurring column."""

    gram_lower: Floats
    cross: Floats
    target_square: Floats

    @classmethod
    def of(cls, statistics: FeatureStatistics) -> _Head:
        occurring = statistics.target_square_sum > 0
        if statistics.n == 0 or not occurring.any():
            raise NothingToSeparate("no labelled example was folded in")
        cross, square = statistics.cross[:, occurring], statistics.target_square_sum[occurring]
        return cls(statistics.gram_lower, cross, square)

    def with_columns_of(self, other: _Head) -> _Head:
        """`task_union`, without building statistics."""
        if self.gram_lower.shape != other.gram_lower.shape:
            raise IncompatibleStatistics(
                f"feature dimensions {self.gram_lower.shape[0]} and {other.gram_lower.shape[0]}: "
                "tasks compare only through one checkpoint"
            )
        return _Head(
            self.gram_lower + other.gram_lower,
            np.hstack([self.cross, other.cross]),
            np.concatenate([self.target_square, other.target_square]),
        )

    def complexity(self, beta: float, prior_scale: float) -> float:
        """The ridge minimum 1/2 (y'y - b'(G + tI)^-1 b) with t = beta/lambda^2, and the log det, from one factor."""
        t = beta / prior_scale**2
        regularised = self.gram_lower + t * np.eye(self.gram_lower.shape[0])
        try:
            lower = cholesky(regularised, lower=True, check_finite=False, overwrite_a=True)
        except LinAlgError:
            raise InvalidDiscrepancyInput(
                f"beta / prior_scale^2 = {t:.3g} is lost beside the features' second moments; raise beta"
            ) from None
        explained = solve_triangular(lower, self.cross, lower=True, check_finite=False)
        loss = 0.5 * float(np.maximum(self.target_square - (explained**2).sum(axis=0), 0.0).sum())
        log_det = 2.0 * float(np.log(np.diagonal(lower) / math.sqrt(t)).sum())
        return loss + beta / 2 * float(self.cross.shape[1]) * log_det


def _relabelled(statistics: FeatureStatistics, prefix: str) -> FeatureStatistics:
    if statistics.classes is None:
        raise IncompatibleStatistics("the union of tasks is defined for class labels, not for real targets")
    twin = statistics.copy()
    twin.classes = tuple(f"{prefix}/{label}" for label in statistics.classes)
    return twin


def _log_det_plus_identity(fisher: Covariance, factor: float) -> float:
    checked = as_covariance(fisher, "the Fisher information")
    if isinstance(checked, LowRankPlusDiagonal):
        base = 1.0 + factor * checked.diagonal
        scaled = checked.factor * np.sqrt(factor / base)[:, None]
        inner = np.eye(scaled.shape[1]) + scaled.T @ scaled
        return float(np.log(base).sum()) + semidefinite_factor(inner, "the Fisher information")[1]
    if checked.ndim == 1:
        return float(np.log1p(factor * checked).sum())
    # Positive definite at a minimum of L + beta/2 |w|^2/lambda^2; H alone may be singular, or a hair below.
    return semidefinite_factor(np.eye(checked.shape[0]) + factor * checked, "the Fisher information")[1]


def _require_positive(beta: float, prior_scale: float) -> None:
    if not (0 < beta < math.inf and 0 < prior_scale < math.inf):
        raise InvalidDiscrepancyInput(f"beta and prior_scale must be positive, got {beta} and {prior_scale}")
