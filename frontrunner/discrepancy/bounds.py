"""Generalisation gaps: PAC-Bayes, VC and Rademacher bounds on the test risk minus the training risk.

Risks are of a loss in [0, 1], so a gap above 1 bounds nothing: `Gap` then prints "vacuous". For a network and a few
thousand examples most of these bounds are vacuous; they are here because the papers state them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, logsumexp

from frontrunner.discrepancy.covariance import require_finite
from frontrunner.discrepancy.errors import BoundUndefined, InvalidDiscrepancyInput
from frontrunner.statistics import FeatureStatistics


@dataclass(frozen=True)
class Gap:
    """A bound on test risk minus training risk, of a loss in [0, 1].

    Example:
        >>> print(Gap("VC", vc_gap(50_000, 4_400_000, 0.05)))
        VC gap <= 1.183 (vacuous)
    """

    name: str
    value: float

    @property
    def vacuous(self) -> bool:
        """Whether the bound exceeds 1, the largest possible gap of a loss in [0, 1]."""
        return not self.value <= 1.0

    def __str__(self) -> str:
        return f"{self.name} gap <= {self.value:.4g}" + (" (vacuous)" if self.vacuous else "")


def pac_bayes_gap(discrepancy: float, n: int, delta: float) -> float:
    """sqrt((D + 2 log(1/delta) + 2 log n + 4) / (4n - 2)), holding with probability 1 - delta over the sample.

    He & Tao 2021: Theorem 2 with Definition 2, Corollary 1 with Definition 3, Theorem 1 with
    `pretraining_discrepancy` and the source's n. The bound is a theorem of PAC-Bayes (McAllester 1999) where D is at
    least `twice_kl`. Definition 2 may be smaller than that; the bound is then published, but not implied.

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
    _require_sample(n, delta)
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
    _require_sample(n, delta)
    if dimension < 1:
        raise InvalidDiscrepancyInput(f"a VC dimension must be at least 1, got {dimension}")
    if dimension >= n:
        log_growth = n * math.log(2)
    else:
        i = np.arange(dimension + 1, dtype=np.float64)
        log_growth = float(logsumexp(gammaln(n + 1.0) - gammaln(i + 1.0) - gammaln(n - i + 1.0)))
    return math.sqrt(2 * log_growth / n) + math.sqrt(math.log(1 / delta) / (2 * n))


def rademacher_gap(complexity: float, n: int, delta: float) -> float:
    """2 R + sqrt(log(1/delta) / 2n), R the expected Rademacher complexity of the losses.

    "Mathematical Challenges in Deep Learning", eq. 16; Bartlett & Mendelson, JMLR 3 (2002). For a loss that is
    1-Lipschitz in the outputs, R is at most the outputs' own complexity.

    Raises:
        InvalidDiscrepancyInput: complexity negative, n or delta out of range.

    Example:
        >>> round(rademacher_gap(0.05, 1000, 0.05), 3)
        0.139
    """
    _require_sample(n, delta)
    _require_complexity(complexity)
    return 2 * complexity + math.sqrt(math.log(1 / delta) / (2 * n))


def empirical_rademacher_gap(complexity: float, n: int, delta: float) -> float:
    """2 R_S + 3 sqrt(log(2/delta) / 2n), R_S the Rademacher complexity measured on the sample itself.

    The second term is larger than in `rademacher_gap` because the expected complexity is not known; Bartlett &
    Mendelson 2002.

    Raises:
        InvalidDiscrepancyInput: complexity negative, n or delta out of range.

    Example:
        >>> round(empirical_rademacher_gap(0.05, 1000, 0.05), 3)
        0.229
    """
    _require_sample(n, delta)
    _require_complexity(complexity)
    return 2 * complexity + 3 * math.sqrt(math.log(2 / delta) / (2 * n))


def linear_head_rademacher_bound(statistics: FeatureStatistics, weight_norm: float) -> float:
    """An upper bound on the empirical Rademacher complexity of {f -> w'f : |w| <= W}: W sqrt(tr F'F) / n.

    It follows by Jensen's inequality from `empirical_rademacher_complexity`, and exceeds it by at most a factor of
    sqrt(2) (Khintchine, Kahane). It needs statistics alone.

    Raises:
        InvalidDiscrepancyInput: no example, or a norm that is negative or not finite.

    Example:
        >>> import numpy as np
        >>> statistics = FeatureStatistics().update(np.eye(4))
        >>> linear_head_rademacher_bound(statistics, weight_norm=2.0)
        1.0
    """
    _require_complexity(weight_norm)
    if statistics.n == 0:
        raise InvalidDiscrepancyInput("no example was folded in")
    return weight_norm * math.sqrt(float(np.trace(statistics.gram_lower))) / statistics.n


def empirical_rademacher_complexity(
    features: ArrayLike, weight_norm: float, *, draws: int = 256, seed: int = 0
) -> float:
    """E_sigma sup_{|w| <= W} (1/n) sum sigma_i w'f_i = (W/n) E |F' sigma|, by `draws` seeded draws of the signs.

    Args:
        features: F, (n, D).
        weight_norm: W, not negative.

    Raises:
        InvalidDiscrepancyInput: shapes or ranges do not fit, or values that are not finite.

    Example:
        >>> import numpy as np
        >>> round(empirical_rademacher_complexity(np.eye(4), weight_norm=2.0), 9)
        1.0
    """
    _require_complexity(weight_norm)
    matrix = np.asarray(features, dtype=np.float64)
    if matrix.ndim != 2 or matrix.size == 0 or draws < 1:
        raise InvalidDiscrepancyInput(f"expected features (n, D) and draws >= 1, got {matrix.shape} and {draws}")
    require_finite(matrix, "features")
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(draws, matrix.shape[0]))
    return weight_norm * float(np.linalg.norm(signs @ matrix, axis=1).mean() / matrix.shape[0])


def _require_sample(n: int, delta: float) -> None:
    if n < 1 or not 0 < delta < 1:
        raise InvalidDiscrepancyInput(f"n must be at least 1 and delta in (0, 1), got {n} and {delta}")


def _require_complexity(value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise InvalidDiscrepancyInput(f"a complexity or norm must be finite and not negative, got {value}")
