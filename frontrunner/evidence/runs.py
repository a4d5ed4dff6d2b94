"""The rows of evidence: what a checkpoint reached on a dataset once it was adapted to it, and what scores say of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.ranking.prediction import Adaptation


class Protocol(BaseModel):
    """How every run of a table is made; runs of different protocols are not compared.

    The learning rate of a checkpoint on a dataset is looked for on a held-out part of the training examples, with the
    first seed, and kept for the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: int | None = Field(
        default=128, ge=16, le=1024, description="Pixels a side; the checkpoint's own by default."
    )
    examples: int = Field(default=400, ge=8, description="Of the training split, the held-out part among them.")
    epochs: int = Field(default=6, ge=1, le=1000, description="Passes over the training examples; the best one counts.")
    batch_size: int = Field(default=32, ge=2)

    def searches_as(self, other: Protocol) -> bool:
        """Whether a learning rate that was found by one protocol is taken by the other: they differ in examples only.

        Example:
            >>> Protocol().searches_as(Protocol(examples=1000)), Protocol().searches_as(Protocol(epochs=20))
            (True, False)
        """
        return self.model_copy(update={"examples": other.examples}) == other


class RunKey(NamedTuple):
    """Names a run in its table.

    Attributes:
        adaptation: how the checkpoint is adapted.
        dataset: its name.
        checkpoint: its id.
        seed: of the sample, the new weights and every draw.
    """

    adaptation: Adaptation
    dataset: str
    checkpoint: str
    seed: int


class MeasuredRun(BaseModel):
    """One run and where it comes from.

    Attributes:
        status: a `diverged` run has no accuracy and never counts as truth.
        accuracy: share of the test split that is right, in [0, 1].
        log_loss: on the test split, nats.
        learning_rate: of the backbone, at its height.
        validation_loss: on the held-out part of the training examples, nats; the rate was chosen by it.
        best_epoch: whose weights were measured.
        seconds: of training, at all rates that were tried.
        versions: of the libraries that trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    adaptation: Adaptation
    dataset: str
    checkpoint: str
    seed: int
    status: Literal["completed", "diverged"]
    accuracy: float | None = None
    log_loss: float | None = None
    learning_rate: float | None = None
    validation_loss: float | None = None
    best_epoch: int | None = None
    train_examples: int | None = None
    test_examples: int | None = None
    seconds: float | None = None
    image_size: int | None = None
    examples: int
    epochs: int
    batch_size: int
    dataset_digest: str
    checkpoint_digest: str
    device: str = ""
    versions: str = ""
    finished: datetime

    @property
    def key(self) -> RunKey:
        """Its name in its table."""
        return RunKey(self.adaptation, self.dataset, self.checkpoint, self.seed)

    @property
    def protocol(self) -> Protocol:
        """How it was made."""
        return Protocol(
            image_size=self.image_size, examples=self.examples, epochs=self.epochs, batch_size=self.batch_size
        )


class MeasuredScore(BaseModel):
    """What a score says of a checkpoint on a dataset.

    Attributes:
        score: its name; see `frontrunner.scores` and the criteria of a ranking.
        value: higher is better.
        low, high: its interval at 95%, where it has one.
        examples: of the training split that were read.
        sample: seed of their drawing.
        version: of the score's definition.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    checkpoint: str
    score: str
    value: float
    low: float | None = None
    high: float | None = None
    examples: int
    sample: int = 0
    version: int
    dataset_digest: str
    checkpoint_digest: str
