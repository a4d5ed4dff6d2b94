"""`DiscrepancyReport`: the discrepancy of a checkpoint in all its forms, with the assumptions behind the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from frontrunner.discrepancy.bounds import GapKind, pac_bayes_gap
from frontrunner.discrepancy.errors import BoundUndefined, InvalidDiscrepancyInput
from frontrunner.discrepancy.gaussians import GaussianTerms

Space: TypeAlias = Literal["head", "subspace", "tuned"]
NoiseModel: TypeAlias = Literal["isotropic", "empirical", "fisher"]
Reference: TypeAlias = Literal["prior", "source"]
NOISE_MODELS: tuple[NoiseModel, ...] = ("isotropic", "empirical", "fisher")

# Part of every cache key: raise it whenever a number for the same input changes.
VERSION = 2


@dataclass(frozen=True)
class SGDNoise:
    """The gradient noise of a fine-tuning by SGD, and the step sizes that scale what it does.

    Attributes:
        model: `isotropic` (C = tr(C)/d I; a head's is free of the step size), `empirical` (C as measured) or `fisher`
            (C = the curvature).
        learning_rate: > 0.
        batch_size: at least 1.

    Raises:
        InvalidDiscrepancyInput: there is no such model, or a step size is out of range.

    Example:
        >>> SGDNoise("fisher", learning_rate=0.1, batch_size=10).temperature
        0.005
    """

    model: NoiseModel
    learning_rate: float = 0.01
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.model not in NOISE_MODELS:
            raise InvalidDiscrepancyInput(
                f"there is no noise model '{self.model}'; choose from: {', '.join(NOISE_MODELS)}"
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate) and self.batch_size >= 1):
            raise InvalidDiscrepancyInput(
                f"learning_rate must be positive and batch_size at least 1, got {self.learning_rate} and "
                f"{self.batch_size}"
            )

    @property
    def temperature(self) -> float:
        """learning_rate / (2 batch_size): what the noise covariance is multiplied by."""
        return self.learning_rate / (2 * self.batch_size)


@dataclass(frozen=True)
class DiscrepancyReport:
    """The discrepancy between where a checkpoint starts and where a dataset would take it. Lower is nearer.

    Attributes:
        space: which parameters are meant: the linear head, a random subspace, or that subspace after tuning.
        noise_model: what the gradient noise was taken to be.
        reference: the start of the distances: the no-knowledge prior, or the source task's own minimum.
        dimension: d; only reports of equal space, reference and d compare.
        discrepancy: Definition 2 as published; may be negative.
        dimension_dependent: Definition 3 as published.
        dimension_dependent_per_parameter: the same over d.
        twice_kl: 2 KL(Q_FT || Q_PT), nats; at least 0. The number to trust.
        amgm_upper_bound: what Definition 3 should have been; at least `discrepancy`.
        pac_bayes_gap: from `twice_kl`; what it is worth, `gap_kind` says.
        gap_kind: `bound`: `pac_bayes_gap` holds with probability 1 - delta over the n examples for a predictor drawn
            from Q_FT. `estimate`: it need not. The prior was fitted to the same examples, or the d directions are not
            all parameters, and the gap by this formula for all of them is larger.
        published_gap: Corollary 1 as published, from `dimension_dependent`; None where it is undefined. Never a bound.
        effective_parameters: directions that the data determine, of the d.
        n: examples behind the gaps.
        delta: their failure probability.

    Numbers are finite or infinite, never NaN; `as_dict` turns infinities into None for JSON.
    """

    space: Space
    noise_model: NoiseModel
    reference: Reference
    dimension: int
    discrepancy: float
    dimension_dependent: float
    dimension_dependent_per_parameter: float
    twice_kl: float
    amgm_upper_bound: float
    pac_bayes_gap: float
    gap_kind: GapKind
    published_gap: float | None
    effective_parameters: float
    n: int
    delta: float

    @property
    def twice_kl_per_parameter(self) -> float:
        """`twice_kl` over d: what compares between checkpoints of different feature widths."""
        return self.twice_kl / self.dimension

    @property
    def vacuous(self) -> bool:
        """Whether `pac_bayes_gap` exceeds 1 and so says nothing."""
        return not self.pac_bayes_gap <= 1.0

    def as_dict(self) -> dict[str, str | int | float | bool | None]:
        """Every number under its name, for JSON; None where there is no finite value."""
        values = {**vars(self), "twice_kl_per_parameter": self.twice_kl_per_parameter, "vacuous": self.vacuous}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def report(
    terms: GaussianTerms,
    *,
    space: Space,
    noise_model: NoiseModel,
    reference: Reference,
    effective_parameters: float,
    n: int,
    delta: float,
    gap_kind: GapKind,
) -> DiscrepancyReport:
    """All divergences and gaps that the three terms give; arguments are attributes of the report."""
    try:
        published = pac_bayes_gap(terms.dimension_dependent, n, delta)
    except BoundUndefined:
        published = None
    return DiscrepancyReport(
        space=space,
        noise_model=noise_model,
        reference=reference,
        dimension=terms.dimension,
        discrepancy=terms.discrepancy,
        dimension_dependent=terms.dimension_dependent,
        dimension_dependent_per_parameter=terms.dimension_dependent / terms.dimension,
        twice_kl=terms.twice_kl,
        amgm_upper_bound=terms.amgm_upper_bound,
        pac_bayes_gap=pac_bayes_gap(terms.twice_kl, n, delta),
        gap_kind=gap_kind,
        published_gap=published,
        effective_parameters=effective_parameters,
        n=n,
        delta=delta,
    )
