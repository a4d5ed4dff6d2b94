"""What a ranking is asked for, what a step is told, and what it answers: all JSON, so any process can do a step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from frontrunner import scores
from frontrunner.data import DatasetOptions, DatasetReport
from frontrunner.data.dataset import Key
from frontrunner.hub import CheckpointDescription

DEFAULT_MAX_EXAMPLES = 5000
MAX_CHECKPOINTS = 1000


class RankingRequest(BaseModel):
    """Options of a ranking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoints: tuple[str, ...] | None = Field(
        default=None,
        max_length=MAX_CHECKPOINTS,
        description="Ids of the checkpoints to rank; all known ones of the dataset's modality by default.",
    )
    scores: tuple[str, ...] = Field(
        default=("logme",), min_length=1, description="Scores to compute; the first one orders the ranking."
    )
    max_examples: int = Field(
        default=DEFAULT_MAX_EXAMPLES,
        ge=2,
        le=1_000_000,
        description="At most this many training examples are read: a stratified, seeded sample.",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of the sample.")

    @field_validator("scores")
    @classmethod
    def _known_scores(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            scores.describe(name)
        return tuple(dict.fromkeys(value))


class DatasetReference(BaseModel):
    """Where a runner finds the dataset, and what its check left out."""

    model_config = ConfigDict(frozen=True)

    path: Path
    name: str
    digest: str
    options: DatasetOptions = DatasetOptions()
    unreadable: tuple[Key, ...] = ()

    @classmethod
    def of(cls, path: Path, report: DatasetReport, options: DatasetOptions) -> DatasetReference:
        """The dataset at `path` as checked by `report`."""
        return cls(
            path=path,
            name=report.name,
            digest=report.digest,
            options=options,
            unreadable=tuple(file.key for file in report.unreadable),
        )


class StepOrder(BaseModel):
    """One checkpoint to read and score on one dataset."""

    model_config = ConfigDict(frozen=True)

    dataset: DatasetReference
    checkpoint: CheckpointDescription
    scores: tuple[str, ...]
    max_examples: int
    seed: int
    cache: Path


def step_orders(
    request: RankingRequest, dataset: DatasetReference, checkpoints: Sequence[CheckpointDescription], cache: Path
) -> list[StepOrder]:
    """One order for each checkpoint, in the order given."""
    return [
        StepOrder(
            dataset=dataset,
            checkpoint=checkpoint,
            scores=request.scores,
            max_examples=request.max_examples,
            seed=request.seed,
            cache=cache,
        )
        for checkpoint in checkpoints
    ]


class ScoreOutput(BaseModel):
    """A score of one checkpoint; higher is better. `low` and `high` bound it where they are known."""

    value: float
    low: float | None = None
    high: float | None = None


class StepOutput(BaseModel):
    """What a finished step says of its checkpoint."""

    scores: dict[str, ScoreOutput]
    examples: int = Field(description="Examples that the scores rest on.")
    forward_examples: int = Field(description="Examples that went through the checkpoint; 0 where all were cached.")
    feature_dimension: int
    feature_key: str = Field(description="Digest under which the features are cached.")
    feature_bytes: int
    seconds: float = Field(description="Wall clock of the step.")
    scoring_seconds: float = Field(description="Of which spent on scores.")
