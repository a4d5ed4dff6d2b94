"""The criteria of a ranking: predicted accuracy, every registered score, the domain discrepancy, and risk bounds.

Any of them can order a ranking.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, field_validator

from frontrunner import scores
from frontrunner.data.dataset import Modality, Task
from frontrunner.discrepancy import VERSION
from frontrunner.discrepancy.risk import LARGEST_SAMPLE
from frontrunner.errors import UnknownScore
from frontrunner.ranking.prediction import PREDICTED_ACCURACY, AccuracyModel, Adaptation, model_for
from frontrunner.scores import ScoreDescription
from frontrunner.scores.score import CLASSIFICATION, EVERY_TASK, Needs

LOGME = "logme"
DISCREPANCY = "discrepancy"
RISK_BOUND = "risk_bound"
PUBLISHED_RISK_BOUND = "published_risk_bound"
# The criteria that depend on where the discrepancy is measured from.
OF_DISCREPANCY = frozenset({DISCREPANCY, RISK_BOUND, PUBLISHED_RISK_BOUND})

_RISK = ScoreDescription(
    name=RISK_BOUND,
    title="Risk bound",
    citation="McAllester 1999; He & Tao 2021, Theorem 2 with twice the KL divergence",
    needs="features",
    tasks=EVERY_TASK,
    range="below 0; the raw value is at least 0, the lower the better, and above 1 says nothing of the risk itself",
    cost="LogME, and D^2 for each of at most 4,096 rows",
    explanation="Leave-one-out error of a linear head plus the PAC-Bayes gap of its distance from the start.",
    largest_sample=LARGEST_SAMPLE,
    version=VERSION,
)
_PREDICTED = ScoreDescription(
    name=PREDICTED_ACCURACY,
    title="Predicted accuracy",
    citation="fitted to real adaptations, docs/benchmarks.md",
    needs="features",
    tasks=CLASSIFICATION,
    range="0 to 1: the share of new examples that the adapted checkpoint gets right",
    cost="that of the scores that it is made of",
    explanation="What adapting the checkpoint is expected to reach, from its scores and its size.",
    version=1,
)
_OWN = (
    ScoreDescription(
        name=DISCREPANCY,
        title="Discrepancy",
        citation="He & Tao 2021, Definition 3 per parameter of a linear head",
        needs="statistics",
        tasks=EVERY_TASK,
        range="unbounded; the raw value is the discrepancy, the lower the better; it grows with the number of features",
        cost="negligible beside LogME",
        explanation="How little the data move a linear head from where it starts; near is not yet good.",
        version=VERSION,
    ),
    _RISK,
    replace(
        _RISK,
        name=PUBLISHED_RISK_BOUND,
        title="Risk bound, published",
        citation="He & Tao 2021, Corollary 1",
        explanation="Leave-one-out error of a linear head plus the gap as published, which grows with the head's size.",
    ),
)


def _known() -> dict[str, ScoreDescription]:
    """Everything that a ranking can be asked for, by name, the default first; scores may be added at any time."""
    return {known.name: known for known in (_PREDICTED, *scores.registered(), *_OWN)}


class ListedScore(BaseModel):
    """A score as the API and the command line list it."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="The name in requests and results.")
    title: str = Field(description="The name as tables print it.")
    citation: str = Field(description="Paper and year.")
    needs: Needs = Field(description="What it is computed from.")
    tasks: list[Task] = Field(description="The tasks that it is defined for.")
    range: str = Field(description="The values it can take, in words.")
    cost: str = Field(description="How its work grows, in words.")
    explanation: str = Field(description="What it measures, in a sentence.")
    largest_sample: int | None = Field(description="Rows that it reads; larger datasets are sampled. None: all.")
    version: int = Field(description="Raised whenever the number for the same input changes.")

    @field_validator("tasks", mode="before")
    @classmethod
    def _in_one_order(cls, value: Iterable[str]) -> list[str]:
        return sorted(value)


class ScoreList(BaseModel):
    """Everything that a ranking can be asked for, the default first."""

    items: list[ListedScore]

    @classmethod
    def of_all(cls) -> ScoreList:
        """Every score there is."""
        return cls(items=[ListedScore.model_validate(known) for known in _known().values()])


def describe(name: str) -> ScoreDescription:
    """The score called `name`.

    Raises:
        UnknownScore: there is none.
    """
    known = _known()
    try:
        return known[name]
    except KeyError:
        raise UnknownScore(f"there is no score '{name}'; choose from: {', '.join(known)}") from None


def default_scores(modality: Modality, task: Task, adaptation: Adaptation) -> tuple[str, ...]:
    """The scores of a ranking that names none: predicted accuracy where there is evidence for it, and LogME.

    Example:
        >>> default_scores("image", "classification", "full"), default_scores("text", "classification", "full")
        (('predicted_accuracy', 'logme'), ('logme',))
    """
    return (LOGME,) if model_for(modality, task, adaptation) is None else (PREDICTED_ACCURACY, LOGME)


def measured_names(
    asked: tuple[str, ...], task: Task, model: AccuracyModel | None, *, with_baselines: bool
) -> tuple[str, ...]:
    """The scores that a step computes: those asked for, LogME, the discrepancy and, if wanted, the baselines.

    The baselines are kNN and a linear probe: logistic regression for classes, ridge regression otherwise. What `model`
    predicts from is computed if its prediction is asked for.
    """
    behind = model.scores if model is not None and PREDICTED_ACCURACY in asked else ()
    probe = "linear_probe" if task == "classification" else "ridge_probe"
    baselines = ("knn", probe) if with_baselines else ()
    return tuple(dict.fromkeys((*asked, LOGME, DISCREPANCY, *baselines, *behind)))
