"""Fits the models that predict accuracies, to what checkpoints reached on past datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from frontrunner.data.dataset import Modality
from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.variance_components import fit_variance_components
from frontrunner.ranking.prediction import AccuracyModel, Adaptation, accuracy_logits, column_matrix

Floats = NDArray[np.float64]
# Datasets without which a dataset's own variance cannot be told from the rest.
_FEWEST_DATASETS = 3


class Observation(BaseModel):
    """What a checkpoint reached on a dataset, and what was known before.

    Attributes:
        dataset, checkpoint: names.
        measured: scores and `FACTS` by name.
        accuracy: what adaptation reached, in [0, 1].
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    checkpoint: str
    measured: dict[str, float]
    accuracy: float


def fit_accuracy_model(
    observations: Sequence[Observation],
    columns: Sequence[str],
    *,
    adaptation: Adaptation = "full",
    modality: Modality = "image",
) -> AccuracyModel:
    """Fit a model to results.

    Args:
        observations: of one modality and adaptation.
        columns: as `AccuracyModel.columns`.
        adaptation, modality: what they are results of.

    Raises:
        HistoryTooSmall: fewer than three datasets.
    """
    names = sorted({found.dataset for found in observations})
    if len(names) < _FEWEST_DATASETS:
        raise HistoryTooSmall(f"predicted accuracy needs results of three datasets, got {len(names)}")
    raw = column_matrix([found.measured for found in observations], columns)
    centre, scale = raw.mean(axis=0), raw.std(axis=0)
    scale[scale == 0] = 1.0
    x, y = (raw - centre) / scale, accuracy_logits([found.accuracy for found in observations])
    own = np.array([[found.dataset == name for name in names] for found in observations], dtype=np.float64)
    middle = float(y.mean())
    fitted = fit_variance_components(np.concatenate([x, own], axis=1), y - middle, [len(columns), len(names)])
    q = len(columns)
    # The effects are about their own mean, which takes one degree of freedom.
    between, within = float(fitted.variances[1]) * len(names) / (len(names) - 1), float(fitted.noise)
    # The intercept is as well known as the mean of so many effects.
    covariance = np.zeros((q + 1, q + 1))
    covariance[0, 0] = between / len(names) + within / len(observations)
    covariance[1:, 1:] = fitted.covariance[:q, :q]
    return AccuracyModel(
        modality=modality,
        adaptation=adaptation,
        columns=tuple(columns),
        centre=_plain(centre),
        scale=_plain(scale),
        lowest=_plain(x.min(axis=0)),
        highest=_plain(x.max(axis=0)),
        mean=(middle, *_plain(fitted.mean[:q])),
        covariance=tuple(_plain(row) for row in covariance),
        between=between,
        within=within,
        datasets=len(names),
        observations=len(observations),
    )


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
