"""Generalisation gaps: PAC-Bayes and VC bounds on the test risk minus the training risk; see also `rademacher`.

Risks are of a loss in [0, 1], so a gap above 1 bounds nothing: `Gap` then prints "vacuous". For a network and a few
thousand examples most of these bounds are vacuous; they are here because the papers state them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import gammaln, logsumexp

from frontrunner.discrepancy.errors import BoundUndefined, InvalidDiscrepancyInput

# `bound`: the conditions of a theorem are met, it holds with probability 1 - delta. `estimate`: the theorem's formula
# with a number that does not meet them, such as a prior fitted to the same data, or some directions of all.
GapKind: TypeAlias = Literal["bound", "estimate"]


@dataclass(frozen=True)
class Gap:
    """Test risk minus training risk, of a loss in [0, 1]: a bound on it, or an estimate by a bound's formula.

    Attributes:
        name: the theory, and where it was applied.
        value: may be infinite.
        kind: `bound` where the theorem's conditions are met, `estimate` where they are not.

    Example:
        >>> print(Gap("VC", vc_gap(50_000, 4_400_000, 0.05)))
        VC gap <= 1.183 (vacuous)
        >>> print(Gap("PAC-Bayes (64 directions)", 0.3, "estimate"))
        PAC-Bayes (64 directions) gap about 0.3
    """

    name: str
    value: float
    kind: GapKind = "bound"

    @property
    def vacuous(self) -> bool:
        """Whether the value exceeds 1, the largest possible gap of a loss in [0, 1]."""
        return not self.value <= 1.0

    def __str__(self) -> str:
        sign = "<=" if self.kind == "bound" else "about"
        return f"{self.name} gap {sign} {self.value:.4g}" + (" (vacuous)" if self.vacuous else "")


def pac_bayes_gap(discrepancy: float, n: int, delta: float) -> float:
    """sqrt((D + 2 log(1/delta) + 2 log n + 4) / (4n - 2)).

    He & Tao 2021: Theorem 2 with Definition 2, Corollary 1 with Definition 3, Theorem 1 with
    `pretraining_discrepancy` and the source's n.

    It bounds the risk of a predictor drawn from Q_FT with probability 1 - delta over the sample (McAllester 1999) where
    D is at least `twice_kl` of all parameters and Q_PT was fixed before the sample was seen. Elsewhere it is an
    estimate: with a D that may be smaller (Definition 2), over some directions only, or with a fitted prior.

    Args:
        discrepancy: D, any of the forms; may be infinite.
        n: examples the training risk is taken over, at least 1.
        delta: in (0, 1).

    Raises:
        BoundUndefined: D is so negative that the root is not real; only Definitions 2 and 3 can be.
        InvalidDiscrepancyInput: n or delta out of range, or D not a number.

    Example:
        >>> round(pac_bayes_gap(122.65, n=500, delta=0.05), 4)
        0.2695
    """
    require_sample(n, delta)
    if math.isnan(discrepancy):
        raise InvalidDiscrepancyInput("the discrepancy is not a number")
    numerator = discrepancy + 2 * math.log(1 / delta) + 2 * math.log(n) + 4
    if numerator < 0:
        raise BoundUndefined(
            f"a discrepancy of {discrepancy:.4g} leaves {numerator:.4g} under the root: as published the bound says "
            "nothing here; use twice_kl, which is never negative"
        )
    return math.sqrt(numerator / (4 * n - 2))


def vc_gap(n: int, dimension: int, delta: float) -> float:
    """sqrt(2 log sum_{i <= d} C(n, i) / n) + sqrt(log(1/delta) / 2n), for classifiers of VC dimension d.

    "Mathematical Challenges in Deep Learning", eq. 14, with Sauer's lemma for the growth function. Once d reaches n
    the sum is 2^n and the first term sqrt(2 log 2) = 1.177: vacuous whatever n.

    Raises:
        InvalidDiscrepancyInput: n, dimension or delta out of range.

    Example:
        >>> round(vc_gap(50_000, 4_400_000, 0.05), 3), round(vc_gap(50_000, 10, 0.05), 3)
        (1.183, 0.066)
    """
    require_sample(n, delta)
    if dimension < 1:
        raise InvalidDiscrepancyInput(f"a VC dimension must be at least 1, got {dimension}")
    if dimension >= n:
        log_growth = n * math.log(2)
    else:
        i = np.arange(dimension + 1, dtype=np.float64)
        log_growth = float(logsumexp(gammaln(n + 1.0) - gammaln(i + 1.0) - gammaln(n - i + 1.0)))
    return math.sqrt(2 * log_growth / n) + math.sqrt(math.log(1 / delta) / (2 * n))


def require_sample(n: int, delta: float) -> None:
    """Refuse an empty sample, and a failure probability outside of (0, 1).

    Raises:
        InvalidDiscrepancyInput: n is below 1 or delta out of range.
    """
    if n < 1 or not 0 < delta < 1:
        raise InvalidDiscrepancyInput(f"n must be at least 1 and delta in (0, 1), got {n} and {delta}")
