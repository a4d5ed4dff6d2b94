"""The three forms of a covariance, and how each is checked.

A covariance is a full (d, d) matrix, a diagonal (d,), or `LowRankPlusDiagonal`. All functions check their input by
`as_covariance`, which refuses values that are not finite, and matrices that are not square or not symmetric.
Definiteness is checked where a matrix is factorised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cholesky, eigh
from scipy.linalg.lapack import dpocon

from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, NotPositiveSemidefinite, SingularCovariance
from frontrunner.statistics import Floats

# A matrix summed in float32 is symmetric to about 1e-7; more than this is a mistake, not rounding.
_ASYMMETRY = 1e-6


@dataclass(frozen=True)
class LowRankPlusDiagonal:
    """The covariance diag(a) + U U', held in O(d r) memory.

    Attributes:
        diagonal: (d,) a, not negative.
        factor: (d, r) U; r is small beside d.

    Raises:
        InvalidDiscrepancyInput: shapes do not fit or values are not finite.
        NotPositiveSemidefinite: a negative entry in the diagonal.

    Example:
        >>> LowRankPlusDiagonal([1.0, 1.0], [[1.0], [0.0]]).matrix().tolist()
        [[2.0, 0.0], [0.0, 1.0]]
    """

    diagonal: Floats
    factor: Floats

    def __post_init__(self) -> None:
        diagonal = np.asarray(self.diagonal, dtype=np.float64)
        factor = np.asarray(self.factor, dtype=np.float64)
        if diagonal.ndim != 1 or factor.ndim != 2 or factor.shape[0] != diagonal.shape[0]:
            raise InvalidDiscrepancyInput(
                f"expected a diagonal (d,) and a factor (d, r), got {diagonal.shape} and {factor.shape}"
            )
        require_finite(diagonal, "the diagonal")
        require_finite(factor, "the low-rank factor")
        if (diagonal < 0).any():
            raise NotPositiveSemidefinite(f"the diagonal holds a negative variance, {diagonal.min():.3g}")
        object.__setattr__(self, "diagonal", diagonal)
        object.__setattr__(self, "factor", factor)

    @property
    def dimension(self) -> int:
        """d, the number of parameters."""
        return int(self.diagonal.shape[0])

    def matrix(self) -> Floats:
        """The same covariance as a full (d, d) matrix."""
        full = self.factor @ self.factor.T
        full[np.diag_indices(self.dimension)] += self.diagonal
        return full


Covariance: TypeAlias = ArrayLike | LowRankPlusDiagonal
CheckedCovariance: TypeAlias = Floats | LowRankPlusDiagonal


def as_covariance(covariance: Covariance, name: str) -> CheckedCovariance:
    """`covariance` as float64: (d,) variances, a symmetric (d, d) matrix, or a `LowRankPlusDiagonal`.

    Raises:
        InvalidDiscrepancyInput: another shape, or values that are not finite.
        NotPositiveSemidefinite: a negative variance on the diagonal, or a matrix that is not symmetric.
    """
    if isinstance(covariance, LowRankPlusDiagonal):
        return covariance
    values = np.asarray(covariance, dtype=np.float64)
    if values.ndim not in (1, 2) or values.size == 0 or (values.ndim == 2 and values.shape[0] != values.shape[1]):
        raise InvalidDiscrepancyInput(f"{name} must have shape (d,) or (d, d) with d >= 1, got {values.shape}")
    require_finite(values, name)
    diagonal = values if values.ndim == 1 else np.diagonal(values)
    if (diagonal < 0).any():
        raise NotPositiveSemidefinite(f"{name} holds a negative variance, {diagonal.min():.3g}")
    return values if values.ndim == 1 else require_symmetric(values, name)


def require_symmetric(matrix: Floats, name: str) -> Floats:
    """`matrix` (d, d) with rounding's asymmetry averaged away.

    Raises:
        InvalidDiscrepancyInput: not square.
        NotPositiveSemidefinite: asymmetric beyond rounding.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidDiscrepancyInput(f"{name} must have shape (d, d), got {matrix.shape}")
    asymmetry = float(np.abs(matrix - matrix.T).max())
    if asymmetry > _ASYMMETRY * float(np.abs(matrix).max()):
        raise NotPositiveSemidefinite(f"{name} is not symmetric: entries differ by up to {asymmetry:.3g}")
    return (matrix + matrix.T) / 2 if asymmetry else matrix


def dimension_of(covariance: CheckedCovariance) -> int:
    """d, whatever the form."""
    return covariance.dimension if isinstance(covariance, LowRankPlusDiagonal) else int(covariance.shape[0])


def full_matrix(covariance: CheckedCovariance) -> Floats:
    """The (d, d) matrix, whatever the form."""
    if isinstance(covariance, LowRankPlusDiagonal):
        return covariance.matrix()
    return np.diag(covariance) if covariance.ndim == 1 else covariance


def definite_factor(matrix: Floats, name: str) -> Floats:
    """L, lower triangular, with L L' = matrix.

    The caller scales the matrix to a unit diagonal first, so that the condition number speaks of the matrix and not
    of its units.

    Raises:
        NotPositiveSemidefinite: a negative eigenvalue beyond rounding.
        SingularCovariance: no inverse at float64's precision.
    """
    d = matrix.shape[0]
    try:
        factor = np.asarray(cholesky(matrix, lower=True, check_finite=False))
    except LinAlgError:
        semidefinite_factor(matrix, name)
        raise SingularCovariance(_no_inverse(name)) from None
    reciprocal_condition, _ = dpocon(factor, float(np.abs(matrix).sum(axis=0).max()), uplo="L")
    if reciprocal_condition < d * np.finfo(np.float64).eps:
        raise SingularCovariance(_no_inverse(name))
    return factor


def semidefinite_factor(matrix: Floats, name: str) -> tuple[Floats, float]:
    """(R, log det) with R R' = matrix and log det minus infinity where the matrix is singular.

    Raises:
        NotPositiveSemidefinite: a negative eigenvalue beyond rounding.
    """
    try:
        factor = np.asarray(cholesky(matrix, lower=True, check_finite=False))
        return factor, 2.0 * float(np.log(np.diagonal(factor)).sum())
    except LinAlgError:
        pass
    values, vectors = eigh(matrix, check_finite=False, driver="evd")
    rounding = matrix.shape[0] * np.finfo(np.float64).eps * float(np.abs(values).max())
    if values[0] < -rounding:
        raise NotPositiveSemidefinite(f"{name} has a negative eigenvalue, {values[0]:.3g} (largest {values[-1]:.3g})")
    values = np.where(values > rounding, values, 0.0)
    log_det = float(np.log(values).sum()) if values[0] > 0 else -np.inf
    return np.asarray(vectors * np.sqrt(values)), log_det


def require_finite(values: Floats, name: str) -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(values).all():
        raise InvalidDiscrepancyInput(f"{name} holds NaN or infinity")


def _no_inverse(name: str) -> str:
    return (
        f"{name} has no inverse at float64's precision: some direction has no spread. Add a damping to its diagonal, "
        "or work in the directions that it reaches"
    )
