"""Ground truth: checkpoints really adapted to datasets, one run at a time, with what the product tunes with."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from frontrunner.data import DatasetReference
from frontrunner.errors import FrontrunnerError, TuningDiverged
from frontrunner.evidence.runs import MeasuredRun, Protocol, RunKey
from frontrunner.evidence.tables import Table
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.progress import SILENT, Progress
from frontrunner.ranking.prediction import Adaptation
from frontrunner.tuning.options import method_of, rates_of
from frontrunner.tuning.request import TuningPayload, TuningRequest, tuning_payload

if TYPE_CHECKING:
    from frontrunner.tuning.run import Fitted

_LIBRARIES = ("torch", "timm", "transformers")


class RefusedRun(BaseModel):
    """A run that is not in the truth, and why. No table keeps one that could not be made: a later version may."""

    adaptation: Adaptation
    dataset: str
    checkpoint: str
    seed: int
    code: str
    reason: str

    @classmethod
    def of(cls, key: RunKey, code: str, reason: str) -> RefusedRun:
        """The run that `key` names, with the code and the reason of an error."""
        return cls(**key._asdict(), code=code, reason=reason)

    @property
    def key(self) -> RunKey:
        """Its name in a table."""
        return RunKey(self.adaptation, self.dataset, self.checkpoint, self.seed)


def wanted_runs(
    adaptations: Sequence[Adaptation],
    datasets: Iterable[str],
    checkpoints: Iterable[str],
    seeds: Iterable[int],
) -> list[RunKey]:
    """Every run of a table, in an order in which an end at any moment leaves whole datasets.

    Example:
        >>> [key.checkpoint for key in wanted_runs(["full"], ["pets"], ["local:a", "local:b"], [0])]
        ['local:a', 'local:b']
    """
    checkpoints, datasets = list(checkpoints), list(datasets)
    return [
        RunKey(adaptation, dataset, checkpoint, seed)
        for seed in seeds
        for dataset in datasets
        for adaptation in adaptations
        for checkpoint in checkpoints
    ]


def measure_missing(
    wanted: Iterable[RunKey],
    protocol: Protocol,
    table: Table[MeasuredRun],
    datasets: dict[str, DatasetReference],
    checkpoints: dict[str, CheckpointDescription],
    folder: Path,
    *,
    progress: Progress = SILENT,
    access: HubAccess | None = None,
) -> Iterator[MeasuredRun | RefusedRun]:
    """Measure the runs that the table lacks and add each as soon as it is over; an interrupted one goes on.

    Args:
        wanted: the runs; the first seed of a pair comes before its others, which take its learning rate. So do runs of
            another number of examples.
        protocol: how each is made.
        table: holds what is finished, and takes what is measured.
        datasets, checkpoints: by the names that `wanted` uses.
        folder: what unfinished runs keep.
        progress: hears of what `tuning.run.fit` tells.
        access: how checkpoints that lie on a hub are reached; as the environment says by default.

    Yields:
        The runs that were measured now, and those that cannot be made.
    """
    for key in wanted:
        dataset, checkpoint = datasets[key.dataset], checkpoints[key.checkpoint]
        # A dataset or checkpoint that has changed since is another one.
        same = (dataset.digest, checkpoint.digest)
        runs = [
            run
            for run in table
            if (run.dataset_digest, run.checkpoint_digest) == same and run.key._replace(seed=key.seed) == key
        ]
        if any(run.key == key and run.protocol == protocol for run in runs):
            continue
        others = [run for run in runs if run.protocol.searches_as(protocol)]
        rate = next((run.learning_rate for run in sorted(others, key=lambda run: run.seed)), None)
        try:
            run = measure_run(
                key,
                protocol,
                dataset,
                checkpoint,
                folder,
                learning_rate=rate,
                progress=progress,
                access=access,
            )
        except FrontrunnerError as error:
            yield RefusedRun.of(key, error.code, error.reason)
        else:
            table.add(run)
            yield run


def measure_run(
    key: RunKey,
    protocol: Protocol,
    dataset: DatasetReference,
    checkpoint: CheckpointDescription,
    folder: Path,
    *,
    learning_rate: float | None = None,
    progress: Progress = SILENT,
    access: HubAccess | None = None,
) -> MeasuredRun:
    """Adapt one checkpoint to one dataset and measure it on the test split.

    Args:
        key: which run.
        protocol: how it is made.
        dataset, checkpoint: what `key` names.
        folder: where it keeps its state until it is over.
        learning_rate: None to look for it.
        progress, access: as for `measure_missing`.

    Raises:
        FrontrunnerError: the checkpoint cannot be adapted to the dataset this way.
    """
    from frontrunner.tuning.run import fit

    def train(rate: float) -> MeasuredRun:
        payload = payload_of(key, protocol, dataset, checkpoint, folder, rate)
        try:
            measured = _measured(fit(payload, progress, access=access))
        except TuningDiverged:
            measured = {"status": "diverged", "learning_rate": rate}
        shutil.rmtree(payload.work_dir, ignore_errors=True)
        finished = {"finished": datetime.now(UTC).replace(microsecond=0)}
        return MeasuredRun.model_validate(key._asdict() | protocol.model_dump() | measured | provenance | finished)

    rates = (learning_rate,) if learning_rate else rates_of(method_of(key.adaptation), checkpoint.modality)
    provenance = {
        "dataset_digest": dataset.digest,
        "checkpoint_digest": checkpoint.digest,
        "versions": " ".join(f"{library} {version(library)}" for library in _LIBRARIES),
    }
    return best_of_rates(train, rates)


def best_of_rates(train: Callable[[float], MeasuredRun], rates: Sequence[float]) -> MeasuredRun:
    """The run with the lowest validation loss, looked for from the middle of the rates, first downwards.

    Each rate is trained to the end: short trials, which a tuning makes, now and then choose a rate that ruins it. The
    search ends where the loss rises; its seconds are those of all runs.

    Args:
        train: a run at a rate.
        rates: ascending.

    Example:
        >>> import functools
        >>> losses = {0.0003: 0.5, 0.001: 0.9, 0.003: 0.7}
        >>> made = functools.partial(MeasuredRun.model_construct, status="completed")
        >>> run = best_of_rates(lambda rate: made(learning_rate=rate, validation_loss=losses[rate]), list(losses))
        >>> run.learning_rate
        0.0003
    """
    middle = len(rates) // 2
    best = first = train(rates[middle])
    seconds = first.seconds or 0.0
    for way in (rates[:middle][::-1], rates[middle + 1 :]):
        if best is not first:  # the optimum lies on the other side
            break
        for rate in way:
            found = train(rate)
            seconds += found.seconds or 0.0
            if _loss(found) >= _loss(best):
                break
            best = found
    return best.model_copy(update={"seconds": round(seconds, 1)})


def _loss(run: MeasuredRun) -> float:
    return math.inf if run.status == "diverged" or run.validation_loss is None else run.validation_loss


def payload_of(
    key: RunKey,
    protocol: Protocol,
    dataset: DatasetReference,
    checkpoint: CheckpointDescription,
    folder: Path,
    learning_rate: float | None,
) -> TuningPayload:
    """The run as a tuning. Every epoch is trained; validation only chooses among their weights."""
    request = TuningRequest.model_validate(
        {
            "method": method_of(key.adaptation).name,
            "student": checkpoint.id,
            "epochs": protocol.epochs,
            "patience": protocol.epochs,
            "batch_size": protocol.batch_size,
            "learning_rate": learning_rate,
            "image_size": protocol.image_size,
            "max_examples": protocol.examples,
            "seed": key.seed,
            "onnx": False,
        }
    )
    return tuning_payload(request, dataset, {checkpoint.id: checkpoint}, folder)


def _measured(fitted: Fitted) -> dict[str, object]:
    import torch

    on_gpu = torch.cuda.is_available()
    best = fitted.reached.best_value
    found: dict[str, object] = {
        "learning_rate": fitted.schedule.learning_rate,
        "best_epoch": fitted.reached.best_epoch,
        "train_examples": len(fitted.data.data.train),
        "validation_loss": None if best is None else round(-best[1], 6),
        "seconds": fitted.reached.seconds,
        "device": torch.cuda.get_device_name() if on_gpu else f"cpu, {torch.get_num_threads()} threads",
    }
    if fitted.reached.ended == "diverged":
        return found | {"status": "diverged"}
    metrics = fitted.metrics()
    return found | {
        "status": "completed",
        "accuracy": round(metrics.accuracy.value, 6),
        "log_loss": round(metrics.log_loss, 6),
        "test_examples": metrics.examples,
    }
