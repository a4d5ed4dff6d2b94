"""Past results of fine-tuning: a row for each checkpoint and dataset, read from CSV, held as matrices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri
from scipy.stats import rankdata

from frontrunner.evidence.errors import HistoryTooSmall, InvalidHistory

Floats = NDArray[np.float64]
# A result that this share of a dataset's checkpoints have to the last digit is what a constant answer gives.
_COLLAPSED_SHARE = 0.05
_COLLAPSED_ROWS = 5
# Equal results near the best are a set that is solved, and not runs that learned nothing.
_COLLAPSED_BELOW = 0.9


class PastResult(BaseModel):
    """One result of fine-tuning."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(min_length=1, max_length=255, description="Id of the checkpoint.")
    dataset: str = Field(min_length=1, max_length=255)
    accuracy: float = Field(ge=0, le=1, description="On data that was not trained on, as a share.")
    protocol: str = Field(default="", max_length=500, description="How it was made; results of one are compared.")
    scores: dict[str, float] = Field(default={}, description="What was measured before fine-tuning; higher is better.")
    family: str | None = Field(default=None, max_length=255)
    parameters: float | None = Field(default=None, gt=0)
    input_size: float | None = Field(default=None, gt=0, description="Pixels a side.")
    source_dataset: str | None = Field(default=None, max_length=255, description="What it was trained on before.")
    source_accuracy: float | None = Field(default=None, description="What it reached there, in any one unit.")
    dataset_size: float | None = Field(default=None, gt=0, description="Examples.")
    dataset_classes: float | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class CheckpointFacts:
    """What is known of a checkpoint without a pass; None is unknown.

    Attributes:
        family: `vit`, `bert`.
        parameters: weights.
        input_size: pixels a side.
        source_accuracy: what it reached on what it was trained on before; comparable within one history only.
        public: further numbers by name, such as those of `frontrunner.evidence.facts`.
    """

    family: str | None = None
    parameters: float | None = None
    input_size: float | None = None
    source_accuracy: float | None = None
    public: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a dataset before it is read; None is unknown.

    Attributes:
        size: examples.
        classes: how many.
    """

    size: float | None = None
    classes: float | None = None


@dataclass(frozen=True)
class History:
    """Results as matrices, NaN where there is none. Checkpoints are rows, datasets are columns.

    Attributes:
        models: (M) ids, ascending.
        datasets: (K) names, ascending.
        accuracy: (M, K), shares.
        scores: (M, K) by name of the score.
        checkpoints: (M) facts.
        sets: (K) facts.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    accuracy: Floats
    scores: dict[str, Floats]
    checkpoints: tuple[CheckpointFacts, ...]
    sets: tuple[DatasetFacts, ...]

    @classmethod
    def of(cls, rows: Iterable[PastResult], public: dict[str, dict[str, float]] | None = None) -> History:
        """The history of rows that were made in one way; rows of one checkpoint and dataset are averaged.

        Args:
            rows: results.
            public: further facts by checkpoint id.

        Raises:
            InvalidHistory: rows of several protocols, whose results are not compared.

        Example:
            >>> results = [("a", 0.9), ("b", 0.7), ("b", 0.8)]
            >>> rows = [PastResult(model=model, dataset="pets", accuracy=value) for model, value in results]
            >>> History.of(rows).accuracy.ravel().tolist()
            [0.9, 0.75]
        """
        rows = list(rows)
        if len(protocols := sorted({row.protocol for row in rows})) > 1:
            raise InvalidHistory(
                f"results of {len(protocols)} protocols are not compared; choose one of: "
                + ", ".join(repr(name) for name in protocols[:8])
            )
        models, datasets = sorted({row.model for row in rows}), sorted({row.dataset for row in rows})
        names = sorted({name for row in rows for name in row.scores})
        by_model, by_set = defaultdict(list), defaultdict(list)
        for row in rows:
            by_model[row.model].append(row)
            by_set[row.dataset].append(row)
        place = {name: i for i, name in enumerate(models)}, {name: i for i, name in enumerate(datasets)}
        cells = [(place[0][row.model], place[1][row.dataset]) for row in rows]
        shape = len(models), len(datasets)
        return cls(
            tuple(models),
            tuple(datasets),
            _means(cells, [row.accuracy for row in rows], shape),
            {name: _means(cells, [row.scores.get(name) for row in rows], shape) for name in names},
            tuple(_checkpoint_facts(by_model[name], (public or {}).get(name, {})) for name in models),
            tuple(_dataset_facts(by_set[name]) for name in datasets),
        )

    @cached_property
    def normal_scores(self) -> Floats:
        """(M, K): of the results within each dataset."""
        scores = np.empty(self.accuracy.shape)
        for place, column in enumerate(self.accuracy.T):
            scores[:, place] = normal_scores(column)
        return scores

    def without(self, *datasets: str) -> History:
        """The same checkpoints and the other datasets."""
        keep = [i for i, name in enumerate(self.datasets) if name not in datasets]
        if len(keep) < 2:
            raise HistoryTooSmall(f"at least two datasets are to be left besides {', '.join(datasets)}")
        return History(
            self.models,
            tuple(self.datasets[i] for i in keep),
            self.accuracy[:, keep],
            {name: values[:, keep] for name, values in self.scores.items()},
            self.checkpoints,
            tuple(self.sets[i] for i in keep),
        )


def normal_scores(values: Floats) -> Floats:
    """(n,) The normal quantiles of the ranks, (rank - 1/2) / n; ties share the middle of their ranks. NaN stays NaN.

    Source:
        Van der Waerden's scores in the form of Hazen.

    Example:
        >>> normal_scores(np.array([0.2, np.nan, 0.9, 0.5])).round(3).tolist()
        [-0.967, nan, 0.967, 0.0]
    """
    known = np.isfinite(values)
    found = np.full(values.shape, np.nan)
    if known.any():
        found[known] = ndtri((rankdata(values[known]) - 0.5) / known.sum())
    return found


def collapsed_results(results: Sequence[PastResult]) -> NDArray[np.bool_]:
    """(n,) Whether a result looks like a run that learned nothing: many checkpoints share one low result exactly.

    A network that answers one class for everything has the share of that class, whatever the checkpoint. Such a
    result is below the median or at it, below 0.9 of the best, and 5% of the dataset's results are equal to it, and
    at least 5.

    Example:
        >>> reached = [0.25] * 5 + [0.70, 0.71, 0.72, 0.73, 0.74, 0.75]
        >>> results = [PastResult(model=str(i), dataset="news", accuracy=value) for i, value in enumerate(reached)]
        >>> int(collapsed_results(results).sum())
        5
    """
    by_set = defaultdict(list)
    for place, result in enumerate(results):
        by_set[result.dataset, result.protocol].append(place)
    accuracy = np.array([result.accuracy for result in results]).round(6)
    found = np.zeros(len(results), dtype=np.bool_)
    for places in by_set.values():
        reached = accuracy[places]
        values, counts = np.unique(reached, return_counts=True)
        shared = counts >= max(_COLLAPSED_ROWS, _COLLAPSED_SHARE * reached.size)
        low = (values <= np.median(reached)) & (values < _COLLAPSED_BELOW * reached.max())
        found[places] = np.isin(reached, values[shared & low])
    return found


def _means(cells: Sequence[tuple[int, int]], values: Sequence[float | None], shape: tuple[int, int]) -> Floats:
    total, count = np.zeros(shape), np.zeros(shape)
    for cell, value in zip(cells, values, strict=True):
        if value is not None:
            total[cell] += value
            count[cell] += 1
    means: Floats = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return means


def _checkpoint_facts(rows: Sequence[PastResult], public: dict[str, float]) -> CheckpointFacts:
    return CheckpointFacts(
        family=next((row.family for row in rows if row.family), None),
        parameters=_first([row.parameters for row in rows]),
        input_size=_first([row.input_size for row in rows]),
        source_accuracy=_first([row.source_accuracy for row in rows]),
        public=public,
    )


def _dataset_facts(rows: Sequence[PastResult]) -> DatasetFacts:
    return DatasetFacts(_first([row.dataset_size for row in rows]), _first([row.dataset_classes for row in rows]))


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
