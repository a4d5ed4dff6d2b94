"""Predicted accuracy: what a checkpoint will reach on a dataset once it is adapted, with an interval that covers.

The logit of the accuracy is modelled as

    logit y_md = w' x_md + u_d + e_md

x_md is what a ranking measured without adapting anything, u_d what is peculiar to a dataset, e_md the rest. Both have
variances that the evidence sets. A new dataset's u is unknown: its variance is part of every interval, but not of the
comparison of two checkpoints on it, which share it. `frontrunner.evidence.prediction` fits such models; those that come
with the library were fitted to the runs that docs/benchmarks.md tells of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from scipy.special import expit, logit, stdtrit

from frontrunner.data.dataset import Modality, Task
from frontrunner.scores import ScoreValue
from frontrunner.scores.intervals import share_of_firsts

Floats: TypeAlias = NDArray[np.float64]
Adaptation: TypeAlias = Literal["full", "probe", "lora"]
ADAPTATIONS: tuple[Adaptation, ...] = get_args(Adaptation)
PREDICTED_ACCURACY = "predicted_accuracy"
# What a column may name beside scores: facts, which cost no forward pass.
FACTS = ("parameters", "feature_dimension", "examples")
# Shares of 0 and 1 have no logit: they are taken for half an example of so many.
_EXAMPLES = 500
# A column beyond the range of the evidence by more than this share of it is unlike anything seen.
_BEYOND = 0.25
# What variances are multiplied by there: nothing is known, so a round number that shows.
_UNLIKE = 2.0
_DRAWS = 4000
_SHIPPED = "accuracy_models.json"
# A column's name: how a number enters, then which.
_FORMS: dict[str, Callable[[Floats], Floats]] = {
    "logit": lambda share: np.asarray(logit((np.clip(share, 0.0, 1.0) * _EXAMPLES + 0.5) / (_EXAMPLES + 1))),
    "log": lambda number: np.asarray(np.log(np.maximum(number, 1e-9))),
}


def facts_of(parameters: int, feature_dimension: int, examples: int) -> dict[str, float]:
    """`FACTS` of a checkpoint and a dataset, by name."""
    return dict(zip(FACTS, (parameters, feature_dimension, examples), strict=True))


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


class Behind(BaseModel):
    """How far a checkpoint stays behind the first one of its ranking; what is peculiar to the dataset falls out."""

    accuracy: float = Field(description="The median of the difference, first minus this one, in [-1, 1].")
    low: float = Field(description="Lower end of the difference's interval.")
    high: float = Field(description="Upper end of the difference's interval.")
    probability: float = Field(description="That the first one reaches more.")


class AccuracyModel(BaseModel):
    """A fitted model.

    Attributes:
        modality: of the datasets that it was fitted to.
        adaptation: what it predicts.
        columns: names of x, in order: a score or one of `FACTS`, alone or after `log` or `logit`. `examples` are those
            that adapting has at hand.
        centre, scale: (q,) by which columns are standardised.
        lowest, highest: (q,) of the standardised columns in the evidence.
        mean, covariance: (q + 1,) and (q + 1, q + 1) of w, the intercept first.
        between: variance of u.
        within: variance of e.
        datasets, observations: how many it was fitted to.
    """

    model_config = ConfigDict(frozen=True)

    modality: Modality
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

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores that it needs."""
        names = (name.rpartition(" ")[2] for name in self.columns)
        return tuple(dict.fromkeys(name for name in names if name not in FACTS))

    def score(self, scores: Mapping[str, ScoreValue], facts: Mapping[str, float]) -> ScoreValue:
        """The predicted accuracy as a score that orders checkpoints, with the replicates of the scores behind it.

        Its interval is not that of draws of the examples, which would leave out how far such predictions are off:
        `Prediction` has it.

        Args:
            scores: the measured ones, `self.scores` among them.
            facts: of the checkpoint and the dataset, `FACTS`.
        """
        needed = [scores[name] for name in self.scores]
        groups = {len(score.replicates) for score in needed}
        values = {name: score.value for name, score in zip(self.scores, needed, strict=True)}
        accuracy = float(self._median([{**values, **facts}])[0])
        replicates: tuple[float, ...] = ()
        if len(groups) == 1:  # the same groups of examples
            rows = zip(*(score.replicates for score in needed), strict=True)
            drawn = [{**dict(zip(self.scores, row, strict=True)), **facts} for row in rows]
            replicates = tuple(self._median(drawn).tolist()) if drawn else ()
        return ScoreValue(value=accuracy, raw=accuracy, replicates=replicates)

    def predict(
        self, measured: Sequence[Mapping[str, float]], *, level: float = 0.9, seed: int = 0
    ) -> list[Prediction]:
        """Predictions for checkpoints on one dataset.

        Args:
            measured: of each checkpoint, by name: `self.scores` and `FACTS`.
            level: of the intervals, in (0, 1).
            seed: of the draws behind `probability_best`.
        """
        raw, x = self._standardised(measured), self._believed(measured)
        low, high = np.array(self.lowest), np.array(self.highest)
        slack = _BEYOND * (high - low)
        unlike = ((raw < low - slack) | (raw > high + slack)).any(axis=1)
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        mean, covariance = design @ np.array(self.mean), np.array(self.covariance)
        of_mean = np.einsum("np,pq,nq->n", design, covariance, design)
        variance = of_mean + self.between + self.within
        # Satterthwaite: the variance of datasets is known from few of them.
        freedom = variance**2 / (
            (of_mean + self.between) ** 2 / (self.datasets - 1)
            + self.within**2 / max(self.observations - self.datasets, 1)
        )
        reach = stdtrit(freedom, 0.5 + level / 2) * np.sqrt(variance * np.where(unlike, _UNLIKE, 1.0))
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
            for i in range(len(measured))
        ]

    def behind_first(
        self, measured: Sequence[Mapping[str, float]], *, level: float = 0.9, seed: int = 0
    ) -> list[Behind]:
        """How far each but the first of several checkpoints on one dataset stays behind the first.

        Args:
            measured: as for `predict`; one checkpoint at least.
            level: of the intervals, in (0, 1).
            seed: of the draws.

        Returns:
            One for each of `measured[1:]`. What is peculiar to the dataset is drawn too, but one for all: it moves a
            difference only where it takes both towards 0 or 1.
        """
        x = self._believed(measured)
        design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        generator = np.random.default_rng(seed)
        drawn = self._drawn(design, design @ np.array(self.mean), generator)
        accuracies = expit(drawn + generator.normal(scale=np.sqrt(self.between), size=(len(drawn), 1)))
        lead = accuracies[:, :1] - accuracies[:, 1:]
        low, median, high = np.quantile(lead, (0.5 - level / 2, 0.5, 0.5 + level / 2), axis=0)
        ahead = (lead > 0).mean(axis=0)
        return [
            Behind(accuracy=float(m), low=float(a), high=float(b), probability=float(p))
            for a, m, b, p in zip(low, median, high, ahead, strict=True)
        ]

    def _standardised(self, measured: Sequence[Mapping[str, float]]) -> Floats:
        return np.asarray((column_matrix(measured, self.columns) - np.array(self.centre)) / np.array(self.scale))

    def _believed(self, measured: Sequence[Mapping[str, float]]) -> Floats:
        """Standardised columns, facts no further out than the evidence: nobody knows that their worth goes on."""
        facts = [column.rpartition(" ")[2] in FACTS for column in self.columns]
        x = self._standardised(measured)
        return np.asarray(np.where(facts, np.clip(x, self.lowest, self.highest), x))

    def _median(self, measured: Sequence[Mapping[str, float]]) -> Floats:
        return np.asarray(expit(self.mean[0] + self._believed(measured) @ np.array(self.mean[1:])))

    def _probability_best(self, design: Floats, mean: Floats, seed: int) -> Floats:
        """What is peculiar to the dataset is the same for all and decides nothing."""
        return share_of_firsts(self._drawn(design, mean, np.random.default_rng(seed)))

    def _drawn(self, design: Floats, mean: Floats, generator: np.random.Generator) -> Floats:
        """(draws, n) logits of the accuracies, without what is peculiar to the dataset."""
        slopes = generator.multivariate_normal(np.zeros(design.shape[1]), np.array(self.covariance), size=_DRAWS)
        noise = generator.normal(scale=np.sqrt(self.within), size=(_DRAWS, len(mean)))
        return np.asarray(mean + slopes @ design.T + noise)


def column_matrix(measured: Sequence[Mapping[str, float]], columns: Sequence[str]) -> Floats:
    """(n, q) The numbers that `columns` name, of each of n checkpoints.

    Example:
        >>> column_matrix([{"knn": 0.5, "parameters": 1000}], ["logit knn", "log parameters"]).round(1)
        array([[0. , 6.9]])
    """
    matrix = np.empty((len(measured), len(columns)))
    for place, column in enumerate(columns):
        form, _, name = column.rpartition(" ")
        numbers = np.array([found[name] for found in measured], dtype=np.float64)
        matrix[:, place] = _FORMS[form](numbers) if form else numbers
    return matrix


def accuracy_logits(accuracies: Sequence[float]) -> Floats:
    """(n,) What the model is linear in."""
    return _FORMS["logit"](np.array(accuracies, dtype=np.float64))


@functools.cache
def shipped_models() -> tuple[AccuracyModel, ...]:
    """The models that come with the library."""
    text = files("frontrunner.ranking").joinpath(_SHIPPED).read_bytes()
    return TypeAdapter(tuple[AccuracyModel, ...]).validate_json(text)


def model_for(modality: Modality, task: Task, adaptation: Adaptation) -> AccuracyModel | None:
    """The model of an adaptation to such datasets; None where there is no evidence."""
    if task != "classification":
        return None
    return next((m for m in shipped_models() if (m.modality, m.adaptation) == (modality, adaptation)), None)
