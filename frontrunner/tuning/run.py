"""`run_tuning`: from a payload to a tuned, measured, exported model. It may be killed at any moment and called again.

What is done is kept in the payload's folder: decoded images, what teachers said of them, the rate that was found, the
training's state. A second call goes on from there; the weights are those of a call that was never interrupted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from frontrunner.files import whole_file
from frontrunner.hub import HubAccess
from frontrunner.progress import SILENT, Part, Progress, Stage
from frontrunner.settings import get_settings
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.preparation import Prepared, prepare
from frontrunner.tuning.export.files import WEIGHTS_FILE, write_cards, write_models
from frontrunner.tuning.generalisation import bounds
from frontrunner.tuning.measurement import measure, surest_mistakes
from frontrunner.tuning.methods import build
from frontrunner.tuning.options import MethodOptions, optimiser_of, rates_of
from frontrunner.tuning.probe import probe_to_beat
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.result import GeneralisationOutput, Metrics, TuningOutput, WrongExample
from frontrunner.tuning.training.budget import affordable_epochs
from frontrunner.tuning.training.loop import Schedule, TrainingData, answers, train
from frontrunner.tuning.training.memory import SMALLEST, comfortable_batch, micro_batch
from frontrunner.tuning.training.method import Batch, Method
from frontrunner.tuning.training.state import Reached, StateFolder
from frontrunner.tuning.training.sweep import best_rate, sweep, trial

OUTPUT_FILE = "output.json"
# Of examples that the tuned model gets wrong.
_MISTAKES_SHOWN = 16
# Examples that teachers are weighed on, and how many of them at a time.
_WEIGHED = 64
_WEIGHED_AT_ONCE = 16
_ENDINGS = {
    "completed": "all epochs were trained",
    "stopped_early": "validation did not improve any more",
    "diverged": "tuning_diverged: the loss diverged, and the best weights before that were kept",
}


@dataclass(frozen=True)
class Fitted:
    """A trained method, its module holding the best weights.

    Attributes:
        data: what it was trained on, with the examples to report on.
        context: what the method was built from.
        sweep: loss by learning rate, where one was looked for.
    """

    data: Prepared
    context: TuningContext[MethodOptions]
    method: Method
    schedule: Schedule
    reached: Reached
    sweep: dict[str, float | None]

    def metrics(self) -> Metrics:
        """On the test split, or on the validation split where there is none."""
        return self.measured()[0]

    def measured(self, mistakes: int = 0) -> tuple[Metrics, list[WrongExample]]:
        """The metrics, and at most so many of the examples that are wrong, the surest mistakes first."""
        report, classes = self.data.report, self.data.classes
        logits = answers(self.method, report)
        wrong = [
            WrongExample(**dict(self.data.preview(index)), predicted=classes[code], confidence=confidence)
            for index, code, confidence in surest_mistakes(logits, report.labels, mistakes)
        ]
        return measure(logits, report.labels, classes, self.data.report_split), wrong


def run_tuning(payload: TuningPayload, progress: Progress = SILENT, *, access: HubAccess | None = None) -> TuningOutput:
    """Do what `payload` says; the files lie in `payload.work_dir`.

    Args:
        payload: the work.
        progress: hears of images that are decoded, of downloads, of examples that teachers have read and that were
            trained on, over sweep and training, of files that are written, and of every point of the curves, at least
            once. It may stop the work after each of these.
        access: how checkpoints that lie on a hub are reached; as the environment says by default.

    Raises:
        FrontrunnerError: the dataset, a checkpoint or the combination cannot be used; most of it before any training.
        TuningDiverged: before any epoch was over.
    """
    stored = payload.work_dir / OUTPUT_FILE
    if stored.is_file():
        return TuningOutput.model_validate_json(stored.read_bytes())
    output = _report(payload, fit(payload, progress, access=access), progress)
    with whole_file(stored) as file:
        file.write(output.model_dump_json(indent=1).encode())
    for decoded in payload.work_dir.glob("*.npy"):
        decoded.unlink()
    return output


def fit(
    payload: TuningPayload,
    progress: Progress = SILENT,
    *,
    access: HubAccess | None = None,
    pause_after: int | None = None,
    shared: Path | None = None,
) -> Fitted:
    """Train as `payload` says, without the report and the export; arguments and errors as for `run_tuning`.

    Of a payload that was finished before, it gives the trained method back and trains nothing: the way to open what is
    no plain model, such as the result of `zoo_tuning`.

    Args:
        payload, progress, access: as for `run_tuning`.
        pause_after: epochs after which to leave off; called again with more, it goes on.
        shared: where decoded examples lie that other tunings train on too; then none are kept to report on but those
            of the validation split.
    """
    prepared = prepare(payload, progress, shared)
    data, n = prepared.data, len(prepared.data.train)
    context = _context(payload, prepared, access or HubAccess.of(get_settings()), progress)
    method = build(context)
    schedule = _schedule(payload, method, data)
    folder = StateFolder(payload.work_dir, payload.identity)
    short = trial(schedule, n)
    rates = rates_of(payload.request.method, payload.modality)
    sweeps = 0 if payload.request.learning_rate else len(rates) * short.epochs
    if payload.request.budget_s is not None:
        epochs = affordable_epochs(method, data, schedule, payload.request.budget_s, sweeps, folder, progress)
        schedule = replace(schedule, epochs=epochs)
    swept, total = sweeps * n, (sweeps + (pause_after or schedule.epochs)) * n
    found: dict[str, list[float] | None] = {}
    if sweeps:
        found = sweep(method, data, short, folder, Part(progress, Stage.TRAIN, before=0, total=total), rates=rates)
        schedule = replace(schedule, learning_rate=best_rate(found))
    part = Part(progress, Stage.TRAIN, before=swept, total=total)
    schedule = replace(schedule, pause_after=pause_after)
    reached = train(method, data, schedule, folder.state("state.pt"), part)
    # Fewer than were announced where training has ended before its last epoch.
    done = swept + reached.epoch * n + int(reached.totals.get("examples", 0))
    progress.advance(Stage.TRAIN, done, done)
    means = {name: None if losses is None else fmean(losses) for name, losses in found.items()}
    return Fitted(prepared, context, method, schedule, reached, means)


def _context(
    payload: TuningPayload, prepared: Prepared, access: HubAccess, progress: Progress
) -> TuningContext[MethodOptions]:
    return TuningContext(
        options=payload.request.method,
        student=payload.student,
        teachers=payload.teachers,
        classes=len(prepared.classes),
        train=prepared.data.train,
        seed=payload.request.seed,
        folder=payload.work_dir,
        access=access,
        hold_statistics=payload.request.hold_statistics,
        progress=progress,
    )


def _schedule(payload: TuningPayload, method: Method, data: TrainingData) -> Schedule:
    """As requested; a learning rate that is not named yet is 0."""
    request = payload.request
    limit = None if request.memory_limit_mb is None else request.memory_limit_mb * 1e6
    # Pieces of a batch add up to the whole, but for what looks at a batch as one.
    divisible = request.hold_statistics and not request.method.batchwise
    if limit is None and divisible and not torch.cuda.is_available():
        piece = comfortable_batch(method, request.batch_size, lambda: _probe(data))
    else:
        piece = micro_batch(method, limit, request.batch_size, lambda: _probe(data))
    return Schedule(
        epochs=request.epochs,
        batch_size=request.batch_size,
        micro_batch=piece,
        learning_rate=request.learning_rate or 0.0,
        patience=request.patience,
        seed=request.seed,
        smallest_crop=request.smallest_crop,
        flip=request.flip,
        optimiser=optimiser_of(request.method, payload.modality),
    )


def _probe(data: TrainingData) -> Batch:
    rows = torch.arange(len(data.train))[:SMALLEST]
    views = data.train.plain(rows)
    return Batch(rows, views, data.train.labels[rows], None if data.unlabelled is None else views, 0.0)


def _report(payload: TuningPayload, fitted: Fitted, progress: Progress) -> TuningOutput:
    """Measure on the test split and write every file but the output."""
    data, method, schedule, reached = fitted.data.data, fitted.method, fitted.schedule, fitted.reached
    metrics, wrong = fitted.measured(_MISTAKES_SHOWN)
    progress.safe_point()
    exported = write_models(payload, fitted.data, method, fitted.context.access, progress)
    generalisation = _generalisation(fitted, metrics.accuracy.value)
    progress.safe_point()
    assert reached.ended is not None  # noqa: S101 - train returns at the end
    output = TuningOutput(
        method=payload.request.method.name,
        folder=str(payload.work_dir),
        weights=WEIGHTS_FILE,
        models=exported,
        ended=reached.ended,
        ended_because=_ENDINGS[reached.ended],
        best_epoch=reached.best_epoch,
        epochs=reached.epoch,
        learning_rate=schedule.learning_rate,
        sweep=fitted.sweep,
        train_examples=len(data.train),
        validation_examples=0 if data.validation is None else len(data.validation),
        micro_batch=schedule.micro_batch,
        parameters=sum(weight.numel() for weight in method.parameters()),
        held_norms=method.held_norms,
        metrics=metrics,
        wrong=wrong,
        teacher_weights=_teacher_weights(method, data),
        probe=probe_to_beat(fitted.context, fitted.data.report),
        generalisation=generalisation,
        curve=reached.curve,
        seconds=reached.seconds,
    )
    write_cards(payload, output)
    return output


def _teacher_weights(method: Method, data: TrainingData) -> dict[str, float]:
    """The mean over training examples from all over the classes, a few at a time: each may have weights of its own."""
    if method.teacher_weights is None:
        return {}
    rows = torch.linspace(0, len(data.train) - 1, min(len(data.train), _WEIGHED)).long()
    pieces = rows.tensor_split(-(-len(rows) // _WEIGHED_AT_ONCE))
    sizes = [len(piece) for piece in pieces]
    weights = [method.teacher_weights(data.train.plain(piece)) for piece in pieces]
    return {teacher: fmean([each[teacher] for each in weights], sizes) for teacher in weights[0]}


def _generalisation(fitted: Fitted, test_accuracy: float) -> GeneralisationOutput | None:
    """Bounds on the gap of a tuning whose result is one model; nothing of others."""
    models = list(fitted.method.models().values())
    if len(models) != 1:
        return None
    train_examples = fitted.data.data.train
    seen = measure(answers(fitted.method, train_examples), train_examples.labels, fitted.data.classes, "validation")
    return bounds(
        models[0],
        fitted.context,
        fitted.schedule,
        train_accuracy=seen.accuracy.value,
        test_accuracy=test_accuracy,
    )
