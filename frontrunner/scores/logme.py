"""LogME: the log maximum evidence of a linear model on frozen features.

You, Liu, Wang & Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, and
"Ranking and Tuning Pre-trained Models", JMLR 23 (2022). Each output column y is modelled as y ~ N(F w, 1/beta) with
w ~ N(0, I/alpha), without intercept or centring; the score is the mean over columns of max log p(y | F) / n.

With the singular values s_i of F, t = alpha/beta and Q(t) as in `spectrum`, beta is profiled out (beta = n / Q(t)),
which leaves one smooth function of u = log t per column:

    L(u) = -n/2 (log(2 pi Q/n) + 1) - 1/2 sum log(1 + s_i^2 / t)

`maximise_evidence` searches it on a grid for all columns at once and polishes by Newton's method.
`fixed_point_evidence` is MacKay's iteration (Theorem 1 of the JMLR paper), run to convergence; it reaches the same
stationary point. Published code stops that iteration at a relative change of 1e-3 or after 11 rounds, and its
fixed-point version drops the (D - rank)/2 log alpha part of the determinant, which returns nonsense for n < D.

The influence of a row on the score is its leave-one-out log predictive density at the maximum: by the envelope
theorem alpha and beta may be held still, and log p(y) - log p(y without i) = log p(y_i | the rest).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np

from frontrunner.scores.intervals import leave_group_out
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import INTERVAL_ROWS, Rows, ScoringInput, occurring_columns
from frontrunner.scores.spectrum import Eigenbasis, Moments, Spectrum, decompose
from frontrunner.statistics import FeatureStatistics, Floats

# t is searched in s_max^2 [e^-30, e^+30]: with n <= rank the supremum may lie at t -> 0.
LOG_RANGE = 30.0
# One point per unit of log t; L bends over several units, as each s_i^2 / (t + s_i^2) does.
_GRID_POINTS = 61
_NEWTON_STEPS = 60
# Change in log t. The evidence is flat at its maximum, so its own error is the square of this; further rounds would
# follow rounding in Q.
_TOLERANCE = 1e-8
# The iteration converges linearly; where it has not after this many rounds its rate is within 1e-3 of one.
_FIXED_POINT_ROUNDS = 10_000
# Chebyshev nodes in log t from which a row's leverage at every column's t is interpolated: to 1e-3 over a factor e.
_NODES_PER_UNIT = 2


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
    """Maximise L(u) for every column; see the module's docstring.

    Features that are all zero leave beta = n / y'y and alpha at the upper end of the search.
    """
    low, high = _search_range(spectrum)
    grid = np.linspace(low, high, _GRID_POINTS)
    t = np.exp(grid)
    floor = _floor(spectrum)
    penalty = np.log1p(spectrum.squared_singular_values / t[:, None]).sum(axis=1)
    coarse = -0.5 * spectrum.n * np.log(np.maximum(spectrum.on_grid(t), floor)) - 0.5 * penalty[:, None]
    best = coarse.argmax(axis=0)
    left, right = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    return evidence_at(spectrum, np.exp(_newton(spectrum, floor, grid[best], left, right)))


def fixed_point_evidence(spectrum: Spectrum) -> Evidence:
    """MacKay's fixed point: alpha = gamma / m'm, beta = (n - gamma) / |F m - y|^2, to a relative change in t of 1e-8.

    Source: You et al., JMLR 2022, Theorem 1 and Algorithm 3. Stays within the same range of t as the search.
    """
    low, high = (float(np.exp(end)) for end in _search_range(spectrum))
    n, squared = spectrum.n, spectrum.squared_singular_values[:, None]
    t = np.full(spectrum.target_square.shape, np.clip(squared.mean() if squared.size else 1.0, low, high))
    for _ in range(_FIXED_POINT_ROUNDS):
        at = spectrum.unexplained(t)
        gamma = (squared / (t + squared)).sum(axis=0)
        # n - gamma, each term from its own quotient: with n <= D it goes to zero together with t.
        free = (t / (t + squared)).sum(axis=0) + (n - squared.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = gamma * at.residual * t / (at.slope * free)
        moved = np.clip(np.where(np.isnan(moved), high, moved), low, high)
        change = np.abs(np.log(moved / t)).max(initial=0.0)
        t = moved
        if change < _TOLERANCE:
            break
    return evidence_at(spectrum, t)


def evidence_at(spectrum: Spectrum, t: Floats) -> Evidence:
    """The evidence of each column at t = alpha/beta, `t` (C,), with beta at its best."""
    n, squared = spectrum.n, spectrum.squared_singular_values[:, None]
    total = np.maximum(spectrum.unexplained(t).total, _floor(spectrum))
    beta = n / total
    penalty = np.log1p(squared / t).sum(axis=0)
    log_evidence = -0.5 * (np.log(2 * pi * total / n) + 1.0) - 0.5 * penalty / n
    gamma = (squared / (t + squared)).sum(axis=0)
    return Evidence(log_evidence, t * beta, beta, gamma)


def moments_of(statistics: FeatureStatistics) -> Moments:
    """The second moments that LogME is computed from: columns that occur, nothing centred.

    Raises:
        NothingToSeparate: no labelled example, or a single class.
    """
    columns = occurring_columns(statistics)
    cross = statistics.cross if columns.all() else statistics.cross[:, columns]
    return Moments(statistics.n, statistics.gram_lower, cross, statistics.target_square_sum[columns])


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


def evidence_of(case: ScoringInput) -> tuple[Spectrum, Evidence]:
    """The features' spectrum and LogME's maximum on it; from rows where there are no more of them than features.

    Ask through `case.once(evidence_of)`: it is the dear part of LogME, and the discrepancy needs nothing else.
    """
    moments = moments_of(case.statistics)
    if case.n <= case.dimension and case.has_rows:
        rows = case.rows(case.n)
        moments = Moments(case.n, moments.gram_lower, moments.cross, moments.target_square, rows.features, rows.outputs)
    spectrum = decompose(moments)
    return spectrum, maximise_evidence(spectrum)


def _estimate(case: ScoringInput) -> Estimate:
    spectrum, evidence = case.once(evidence_of)

    def replicates() -> Floats:
        rows = case.rows(case.n if case.n <= case.dimension else INTERVAL_ROWS)
        residual, unseen = leave_one_out(spectrum, rows, evidence.alpha / evidence.beta)
        density = log_predictive_density(residual, unseen, evidence.beta).mean(axis=1)
        return leave_group_out(evidence.score, (density - density.mean()) / case.n, rows.groups, case.n)

    return Estimate(evidence.score, evidence.score, replicates if case.has_rows else None)


def leave_one_out(spectrum: Spectrum, rows: Rows, t: Floats) -> tuple[Floats, Floats]:
    """(m, C) residual y - f'm of each row in each column, and 1 - h with its leverage h = f'(G + t I)^-1 f.

    Without the row, the residual of its prediction is residual / (1 - h), with variance 1 / (beta (1 - h)).

    Args:
        spectrum: of all rows.
        rows: some of them; all of them where the spectrum was made from rows.
        t: (C,) alpha/beta of each column.
    """
    if isinstance(spectrum, Eigenbasis) and spectrum.row_basis is not None:
        # From lost = t/(t + s^2) directly: at t -> 0 both numbers vanish together and only their ratio matters.
        basis, lost = spectrum.row_basis, t / (t + spectrum.squared_singular_values[:, None])
        outside = np.maximum(1.0 - np.einsum("nr,nr->n", basis, basis), 0.0)
        residual = basis @ (spectrum.projections * lost)
        if not spectrum.full_row_rank:
            residual += rows.outputs - basis @ spectrum.projections
            return residual, basis**2 @ lost + outside[:, None]
        return residual, basis**2 @ lost
    residual = rows.outputs - rows.features @ spectrum.posterior_mean(t)
    nodes, weights = _interpolation(t)
    leverage = spectrum.leverages(rows.features, nodes) @ weights
    return residual, np.clip(1.0 - leverage, np.finfo(np.float64).eps, 1.0)


def log_predictive_density(residual: Floats, unseen: Floats, beta: Floats) -> Floats:
    """(m, C) log p(y_i | every other row) from `leave_one_out`'s answer and beta (C,)."""
    precision = beta * unseen
    return np.asarray(0.5 * np.log(precision / (2 * pi)) - 0.5 * beta * residual**2 / unseen)


def _interpolation(t: Floats) -> tuple[Floats, Floats]:
    """Nodes (k,) and weights (k, C) with g(t[c]) = sum_k weights[k, c] g(nodes[k]) for g smooth in log t."""
    u = np.log(t)
    low, high = u.min(), u.max()
    if low == high:
        return t[:1], np.ones((1, t.size))
    count = 3 + int(np.ceil(_NODES_PER_UNIT * (high - low)))
    if t.size <= count:
        return t, np.eye(t.size)
    centre, half = (low + high) / 2, max((high - low) / 2, 1e-9)
    nodes = centre + half * np.cos((2 * np.arange(count) + 1) * pi / (2 * count))
    weights = np.ones((count, t.size))
    for k in range(count):
        for other in range(count):
            if other != k:
                weights[k] *= (u - nodes[other]) / (nodes[k] - nodes[other])
    return np.exp(nodes), weights


def _search_range(spectrum: Spectrum) -> tuple[float, float]:
    """The ends of log t."""
    squared = spectrum.squared_singular_values
    scale = np.log(squared[0]) if squared.size and squared[0] > 0 else 0.0
    return scale - LOG_RANGE, scale + LOG_RANGE


def _floor(spectrum: Spectrum) -> Floats:
    """A target in the span of F to machine precision would drive Q to zero: the floor keeps L defined."""
    limits = np.finfo(np.float64)
    return np.asarray((limits.tiny if spectrum.full_row_rank else limits.eps) * spectrum.target_square)


def _newton(spectrum: Spectrum, floor: Floats, start: Floats, low: Floats, high: Floats) -> Floats:
    """Root of dL/du in [low, high] per column: Newton steps, halved into the bracket where they leave it."""
    squared, n = spectrum.squared_singular_values[:, None], spectrum.n
    u, low, high = start.copy(), low.copy(), high.copy()
    for _ in range(_NEWTON_STEPS):
        t = np.exp(u)
        kept, lost = squared / (t + squared), t / (t + squared)
        at = spectrum.unexplained(t)
        total = np.maximum(at.total, floor)
        slope = -0.5 * n * at.slope / total + 0.5 * kept.sum(axis=0)
        curvature = -0.5 * n * (at.curvature / total - (at.slope / total) ** 2) - 0.5 * (kept * lost).sum(axis=0)
        low, high = np.where(slope > 0, u, low), np.where(slope > 0, high, u)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = u - slope / curvature
        inside = (curvature < 0) & (step >= low) & (step <= high)
        moved = np.where(inside, step, 0.5 * (low + high))
        change = np.abs(moved - u).max(initial=0.0)
        u = moved
        if change < _TOLERANCE:
            break
    return u


SCORE = Score(
    name="logme",
    title="LogME",
    source="You et al., ICML 2021; You et al., JMLR 2022",
    needs="statistics",
    tasks=EVERY_TASK,
    range="unbounded; comparable within one dataset only",
    cost="one pass; then one tridiagonal reduction, 4/3 D^3, for all classes",
    explanation="Evidence per example of a linear model on the frozen features: how well they explain the labels.",
    estimate=_estimate,
)
