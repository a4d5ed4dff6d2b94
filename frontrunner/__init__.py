"""Frontrunner: which pretrained checkpoint will do best on your data, before you fine-tune any.

This package is the library: `frontrunner.rank`, `frontrunner.recommend`, `frontrunner.open_checkpoint`,
`frontrunner.logme`, `frontrunner.scores`, `frontrunner.FeatureStatistics`, `frontrunner.discrepancy`. Names are loaded
on first use, and torch only when a checkpoint is opened.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from frontrunner.errors import FrontrunnerError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from frontrunner import discrepancy, scores
    from frontrunner.client import AsyncClient, Client
    from frontrunner.data import DatasetOptions
    from frontrunner.hub.opening.open import open_checkpoint
    from frontrunner.ranking import Ranking, RankingRequest, rank
    from frontrunner.recommending import recommend
    from frontrunner.statistics import FeatureStatistics

__all__ = [
    "AsyncClient",
    "Client",
    "DatasetOptions",
    "FeatureStatistics",
    "FrontrunnerError",
    "Ranking",
    "RankingRequest",
    "discrepancy",
    "logme",
    "open_checkpoint",
    "rank",
    "recommend",
    "scores",
]
__version__ = "0.1.0"

_LAZY = {
    "AsyncClient": "frontrunner.client",
    "Client": "frontrunner.client",
    "DatasetOptions": "frontrunner.data",
    "FeatureStatistics": "frontrunner.statistics",
    "open_checkpoint": "frontrunner.hub.opening.open",
    "Ranking": "frontrunner.ranking",
    "RankingRequest": "frontrunner.ranking",
    "rank": "frontrunner.ranking",
    "recommend": "frontrunner.recommending",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in ("discrepancy", "scores"):
        return importlib.import_module(f"frontrunner.{name}")
    raise AttributeError(f"module 'frontrunner' has no attribute '{name}'")


def __dir__() -> list[str]:
    """The public names and nothing else."""
    return [*__all__, "__version__"]


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
    from frontrunner import scores

    return scores.score("logme", features, labels)
