"""All bounds on a tuned model's generalisation gap that can be computed from the measurements at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from frontrunner.discrepancy.bounds import Gap, linear_head_rademacher_bound, rademacher_gap, vc_gap
from frontrunner.discrepancy.report import DiscrepancyReport
from frontrunner.discrepancy.sde import (
    StepMoments,
    anisotropic_trajectory_bound,
    terminal_state_bound,
    trajectory_bound,
)
from frontrunner.statistics import FeatureStatistics


@dataclass(frozen=True)
class Terminal:
    """Weights and covariances at the end of training, for m bootstrapped training sets.

    Attributes:
        weights: (m, d) in the head or a subspace.
        covariances: (m, d, d) or (m, d) stationary covariances.
    """

    weights: ArrayLike
    covariances: ArrayLike


@dataclass(frozen=True)
class GeneralisationReport:
    """The bounds on test risk minus training risk of one tuned model, and the gap that was measured.

    Attributes:
        n: training examples.
        delta: failure probability of the bounds that have one.
        gaps: every bound that could be computed; each prints itself, and as vacuous where it is.
        measured: test error minus training error, where both are known.
    """

    n: int
    delta: float
    gaps: tuple[Gap, ...]
    measured: float | None = None

    def __str__(self) -> str:
        lines = [f"n = {self.n:,}, delta = {self.delta:g}", *map(str, self.gaps)]
        if self.measured is not None:
            lines.append(f"measured gap {self.measured:.4g}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The bounds and the measured gap, for JSON."""
        gaps = [{"name": gap.name, "value": gap.value, "vacuous": gap.vacuous} for gap in self.gaps]
        return {"n": self.n, "delta": self.delta, "gaps": gaps, "measured": self.measured}


@dataclass(frozen=True)
class TunedHead:
    """A linear head as its Rademacher bound needs it.

    Attributes:
        features: statistics of the tuned backbone's features on the training data.
        weight_norm: largest norm of a head column's weights.
    """

    features: FeatureStatistics
    weight_norm: float


def generalisation_report(
    n: int,
    parameters: int,
    *,
    delta: float = 0.05,
    head: TunedHead | None = None,
    discrepancy: DiscrepancyReport | None = None,
    trajectory: Sequence[StepMoments] = (),
    terminal: Terminal | None = None,
    measured: float | None = None,
) -> GeneralisationReport:
    """Every bound that these measurements allow.

    Args:
        n: training examples.
        parameters: of the tuned model; a classifier of d real parameters is taken to have VC dimension d, which for
            networks is an underestimate: the bound is vacuous all the same.
        delta: failure probability.
        head: of the tuned model; gives the Rademacher bound.
        discrepancy: in the `tuned` space.
        trajectory: one entry for each step of the training.
        terminal: where training ended.
        measured: test error minus training error.

    Raises:
        InvalidDiscrepancyInput: a number out of range.

    Example:
        >>> print(generalisation_report(50_000, 4_400_000, measured=0.08))
        n = 50,000, delta = 0.05
        VC gap <= 1.183 (vacuous)
        measured gap 0.08
    """
    gaps = [Gap("VC", vc_gap(n, parameters, delta))]
    if head is not None:
        complexity = linear_head_rademacher_bound(head.features, head.weight_norm)
        gaps.append(Gap("Rademacher (head)", rademacher_gap(complexity, n, delta)))
    if discrepancy is not None:
        gaps.append(Gap(f"PAC-Bayes ({discrepancy.space})", discrepancy.pac_bayes_gap))
    if trajectory:
        gaps.append(Gap("trajectory", trajectory_bound(list(trajectory), n)))
        gaps.append(Gap("trajectory, anisotropic", anisotropic_trajectory_bound(list(trajectory), n)))
    if terminal is not None:
        gaps.append(Gap("terminal state", terminal_state_bound(terminal.weights, terminal.covariances, n)))
    return GeneralisationReport(n, delta, tuple(gaps), measured)
