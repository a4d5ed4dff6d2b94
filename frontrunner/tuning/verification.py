"""Verification: a checkpoint is really adapted for a short while, and measured on examples that were held out.

Half of a small sample of the training split is trained on, the other half is only looked at: what is measured decides
between checkpoints, so it needs as many examples as learning does. The test split is never seen. It is a tuning like
any other, with its sweep and its state, that may pause after some of its epochs and go on in a later step, on another
machine too: there it begins again and comes to the same. Loads no torch before it trains.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data import DatasetReference
from frontrunner.files import whole_file
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.progress import SILENT, Progress
from frontrunner.tuning.options import MethodOptions, rates_of, trial_epochs
from frontrunner.tuning.request import TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.result import Ending, Interval

if TYPE_CHECKING:
    from frontrunner.tuning.run import Fitted

# Of the training split, half of them held out: the rest is ten steps an epoch.
EXAMPLES = 640
HELD_OUT = 0.5
EPOCHS = 6
BATCH = 32
# A step of training goes forward and back, which costs two more passes; a backbone that stands still only forward.
_PASSES, _FROZEN_PASSES = 3, 1


class VerificationPayload(BaseModel):
    """Everything that a process needs to verify a checkpoint.

    Attributes:
        tuning: trains it; its folder is that of all verifications on the same examples, None in a job.
        epochs: after which it is measured, at most those of the tuning; the learning rate falls over all of those.
        left: names of verifications on the same examples that are not going on, whose state is removed.
    """

    model_config = ConfigDict(frozen=True)

    tuning: TuningPayload
    epochs: int = Field(ge=1)
    left: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> CheckpointDescription:
        """What is verified."""
        return self.tuning.checkpoints[0]

    @property
    def examples_name(self) -> str:
        """What the folder of the decoded examples is called: the same for all that train on them."""
        request = self.tuning.request
        said = f"{self.tuning.dataset.digest}\n{request.max_examples}\n{request.validation_share}\n{request.seed}"
        return f"verify-{hashlib.sha256(said.encode()).hexdigest()[:24]}"

    @property
    def folder(self) -> Path:
        """Of the decoded examples. Asked of payloads with a folder."""
        assert self.tuning.folder is not None  # noqa: S101 - whoever does the work gives one
        return self.tuning.folder

    def below(self, folder: Path) -> Self:
        """The payload with its own folder below one of this machine."""
        here = self.tuning.model_copy(update={"folder": folder.resolve() / self.examples_name})
        return self.model_copy(update={"tuning": here})


class VerificationOutput(BaseModel):
    """What a checkpoint reached on held-out examples."""

    accuracy: Interval = Field(description="After the last of `epochs`.")
    log_loss: float = Field(description="Mean negative log probability of the true class, nats.")
    held_out: int = Field(description="Examples that it was measured on.")
    train_examples: int
    classes: int
    epochs: int = Field(description="That were trained.")
    learning_rate: float
    ended: Ending | None = Field(description="None where it may go on.")
    seconds: float = Field(description="Wall clock of the step.")


def verification_payload(
    method: MethodOptions,
    dataset: DatasetReference,
    checkpoint: CheckpointDescription,
    epochs: int,
    *,
    seed: int = 0,
    image_size: int | None = None,
) -> VerificationPayload:
    """The work of verifying one checkpoint.

    Args:
        method: of adapting it.
        dataset: to what.
        checkpoint: which.
        epochs: after which it is measured.
        seed: of the sample, the new weights and every draw.
        image_size: pixels a side; the checkpoint's own by default.

    Raises:
        TuningError, ModalityMismatch: it cannot be adapted so.
    """
    request = TuningRequest(
        method=method,
        student=checkpoint.id,
        epochs=EPOCHS,
        patience=EPOCHS,
        batch_size=BATCH,
        image_size=image_size,
        max_examples=EXAMPLES,
        validation_share=HELD_OUT,
        onnx=False,
        seed=seed,
    )
    tuning = tuning_payload(request, dataset, {checkpoint.id: checkpoint})
    return VerificationPayload(tuning=tuning, epochs=epochs)


def passes(method: MethodOptions, modality: str, examples: int, before: int, after: int) -> int:
    """Examples that go through a checkpoint from one epoch of its verification to another, in forward passes.

    Args:
        method: of adapting it.
        modality: what it reads.
        examples: of the training split.
        before, after: epochs that are over.

    Example:
        >>> from frontrunner.tuning.options import FinetuneOptions
        >>> passes(FinetuneOptions(), "image", 5000, 2, 6)  # of 320 examples, three passes and one look at 320 others
        5120
        >>> passes(FinetuneOptions(), "image", 5000, 0, 2)  # with two epochs at each of three rates
        10240
    """
    train, held = halves(examples)
    epoch = train * (_FROZEN_PASSES if method.name == "linear_probe" else _PASSES) + held
    swept = 0 if before else _swept(method, modality, train)
    return (after - before + swept) * epoch


def trained(method: MethodOptions, modality: str, examples: int, epochs: int) -> int:
    """Examples that a verification has trained on after so many epochs, its sweep counted: what its progress counts to.

    Arguments as for `passes`.
    """
    train, _ = halves(examples)
    return (_swept(method, modality, train) + epochs) * train


def halves(examples: int) -> tuple[int, int]:
    """Of so many in the training split, how many are trained on, and how many are held out."""
    held = int(HELD_OUT * min(examples, EXAMPLES))
    return min(examples, EXAMPLES) - held, held


def _swept(method: MethodOptions, modality: str, train: int) -> int:
    """Epochs of all trials."""
    return len(rates_of(method, modality)) * min(EPOCHS, trial_epochs(train, BATCH))


def run_verification(
    payload: VerificationPayload, progress: Progress = SILENT, *, access: HubAccess | None = None
) -> VerificationOutput:
    """Train as far as `payload` says and measure; what was done before is not done again.

    Args:
        payload: the work, with its folder.
        progress, access: as for `frontrunner.tuning.run.run_tuning`.

    Raises:
        FrontrunnerError: the checkpoint cannot be adapted.
        TuningDiverged: before any epoch was over.
    """
    from frontrunner.tuning.run import fit

    for name in payload.left:
        forget(payload.folder / name)
    folder = payload.tuning.work_dir
    kept = folder / f"verified-{payload.epochs}.json"
    if kept.is_file():
        return VerificationOutput.model_validate_json(kept.read_bytes())
    began = time.monotonic()
    fitted = fit(payload.tuning, progress, access=access, pause_after=payload.epochs, shared=payload.folder)
    output = _measured(fitted, len(fitted.data.classes), time.monotonic() - began)
    with whole_file(kept) as file:
        file.write(output.model_dump_json().encode())
    if output.ended is not None:
        forget(folder)
    return output


def forget(folder: Path) -> None:
    """Remove what verifications below a folder keep for going on, but not what they measured."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            path.unlink(missing_ok=True)


def _measured(fitted: Fitted, classes: int, seconds: float) -> VerificationOutput:
    from frontrunner.tuning.measurement import wilson

    reached = fitted.reached
    last = next(point for point in reversed(reached.curve) if point.split == "validation")
    return VerificationOutput(
        accuracy=wilson(round(last.accuracy * last.examples), last.examples),
        log_loss=sum(last.loss.values()),
        held_out=last.examples,
        train_examples=len(fitted.data.data.train),
        classes=classes,
        epochs=reached.epoch,
        learning_rate=fitted.schedule.learning_rate,
        ended=reached.ended,
        seconds=round(seconds, 3),
    )
