"""LogME: the log maximum evidence of a linear model on frozen features.

With the singular values s_i of F, t = alpha/beta and Q(t) as in `spectrum`, the best beta is n / Q(t). That leaves one
smooth function of u = log t for each output column:

    L(u) = -n/2 (log(2 pi Q/n) + 1) - 1/2 sum log(1 + s_i^2 / t)

`maximise_evidence` searches it on a grid for all columns at once and refines the best point by Newton's method.
`fixed_point_evidence` is MacKay's iteration (Theorem 1 of the JMLR paper), run to convergence. It reaches the same
maximum where there is only one; with few rows there may be several, and it stops at one of them. Published code stops
that iteration at a relative change of 1e-3 or after 11 rounds. Its fixed-point version also drops the
(D - rank)/2 log alpha part of the determinant, and so returns wrong values for n < D.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, pi

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.leave_one_out import leave_one_out
from frontrunner.scores.moments import Moments
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, ScoringInput, occurring_columns
from frontrunner.scores.spectrum import Eigenbasis, Spectrum, decompose
from frontrunner.statistics import FeatureStatistics, Floats

# t is searched from s_2^2 e^-30 to s_1^2 e^+30: where the rank is n the supremum may lie at t -> 0. Below, the second
# largest counts, because the largest may only say how far from zero the features' mean lies.
LOG_RANGE = 30.0
# One point per unit of log t; L changes over several units, as each s_i^2 / (t + s_i^2) does.
_POINTS_PER_UNIT = 1
_NEWTON_STEPS = 60
# Change in log t. The evidence is flat at its maximum, so its error is the square of this; beyond that, rounding in Q
# decides.
_TOLERANCE = 1e-8
# The iteration converges linearly; where it has not after this many rounds its rate is within 1e-3 of one.
_FIXED_POINT_ROUNDS = 10_000


@dataclass(frozen=True)
class Evidence:
    """The maximum of LogME's evidence, per output column; arrays of shape (C,).

    Attributes:
        log_evidence: max log p(y | F) / n, natural logarithm; unbounded.
        alpha: precision of the weights' prior.
        beta: precision of the noise.
        effective_parameters: gamma = sum s_i^2 / (t + s_i^2), between 0 and the rank of F.
    """

    log_evidence: Floats
    alpha: Floats
    beta: Floats
    effective_parameters: Floats

    @property
    def score(self) -> float:
        """LogME: the mean of `log_evidence` over columns."""
        return float(self.log_evidence.mean())


def maximise_evidence(spectrum: Spectrum) -> Evidence:
    """The maximum of the evidence L(u) over u = log t, for every column at once.

    Features that are all zero give beta = n / y'y; any alpha is as good there, and alpha / beta is e^-30.

    Args:
        spectrum: of features (n, D) and C target columns, from `spectrum.decompose`.

    Returns:
        The log evidence, alpha, beta and effective parameters, (C,) each.

    Source: You et al., ICML 2021; the maximum over both precisions, here by search instead of iteration.
    """
    low, high = _search_range(spectrum)
    grid = np.linspace(low, high, 1 + ceil(_POINTS_PER_UNIT * (high - low)))
    t = np.exp(grid)
    floor = _floor(spectrum)
    penalty = np.log1p(spectrum.squared_singular_values / t[:, None]).sum(axis=1)
    coarse = -0.5 * spectrum.n * np.log(np.maximum(spectrum.on_grid(t), floor)) - 0.5 * penalty[:, None]
    best = coarse.argmax(axis=0)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    return _evidence_at(spectrum, np.exp(_newton(spectrum, floor, grid[best], left, right)))


def fixed_point_evidence(spectrum: Spectrum) -> Evidence:
    """A maximum by MacKay's fixed point: alpha = gamma / w'w, beta = (n - gamma) / |F w - y|^2.

    Where the evidence has several maxima, this need not be the highest; `maximise_evidence` finds that. Iterates to
    a relative change in t of 1e-8, within the same range of t as the search.

    Args:
        spectrum: of features (n, D) and C target columns, from `spectrum.decompose`.

    Source: You et al., JMLR 2022, Theorem 1 and Algorithm 3.
    """
    low, high = (float(np.exp(end)) for end in _search_range(spectrum))
    n, squared = spectrum.n, spectrum.squared_singular_values[:, None]
    t = np.full(spectrum.target_square.shape, np.clip(squared.mean() if squared.size else 1.0, low, high))
    for _ in range(_FIXED_POINT_ROUNDS):
        at = spectrum.unexplained(t)
        gamma = (squared / (t + squared)).sum(axis=0)
        # n - gamma as a sum of quotients: with n <= D it goes to zero together with t, and a difference would cancel.
        free = (t / (t + squared)).sum(axis=0) + (n - squared.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = gamma * at.residual * t / (at.slope * free)
        moved = np.clip(np.where(np.isnan(moved), high, moved), low, high)
        change = np.abs(np.log(moved / t)).max()
        t = moved
        if change < _TOLERANCE:
            break
    return _evidence_at(spectrum, t)


def _evidence_at(spectrum: Spectrum, t: Floats) -> Evidence:
    """The evidence of each column at t = alpha/beta, `t` (C,), with beta at its best."""
    n, squared = spectrum.n, spectrum.squared_singular_values[:, None]
    total = np.maximum(spectrum.unexplained(t).total, _floor(spectrum))
    beta = n / total
    penalty = np.log1p(squared / t).sum(axis=0)
    log_evidence = -0.5 * (np.log(2 * pi * total / n) + 1.0) - 0.5 * penalty / n
    gamma = (squared / (t + squared)).sum(axis=0)
    return Evidence(log_evidence, t * beta, beta, gamma)


def _without_each_row(n: int, evidence: Evidence, residual: Floats, unseen: Floats) -> Floats:
    """(m, C) the log evidence without each row, at the same t, with beta at its best.

    Q falls by e^2 / (1 - h), and the log determinant by -log(1 - h). The step to the other maximum in t is of second
    order; that in beta is not where targets have heavy tails.

    Args:
        n: number of examples.
        evidence: of all of them.
        residual: (m, C) e, from `leave_one_out`.
        unseen: (m, C) 1 - h, from `leave_one_out`.
    """
    if n < 2:
        return np.zeros_like(residual)
    total = n / evidence.beta
    penalty = -2 * n * evidence.log_evidence - n * (np.log(2 * pi * total / n) + 1.0)
    left = np.maximum(total - residual**2 / unseen, np.finfo(np.float64).eps * total)
    return np.asarray(-0.5 * (np.log(2 * pi * left / (n - 1)) + 1.0 + (penalty + np.log(unseen)) / (n - 1)))


def moments_of(statistics: FeatureStatistics) -> Moments:
    """The second moments that LogME is computed from: columns of classes that occur, or real targets.

    Raises:
        NothingToSeparate: no labelled example, or a single class.
    """
    columns = occurring_columns(statistics)
    return Moments(
        statistics.n,
        statistics.scatter_lower(),
        statistics.centred_cross[:, columns],
        statistics.mean,
        statistics.target_sum[columns] / statistics.n,
        statistics.target_square_sum[columns],
    )


def logme_from_statistics(
    statistics: FeatureStatistics, solver: Callable[[Spectrum], Evidence] = maximise_evidence
) -> Evidence:
    """LogME with its alpha, beta and effective parameters, from second moments alone.

    Args:
        statistics: sums over labelled examples.
        solver: `maximise_evidence` or `fixed_point_evidence`.

    Raises:
        NothingToSeparate: no labelled example, or a single class.
        InvalidFeatures: a target column is zero for every example.

    Example:
        >>> labels = np.arange(200) % 2
        >>> features = np.random.default_rng(0).normal(size=(200, 3)) + labels[:, None]
        >>> statistics = FeatureStatistics().update(features, labels)
        >>> searched = logme_from_statistics(statistics)
        >>> iterated = logme_from_statistics(statistics, solver=fixed_point_evidence)
        >>> round(searched.score, 9) == round(iterated.score, 9)
        True
    """
    return solver(decompose(moments_of(statistics)))


def evidence_of(data: ScoringInput) -> tuple[Spectrum, Evidence]:
    """The features' spectrum and the maximum of LogME's evidence; computed from rows where n <= D and rows are at hand.

    Call it as `data.once(evidence_of)`: it is the expensive part of LogME, and the discrepancy needs its result too.

    Raises:
        InvalidFeatures: a target column is zero for every example.
    """
    spectrum: Spectrum
    if data.n <= data.dimension and data.has_rows:
        rows, mean = data.rows(data.n), data.statistics.mean
        spectrum = Eigenbasis.of_rows(mean, rows.features - mean, rows.outputs)
    else:
        spectrum = decompose(moments_of(data.statistics))
    return spectrum, maximise_evidence(spectrum)


def estimate(data: ScoringInput) -> Estimate:
    """The mean over output columns of max over (alpha, beta) of log p(y | F, alpha, beta) / n, natural logarithms.

    A column y (one-hot label or real target) is modelled as y ~ N(F w, 1/beta) with w ~ N(0, I/alpha), without
    intercept or centring.

    Args:
        data: sums over (n, D) features of C columns; rows, where there are any, give the interval. Any task.

    Returns:
        Unbounded. It grows with the number of classes and depends on the scale of real targets, so compare it within
        one dataset only.

    Raises:
        InvalidFeatures: a target column is zero for every example.

    Source: You, Liu, Wang & Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021;
    You et al., "Ranking and Tuning Pre-trained Models", JMLR 23 (2022), Theorem 1 and Algorithm 3.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = np.arange(20) % 2
        >>> features = np.random.default_rng(0).normal(size=(20, 3)) + labels[:, None]
        >>> round(score("logme", features, labels), 4)
        -0.8853
    """
    spectrum, evidence = data.once(evidence_of)

    def influence() -> Influence:
        rows = data.fitted_rows(INTERVAL_ROWS)
        residual, unseen = leave_one_out(spectrum, rows, evidence.alpha / evidence.beta)
        without = _without_each_row(spectrum.n, evidence, residual, unseen)
        # Without the only example of a class its column is gone.
        gone = (rows.outputs == 1.0) & (data.statistics.target_sum[data.columns] == 1.0) & data.is_classification
        return Influence(-np.where(gone, 0.0, without).sum(axis=1) / (~gone).sum(axis=1), rows.index, whole=True)

    return Estimate(evidence.score, evidence.score, influence if data.has_rows else None)


def _search_range(spectrum: Spectrum) -> tuple[float, float]:
    """Lower and upper end of the search for log t."""
    largest = spectrum.squared_singular_values[:2]
    largest = np.log(largest[largest > 0])
    if not largest.size:
        return -LOG_RANGE, LOG_RANGE
    return float(largest[-1]) - LOG_RANGE, float(largest[0]) + LOG_RANGE


def _floor(spectrum: Spectrum) -> Floats:
    """(C,) the least Q: a target in the span of F to machine precision would give Q = 0, where L is not defined."""
    limits = np.finfo(np.float64)
    return np.asarray((limits.tiny if spectrum.full_row_rank else limits.eps) * spectrum.target_square)


def _newton(spectrum: Spectrum, floor: Floats, start: Floats, low: Floats, high: Floats) -> Floats:
    """(C,) the root of dL/du in [low, high] of each column: Newton steps, bisection where one leaves the bracket."""
    squared, n = spectrum.squared_singular_values[:, None], spectrum.n
    u, low, high = start.copy(), low.copy(), high.copy()
    for _ in range(_NEWTON_STEPS):
        t = np.exp(u)
        kept, lost = squared / (t + squared), t / (t + squared)
        at = spectrum.unexplained(t)
        total = np.maximum(at.total, floor)
        slope = -0.5 * n * at.slope / total + 0.5 * kept.sum(axis=0)
        curvature = -0.5 * n * (at.curvature / total - (at.slope / total) ** 2) - 0.5 * (kept * lost).sum(axis=0)
        # A step downhill, where L is not concave, leaves this bracket as well.
        low, high = np.where(slope > 0, u, low), np.where(slope > 0, high, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = u - slope / curvature
        inside = (step >= low) & (step <= high)
        moved = np.where(inside, step, 0.5 * (low + high))
        change = np.abs(moved - u).max()
        u = moved
        if change < _TOLERANCE:
            break
    return u


SCORE = Score(
    name="logme",
    title="LogME",
    citation="You et al., ICML 2021; You et al., JMLR 2022",
    needs="statistics",
    tasks=EVERY_TASK,
    range="unbounded; comparable within one dataset only",
    cost="one pass; then one tridiagonal reduction, 4/3 D^3, for all classes",
    explanation="Evidence per example of a linear model on the frozen features: how well they explain the labels.",
    estimate=estimate,
    version=2,
)
