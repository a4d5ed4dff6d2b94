"""The distance between two stationary distributions of SGD, in four forms.

He & Tao, "Super-model ecosystem: a domain-adaptation perspective" (2021). SGD near a minimum is an Ornstein-Uhlenbeck
process, whose stationary distribution is a Gaussian: Q_PT = N(0, S_PT) after pretraining and Q_FT = N(theta, S_FT)
after fine-tuning. With d parameters and M = S_PT^-1 S_FT every form is made of three numbers: log det M, tr M and
theta' S_PT^-1 theta.

The published Definition 2 has log det M with the wrong sign to be a Kullback-Leibler divergence, so it can be
negative; and the published Lemma 2, on which Definition 3 rests, is false (M = 100 I, d = 2). Both are computed as
published, beside `twice_kl` and `amgm_upper_bound`, which hold. docs/theory.md says which number to trust when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular, svd

from frontrunner.discrepancy.covariance import (
    Covariance,
    LowRankPlusDiagonal,
    as_covariance,
    definite_factor,
    dimension_of,
    full_matrix,
    require_finite,
    semidefinite_factor,
)
from frontrunner.discrepancy.errors import (
    InvalidDiscrepancyInput,
    NoStationaryDistribution,
    NotPositiveSemidefinite,
    SingularCovariance,
)
from frontrunner.statistics import Floats


@dataclass(frozen=True)
class GaussianTerms:
    """The three numbers that compare N(theta, S_FT) with N(0, S_PT), and every divergence made of them.

    Attributes:
        dimension: d.
        log_det: log det M; minus infinity where S_FT is singular.
        trace: tr M, not negative.
        mahalanobis: theta' S_PT^-1 theta, not negative.
    """

    dimension: int
    log_det: float
    trace: float
    mahalanobis: float

    @property
    def discrepancy(self) -> float:
        """Definition 2: log det M + tr(M - I) + theta' S_PT^-1 theta."""
        return self.log_det + (self.trace - self.dimension) + self.mahalanobis

    @property
    def dimension_dependent(self) -> float:
        """Definition 3: log tr M + tr M + theta' S_PT^-1 theta + d log d - d."""
        d = self.dimension
        return _log(self.trace) + self.trace + self.mahalanobis + d * math.log(d) - d

    @property
    def twice_kl(self) -> float:
        """2 KL(Q_FT || Q_PT) = tr M - d + theta' S_PT^-1 theta - log det M; at least 0."""
        # The difference of large terms may round below zero when the Gaussians agree; a KL cannot.
        return max((self.trace - self.dimension) - self.log_det + self.mahalanobis, 0.0)

    @property
    def amgm_upper_bound(self) -> float:
        """d log(tr M / d) + tr(M - I) + theta' S_PT^-1 theta, never below `discrepancy`."""
        d = self.dimension
        return d * _log(self.trace / d) + (self.trace - d) + self.mahalanobis


def stationary_covariance(
    hessian: Covariance, noise_covariance: Covariance, *, learning_rate: float, batch_size: int
) -> Floats:
    """The stationary covariance S of SGD near a minimum: S A + A S = (learning_rate / batch_size) C.

    Solved in A's eigenbasis, S_ij = (eta/|B|) C_ij / (a_i + a_j): O(d^3) with one symmetric eigendecomposition.

    Args:
        hessian: A, the mean loss's curvature; (d, d), (d,) or `LowRankPlusDiagonal`, positive definite.
        noise_covariance: C, the per-example gradients' covariance, in any of the same forms.
        learning_rate: eta > 0.
        batch_size: |B| >= 1.

    Returns:
        (d,) where both are diagonal, (d, d) otherwise.

    Raises:
        NoStationaryDistribution: A has a flat or descending direction.
        NotPositiveSemidefinite: C has a negative eigenvalue.
        InvalidDiscrepancyInput: shapes do not fit, or a parameter is out of range.

    Source: He & Tao 2021; Mandt, Hoffman & Blei, JMLR 18 (2017).

    Example:
        >>> stationary_covariance([2.0, 4.0], [1.0, 1.0], learning_rate=0.1, batch_size=10).tolist()
        [0.0025, 0.00125]
    """
    if not (learning_rate > 0 and math.isfinite(learning_rate) and batch_size >= 1):
        raise InvalidDiscrepancyInput(
            f"learning_rate must be positive and batch_size at least 1, got {learning_rate} and {batch_size}"
        )
    a, c = as_covariance(hessian, "the Hessian"), as_covariance(noise_covariance, "the noise covariance")
    _require_equal_dimension(dimension_of(a), dimension_of(c), "Hessian", "noise covariance")
    rate = learning_rate / batch_size
    if isinstance(a, np.ndarray) and a.ndim == 1:
        _require_restoring(a)
        if isinstance(c, np.ndarray) and c.ndim == 1:
            return np.asarray(rate * c / (2 * a))
        full = full_matrix(c)
        _require_semidefinite(full)
        return np.asarray(rate * full / (a[:, None] + a[None, :]))
    full = full_matrix(c)
    _require_semidefinite(full)
    values, vectors = eigh(full_matrix(a), check_finite=False, driver="evd")
    _require_restoring(values)
    rotated = vectors.T @ full @ vectors
    rotated *= rate / (values[:, None] + values[None, :])
    covariance = vectors @ rotated @ vectors.T
    return np.asarray((covariance + covariance.T) / 2)


def compare(covariance_pt: Covariance, covariance_ft: Covariance, shift: ArrayLike) -> GaussianTerms:
    """The three terms behind every divergence, computed once.

    Every term is a sum of squares after whitening by S_PT's Cholesky factor (or Woodbury's identity in the thin
    SVD's basis), so nothing cancels: `trace` and `mahalanobis` cannot come out negative.

    Args:
        covariance_pt: S_PT, positive definite; (d, d), (d,) or `LowRankPlusDiagonal`, O(d r^2) where neither is full.
        covariance_ft: S_FT, positive semi-definite.
        shift: theta, (d,).

    Raises:
        SingularCovariance: S_PT has no inverse at float64's precision.
        NotPositiveSemidefinite: either has a negative eigenvalue, or is not symmetric.
        InvalidDiscrepancyInput: shapes do not fit, or NaN or infinity among the values.

    Example:
        >>> terms = compare([1.0, 4.0], [2.0, 4.0], [1.0, 2.0])  # M = diag(2, 1)
        >>> terms.trace, terms.mahalanobis, round(terms.log_det, 4)
        (3.0, 2.0, 0.6931)
    """
    pt = as_covariance(covariance_pt, "the pretraining covariance")
    ft = as_covariance(covariance_ft, "the fine-tuning covariance")
    theta = np.asarray(shift, dtype=np.float64)
    d = dimension_of(pt)
    if theta.shape != (d,):
        raise InvalidDiscrepancyInput(f"shift must have shape ({d},) like the covariances, got {theta.shape}")
    require_finite(theta, "shift")
    _require_equal_dimension(d, dimension_of(ft), "pretraining covariance", "fine-tuning covariance")
    if isinstance(pt, np.ndarray) and pt.ndim == 1 and isinstance(ft, np.ndarray) and ft.ndim == 1:
        return _diagonal_terms(pt, ft, theta)
    thin_pt, thin_ft = _thin(pt), _thin(ft)
    if thin_pt is not None and thin_ft is not None:
        return _low_rank_terms(thin_pt, thin_ft, theta)
    return _full_terms(full_matrix(pt), full_matrix(ft), theta)


def domain_discrepancy(covariance_pt: Covariance, covariance_ft: Covariance, shift: ArrayLike) -> float:
    """He & Tao 2021, Definition 2, as published: log det M + tr(M - I) + theta' S_PT^-1 theta, in nats times two.

    Unbounded below: its log det has the opposite sign of the Kullback-Leibler divergence, see `twice_kl`. Arguments
    and errors as for `compare`.

    Example:
        >>> import numpy as np
        >>> domain_discrepancy(np.eye(3), np.eye(3), np.zeros(3))
        0.0
        >>> round(domain_discrepancy([1.0, 1.0], [0.1, 0.1], [0.0, 0.0]), 3)
        -6.405
    """
    return compare(covariance_pt, covariance_ft, shift).discrepancy


def dimension_dependent_discrepancy(covariance_pt: Covariance, covariance_ft: Covariance, shift: ArrayLike) -> float:
    """He & Tao 2021, Definition 3, as published: log tr M + tr M + theta' S_PT^-1 theta + d log d - d.

    Its d log d drowns the rest when d differs: compare it only between spaces of equal d, or per parameter. It is
    meant to bound Definition 2 from above but does not always, because Lemma 2 is false; `amgm_upper_bound` does.
    Arguments and errors as for `compare`.

    Example:
        >>> round(dimension_dependent_discrepancy([1.0, 1.0], [1.0, 1.0], [0.0, 0.0]), 3)
        2.079
    """
    return compare(covariance_pt, covariance_ft, shift).dimension_dependent


def twice_kl(covariance_pt: Covariance, covariance_ft: Covariance, shift: ArrayLike) -> float:
    """2 KL(Q_FT || Q_PT) in nats: tr M - d + theta' S_PT^-1 theta - log det M; at least 0, 0 where they agree.

    This is what a PAC-Bayes bound takes. Infinite where S_FT is singular. Arguments and errors as for `compare`.

    Example:
        >>> round(twice_kl([1.0, 1.0], [0.1, 0.1], [0.0, 0.0]), 3)
        2.805
    """
    return compare(covariance_pt, covariance_ft, shift).twice_kl


def amgm_upper_bound(covariance_pt: Covariance, covariance_ft: Covariance, shift: ArrayLike) -> float:
    """d log(tr M / d) + tr(M - I) + theta' S_PT^-1 theta: what Definition 3 should have been.

    The arithmetic mean of M's eigenvalues is at least their geometric mean, so this is never below Definition 2.
    Arguments and errors as for `compare`.

    Example:
        >>> bound = amgm_upper_bound([1.0, 1.0], [100.0, 100.0], [0.0, 0.0])
        >>> round(bound - domain_discrepancy([1.0, 1.0], [100.0, 100.0], [0.0, 0.0]), 9)
        0.0
    """
    return compare(covariance_pt, covariance_ft, shift).amgm_upper_bound


def pretraining_discrepancy(covariance_pt: Covariance) -> float:
    """He & Tao 2021, Theorem 1's term: log det S_PT + tr(S_PT - I), against the prior N(0, I).

    Carries the same sign slip as Definition 2; `twice_kl(ones, covariance_pt, zeros)` is the divergence that holds.

    Example:
        >>> pretraining_discrepancy([1.0, 1.0])
        0.0
    """
    d = dimension_of(as_covariance(covariance_pt, "the pretraining covariance"))
    return compare(np.ones(d), covariance_pt, np.zeros(d)).discrepancy


def _diagonal_terms(pt: Floats, ft: Floats, theta: Floats) -> GaussianTerms:
    if (pt == 0).any():
        raise SingularCovariance(f"the pretraining covariance is zero in {(pt == 0).sum()} of {pt.size} directions")
    ratio = ft / pt
    with np.errstate(divide="ignore"):
        # A difference of logarithms, not the logarithm of the ratio: the ratio may underflow.
        log_det = float((np.log(ft) - np.log(pt)).sum())
    return GaussianTerms(pt.size, log_det, float(ratio.sum()), float((theta**2 / pt).sum()))


def _full_terms(pt: Floats, ft: Floats, theta: Floats) -> GaussianTerms:
    """Both scaled by S_PT's standard deviations first: M and its terms do not change, the conditioning improves."""
    deviation = np.sqrt(np.diagonal(pt))
    if (deviation == 0).any():
        raise SingularCovariance(
            f"the pretraining covariance is zero in {(deviation == 0).sum()} of {deviation.size} directions"
        )
    scale = deviation[:, None] * deviation[None, :]
    lower = definite_factor(pt / scale, "the pretraining covariance")
    root, log_det_ft = semidefinite_factor(ft / scale, "the fine-tuning covariance")
    whitened = solve_triangular(lower, root, lower=True, check_finite=False)
    moved = solve_triangular(lower, theta / deviation, lower=True, check_finite=False)
    log_det = log_det_ft - 2.0 * float(np.log(np.diagonal(lower)).sum())
    return GaussianTerms(pt.shape[0], log_det, float(np.vdot(whitened, whitened)), float(moved @ moved))


def _thin(covariance: Floats | LowRankPlusDiagonal) -> LowRankPlusDiagonal | None:
    """As low rank plus a positive diagonal; None for a full matrix, and where a zero variance forbids Woodbury."""
    if isinstance(covariance, LowRankPlusDiagonal):
        return covariance if (covariance.diagonal > 0).all() else None
    if covariance.ndim == 2 or not (covariance > 0).all():
        return None
    return LowRankPlusDiagonal(covariance, np.zeros((covariance.size, 0)))


def _low_rank_terms(pt: LowRankPlusDiagonal, ft: LowRankPlusDiagonal, theta: Floats) -> GaussianTerms:
    """With S_PT = D (I + B B') D, D^2 = diag(a) and B = W diag(s) V': (I + B B')^-1 = (I - W W') + W W'/(1 + s^2)."""
    deviation = np.sqrt(pt.diagonal)
    directions, singular, _ = svd(pt.factor / deviation[:, None], full_matrices=False, check_finite=False)
    kept = 1.0 / (1.0 + singular**2)

    def quadratic(columns: Floats) -> float:
        coordinates = directions.T @ columns
        outside = columns - directions @ coordinates
        return float(np.vdot(outside, outside) + (kept[:, None] * coordinates**2).sum())

    variances = ft.diagonal / pt.diagonal
    # diag((I + B B')^-1): what the subspace takes away is at most 1 per coordinate, so the floor is rounding only.
    remaining = np.maximum(1.0 - (directions**2) @ (1.0 - kept), kept.min(initial=1.0))
    trace = float(variances @ remaining) + quadratic(ft.factor / deviation[:, None])
    own = svd(ft.factor / np.sqrt(ft.diagonal)[:, None], compute_uv=False, check_finite=False)
    log_det = float((np.log(ft.diagonal) - np.log(pt.diagonal)).sum())
    log_det += float(np.log1p(own**2).sum() - np.log1p(singular**2).sum())
    return GaussianTerms(pt.dimension, log_det, trace, quadratic((theta / deviation)[:, None]))


def _require_equal_dimension(left: int, right: int, left_name: str, right_name: str) -> None:
    if left != right:
        raise InvalidDiscrepancyInput(f"the {left_name} has dimension {left}, the {right_name} {right}")


def _require_restoring(curvature: Floats) -> None:
    lowest, highest = float(curvature.min()), float(curvature.max())
    if lowest <= curvature.size * np.finfo(np.float64).eps * max(highest, 0.0):
        raise NoStationaryDistribution(
            f"the Hessian's smallest eigenvalue is {lowest:.3g} (largest {highest:.3g}): SGD's noise is never pulled "
            "back along it. Add the weight decay, or a damping, to its diagonal"
        )


def _require_semidefinite(noise: Floats) -> None:
    """A Cholesky factorisation of the noise plus rounding: a ninth of the time that its eigenvalues would take."""
    d = noise.shape[0]
    tolerance = d * np.finfo(np.float64).eps * float(np.abs(noise).sum(axis=0).max())
    lifted = noise.copy()
    lifted[np.diag_indices(d)] += tolerance
    if tolerance == 0.0:
        return
    try:
        cholesky(lifted, lower=True, check_finite=False, overwrite_a=True)
    except LinAlgError:
        raise NotPositiveSemidefinite("the noise covariance has a negative eigenvalue") from None


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
