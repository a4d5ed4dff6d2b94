"""The `subspace` and `tuned` spaces: discrepancies from projected per-example gradients.

Their gaps are estimates: the divergence is that within d directions of many more parameters, and the start's curvature
is measured on the target's inputs. `subspace.measure_curvature` computes the gradients and loads torch. This module
computes with d x d matrices only, so stored curvatures can be compared without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve

from frontrunner.discrepancy.covariance import require_finite
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput
from frontrunner.discrepancy.gaussians import compare, stationary_covariance
from frontrunner.discrepancy.report import DiscrepancyReport, SGDNoise, Space, report
from frontrunner.statistics import Floats

# Of the mean eigenvalue. With as many examples as dimensions the smallest sampled eigenvalues are noise around zero.
DAMPING = 0.01


@dataclass(frozen=True)
class Curvature:
    """Per-example derivatives of one loss at one point of a d-dimensional subspace.

    Attributes:
        n: examples.
        fisher_rows: (n K, d) rows whose outer products sum to n times the Fisher.
        gradients: (n, d) the loss's gradient for each example, or (n J, d) at J labels of each that were drawn from
            the model's own prediction. None: in expectation over all labels of that prediction; the mean gradient is
            then 0 and the gradients' covariance is the Fisher.

    Raises:
        InvalidDiscrepancyInput: shapes do not fit, or values are not finite.

    Example:
        >>> Curvature(2, np.eye(2), np.eye(2)).fisher.tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """

    n: int
    fisher_rows: Floats
    gradients: Floats | None

    def __post_init__(self) -> None:
        rows, gradients = self.fisher_rows, self.gradients
        if self.n < 1 or rows.ndim != 2:
            raise InvalidDiscrepancyInput(f"expected n >= 1 and Fisher rows (n K, d), got {self.n} and {rows.shape}")
        require_finite(rows, "the Fisher rows")
        if gradients is None:
            return
        count, d = gradients.shape[0], rows.shape[1]
        if gradients.ndim != 2 or gradients.shape[1] != d or count == 0 or count % self.n:
            raise InvalidDiscrepancyInput(
                f"expected one gradient (d = {d}) for each of {self.n} examples, or J of each, got {gradients.shape}"
            )
        require_finite(gradients, "the gradients")

    @property
    def dimension(self) -> int:
        """d, the number of directions of the subspace."""
        return int(self.fisher_rows.shape[1])

    @cached_property
    def fisher(self) -> Floats:
        """A, (d, d): the Fisher (Gauss-Newton) matrix of the mean loss."""
        return np.asarray(self.fisher_rows.T @ self.fisher_rows / self.n)

    @cached_property
    def noise_covariance(self) -> Floats:
        """C, (d, d): the centred covariance of the per-example gradients."""
        if self.gradients is None:
            return self.fisher
        centred = self.gradients - self.gradient
        return np.asarray(centred.T @ centred / centred.shape[0])

    @cached_property
    def gradient(self) -> Floats:
        """g, (d,): the gradient of the mean loss."""
        if self.gradients is None:
            return np.zeros(self.dimension)
        return np.asarray(self.gradients.mean(axis=0))


_EMPIRICAL = SGDNoise("empirical")


def subspace_discrepancy(
    source: Curvature,
    target: Curvature,
    *,
    noise: SGDNoise = _EMPIRICAL,
    damping: float = DAMPING,
    n: int | None = None,
    delta: float = 0.05,
) -> DiscrepancyReport:
    """The discrepancy that fine-tuning would cause in the subspace, before any: theta is one damped Newton step.

    theta = -(A + lambda I)^-1 g of the target; A on both sides and C on each get `damping` times their mean
    eigenvalue on the diagonal, as a weight decay and a shrinkage would.

    Args:
        source, target: of one checkpoint in one subspace, from `subspace.measure_curvature`.
        noise: of the fine-tuning to come; empirical by default.
        damping: > 0, relative.
        n: examples of the dataset that the gap is for; the target's by default.
        delta: failure probability in the gap's formula; the gap is an estimate.

    Raises:
        InvalidDiscrepancyInput: dimensions differ, or a parameter is out of range.
        NoStationaryDistribution: no curvature at all.

    Source: He & Tao 2021, in the subspace of Li et al., ICLR 2018.

    Example:
        >>> gradients = np.random.default_rng(0).normal(size=(50, 2))
        >>> side = Curvature(50, gradients, gradients)  # equal curvatures: only the Newton step is left
        >>> found = subspace_discrepancy(side, side)
        >>> abs(found.twice_kl - found.discrepancy) < 1e-9
        True
    """
    _require_comparable(source, target, damping)
    ridge = _ridge(source, target, damping)
    step = cho_solve(cho_factor(target.fisher + ridge * np.eye(target.dimension)), target.gradient)
    sides = _Sides(source, target, damping, ridge)
    return sides.report("subspace", -step, noise, target.n if n is None else n, delta)


def tuned_discrepancy(
    source: Curvature,
    tuned: Curvature,
    shift: ArrayLike,
    *,
    noise: SGDNoise = _EMPIRICAL,
    damping: float = DAMPING,
    n: int | None = None,
    delta: float = 0.05,
) -> DiscrepancyReport:
    """The discrepancy after a tuning job: curvature measured and shift taken at the weights actually reached.

    Args:
        source: at the pretrained weights.
        tuned: at the reached weights, same subspace and seed.
        shift: theta = P'(w_reached - w_pretrained), (d,), from `subspace.projected_shift`.

    The other arguments, the errors and the source are those of `subspace_discrepancy`.

    Example:
        >>> gradients = np.random.default_rng(0).normal(size=(50, 2))
        >>> side = Curvature(50, gradients, gradients)
        >>> round(tuned_discrepancy(side, side, shift=[0.0, 0.0]).twice_kl, 9)
        0.0
    """
    _require_comparable(source, tuned, damping)
    ridge = _ridge(source, tuned, damping)
    theta = np.asarray(shift, dtype=np.float64)
    return _Sides(source, tuned, damping, ridge).report("tuned", theta, noise, tuned.n if n is None else n, delta)


@dataclass(frozen=True)
class _Sides:
    """Two curvatures of one checkpoint, and what regularises them alike."""

    source: Curvature
    target: Curvature
    damping: float
    ridge: float

    def report(self, space: Space, theta: Floats, noise: SGDNoise, n: int, delta: float) -> DiscrepancyReport:
        """The discrepancy of the two stationary distributions, `theta` apart."""
        ridge = self.ridge * np.eye(self.target.dimension)
        kept = cho_solve(cho_factor(self.target.fisher + ridge), self.target.fisher)
        return report(
            compare(self._stationary(self.source, noise), self._stationary(self.target, noise), theta),
            space=space,
            noise_model=noise.model,
            reference="source",
            effective_parameters=float(np.trace(kept)),
            n=n,
            delta=delta,
            gap_kind="estimate",
        )

    def _stationary(self, side: Curvature, noise: SGDNoise) -> Floats:
        identity = np.eye(side.dimension)
        hessian = side.fisher + self.ridge * identity
        level = float(np.trace(side.noise_covariance)) / side.dimension
        if noise.model == "fisher":
            covariance = hessian
        elif noise.model == "isotropic":
            covariance = level * identity
        else:
            covariance = side.noise_covariance + self.damping * level * identity
        return stationary_covariance(
            hessian, covariance, learning_rate=noise.learning_rate, batch_size=noise.batch_size
        )


def _ridge(source: Curvature, target: Curvature, damping: float) -> float:
    """lambda, the same for both sides, as a weight decay would be, so that directions without data agree."""
    ridge = damping * float(np.trace(source.fisher) + np.trace(target.fisher)) / (2 * target.dimension)
    if ridge <= 0:
        raise InvalidDiscrepancyInput("neither loss has any curvature in the subspace: all gradients are zero")
    return ridge


def _require_comparable(source: Curvature, target: Curvature, damping: float) -> None:
    if source.dimension != target.dimension:
        raise InvalidDiscrepancyInput(
            f"the source's subspace has {source.dimension} dimensions, the target's {target.dimension}"
        )
    if not 0 < damping < np.inf:
        raise InvalidDiscrepancyInput(f"damping must be positive, got {damping}")
