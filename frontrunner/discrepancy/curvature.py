"""The `subspace` and `tuned` spaces: discrepancies from projected per-example gradients.

`subspace.measure_curvature` makes the gradients (and loads torch); what follows from them is a matter of d x d matrices
and lives here, so that stored curvatures can be compared without torch.
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
from frontrunner.discrepancy.report import DiscrepancyReport, NoiseModel, Space, report, require_noise_model
from frontrunner.statistics import Floats

# Of the mean eigenvalue. With as many examples as dimensions the smallest sampled eigenvalues are noise around zero.
DAMPING = 0.01


@dataclass(frozen=True)
class Curvature:
    """Per-example derivatives of one loss at one point of a d-dimensional subspace.

    Attributes:
        n: examples.
        fisher_rows: (n K, d) rows whose outer products sum to n times the Fisher.
        gradients: (n, d) the loss's gradient for each example.
    """

    n: int
    fisher_rows: Floats
    gradients: Floats

    def __post_init__(self) -> None:
        rows, gradients = self.fisher_rows, self.gradients
        if rows.ndim != 2 or gradients.ndim != 2 or rows.shape[1] != gradients.shape[1] or gradients.shape[0] != self.n:
            raise InvalidDiscrepancyInput(
                f"expected Fisher rows (n K, d) and gradients ({self.n}, d), got {rows.shape} and {gradients.shape}"
            )
        require_finite(rows, "the Fisher rows")
        require_finite(gradients, "the gradients")

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.gradients.shape[1])

    @cached_property
    def fisher(self) -> Floats:
        """A, (d, d): the Fisher (Gauss-Newton) matrix of the mean loss."""
        return np.asarray(self.fisher_rows.T @ self.fisher_rows / self.n)

    @cached_property
    def noise_covariance(self) -> Floats:
        """C, (d, d): the centred covariance of the per-example gradients."""
        centred = self.gradients - self.gradients.mean(axis=0)
        return np.asarray(centred.T @ centred / self.n)

    @cached_property
    def gradient(self) -> Floats:
        """g, (d,): of the mean loss."""
        return np.asarray(self.gradients.mean(axis=0))


def subspace_discrepancy(
    source: Curvature,
    target: Curvature,
    *,
    noise_model: NoiseModel = "empirical",
    learning_rate: float = 0.01,
    batch_size: int = 32,
    damping: float = DAMPING,
    n: int | None = None,
    delta: float = 0.05,
) -> DiscrepancyReport:
    """The discrepancy that fine-tuning would cause in the subspace, before any: theta is one damped Newton step.

    theta = -(A + lambda I)^-1 g of the target; A on both sides and C on each get `damping` times their mean
    eigenvalue on the diagonal, as a weight decay and a shrinkage would.

    Args:
        source, target: from one checkpoint and one subspace, see `subspace.measure_curvature`.
        noise_model: `empirical` (C as measured), `isotropic` (C = tr(C)/d I) or `fisher` (C = A).
        learning_rate, batch_size: of the fine-tuning to come.
        damping: > 0, relative.
        n: examples of the dataset that the gap is for; the target's by default.
        delta: failure probability of the gap.

    Raises:
        InvalidDiscrepancyInput: dimensions differ, or a parameter is out of range.
        NoStationaryDistribution: no curvature at all.

    Source: He & Tao 2021, in the subspace of Li et al., ICLR 2018.
    """
    _require_comparable(source, target, damping)
    ridge = _ridge(source, target, damping)
    step = cho_solve(cho_factor(target.fisher + ridge * np.eye(target.dimension)), target.gradient)
    return _discrepancy(
        "subspace", source, target, -step, ridge, noise_model, learning_rate, batch_size, damping, n, delta
    )


def tuned_discrepancy(
    source: Curvature,
    tuned: Curvature,
    shift: ArrayLike,
    *,
    noise_model: NoiseModel = "empirical",
    learning_rate: float = 0.01,
    batch_size: int = 32,
    damping: float = DAMPING,
    n: int | None = None,
    delta: float = 0.05,
) -> DiscrepancyReport:
    """The discrepancy after a tuning job: curvature measured and shift taken at the weights actually reached.

    Args:
        source: at the pretrained weights.
        tuned: at the reached weights, same subspace and seed.
        shift: theta = P'(w_reached - w_pretrained), (d,); see `subspace.projected_shift`.

    Others, errors and source as for `subspace_discrepancy`.
    """
    _require_comparable(source, tuned, damping)
    ridge = _ridge(source, tuned, damping)
    theta = np.asarray(shift, dtype=np.float64)
    return _discrepancy("tuned", source, tuned, theta, ridge, noise_model, learning_rate, batch_size, damping, n, delta)


def _discrepancy(
    space: Space,
    source: Curvature,
    target: Curvature,
    theta: Floats,
    ridge: float,
    noise_model: NoiseModel,
    learning_rate: float,
    batch_size: int,
    damping: float,
    n: int | None,
    delta: float,
) -> DiscrepancyReport:
    require_noise_model(noise_model, learning_rate, batch_size)
    identity = np.eye(target.dimension)
    covariances = []
    for side in (source, target):
        hessian = side.fisher + ridge * identity
        level = float(np.trace(side.noise_covariance)) / side.dimension
        if noise_model == "fisher":
            noise = hessian
        elif noise_model == "isotropic":
            noise = level * identity
        else:
            noise = side.noise_covariance + damping * level * identity
        covariances.append(stationary_covariance(hessian, noise, learning_rate=learning_rate, batch_size=batch_size))
    kept = cho_solve(cho_factor(target.fisher + ridge * identity), target.fisher)
    return report(
        compare(covariances[0], covariances[1], theta),
        space=space,
        noise_model=noise_model,
        reference="source",
        effective_parameters=float(np.trace(kept)),
        n=target.n if n is None else n,
        delta=delta,
    )


def _ridge(source: Curvature, target: Curvature, damping: float) -> float:
    """One lambda for both sides, as one weight decay would be: directions without data then agree."""
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
