"""Frontrunner: which pretrained checkpoint will do best on your data, before you fine-tune any.

This package is the library; importing it loads numpy and scipy, never torch. See `frontrunner.rank`,
`frontrunner.logme`, `frontrunner.scores` and `frontrunner.FeatureStatistics`.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from frontrunner import scores
from frontrunner.errors import FrontrunnerError
from frontrunner.statistics import FeatureStatistics

__all__ = ["FeatureStatistics", "FrontrunnerError", "logme", "scores"]
__version__ = "0.1.0"


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """LogME of features (n, D): integer or string labels (n,) are classes, float targets (n,) or (n, K) regression.

    You et al., ICML 2021. Natural logarithm per example, -1/2 log 2 pi kept; higher is better; comparable between
    checkpoints on one dataset, never between datasets. Targets are taken as given; rankings standardise them.

    Raises:
        InvalidFeatures: shapes or types do not fit.
        FeaturesNotFinite: NaN or infinity.
        NothingToSeparate: fewer than two classes.

    Example:
        >>> import numpy as np
        >>> labels = np.repeat([0, 1], 50)
        >>> features = np.random.default_rng(0).normal(size=(100, 8)) + 3 * labels[:, None]
        >>> logme(features, labels) > logme(features, np.arange(100) % 2)
        True
    """
    return scores.score("logme", features, labels)
