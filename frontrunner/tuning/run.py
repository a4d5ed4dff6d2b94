"""`run_tuning`: from an order to a tuned, measured and exported model. It may be killed at any moment and called again.

What is done is kept below the order's folder: decoded images, what teachers said of them, the rate that was found, the
training's state. A second call goes on from there; the weights are those of a call that was never interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from frontrunner.files import whole_file
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.preparation import Prepared, prepare
from frontrunner.tuning.export.card import licence, write_card
from frontrunner.tuning.export.models import save_tensors, write_model
from frontrunner.tuning.export.onnx_files import NotExportable, is_available, write_int8, write_onnx
from frontrunner.tuning.generalisation import bounds
from frontrunner.tuning.measurement import measure
from frontrunner.tuning.methods import build
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.result import CurvePoint, ExportedModel, Metrics, TuningOutput
from frontrunner.tuning.training.budget import affordable_epochs
from frontrunner.tuning.training.loop import OPTIMISERS, Listener, Schedule, TrainingData, answers, train
from frontrunner.tuning.training.memory import SMALLEST, micro_batch
from frontrunner.tuning.training.method import Batch, Method
from frontrunner.tuning.training.state import Reached, StateFile
from frontrunner.tuning.training.sweep import RATES, best_rate, sweep, trial

WEIGHTS_FILE = "tuned.safetensors"
OUTPUT_FILE = "output.json"
_ENDINGS = {
    "completed": "all epochs were trained",
    "stopped_early": "validation did not improve any more",
    "diverged": "tuning_diverged: the loss diverged, and the best weights before that were kept",
}


@dataclass(frozen=True)
class Fitted:
    """A trained method, its module holding the best weights.

    Attributes:
        data: what it was trained on, with the images to report on.
        sweep: loss by learning rate, where one was looked for.
        total: examples of sweep and training, what progress counts up to.
    """

    data: Prepared
    method: Method
    schedule: Schedule
    reached: Reached
    sweep: dict[str, float | None]
    total: int

    def metrics(self) -> Metrics:
        """On the test split, or on the validation split where there is none."""
        report = self.data.report
        return measure(answers(self.method, report), report.labels, self.data.classes, self.data.report_split)


def run_tuning(
    order: TuningPayload,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    on_event: Callable[[CurvePoint], None] = lambda point: None,
) -> TuningOutput:
    """Do what `order` says; the files lie in `order.work_dir`.

    Args:
        order: the work.
        on_progress: hears (examples done, examples in all), over sweep and training; called after every step, and while
            images are decoded and teachers read.
        on_event: hears every point of the curve, at least once.

    Raises:
        FrontrunnerError: the dataset, a checkpoint or the combination cannot be used; most of it before any training.
        TuningDiverged: before any epoch was over.
    """
    stored = order.work_dir / OUTPUT_FILE
    if stored.is_file():
        return TuningOutput.model_validate_json(stored.read_bytes())
    fitted = fit(order, on_progress, on_event=on_event)
    output = _report(order, fitted, lambda: on_progress(fitted.total, fitted.total))
    with whole_file(stored) as file:
        file.write(output.model_dump_json(indent=1).encode())
    for decoded in order.work_dir.glob("*.npy"):
        decoded.unlink()
    on_progress(fitted.total, fitted.total)
    return output


def fit(
    order: TuningPayload,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    on_event: Callable[[CurvePoint], None] = lambda point: None,
) -> Fitted:
    """Train as `order` says, without the report and the export; arguments and errors as for `run_tuning`.

    Of an order that was finished before, it gives the trained method back and trains nothing: the way to open what is
    no plain model, such as the result of `zoo_tuning`.
    """
    request, folder = order.request, order.work_dir
    prepared = prepare(order, on_progress)
    data, n = prepared.data, len(prepared.data.train)
    optimiser = OPTIMISERS[order.modality]
    method = build(
        TuningContext(
            options=request.method,
            student=order.student,
            teachers=order.teachers,
            classes=len(prepared.classes),
            train=data.train,
            seed=request.seed,
            folder=folder,
            hold_statistics=request.hold_statistics,
            on_read=lambda done: on_progress(0, request.epochs * n),
        )
    )
    limit = None if request.memory_limit_mb is None else request.memory_limit_mb * 1e6
    schedule = Schedule(
        epochs=request.epochs,
        batch_size=request.batch_size,
        micro_batch=micro_batch(method, limit, request.batch_size, lambda: _probe(data)),
        learning_rate=request.learning_rate or 0.0,
        patience=request.patience,
        seed=request.seed,
        smallest_crop=request.smallest_crop,
        flip=request.flip,
        optimiser=optimiser,
    )
    short = trial(schedule, n)
    sweeps = 0 if request.learning_rate else len(RATES[optimiser]) * short.epochs
    if request.budget_s is not None:
        epochs = affordable_epochs(method, data, schedule, request.budget_s, sweeps, folder, order.identity)
        schedule = replace(schedule, epochs=epochs)
    swept, total = sweeps * n, (sweeps + schedule.epochs) * n

    def listener(before: int) -> Listener:
        return Listener(lambda done, _: on_progress(before + done, total), on_event)

    found: dict[str, list[float] | None] = {}
    if sweeps:
        found = sweep(method, data, short, folder, order.identity, lambda place: listener(place * short.epochs * n))
        schedule = replace(schedule, learning_rate=best_rate(found))
    reached = train(method, data, schedule, StateFile(folder / "state.pt", order.identity), listener(swept))
    means = {name: None if losses is None else fmean(losses) for name, losses in found.items()}
    return Fitted(prepared, method, schedule, reached, means, total)


def _probe(data: TrainingData) -> Batch:
    rows = torch.arange(len(data.train))[:SMALLEST]
    views = data.train.plain(rows)
    return Batch(rows, views, data.train.labels[rows], None if data.unlabelled is None else views, 0.0)


def _report(order: TuningPayload, fitted: Fitted, alive: Callable[[], None]) -> TuningOutput:
    """Measure on the test split and write every file."""
    folder, prepared, method, schedule, reached = (
        order.work_dir,
        fitted.data,
        fitted.method,
        fitted.schedule,
        fitted.reached,
    )
    data = prepared.data
    metrics = fitted.metrics()
    alive()
    save_tensors(method.module.state_dict(), folder / WEIGHTS_FILE)
    models = method.models()
    exported = [_export(order, prepared, model, folder / name, alive) for name, model in models.items()]
    generalisation: dict[str, object] = {}
    if len(models) == 1:
        seen = measure(answers(method, data.train), data.train.labels, prepared.classes, "validation").accuracy.value
        generalisation = bounds(
            next(iter(models.values())),
            data.train,
            train_accuracy=seen,
            test_accuracy=metrics.accuracy.value,
            learning_rate=schedule.learning_rate,
            batch=schedule.batch_size,
        )
        alive()
    assert reached.ended is not None  # noqa: S101 - train returns at the end
    output = TuningOutput(
        method=order.request.method.name,
        folder=str(folder),
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
        generalisation=generalisation,
        curve=reached.curve,
        seconds=reached.seconds,
    )
    for model in output.models:
        _write_text(folder / model.folder / "README.md", write_card(order, output, model))
    _write_text(folder / "README.md", write_card(order, output, None))
    _write_text(folder / "order.json", order.model_dump_json(indent=1))
    return output


def _export(
    order: TuningPayload, prepared: Prepared, model: Classifier, folder: Path, alive: Callable[[], None]
) -> ExportedModel:
    provenance = {
        "license": licence(order.checkpoints),
        "pretraining_dataset": model.description.pretraining,
        "tuned_on": order.dataset.name,
        "tuned_on_sha256": order.dataset.digest,
        "method": json.loads(order.request.method.model_dump_json()),
        "parents": {parent.id: parent.digest for parent in order.checkpoints},
    }
    model = model.eval()
    write_model(model, folder, prepared.classes, prepared.report, provenance)
    alive()
    written = ExportedModel(
        folder=folder.name,
        architecture=model.description.architecture,
        parameters=sum(weight.numel() for weight in model.parameters()),
    )
    if not order.request.onnx:
        return written
    if not is_available():
        return written.model_copy(update={"note": "no ONNX: the extra `export` is not installed"})
    try:
        written = written.model_copy(update={"onnx": write_onnx(model, folder, prepared.report)})
        alive()
        int8 = write_int8(model, folder, prepared.data.train, prepared.report)
        written = written.model_copy(update={"int8": int8})
        alive()
    except NotExportable as error:
        return written.model_copy(update={"note": error.reason})
    return written


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())
