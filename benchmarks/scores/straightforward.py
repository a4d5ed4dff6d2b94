"""LogME as published, written plainly: what the library is measured against.

You et al., JMLR 2022, Algorithm 3: one singular value decomposition of the whole float64 feature matrix, then for
each class the fixed point of alpha and beta, stopped at a relative change of 1e-3 in alpha/beta or after 11 rounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-3
ROUNDS = 11


def straightforward_logme(features: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """LogME of features (n, D), n > D, against integer labels (n,)."""
    matrix = features.astype(np.float64)
    n, dimension = matrix.shape
    left, singular, _ = np.linalg.svd(matrix, full_matrices=False)
    squared = singular**2
    evidences = []
    for label in np.unique(labels):
        y = (labels == label).astype(np.float64)
        projected = (left.T @ y) ** 2
        rest = y @ y - projected.sum()
        alpha = beta = 1.0
        for _ in range(ROUNDS):
            t = alpha / beta
            gamma = (squared / (squared + t)).sum()
            weights = (squared * projected / (squared + t) ** 2).sum()
            residual = (projected / (1 + squared / t) ** 2).sum() + rest
            alpha, beta = gamma / weights, (n - gamma) / residual
            if abs(alpha / beta - t) / t <= TOLERANCE:
                break
        t = alpha / beta
        weights = (squared * projected / (squared + t) ** 2).sum()
        residual = (projected / (1 + squared / t) ** 2).sum() + rest
        evidence = dimension / 2 * np.log(alpha) + n / 2 * np.log(beta / (2 * np.pi))
        evidence -= 0.5 * np.log(alpha + beta * squared).sum() + beta / 2 * residual + alpha / 2 * weights
        evidences.append(evidence / n)
    return float(np.mean(evidences))
