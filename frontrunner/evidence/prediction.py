"""Predicted accuracy: what a checkpoint will reach on a dataset once it is adapted, with an interval that covers.

The logit of the accuracy is modelled as

    logit y_md = w' x_md + u_d + e_md

x_md is what a ranking measured without adapting anything, u_d what is peculiar to a dataset, e_md the rest. Both have
variances that the evidence sets. A new dataset's u is unknown: its variance is part of every interval, but not of the
comparison of two checkpoints on it, which share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit
from scipy.stats import t as students_t

from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.runs import Adaptation
from frontrunner.evidence.variance_components import fit_variance_components

Floats = NDArray[np.float64]
# Shares of 0 and 1 have no logit: they are taken for half an example of so many.
_EXAMPLES = 500
# A column beyond the range of the evidence by more than this share of it is unlike anything seen.
_BEYOND = 0.25
# What variances are multiplied by there: nothing is known, so a round number that shows.
_UNLIKE = 2.0
# Datasets without which a dataset's own variance cannot be told from the rest.
_FEWEST_DATASETS = 3
_DRAWS = 4000


class Observation(BaseModel):
    """What is known of a checkpoint on a dataset.

    Attributes:
        dataset, checkpoint: names.
        columns: numbers by name; shares in [0, 1] whose name ends in `accuracy` enter as logits.
        accuracy: what adaptation reached, in [0, 1]; None where it is to be predicted.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    checkpoint: str
    columns: dict[str, float]
    accuracy: float | None = None


class Prediction(BaseModel):
    """What a checkpoint is predicted to reach."""

    accuracy: float = Field(description="The median, in [0, 1].")
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    level: float = Field(description="How often such intervals hold the accuracy.")
    adaptation: Adaptation
    probability_best: float = Field(description="That no other checkpoint of the same ranking reaches more.")
    unlike_evidence: bool = Field(
        description="Whether what was measured lies outside what the evidence holds; the interval is widened then."
    )


class AccuracyModel(BaseModel):
    """The fitted model; small enough to be shipped as JSON.

    Attributes:
        adaptation: what it predicts.
        columns: names of x, in order.
        centre, scale: (q,) by which columns are standardised.
        lowest, highest: (q,) of the standardised columns in the evidence.
        mean, covariance: (q + 1,) and (q + 1, q + 1) of w, the intercept first.
        between: variance of u.
        within: variance of e.
        datasets, observations: how many it was fitted to.
    """

    model_config = ConfigDict(frozen=True)

    adaptation: Adaptation
    columns: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    between: float
    within: float
    datasets: int
    observations: int

    @classmethod
    def fit(cls, observations: Sequence[Observation], columns: Sequence[str], adaptation: Adaptation) -> Self:
        """Fit the model to observations whose accuracy is known.

        Raises:
            HistoryTooSmall: fewer than three datasets.
        """
        known = [found for found in observations if found.accuracy is not None]
        names = sorted({found.dataset for found in known})
        if len(names) < _FEWEST_DATASETS:
            raise HistoryTooSmall(f"predicted accuracy needs results of three datasets, got {len(names)}")
        raw = _matrix(known, columns)
        centre, scale = raw.mean(axis=0), raw.std(axis=0)
        scale[scale == 0] = 1.0
        x = (raw - centre) / scale
        accuracies = np.array([found.accuracy for found in known], dtype=np.float64)
        y = _logit(accuracies)
        own = np.array([[found.dataset == name for name in names] for found in known], dtype=np.float64)
        middle = float(y.mean())
        found = fit_variance_components(np.concatenate([x, own], axis=1), y - middle, [len(columns), len(names)])
        q = len(columns)
        # The effects are about their own mean, which takes one degree of freedom.
        between, within = float(found.variances[1]) * len(names) / (len(names) - 1), float(found.noise)
        # The intercept is as well known as the mean of so many effects.
        covariance = np.zeros((q + 1, q + 1))
        covariance[0, 0] = between / len(names) + within / len(known)
        covariance[1:, 1:] = found.covariance[:q, :q]
        return cls(
            adaptation=adaptation,
            columns=tuple(columns),
            centre=_plain(centre),
            scale=_plain(scale),
            lowest=_plain(x.min(axis=0)),
            highest=_plain(x.max(axis=0)),
            mean=(middle, *_plain(found.mean[:q])),
            covariance=tuple(_plain(row) for row in covariance),
            between=between,
            within=within,
            datasets=len(names),
            observations=len(known),
        )

    def predict(self, observations: Sequence[Observation], *, level: float = 0.9, seed: int = 0) -> list[Prediction]:
        """Predictions for checkpoints of one dataset.

        Args:
            observations: of one dataset, in any order; their accuracies are not looked at.
            level: of the intervals, in (0, 1).
            seed: of the draws behind `probability_best`.
        """
        x = (_matrix(observations, self.columns) - self.centre) / self.scale
        low, high = np.array(self.lowest), np.array(self.highest)
        slack = _BEYOND * (high - low)
        unlike = ((x < low - slack) | (x > high + slack)).any(axis=1)
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        mean, covariance = design @ np.array(self.mean), np.array(self.covariance)
        of_mean = np.einsum("np,pq,nq->n", design, covariance, design)
        variance = of_mean + self.between + self.within
        # Satterthwaite: the variance of datasets is known from few of them.
        freedom = variance**2 / (
            (of_mean + self.between) ** 2 / (self.datasets - 1)
            + self.within**2 / max(self.observations - self.datasets, 1)
        )
        reach = students_t.ppf(0.5 + level / 2, freedom) * np.sqrt(variance * np.where(unlike, _UNLIKE, 1.0))
        best = self._probability_best(design, mean, seed)
        return [
            Prediction(
                accuracy=float(expit(mean[i])),
                low=float(expit(mean[i] - reach[i])),
                high=float(expit(mean[i] + reach[i])),
                level=level,
                adaptation=self.adaptation,
                probability_best=float(best[i]),
                unlike_evidence=bool(unlike[i]),
            )
            for i in range(len(observations))
        ]

    def _probability_best(self, design: Floats, mean: Floats, seed: int) -> Floats:
        """What is peculiar to the dataset is the same for all and decides nothing."""
        generator = np.random.default_rng(seed)
        slopes = generator.multivariate_normal(np.zeros(design.shape[1]), np.array(self.covariance), size=_DRAWS)
        noise = generator.normal(scale=np.sqrt(self.within), size=(_DRAWS, len(mean)))
        first = (mean + slopes @ design.T + noise).argmax(axis=1)
        return np.bincount(first, minlength=len(mean)) / _DRAWS


def _matrix(observations: Sequence[Observation], columns: Sequence[str]) -> Floats:
    return np.array([[_column(name, found.columns) for name in columns] for found in observations], dtype=np.float64)


def _column(name: str, columns: Mapping[str, float]) -> float:
    value = columns[name]
    return float(_logit(np.array(value))) if name.endswith("accuracy") else value


def _logit(share: Floats) -> Floats:
    return np.asarray(logit((share * _EXAMPLES + 0.5) / (_EXAMPLES + 1)))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
