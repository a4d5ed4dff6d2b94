"""What a tuning answers: curves, measurements on the test split, files. All JSON, no torch."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, Field, field_validator

from frontrunner.data.previews import Preview
from frontrunner.discrepancy import GapKind
from frontrunner.progress import Event
from frontrunner.status import JobResult
from frontrunner.tuning.options import MethodOptions

Ending: TypeAlias = Literal["completed", "stopped_early", "diverged"]


class CurvePoint(Event):
    """One point of a curve; also the event that is told while training."""

    type: ClassVar[str] = "curve"

    stage: str = Field(default="training", description="`training`, or `sweep RATE` while a rate is looked for.")
    epoch: int = Field(description="Epochs that are over.")
    step: int = Field(description="Steps that are over.")
    split: Literal["train", "validation"]
    loss: dict[str, float] = Field(description="The loss's parts, weighted as they are added up.")
    accuracy: float
    examples: int
    learning_rate: float


class Interval(BaseModel):
    """A share with Wilson's interval at 95%."""

    value: float
    low: float
    high: float


class ReliabilityBin(BaseModel):
    """Answers of about one confidence, and how many of them were right."""

    confidence: float = Field(description="Mean of the answers in it.")
    accuracy: float
    examples: int


class WrongExample(Preview):
    """An example that the tuned model gets wrong; `label` is the true class."""

    predicted: str
    confidence: float = Field(description="Probability that it gave to the class it predicted.")


class Metrics(BaseModel):
    """What a tuned model does on one split."""

    split: Literal["test", "validation"] = Field(description="Validation where the dataset has no test split.")
    examples: int
    accuracy: Interval
    log_loss: float = Field(description="Mean negative log probability of the true class, nats.")
    calibration_error: float = Field(description="Expected calibration error over 15 equal bins of confidence.")
    classes: tuple[str, ...]
    confusion: list[list[int]] = Field(description="Rows: true class; columns: predicted class.")
    reliability: list[ReliabilityBin] = Field(
        default=[], description="The bins of `calibration_error` that hold examples, by confidence."
    )


class Onnx(BaseModel):
    """The ONNX file and how it compares with the model that it was made from."""

    file: str
    bytes: int
    latency_ms: float = Field(description="Median, one example, one thread.")
    largest_difference: float = Field(description="Of the logits, relative to their largest, over probe examples.")


class Int8(BaseModel):
    """The quantised ONNX file against the unquantised one."""

    file: str
    bytes: int
    latency_ms: float
    distortion: float = Field(description="||f_Q - f|| / ||f|| of the logits over the test examples.")
    accuracy: float
    accuracy_before: float
    calibration_examples: int = Field(description="Zero for models of texts: ranges are those of each batch.")


class ExportedModel(BaseModel):
    """One model in the hub's own form: `frontrunner rank` and timm open its folder."""

    folder: str = Field(description="Relative to the tuning's folder.")
    architecture: str
    parameters: int
    onnx: Onnx | None = None
    int8: Int8 | None = None
    note: str | None = Field(default=None, description="Why a file is missing.")


class GapOutput(BaseModel):
    """What one theory says of the generalisation gap."""

    name: str
    kind: GapKind = Field(description="`bound` where the theorem's conditions hold, `estimate` elsewhere.")
    value: float | None = Field(description="None where it is not finite.")
    vacuous: bool = Field(description="Whether it exceeds 1 and so says nothing.")


class GeneralisationOutput(BaseModel):
    """How far test error may lie above training error; `frontrunner.discrepancy` explains the theories."""

    n: int = Field(description="Training examples.")
    delta: float = Field(description="Probability with which a bound may fail.")
    gaps: list[GapOutput]
    measured: float | None = Field(description="Test error minus training error.")
    missing: dict[str, str] = Field(
        default={}, exclude_if=lambda missing: not missing, description="Why one is missing, by its name."
    )


class TunedFile(BaseModel):
    """A file of a tuning in the store."""

    name: str = Field(
        description="As in `model/config.json`; fetched from `/v1/tunings/{id}/files/{name}`. It leads down only."
    )
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("name")
    @classmethod
    def _leads_down(cls, name: str) -> str:
        """Whoever fetches the files writes them under these names."""
        if not name.isprintable() or "\\" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise ValueError("a file's name leads down from its folder")
        return name


class TuningOutput(BaseModel):
    """What a finished tuning says."""

    method: str
    folder: str = Field(description="Where its files lie, on the machine that was told to tune; empty in the service.")
    files: list[TunedFile] = Field(default=[], description="In the service: what can be fetched.")
    weights: str = Field(description="safetensors of everything that was trained, relative to `folder`.")
    models: list[ExportedModel] = Field(
        description="Plain models: one, or one for each member of an ensemble or pathway; none for zoo_tuning."
    )
    ended: Ending
    ended_because: str
    best_epoch: int = Field(description="The epoch whose weights were kept; the last without a validation split.")
    epochs: int = Field(description="Epochs that were trained.")
    learning_rate: float
    sweep: dict[str, float | None] = Field(
        default={},
        description="Validation loss after a short trial by learning rate; None where it diverged. Of the rates whose "
        "losses do not differ beyond chance the highest is taken.",
    )
    train_examples: int
    validation_examples: int
    micro_batch: int = Field(description="Examples that went through at a time; less than a batch under a limit.")
    parameters: int = Field(description="Weights that were trained.")
    held_norms: int = Field(description="Normalisation layers whose statistics were kept; see docs/tuning.md.")
    metrics: Metrics
    wrong: list[WrongExample] = Field(
        default=[], description="What it gets wrong on the same split, the surest mistakes first; at most sixteen."
    )
    teacher_weights: dict[str, float] = Field(
        default={},
        description="How much each teacher counts, by id, where the method weighs them: of B-Tuning its share, of "
        "Zoo-Tuning the mean gate over layers and training examples, of Hub-Pathway the mean weight in a path.",
    )
    probe: Interval | None = Field(
        default=None,
        description="What had to be beaten: the accuracy, on the same examples as `metrics`, of a logistic regression "
        "on the features of the student as pretrained; null where no checkpoint is the student, or the tuning is one.",
    )
    generalisation: GeneralisationOutput | None = Field(
        description="Bounds on the gap; None where the result is not one plain model."
    )
    curve: list[CurvePoint]
    seconds: float = Field(description="Wall clock of training, over all attempts; the report and export not counted.")


class Tuning(JobResult):
    """A tuning as the service tells it; `output` is None until it is over."""

    dataset: str = Field(description="Name of the target dataset.")
    method: MethodOptions
    student: str | None
    teachers: list[str]
    output: TuningOutput | None
