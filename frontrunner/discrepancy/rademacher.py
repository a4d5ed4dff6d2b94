"""Rademacher complexities of linear heads, and the gaps they give.

`margin_risk_bound` bounds the test error of a multi-class linear head. Its theorem fixes the norm of the weights and
the margin before the data are seen, and both are learned. So the head is scaled to norm 1 first, which changes no
prediction, and a union bound over powers of two lets the margin be chosen afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.discrepancy.bounds import require_sample
from frontrunner.discrepancy.covariance import require_finite
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput
from frontrunner.statistics import FeatureStatistics, Floats

# The margins of the union bound, from a billionth to a billion: each more costs next to nothing (log of their number).
_MARGINS = tuple(2.0**k for k in range(-30, 31))


def rademacher_gap(complexity: float, n: int, delta: float) -> float:
    """2 R + sqrt(log(1/delta) / 2n), R the expected Rademacher complexity of the losses.

    "Mathematical Challenges in Deep Learning", eq. 16; Bartlett & Mendelson, JMLR 3 (2002). R is an expectation over
    samples: for a complexity that was computed on one sample take `empirical_rademacher_gap`.

    Raises:
        InvalidDiscrepancyInput: complexity negative, n or delta out of range.

    Example:
        >>> round(rademacher_gap(0.05, 1000, 0.05), 3)
        0.139
    """
    require_sample(n, delta)
    _require_complexity(complexity)
    return 2 * complexity + math.sqrt(math.log(1 / delta) / (2 * n))


def empirical_rademacher_gap(complexity: float, n: int, delta: float) -> float:
    """2 R_S + 3 sqrt(log(2/delta) / 2n), R_S the Rademacher complexity of the losses on the sample itself.

    The second term is larger than in `rademacher_gap` because the expected complexity is not known; Bartlett &
    Mendelson 2002.

    Raises:
        InvalidDiscrepancyInput: complexity negative, n or delta out of range.

    Example:
        >>> round(empirical_rademacher_gap(0.05, 1000, 0.05), 3)
        0.229
    """
    require_sample(n, delta)
    _require_complexity(complexity)
    return 2 * complexity + 3 * math.sqrt(math.log(2 / delta) / (2 * n))


def linear_head_rademacher_bound(statistics: FeatureStatistics, weight_norm: float) -> float:
    """An upper bound on the empirical Rademacher complexity of {f -> w'f : |w| <= W}: W sqrt(tr F'F) / n.

    It follows by Jensen's inequality from `empirical_rademacher_complexity`, and exceeds it by at most a factor of
    sqrt(2) (Khintchine, Kahane). It needs statistics alone. W is fixed before the data are seen.

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


def margin_gap(complexity: float, classes: int, margin: float, n: int, delta: float) -> float:
    """(2 C / rho) R + 3 sqrt(log(2/delta) / 2n): test error less the training margin loss at rho, C classes.

    Holds with probability 1 - delta for all heads W (D, C) with |W|_F <= Lambda at once, Lambda and rho fixed before
    the data are seen, and R = Lambda sqrt(sum |f_i|^2) / n (`linear_head_rademacher_bound`).

    The margin h_y - max_{c != y} h_c is a difference: the complexity of its first term is R, that of a maximum of
    C - 1 functions is at most their sum, (C - 1) R; the loss is 1/rho-Lipschitz in it.

    Args:
        complexity: R of one column of the head.
        classes: C, at least 2.
        margin: rho, > 0.
        n: training examples.
        delta: failure probability.

    Raises:
        InvalidDiscrepancyInput: a number out of range.

    Source: Mohri, Rostamizadeh & Talwalkar, "Foundations of Machine Learning", 2nd ed. (2018), Theorems 3.3 and 9.2,
    Lemma 9.1; Koltchinskii & Panchenko, Annals of Statistics 30 (2002).

    Example:
        >>> round(margin_gap(0.01, classes=3, margin=0.5, n=1000, delta=0.05), 3)
        0.249
    """
    if classes < 2 or not 0 < margin < math.inf:
        raise InvalidDiscrepancyInput(f"classes must be at least 2 and the margin positive, got {classes} and {margin}")
    return empirical_rademacher_gap(classes * complexity / margin, n, delta)


@dataclass(frozen=True)
class MarginRisk:
    """A bound on the test error of a linear head, and the margin that gives it.

    Attributes:
        risk: the bound; above 1 it says nothing.
        margin: rho, of the head scaled to norm 1; a power of two.
        margin_loss: mean training loss max(0, min(1, 1 - margin/rho)).
        training_error: share of training examples without a positive margin.
    """

    risk: float
    margin: float
    margin_loss: float
    training_error: float

    @property
    def gap(self) -> float:
        """The bound on test error minus training error."""
        return self.risk - self.training_error


@dataclass(frozen=True)
class HeadMargins:
    """What the margin bound needs of a linear head and its training examples; holds no features.

    Attributes:
        margins: (n,) h_y - max_{c != y} h_c of the head scaled to |W|_F = 1.
        squared_norms: (n,) |f|^2, a bias counting as a feature that is always 1.
        classes: C.

    Example:
        >>> found = HeadMargins.of([[3.0, 0.0]], [0], weights=[[2.0, -2.0], [0.0, 0.0]])
        >>> found.margins.round(3).tolist(), found.squared_norms.tolist()
        ([4.243], [9.0])
    """

    margins: Floats
    squared_norms: Floats
    classes: int

    @classmethod
    def of(
        cls, features: ArrayLike, labels: ArrayLike, weights: ArrayLike, biases: ArrayLike | None = None
    ) -> HeadMargins:
        """Of the head f -> W'f + b, less its mean over classes, which changes no margin and may lower the norm.

        Args:
            features: F, (n, D).
            labels: (n,) codes 0 .. C - 1.
            weights: W, (D, C).
            biases: b, (C,); None for a head without.

        Raises:
            InvalidDiscrepancyInput: shapes do not fit, values are not finite, labels are no codes of the head's
                classes, or a head that is the same for all classes.
        """
        rows, codes, head = np.asarray(features, np.float64), np.asarray(labels), np.asarray(weights, np.float64)
        if rows.ndim != 2 or head.ndim != 2 or head.shape[0] != rows.shape[1] or codes.shape != rows.shape[:1]:
            raise InvalidDiscrepancyInput(
                f"expected features (n, D), labels (n,) and weights (D, C), got {rows.shape}, {codes.shape} and "
                f"{head.shape}"
            )
        if biases is not None:
            constant = np.asarray(biases, np.float64)
            if constant.shape != head.shape[1:]:
                raise InvalidDiscrepancyInput(f"expected biases ({head.shape[1]},), got {constant.shape}")
            rows, head = np.hstack([rows, np.ones((rows.shape[0], 1))]), np.vstack([head, constant])
        require_finite(rows, "features")
        require_finite(head, "the head")
        if codes.dtype.kind not in "iu" or codes.size == 0 or codes.min() < 0 or codes.max() >= head.shape[1]:
            raise InvalidDiscrepancyInput(f"labels must be codes from 0 to {head.shape[1] - 1}")
        head = head - head.mean(axis=1, keepdims=True)
        norm = float(np.linalg.norm(head))
        if norm == 0:
            raise InvalidDiscrepancyInput("the head is the same for all classes, so it has no margin")
        outputs = rows @ (head / norm)
        own = np.arange(codes.size), codes
        wanted = outputs[own]
        outputs[own] = -np.inf
        return cls(wanted - outputs.max(axis=1), (rows**2).sum(axis=1), head.shape[1])

    def __add__(self, other: HeadMargins) -> HeadMargins:
        """The same head on both sets of examples."""
        return HeadMargins(
            np.concatenate([self.margins, other.margins]),
            np.concatenate([self.squared_norms, other.squared_norms]),
            self.classes,
        )


def margin_risk_bound(head: HeadMargins, delta: float = 0.05) -> MarginRisk:
    """A bound on the test error of a linear head, holding with probability 1 - delta over the training sample.

    min over rho = 2^k, k from -30 to 30, of the training margin loss at rho plus `margin_gap` with Lambda = 1, rho and
    delta / 61. A multiple of the weights, a vector added to all classes, and a rotation of the features change nothing.

    The features must not have been learned from these examples: a head on a frozen backbone, not a fine-tuned one.

    Args:
        head: of the training examples.
        delta: failure probability.

    Raises:
        InvalidDiscrepancyInput: delta is out of range.

    Source: as for `margin_gap`; the union over a geometric grid of margins is theirs as well (Theorem 5.9).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(40_000) % 2
        >>> features = rng.normal(size=(40_000, 2)) + 8 * np.eye(2)[labels]
        >>> found = margin_risk_bound(HeadMargins.of(features, labels, weights=np.eye(2)))
        >>> found.training_error < found.risk < 0.15
        True
    """
    n, margins = head.margins.size, head.margins
    require_sample(n, delta)
    complexity = math.sqrt(float(head.squared_norms.sum())) / n

    def at(rho: float) -> MarginRisk:
        loss = float(np.clip(1 - margins / rho, 0.0, 1.0).mean())
        gap = margin_gap(complexity, head.classes, rho, n, delta / len(_MARGINS))
        return MarginRisk(loss + gap, rho, loss, float((margins <= 0).mean()))

    return min(map(at, _MARGINS), key=lambda found: found.risk)


def _require_complexity(value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise InvalidDiscrepancyInput(f"a complexity or norm must be finite and not negative, got {value}")
