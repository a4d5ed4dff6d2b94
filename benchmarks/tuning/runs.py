"""One cell of the comparison: a method on a dataset with a seed; kept as a line of JSON once it is done."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from benchmarks.discrepancy.pack import pack
from frontrunner.data import open_dataset
from frontrunner.data.reference import DatasetReference
from frontrunner.errors import FrontrunnerError
from frontrunner.hub import CheckpointDescription, describe_directory
from frontrunner.tuning import MADE_OF_TEACHERS, TEACHERS_NEEDED, TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.run import Fitted, fit
from frontrunner.tuning.training.loop import answers

# The four checkpoints of one architecture; the first is the popular one that anybody would take.
ZOO = (
    "mobilenetv2_100.slim_in1k_q8",
    "mobilenetv2_100.tf2_in1k_q8",
    "mobilenetv2_100.inat_bird_q8",
    "mobilenetv2_100_160.dogs19_ft",
)


class Protocol(BaseModel):
    """What all cells of one table have in common."""

    epochs: int
    images: int
    size: int


class Cell(BaseModel):
    """What one tuning came to. `accuracy` is None where it failed, and `error` says why.

    `members` holds the accuracy of each teacher of an ensemble by itself: fine-tuned alone, at the ensemble's rate and
    to the ensemble's best epoch.
    """

    protocol: Protocol
    dataset: str
    method: str
    seed: int
    accuracy: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    learning_rate: float | None = None
    best_epoch: int | None = None
    parameters: int | None = None
    seconds: float = 0.0
    members: dict[str, float] = {}
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Names the cell within its table."""
        return self.dataset, self.method, self.seed


def read_cells(path: Path, protocol: Protocol) -> list[Cell]:
    """The finished cells of one protocol; a line cut off by a kill is left out and done again."""
    return [cell for cell in _lines(path) if cell.protocol == protocol]


def _lines(path: Path) -> Iterator[Cell]:
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            yield Cell.model_validate_json(line)
        except ValueError:
            continue


def add_cell(path: Path, cell: Cell) -> None:
    """Append one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{json.dumps(cell.model_dump())}\n")


def run_cell(protocol: Protocol, dataset: str, method: str, seed: int, rate: float | None, folder: Path) -> Cell:
    """Tune and measure on the test split. Goes on where a killed run stopped, as its state lies in `folder`.

    Args:
        protocol, dataset, method, seed: which cell; `finetune@NAME` fine-tunes another checkpoint than the popular one,
            `METHOD+trained` trains the statistics of normalisation.
        rate: the learning rate; None to look for it.
        folder: what an unfinished cell keeps; cleared once it is finished.
    """
    order = order_of(protocol, dataset, method, seed, rate, folder)
    started = time.monotonic()
    cell = Cell(protocol=protocol, dataset=dataset, method=method, seed=seed)
    try:
        fitted = fit(order)
    except FrontrunnerError as error:
        return cell.model_copy(update={"error": f"{error.code}: {error.reason}", "seconds": time.monotonic() - started})
    metrics = fitted.metrics()
    shutil.rmtree(order.work_dir, ignore_errors=True)
    return cell.model_copy(
        update={
            "accuracy": metrics.accuracy.value,
            "log_loss": metrics.log_loss,
            "calibration_error": metrics.calibration_error,
            "learning_rate": fitted.plan.learning_rate,
            "best_epoch": fitted.reached.best_epoch,
            "parameters": sum(weight.numel() for weight in fitted.method.parameters()),
            "seconds": fitted.reached.seconds,
            "members": _members(fitted) if method == "ensemble" else {},
        }
    )


def _members(fitted: Fitted) -> dict[str, float]:
    report = fitted.data.report
    alone = [
        answers(replace(fitted.method, module=member, classify=member), report)
        for member in fitted.method.models().values()
    ]
    return {
        name: float((logits.argmax(dim=1) == report.labels).float().mean())
        for name, logits in zip(ZOO, alone, strict=True)
    }


def order_of(
    protocol: Protocol, dataset: str, method: str, seed: int, rate: float | None, folder: Path
) -> TuningPayload:
    """The cell as an order. Every epoch is trained; validation only chooses among their weights."""
    method, _, statistics = method.partition("+")
    name, _, chosen = method.partition("@")
    known = {found.id: found for found in (_describe(checkpoint) for checkpoint in ZOO)}
    student = f"local:{chosen}" if chosen else next(iter(known))
    request = TuningRequest.model_validate(
        {
            "method": name,
            "student": None if name in MADE_OF_TEACHERS else student,
            "teachers": tuple(known) if name in TEACHERS_NEEDED else (),
            "epochs": protocol.epochs,
            "patience": protocol.epochs,
            "learning_rate": rate,
            "image_size": protocol.size,
            "hold_statistics": statistics != "trained",
            "max_examples": protocol.images,
            "seed": seed,
        }
    )
    path = pack() / "datasets" / dataset / f"{dataset}.zip"
    opened = open_dataset(path)
    return tuning_payload(request, DatasetReference(path=path, name=dataset, digest=opened.digest), known, folder)


def _describe(checkpoint: str) -> CheckpointDescription:
    return describe_directory(pack() / "hub" / checkpoint)
