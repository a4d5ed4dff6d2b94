"""What a history says of checkpoints on a dataset that nobody tried: an order before any forward pass.

Results are normal scores within each dataset. They are modelled as

    y_md = a_m + x_m' b + x_m' C z_d + e_md

a_m is the checkpoint's own mean, x_m its facts (family, size, what it reached before), z_d the dataset's (log
examples, log classes). Five groups of coefficients are drawn around 0, each with a variance that the evidence sets:
own means, and for categories and for numbers b and C. So means of few results are shrunk, and facts count as far as
they have helped. A checkpoint that was never seen has a_m = 0 with its full variance: its belief rests on its facts
and is wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontrunner.evidence.checkpoint_facts import FactColumns, dataset_columns
from frontrunner.evidence.errors import HistoryTooSmall
from frontrunner.evidence.facts import TOP1
from frontrunner.evidence.history import CheckpointFacts, DatasetFacts, History, normal_scores
from frontrunner.evidence.variance_components import VarianceComponents, fit_variance_components

Floats = NDArray[np.float64]
# Groups of coefficients, in the order of their columns.
_OWN, _CATEGORIES, _NUMBERS, _CATEGORIES_BY_SET, _NUMBERS_BY_SET = range(5)
# Correlation of a checkpoint's public accuracy with its place on a new set, where there is no history to learn it from.
# Deliberately low: it has to hold for sets far from the pretraining data, where published correlations are near .5.
WITHOUT_HISTORY = 0.5


@dataclass(frozen=True)
class Belief:
    """What is believed of each of n checkpoints on a dataset, as normal scores: 0 is the middle, 1.28 the best tenth.

    Attributes:
        mean: (n,).
        deviation: (n,) of the result about the mean: the belief's own width and the scatter of results.
    """

    mean: Floats
    deviation: Floats


@dataclass(frozen=True)
class Prior:
    """The model of a history; `fit_prior` makes it."""

    models: dict[str, int]
    columns: FactColumns
    components: VarianceComponents
    sets: tuple[DatasetFacts, ...]

    def predict(self, models: Sequence[str], checkpoints: Sequence[CheckpointFacts], dataset: DatasetFacts) -> Belief:
        """What is believed of checkpoints on a dataset.

        Args:
            models: (n) ids; those that the history does not know are believed by their facts alone.
            checkpoints: (n) their facts.
            dataset: the target's facts.
        """
        own = np.zeros((len(models), len(self.models)))
        known = np.array([self.models.get(name, -1) for name in models], dtype=np.int64)
        own[np.flatnonzero(known >= 0), known[known >= 0]] = 1.0
        categories, numbers, strange = self.columns.of(checkpoints)
        target = dataset_columns([dataset], self.sets)[0]
        mean, variance = self.components.predict(_design(own, categories, numbers, target))
        # Coefficients of what was never seen have their prior's variance, and are independent of the others.
        variances = self.components.variances
        variance += variances[_OWN] * (known < 0)
        variance += strange * (variances[_CATEGORIES] + variances[_CATEGORIES_BY_SET] * (target @ target))
        return Belief(mean, np.sqrt(variance + self.components.noise))


def fit_prior(history: History) -> Prior:
    """Fit the model to all results of a history.

    Raises:
        HistoryTooSmall: fewer than two datasets on which at least two checkpoints differ.
    """
    scores = history.normal_scores
    known = np.isfinite(scores)
    if np.sum([np.unique(column[np.isfinite(column)]).size > 1 for column in scores.T]) < 2:
        raise HistoryTooSmall("a prior needs results of at least two datasets with two checkpoints each")
    columns = FactColumns.fit(history.checkpoints)
    categories, numbers, _ = columns.of(history.checkpoints)
    targets = dataset_columns(history.sets, history.sets)
    own = np.eye(len(history.models))
    design = np.concatenate(
        [
            _design(own[rows], categories[rows], numbers[rows], target)
            for rows, target in zip(known.T, targets, strict=True)
        ]
    )
    c, q, z = categories.shape[1], numbers.shape[1], targets.shape[1]
    components = fit_variance_components(design, scores.T[known.T], [len(own), c, q, c * z, q * z])
    return Prior({name: i for i, name in enumerate(history.models)}, columns, components, history.sets)


def believe(
    models: Sequence[str], checkpoints: Sequence[CheckpointFacts], dataset: DatasetFacts, history: History | None = None
) -> Belief:
    """What is believed of checkpoints on a dataset before any pass: by the history, else by published accuracy.

    Args:
        models: (n) ids.
        checkpoints: (n) their facts.
        dataset: the target's facts.
        history: past results; one of fewer than two datasets counts as none.
    """
    if history is not None:
        try:
            return fit_prior(history).predict(models, checkpoints, dataset)
        except HistoryTooSmall:
            pass  # a single dataset cannot tell a checkpoint's own mean from luck
    return belief_without_history(np.array([facts.public.get(TOP1, np.nan) for facts in checkpoints]))


def belief_without_history(public_accuracy: Floats) -> Belief:
    """What is believed where there is no history: the order of a public accuracy, loosely.

    Args:
        public_accuracy: (n,) such as top-1 on ImageNet, any unit; NaN where it is not known.

    Example:
        >>> belief = belief_without_history(np.array([80.0, 70.0, np.nan]))
        >>> belief.mean.round(2).tolist(), belief.deviation.round(2).tolist()
        ([0.34, -0.34, 0.0], [0.87, 0.87, 1.0])
    """
    known = np.isfinite(public_accuracy)
    mean = np.where(known, WITHOUT_HISTORY * np.nan_to_num(normal_scores(public_accuracy)), 0.0)
    return Belief(mean, np.where(known, np.sqrt(1 - WITHOUT_HISTORY**2), 1.0))


def _design(own: Floats, categories: Floats, numbers: Floats, target: Floats) -> Floats:
    """(n, p) Columns in the order of the groups: facts stand alone, and times each column of the dataset."""
    by_set = [facts * value for facts in (categories, numbers) for value in target]
    return np.concatenate([own, categories, numbers, *by_set], axis=1)
