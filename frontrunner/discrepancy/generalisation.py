"""What theory says of a tuned model's generalisation gap, from the measurements at hand: bounds, and estimates.

A tuned network meets the conditions of few theorems. Each `Gap` says by its `kind` whether it is a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from frontrunner.discrepancy.bounds import Gap, GapKind, vc_gap
from frontrunner.discrepancy.rademacher import HeadMargins, margin_risk_bound
from frontrunner.discrepancy.report import DiscrepancyReport
from frontrunner.discrepancy.sde import (
    StepMoments,
    anisotropic_trajectory_bound,
    terminal_state_bound,
    trajectory_bound,
)


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
    """Bounds on and estimates of test risk minus training risk of one tuned model, and the gap that was measured.

    Attributes:
        n: training examples.
        delta: failure probability of the bounds that have one.
        gaps: all that could be computed; each says of what kind it is, and whether it is vacuous.
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
        """The gaps by the theories and the measured one, for JSON; None where a value is not finite."""
        gaps = [
            {
                "name": gap.name,
                "kind": gap.kind,
                "value": gap.value if math.isfinite(gap.value) else None,
                "vacuous": gap.vacuous,
            }
            for gap in self.gaps
        ]
        return {"n": self.n, "delta": self.delta, "gaps": gaps, "measured": self.measured}


def generalisation_report(
    n: int,
    parameters: int,
    *,
    delta: float = 0.05,
    head: HeadMargins | None = None,
    features_were_frozen: bool = False,
    discrepancy: DiscrepancyReport | None = None,
    trajectory: Sequence[StepMoments] = (),
    terminal: Terminal | None = None,
    measured: float | None = None,
) -> GeneralisationReport:
    """Every bound and estimate that these measurements allow.

    - VC and the bounds of SDEs: estimates. The first takes parameters for the VC dimension, the others bootstrapped
      training sets for independent ones, in the directions that they were measured in.
    - Rademacher: a bound for a head on features that these examples had no part in, an estimate elsewhere.
    - PAC-Bayes: as the discrepancy's report says; in a subspace an estimate, lower than that of all parameters.

    Args:
        n: training examples.
        parameters: of the tuned model; a classifier of d real parameters is taken to have VC dimension d, which for
            networks is too few: the gap is vacuous all the same.
        delta: failure probability.
        head: the linear head's margins on its training examples.
        features_were_frozen: whether the backbone of the head is as it was before these examples were seen.
        discrepancy: in any space.
        trajectory: one entry for each step of the training.
        terminal: where training ended.
        measured: test error minus training error.

    Raises:
        InvalidDiscrepancyInput: a number out of range.

    Example:
        >>> print(generalisation_report(50_000, 4_400_000, measured=0.08))
        n = 50,000, delta = 0.05
        VC gap about 1.183 (vacuous)
        measured gap 0.08
    """
    gaps = [Gap("VC", vc_gap(n, parameters, delta), "estimate")]
    if head is not None:
        kind: GapKind = "bound" if features_were_frozen else "estimate"
        gaps.append(Gap("Rademacher (head)", margin_risk_bound(head, delta).gap, kind))
    if discrepancy is not None:
        gaps.append(_pac_bayes(discrepancy))
    if trajectory:
        gaps.append(Gap("trajectory", trajectory_bound(list(trajectory), n), "estimate"))
        anisotropic = anisotropic_trajectory_bound(list(trajectory), n)
        gaps.append(Gap("trajectory, anisotropic", anisotropic, "estimate"))
    if terminal is not None:
        value = terminal_state_bound(terminal.weights, terminal.covariances, n)
        gaps.append(Gap("terminal state", value, "estimate"))
    return GeneralisationReport(n, delta, tuple(gaps), measured)


def _pac_bayes(discrepancy: DiscrepancyReport) -> Gap:
    """In d directions the divergence leaves out all others: lower than that of the whole network, so not its bound."""
    value, kind = discrepancy.pac_bayes_gap, discrepancy.gap_kind
    if discrepancy.space == "head":
        return Gap("PAC-Bayes (head)" if kind == "bound" else "PAC-Bayes estimate (head)", value, kind)
    return Gap(f"PAC-Bayes estimate ({discrepancy.space}, {discrepancy.dimension} directions)", value, kind)
