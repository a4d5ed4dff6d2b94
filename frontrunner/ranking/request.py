"""What a ranking is asked for, what a step is told, and what it answers: all JSON, so any process can do a step."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from frontrunner.data.dataset import Modality, Task
from frontrunner.data.reference import DatasetReference
from frontrunner.discrepancy import GapKind, NoiseModel, Reference, Space
from frontrunner.errors import UnknownScore
from frontrunner.extraction import Rows
from frontrunner.hub import CheckpointDescription, Constraints, ReadingCost, ReadingProvenance
from frontrunner.hub.describing.variants import require_choice
from frontrunner.limits import DEFAULT_MAX_EXAMPLES, Name
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.criteria import LOGME, default_scores, describe
from frontrunner.ranking.picture import Picture
from frontrunner.ranking.prediction import Adaptation
from frontrunner.ranking.sources import SourceReference
from frontrunner.scores import ScoreValue

MAX_CHECKPOINTS = 1000
MAX_SCORES = 100


class RankingRequest(BaseModel):
    """Options of a ranking."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    checkpoints: tuple[Name, ...] | None = Field(
        default=None,
        max_length=MAX_CHECKPOINTS,
        description="Ids of the checkpoints to rank; all known ones of the dataset's modality by default. "
        "`ID#layer=3` and the like name variants of one that reads texts.",
    )
    variant: str | None = Field(
        default=None,
        max_length=100,
        exclude_if=lambda variant: variant is None,
        description="How every checkpoint is read that is not named with a variant: `layer=mean` by the mean over "
        "its layers, `layer=each` by each of them as an entry, `layer=best` by the one that scores highest; "
        "`words=mean` or `words=first`, and `pooling=cls`; several with commas between them.",
    )
    constraints: Constraints = Field(default=Constraints(), description="Limits that a checkpoint must keep.")
    scores: tuple[Name, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SCORES,
        description="Scores to compute; the first one orders the ranking. By default the predicted accuracy and LogME; "
        "LogME alone where there is no evidence to predict from.",
    )
    adaptation: Adaptation = Field(
        default="full",
        description="How the chosen checkpoint is going to be adapted: `full` fine-tuning, a linear `probe` on frozen "
        "features, or `lora`. Accuracy is predicted for it.",
    )
    rank_by: Name | None = Field(
        default=None, description="Which of `scores` orders the ranking; the first one by default."
    )
    baselines: bool = Field(
        default=True, description="Compute kNN and a linear probe too, as baselines for the scores."
    )
    max_examples: int = Field(
        default=DEFAULT_MAX_EXAMPLES,
        ge=2,
        le=1_000_000,
        description="At most this many training examples are read: a stratified, seeded sample.",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of the sample.")
    budget: str | None = Field(
        default=None,
        max_length=40,
        description="What may be spent, and the checkpoints race for it: seconds of work (`10m`), a share of what "
        "reading every example with every checkpoint takes (`30%`), or a number of examples (`20000 images`).",
    )

    verify: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="At most so many of those that may be the best are adapted for a short while, and measured on "
        "held-out training examples; 0 for none. By default 3 where a budget reaches for it, and none without one.",
    )

    @field_validator("variant")
    @classmethod
    def _readable_variant(cls, value: str | None) -> str | None:
        if value is not None:
            require_choice(value)
        return value

    @field_validator("budget")
    @classmethod
    def _readable_budget(cls, value: str | None) -> str | None:
        return None if value is None else str(Budget.parse(value))

    @field_validator("scores")
    @classmethod
    def _known_scores(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        for name in value:
            describe(name)
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _ranked_by_something_asked_for(self) -> Self:
        if self.scores is not None and self.rank_by not in (None, *self.scores):
            raise UnknownScore(f"rank_by is '{self.rank_by}', which is not among `scores`: {', '.join(self.scores)}")
        if self.rank_by is not None:
            describe(self.rank_by)
        return self

    def on(self, modality: Modality, task: Task) -> Self:
        """The request with the scores that it means on such a dataset; one that `rank_by` names is among them.

        Example:
            >>> RankingRequest().on("text", "classification").scores
            ('logme',)
        """
        if self.scores is not None:
            return self
        found = default_scores(modality, task, self.adaptation)
        return self.model_copy(update={"scores": tuple(dict.fromkeys((*filter(None, [self.rank_by]), *found)))})

    @property
    def asked(self) -> tuple[str, ...]:
        """The scores that are asked for; of a request that was not yet put `on` a dataset, LogME."""
        return self.scores or (self.rank_by or LOGME,)

    @property
    def ordered_by(self) -> str:
        """The score that orders the ranking."""
        return self.rank_by or self.asked[0]


class RankingPayload(BaseModel):
    """One checkpoint to read and score on one dataset.

    Attributes:
        rows: a part of the sample that is read, and nothing scored; None: all of it, and scored.
        parts: those that were read by steps of their own.
    """

    model_config = ConfigDict(frozen=True)

    dataset: DatasetReference
    checkpoint: CheckpointDescription
    scores: tuple[str, ...]
    ordered_by: str
    adaptation: Adaptation = "full"
    baselines: bool
    max_examples: int
    seed: int
    source: SourceReference | None = None
    rows: Rows | None = None
    parts: tuple[Rows, ...] = ()


def ranking_payload(
    request: RankingRequest,
    dataset: DatasetReference,
    checkpoint: CheckpointDescription,
    source: SourceReference | None,
    examples: int | None = None,
    parts: tuple[Rows, ...] = (),
) -> RankingPayload:
    """The work of one checkpoint in a ranking, or in a round of its race.

    Args:
        request: what was asked for.
        dataset: what the checkpoint is ranked on.
        checkpoint: what is read and scored.
        source: statistics of its source dataset, where they are known.
        examples: to be read in a round; as many as were asked for by default.
        parts: of them that steps of their own read.
    """
    return RankingPayload(
        dataset=dataset,
        checkpoint=checkpoint,
        scores=request.asked,
        ordered_by=request.ordered_by,
        adaptation=request.adaptation,
        baselines=request.baselines,
        max_examples=examples or request.max_examples,
        seed=request.seed,
        source=source,
        parts=parts,
    )


class Refusal(BaseModel):
    """Why a score could not be computed."""

    code: str
    reason: str


class DiscrepancyOutput(BaseModel):
    """How far the dataset would take a linear head on the checkpoint's features; `frontrunner.discrepancy` explains.

    Lower is nearer. None where a number is not finite.
    """

    space: Space
    noise_model: NoiseModel
    reference: Reference = Field(
        description="Distances are from the no-knowledge prior or from stored source statistics."
    )
    dimension: int
    discrepancy: float | None = Field(description="Definition 2 as published; may be negative.")
    dimension_dependent: float | None = Field(description="Definition 3 as published.")
    dimension_dependent_per_parameter: float | None
    twice_kl: float | None = Field(description="Twice the KL divergence, nats: the number to trust.")
    twice_kl_per_parameter: float | None
    amgm_upper_bound: float | None
    pac_bayes_gap: float | None = Field(description="PAC-Bayes gap from twice_kl; see gap_kind for what it is worth.")
    gap_kind: GapKind = Field(
        description="`bound`: pac_bayes_gap holds with probability 1 - delta for a head drawn from the posterior, if "
        "the source's examples are others than these. `estimate`: it need not hold, as the prior's scale was fitted "
        "to the same examples."
    )
    published_gap: float | None = Field(
        description="Corollary 1 as published, not a bound; None where it is undefined."
    )
    vacuous: bool = Field(description="Whether pac_bayes_gap exceeds 1 and so says nothing.")
    effective_parameters: float | None = Field(description="Directions of the head that the data determine.")
    n: int
    delta: float


class StepOutput(BaseModel):
    """What a finished step says of its checkpoint."""

    scores: dict[str, ScoreValue] = Field(
        description="Each with the replicates that comparisons need; none where a part was read."
    )
    not_applicable: dict[str, Refusal] = Field(default={}, description="Scores that this input does not admit.")
    discrepancy: DiscrepancyOutput | None = None
    intrinsic_dimension: float | None = Field(
        default=None, description="Levina and Bickel's estimate; None where too few distinct rows were read."
    )
    picture: Picture | None = Field(
        default=None, description="The features in two dimensions; none where a part was read."
    )
    reading_cost: ReadingCost | None = Field(
        default=None, description="What a forward pass took here; None where all features were cached."
    )
    reading: ReadingProvenance = Field(
        default=ReadingProvenance(), description="What to know of the features besides the checkpoint's files."
    )
    examples: int = Field(ge=0, description="Examples that the scores rest on.")
    forward_examples: int = Field(
        ge=0, description="Examples that went through the checkpoint; 0 where all were cached."
    )
    feature_dimension: int = Field(ge=0)
    feature_key: str = Field(description="Digest under which the features are cached.")
    feature_bytes: int = Field(ge=0)
    seconds: float = Field(description="Wall clock of the step.")
    scoring_seconds: float = Field(description="Of which spent on scores.")
