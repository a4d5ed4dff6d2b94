"""The files of a finished training: its weights, each plain model with its ONNX files, and the cards."""

from __future__ import annotations

import json
from pathlib import Path

from frontrunner.files import whole_file
from frontrunner.hub import HubAccess
from frontrunner.progress import Progress, Stage
from frontrunner.tuning.examples.preparation import Prepared
from frontrunner.tuning.export.card import licence, write_card
from frontrunner.tuning.export.models import save_tensors, write_model
from frontrunner.tuning.export.onnx_files import NotExportable, is_available, write_int8, write_onnx
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.request import TuningPayload
from frontrunner.tuning.result import ExportedModel, TuningOutput
from frontrunner.tuning.training.method import Method

WEIGHTS_FILE = "tuned.safetensors"
PAYLOAD_FILE = "payload.json"


class _FileCount:
    """How many files of weights and graphs are written, of how many; each one's end is a safe point."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress
        progress.advance(Stage.EXPORT, 0, total)

    def written(self) -> None:
        """One more."""
        self._done += 1
        self._progress.advance(Stage.EXPORT, self._done, self._total)
        self._progress.safe_point()

    def left_out(self, files: int) -> None:
        """So many cannot be written."""
        self._total -= files
        self._progress.advance(Stage.EXPORT, self._done, self._total)


def write_models(
    payload: TuningPayload, prepared: Prepared, method: Method, access: HubAccess, progress: Progress
) -> list[ExportedModel]:
    """Write what was trained, and every plain model in it with its ONNX files where they are wanted.

    Args:
        payload: the work; files go to its folder.
        prepared: examples that the written models are compared, calibrated and measured on.
        method: trained.
        access: how the written checkpoints are opened again.
        progress: hears how many files are written, and may stop the work between them.

    Raises:
        CheckpointUnreadable: a written model answers otherwise than the trained one.
    """
    models = method.models()
    with_onnx = payload.request.onnx and is_available()
    files = _FileCount(1 + len(models) * (3 if with_onnx else 1), progress)
    save_tensors(method.module.state_dict(), payload.work_dir / WEIGHTS_FILE)
    files.written()
    exported = []
    for name, model in models.items():
        folder = payload.work_dir / name
        provenance = _provenance(payload, model)
        write_model(model.eval(), folder, prepared.classes, prepared.report, provenance, access)
        files.written()
        written = ExportedModel(
            folder=name,
            architecture=model.description.architecture,
            parameters=sum(weight.numel() for weight in model.parameters()),
        )
        if with_onnx:
            written = _with_onnx(written, model, folder, prepared, files)
        elif payload.request.onnx:
            written = written.model_copy(update={"note": "no ONNX: the extra `export` is not installed"})
        exported.append(written)
    return exported


def write_cards(payload: TuningPayload, output: TuningOutput) -> None:
    """The cards of every model and of the whole, and the payload."""
    folder = payload.work_dir
    for model in output.models:
        _write_text(folder / model.folder / "README.md", write_card(payload, output, model))
    _write_text(folder / "README.md", write_card(payload, output, None))
    _write_text(folder / PAYLOAD_FILE, payload.model_dump_json(indent=1, exclude={"folder"}))


def _provenance(payload: TuningPayload, model: Classifier) -> dict[str, object]:
    return {
        "license": licence(payload.checkpoints),
        "pretraining_dataset": model.description.pretraining,
        "tuned_on": payload.dataset.name,
        "tuned_on_sha256": payload.dataset.digest,
        "method": json.loads(payload.request.method.model_dump_json()),
        "parents": {parent.id: parent.digest for parent in payload.checkpoints},
    }


def _with_onnx(
    written: ExportedModel, model: Classifier, folder: Path, prepared: Prepared, files: _FileCount
) -> ExportedModel:
    """`written` with both ONNX files, or a note of why one is missing."""
    try:
        written = written.model_copy(update={"onnx": write_onnx(model, folder, prepared.report)})
        files.written()
        int8 = write_int8(model, folder, prepared.data.train, prepared.report)
        written = written.model_copy(update={"int8": int8})
        files.written()
    except NotExportable as error:
        files.left_out(2 if written.onnx is None else 1)
        return written.model_copy(update={"note": error.reason})
    return written


def _write_text(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text.encode())
