"""What a tuning is asked for and what a process needs to do it: all JSON, and no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data import Dataset, DatasetReference, DatasetReport
from frontrunner.errors import (
    ArchitecturesDiffer,
    ConstraintViolated,
    InvalidDataset,
    MethodUnsuited,
    ModalityMismatch,
    SourceUnfit,
    StudentUnsupported,
    TeachersMissing,
    TuningError,
)
from frontrunner.hub import CheckpointDescription, Constraints
from frontrunner.limits import DEFAULT_MAX_EXAMPLES, Name
from frontrunner.tuning.options import METHODS, FinetuneOptions, MethodOptions, NamedMethod

# Part of a payload's identity: raise it whenever the same payload would train otherwise.
VERSION = 3
MAX_TEACHERS = 16


class TuningRequest(BaseModel):
    """Options of a tuning."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: NamedMethod = Field(
        # No `default` in the schema: generators of clients drop an operation for a default that is an object.
        default_factory=FinetuneOptions,
        description="A name, or a name with its numbers; fine-tuning by default.",
    )
    student: Name | None = Field(
        default=None,
        description="Id of the checkpoint that is tuned; the first teacher by default. Methods whose model is made of "
        "the teachers have none.",
    )
    teachers: tuple[Name, ...] = Field(
        default=(), max_length=MAX_TEACHERS, description="Ids of the checkpoints that the method learns from."
    )
    epochs: int = Field(default=10, ge=1, le=1000, description="Passes over the training examples, at most.")
    budget_s: float | None = Field(
        default=None,
        gt=0,
        description="Seconds of sweep and training: as many of `epochs` are trained as fit, by the speed of the first "
        "steps on the machine that trains, and at least one.",
    )
    batch_size: int = Field(default=32, ge=2, le=4096, description="Examples of one step.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="Of the backbone, at its height; the head learns ten times faster. Of `lora` that of adapters and "
        "head. By default a sweep of short trials picks it.",
    )
    image_size: int | None = Field(
        default=None,
        ge=16,
        le=1024,
        description="Images: pixels a side while training; the student's own by default.",
    )
    smallest_crop: float = Field(
        default=0.5, gt=0, le=1, description="Images: training sees random crops of at least this share of the area."
    )
    flip: bool = Field(default=True, description="Images: half of the training crops are mirrored.")
    max_examples: int = Field(
        default=DEFAULT_MAX_EXAMPLES,
        ge=2,
        le=1_000_000,
        description="At most this many examples of the training split are used: a stratified, seeded sample.",
    )
    validation_share: float = Field(
        default=0.15, ge=0, le=0.5, description="Of each class's examples, kept to stop early and to pick a rate by."
    )
    patience: int = Field(default=5, ge=1, le=1000, description="Epochs without a better validation before stopping.")
    hold_statistics: bool = Field(
        default=True,
        description="Batch normalisation keeps the statistics of pretraining; its gains and biases still learn. "
        "`hub_pathway` always does so.",
    )
    memory_limit_mb: float | None = Field(
        default=None, gt=0, description="Batches are split so that training takes no more; gradients add up."
    )
    constraints: Constraints = Field(
        default=Constraints(),
        description="Limits on the student, or on the teachers where the model is made of them; licences count for "
        "every teacher. Of a ranking the best that keep them are taken.",
    )
    onnx: bool = Field(default=True, description="Write and measure ONNX and int8 ONNX beside the weights.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Of the sample, the new weights and every draw.")

    @property
    def named(self) -> tuple[str, ...]:
        """Ids of the checkpoints that it names, teachers first, each once."""
        return tuple(dict.fromkeys((*self.teachers, *(() if self.student is None else (self.student,)))))


class TuningPayload(BaseModel):
    """Everything that a process needs to do a tuning.

    Attributes:
        student: what is tuned; None for methods whose model is made of the teachers.
        source: the labelled source of an adaptation.
        folder: state and artifacts are kept below it, by the payload's identity; None in a job, whose runner puts its
            own machine's in.
    """

    model_config = ConfigDict(frozen=True)

    dataset: DatasetReference
    student: CheckpointDescription | None
    teachers: tuple[CheckpointDescription, ...] = ()
    source: DatasetReference | None = None
    request: TuningRequest
    folder: Path | None = None

    @property
    def identity(self) -> str:
        """SHA-256 over everything that decides the weights, hexadecimal."""
        parts = [
            str(VERSION),
            self.request.model_dump_json(exclude={"constraints"}),
            self.dataset.digest,
            self.source.digest if self.source else "",
            *(found.digest for found in self.checkpoints),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def checkpoints(self) -> tuple[CheckpointDescription, ...]:
        """Student first, then teachers."""
        return (() if self.student is None else (self.student,)) + self.teachers

    @property
    def modality(self) -> str:
        """What the checkpoints read, all of them alike."""
        return self.checkpoints[0].modality

    @property
    def work_dir(self) -> Path:
        """Where this tuning's files lie. Asked of payloads with a folder."""
        assert self.folder is not None  # noqa: S101 - whoever does the work gives one
        return self.folder / self.name

    @property
    def name(self) -> str:
        """128 bits of the identity, hexadecimal: what its folder and its artifacts are called."""
        return self.identity[:32]


# The libraries in whose form a tuned model is written: that of the checkpoint that it was, by what it reads.
TUNED_FORMS: dict[str, frozenset[str]] = {
    "image": frozenset({"timm", "transformers"}),
    "text": frozenset({"transformers"}),
}


def has_tuned_form(checkpoint: CheckpointDescription, method: MethodOptions) -> bool:
    """Whether the checkpoint's weights can be tuned by the method, and not only learned from."""
    return _lacks_form(checkpoint) is None and checkpoint.library in method.forms


def _lacks_form(checkpoint: CheckpointDescription) -> str | None:
    """Why a model that was this checkpoint has no form to be written in; None where it has one."""
    forms = TUNED_FORMS.get(checkpoint.modality, frozenset())
    if checkpoint.library not in forms:
        return (
            f"{checkpoint.id} is in the form of {checkpoint.library}; {checkpoint.modality} checkpoints are tuned in "
            f"that of {' and '.join(sorted(forms))} only"
        )
    if checkpoint.library == "transformers" and checkpoint.image_pooling is not None:
        return (
            f"{checkpoint.id} is read at a layer, or with another pooling than its own, which has no form in a tuned "
            "model; name the checkpoint itself"
        )
    return None


def require_tunable(dataset: Dataset | DatasetReport, method: MethodOptions) -> None:
    """Refuse a dataset that a method cannot tune on, target or source.

    Raises:
        InvalidDataset: its task is not classification, or its classes are those of words.
        ModalityMismatch: it holds neither images nor texts.
        MethodUnsuited: the method does not tune on what it holds.
    """
    if dataset.task != "classification":
        raise InvalidDataset(
            f"{dataset.name} is a {dataset.task} dataset; tuning is for classification: one class per example"
        )
    if dataset.of_words:
        raise InvalidDataset(
            f"{dataset.name} labels the words of sentences; tuning is for one class per text: rank on it, and tune the "
            "best with a library for token classification"
        )
    if dataset.modality not in TUNED_FORMS:
        raise ModalityMismatch(f"{dataset.name} holds {dataset.modality}; tuning is for images and texts")
    _require_modality(method, dataset.modality)


def require_source(method: MethodOptions, *, given: bool) -> None:
    """Refuse a method that lacks its labelled source dataset, or that is given one which it does not use.

    Raises:
        SourceUnfit: either.
    """
    if method.needs_source != given:
        uses = "needs a labelled source dataset" if method.needs_source else "uses no source dataset"
        raise SourceUnfit(f"{method.name} {uses}")


def tuning_payload(
    request: TuningRequest,
    dataset: DatasetReference,
    checkpoints: dict[str, CheckpointDescription],
    folder: Path | None = None,
    source: DatasetReference | None = None,
) -> TuningPayload:
    """The payload of a request, refused here where that can be seen without opening anything.

    Args:
        request: what is asked for.
        dataset: the target; `require_tunable` says whether it can be one.
        checkpoints: descriptions by id, of every checkpoint that the request names.
        folder: where state and artifacts are kept; None in a job.
        source: the labelled source of an adaptation.

    Raises:
        TeachersMissing: the method needs more teachers.
        StudentUnsupported: no checkpoint is named to tune, or what it would become has no form to be written in.
        ModalityMismatch: the checkpoints do not read the same, or neither images nor texts.
        MethodUnsuited: the method does not tune what they read, or not in their library's form.
        ArchitecturesDiffer: the method needs teachers of one architecture.
        ConstraintViolated: a checkpoint does not keep within the request's limits.
        SourceUnfit: an adaptation without a source, or a source that the method does not use.
    """
    method = request.method
    teachers, student = _teachers(request, checkpoints), _student(request, checkpoints)
    require_source(method, given=source is not None)
    payload = TuningPayload(
        dataset=dataset, student=student, teachers=teachers, source=source, request=request, folder=folder
    )
    for found in payload.checkpoints:
        if found.modality not in TUNED_FORMS:
            raise ModalityMismatch(f"{found.id} reads {found.modality}; tuning is for images and texts")
        if found.modality != payload.modality:
            raise ModalityMismatch(f"{found.id} reads {found.modality}, {payload.checkpoints[0].id} {payload.modality}")
    _require_modality(method, payload.modality)
    _require_forms(payload)
    _require_constraints(payload)
    architectures = {teacher.architecture for teacher in payload.teachers}
    if method.needs_one_architecture and len(architectures) > 1:
        raise ArchitecturesDiffer(
            f"{method.name} mixes checkpoints of one architecture, got {', '.join(sorted(architectures))}"
        )
    return payload


def _teachers(
    request: TuningRequest, checkpoints: dict[str, CheckpointDescription]
) -> tuple[CheckpointDescription, ...]:
    method = request.method
    teachers = tuple(checkpoints[teacher] for teacher in dict.fromkeys(request.teachers))
    if len(teachers) < method.teachers_needed:
        raise TeachersMissing(
            f"{method.name} needs at least {method.teachers_needed} teachers, got {len(teachers)}: name them in "
            "`teachers`"
        )
    if teachers and not method.teachers_needed:
        raise TuningError(
            f"{method.name} learns from no teachers: name none (--teacher, `teachers`), or another method"
        )
    return teachers


def _student(request: TuningRequest, checkpoints: dict[str, CheckpointDescription]) -> CheckpointDescription | None:
    """The checkpoint that is tuned, the first teacher by default; None where the model is made of the teachers."""
    method = request.method
    if method.made_of_teachers:
        if request.student is not None:
            raise TuningError(
                f"{method.name} makes its model out of the teachers: name no student (--student, `student`)"
            )
        return None
    chosen = request.student or next(iter(request.teachers), None)
    if chosen is None:
        raise StudentUnsupported(
            f"{method.name} needs a checkpoint to tune: name it (--student, `student`), or rank first (--top 1)"
        )
    return checkpoints[chosen]


def _require_modality(method: MethodOptions, modality: str) -> None:
    if modality not in method.modalities:
        own = " and ".join(f"{read}s" for read in sorted(method.modalities))
        suited = ", ".join(sorted(name for name, options in METHODS.items() if modality in options.modalities))
        raise MethodUnsuited(f"{method.name} is for {own}; for {modality}s there are {suited}")


def _require_forms(payload: TuningPayload) -> None:
    """What becomes the tuned model must be in a form that is written, and that the method can take apart."""
    method = payload.request.method
    for found in payload.teachers if payload.student is None else (payload.student,):
        reason = _lacks_form(found)
        if reason is not None:
            raise StudentUnsupported(reason)
        if found.library not in method.forms:
            suited = ", ".join(
                sorted(
                    name
                    for name, options in METHODS.items()
                    if found.library in options.forms and found.modality in options.modalities
                )
            )
            raise MethodUnsuited(
                f"{method.name} asks for the stages and layers that {' or '.join(sorted(method.forms))} names; "
                f"{found.id} is in the form of {found.library}: for it there are {suited}"
            )


def _require_constraints(payload: TuningPayload) -> None:
    """All limits hold for what becomes the tuned model, those on licences for every checkpoint."""
    constraints = payload.request.constraints
    for found in payload.checkpoints:
        becomes_it = payload.student is None or found is payload.student
        try:
            (constraints if becomes_it else constraints.of_licences()).require(found)
        except ConstraintViolated as error:
            raise ConstraintViolated(f"{found.id}: {error.reason}") from error
