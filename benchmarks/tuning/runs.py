"""One run of the comparison: a method on a dataset with a seed; kept as a line of JSON once it is done."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from benchmarks.discrepancy.pack import pack
from frontrunner.data import DatasetReference, open_dataset
from frontrunner.errors import FrontrunnerError
from frontrunner.hub import CheckpointDescription, describe_directory
from frontrunner.tuning import METHODS, TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.networks.classifier import Classifier
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
    """What all runs of one table have in common."""

    epochs: int
    images: int
    size: int


class RunKey(NamedTuple):
    """Names a run within its table.

    Attributes:
        dataset: of the pack.
        method: `finetune@NAME` fine-tunes another checkpoint than the popular one, `METHOD+trained` trains the
            statistics of normalisation, `METHOD:leader=0.25` names a number of the method.
        seed: of the tuning.
    """

    dataset: str
    method: str
    seed: int


class Run(BaseModel):
    """What one tuning came to. `accuracy` is None where it failed, and `error` says why.

    `leader` is the id of the checkpoint that a zoo began with. `members` holds the accuracy of each teacher of an
    ensemble by itself: fine-tuned alone, at the ensemble's rate and to the ensemble's best epoch.
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
    leader: str | None = None
    members: dict[str, float] = {}
    error: str | None = None

    @property
    def key(self) -> RunKey:
        """Its name within its table."""
        return RunKey(self.dataset, self.method, self.seed)


def read_runs(path: Path, protocol: Protocol) -> list[Run]:
    """The finished runs of one protocol; a line cut off by a kill is left out and done again."""
    return [run for run in _lines(path) if run.protocol == protocol]


def _lines(path: Path) -> Iterator[Run]:
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            yield Run.model_validate_json(line)
        except ValueError:
            continue


def add_run(path: Path, run: Run) -> None:
    """Append one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{json.dumps(run.model_dump())}\n")


def tune_once(
    protocol: Protocol, key: RunKey, rate: float | None, folder: Path, zoo: Sequence[CheckpointDescription]
) -> Run:
    """Tune and measure on the test split. Goes on where a killed run stopped, as its state lies in `folder`.

    Args:
        protocol, key: which run.
        rate: the learning rate; None to look for it.
        folder: what an unfinished run keeps; cleared once it is finished.
        zoo: the checkpoints, the one that is tuned by default first.
    """
    payload = payload_of(protocol, key, rate, folder, zoo)
    started = time.monotonic()
    run = Run(protocol=protocol, **key._asdict())
    try:
        fitted = fit(payload)
    except FrontrunnerError as error:
        return run.model_copy(update={"error": f"{error.code}: {error.reason}", "seconds": time.monotonic() - started})
    metrics = fitted.metrics()
    shutil.rmtree(payload.work_dir, ignore_errors=True)
    return run.model_copy(
        update={
            "accuracy": metrics.accuracy.value,
            "log_loss": metrics.log_loss,
            "calibration_error": metrics.calibration_error,
            "learning_rate": fitted.schedule.learning_rate,
            "best_epoch": fitted.reached.best_epoch,
            "parameters": sum(weight.numel() for weight in fitted.method.parameters()),
            "seconds": fitted.reached.seconds,
            "leader": _leader(fitted),
            "members": _members(fitted) if key.method == "ensemble" else {},
        }
    )


def _leader(fitted: Fitted) -> str | None:
    if not fitted.context.options.needs_one_architecture:
        return None
    assert isinstance(fitted.method.module, Classifier)
    return fitted.method.module.description.id


def _members(fitted: Fitted) -> dict[str, float]:
    report = fitted.data.report
    alone = [
        answers(replace(fitted.method, module=member, classify=member), report)
        for member in fitted.method.models().values()
    ]
    return {
        teacher.id.removeprefix("local:"): float((logits.argmax(dim=1) == report.labels).float().mean())
        for teacher, logits in zip(fitted.context.teachers, alone, strict=True)
    }


def payload_of(
    protocol: Protocol, key: RunKey, rate: float | None, folder: Path, zoo: Sequence[CheckpointDescription]
) -> TuningPayload:
    """The run as work to be done. Every epoch is trained; validation only chooses among their weights."""
    method, _, statistics = key.method.partition("+")
    method, _, chosen = method.partition("@")
    name, _, number = method.partition(":")
    option, _, value = number.partition("=")
    known = {found.id: found for found in zoo}
    student = f"local:{chosen}" if chosen else next(iter(known))
    request = TuningRequest.model_validate(
        {
            "method": {"name": name} | ({option: value} if option else {}),
            "student": None if METHODS[name].made_of_teachers else student,
            "teachers": tuple(known) if METHODS[name].teachers_needed else (),
            "epochs": protocol.epochs,
            "patience": protocol.epochs,
            "learning_rate": rate,
            "image_size": protocol.size,
            "hold_statistics": statistics != "trained",
            "max_examples": protocol.images,
            "seed": key.seed,
        }
    )
    return tuning_payload(request, dataset(key.dataset), known, folder)


def dataset(name: str) -> DatasetReference:
    """A dataset of the pack."""
    path = dataset_path(name)
    return DatasetReference(path=path, name=name, digest=open_dataset(path).digest)


def dataset_path(name: str) -> Path:
    """Where a dataset of the pack lies."""
    return pack() / "datasets" / name / f"{name}.zip"


def pack_zoo() -> list[CheckpointDescription]:
    """The pack's four checkpoints of one architecture."""
    return [describe_directory(pack() / "hub" / checkpoint) for checkpoint in ZOO]
