"""The one training loop. Methods differ by modules and loss; whatever is about time, chance and failure is here.

Invariants:
- Every draw belongs to (seed, epoch or step): see `randomness`. With the state file this makes a training that was
  killed and goes on end in the weights of one that was not.
- The state file always holds finite weights, at the end of a step.
- The test split is never seen here.

Images: SGD with Nesterov momentum. The regularisers (L2-SP, EWC, BSS, B-Tuning) are weighted for it by their sources,
an adaptive method would divide their gradients away again, and the discrepancy's theory is that of SGD. Texts: AdamW,
as gradients of a transformer's layers differ by orders of magnitude.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from frontrunner.allocation import freed_memory_kept
from frontrunner.errors import TuningDiverged
from frontrunner.progress import SILENT, Progress, Stage
from frontrunner.tuning.examples.examples import Examples, Views
from frontrunner.tuning.options import Optimiser
from frontrunner.tuning.randomness import CROPS, NOISE, ORDER, UNLABELLED, epoch_order, generator_at, seeded
from frontrunner.tuning.result import CurvePoint
from frontrunner.tuning.training.method import Batch, Method
from frontrunner.tuning.training.state import Reached, StateFile

MOMENTUM = 0.9
# A step of a small network takes a second: at most this much work is done again after a kill.
SAVE_EVERY_S = 30.0
# Regularised losses start far above where they end; one that reaches this many times its start will not come back.
_EXPLODED = 100.0
_EVALUATED_AT_ONCE = 64


@dataclass(frozen=True)
class TrainingData:
    """What is trained on, what decides when to stop, and the unlabelled target of an adaptation."""

    train: Examples
    validation: Examples | None = None
    unlabelled: Examples | None = None


@dataclass(frozen=True)
class Schedule:
    """How to train; `frontrunner.tuning.TuningRequest` explains the numbers.

    Attributes:
        pause_after: epochs after which to leave off, to go on from the state another time; None for the end.
    """

    epochs: int
    batch_size: int
    micro_batch: int
    learning_rate: float
    patience: int
    seed: int
    smallest_crop: float = 0.5
    flip: bool = True
    optimiser: Optimiser = "sgd"
    anneal: bool = True
    stage: str = "training"
    pause_after: int | None = None


def train(
    method: Method, data: TrainingData, schedule: Schedule, state: StateFile, progress: Progress = SILENT
) -> Reached:
    """Train from wherever `state` stands to the end or a pause; the module then holds the best weights, on the CPU.

    The best are those of the highest validation accuracy, the lower loss deciding between equals; without a validation
    split those after the last epoch. The end of every step is a safe point, and whatever `progress` raises there goes
    on up once the state is saved. Points of the curve are its events.

    Raises:
        TuningDiverged: the loss was not finite or grew a hundredfold before the first epoch was over. Later, training
            ends as `diverged` and the best weights stand.
    """
    with freed_memory_kept():
        return _Training(method, data, schedule, state, progress).run()


class _Training:
    """A training under way: the method's module, its optimiser and `reached` always stand at the end of one step."""

    def __init__(
        self, method: Method, data: TrainingData, schedule: Schedule, state: StateFile, progress: Progress
    ) -> None:
        self.method, self.data, self.schedule, self.state, self.progress = method, data, schedule, state, progress
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Convolutions of small networks run half as fast in the other layout.
        self._move(self.device, torch.channels_last)
        groups = [{"params": list(g.weights), "rate": g.rate, "weight_decay": g.decay} for g in method.groups]
        self.optimiser = _optimiser(schedule, groups)
        self.reached = state.load(method.module, self.optimiser)
        self.steps = -(-len(data.train) // schedule.batch_size)  # an epoch's

    def run(self) -> Reached:
        """Train to the end."""
        reached = self.reached
        last = self.schedule.epochs if self.schedule.pause_after is None else self.schedule.pause_after
        while reached.ended is None and reached.epoch < last:
            if not self._epoch():
                if reached.best is None:
                    raise TuningDiverged(
                        f"the loss diverged in step {reached.step + 1}, before any epoch was over, at learning rate "
                        f"{self.schedule.learning_rate:g}: name a lower one"
                    )
                reached.ended = "diverged"
            elif reached.epoch == self.schedule.epochs:
                reached.ended = "completed"
            elif reached.epoch - reached.best_epoch >= self.schedule.patience:
                reached.ended = "stopped_early"
            if reached.ended is not None:
                self.method.module.load_state_dict(reached.best or {})
            self._save()
        self._move(torch.device("cpu"), torch.contiguous_format)
        self.method.module.load_state_dict(reached.best or {})
        self.method.module.eval()
        return reached

    def _epoch(self) -> bool:
        """The rest of the epoch in hand; False where the loss diverged."""
        reached, examples = self.reached, len(self.data.train)
        pieces = epoch_order(examples, self.schedule.seed, reached.epoch, ORDER).tensor_split(self.steps)
        saved_at = began_at = time.monotonic()
        for rows in pieces[reached.step - reached.epoch * self.steps :]:
            if not self._step(rows):
                return False
            now = time.monotonic()
            reached.seconds, began_at = reached.seconds + now - began_at, now
            if now - saved_at >= SAVE_EVERY_S:
                if not _is_finite(self.method.module):
                    return False
                saved_at = now
                self._save()
            try:
                done = reached.epoch * examples + int(reached.totals["examples"])
                what = "" if self.schedule.stage == "training" else self.schedule.stage
                self.progress.advance(Stage.TRAIN, done, self.schedule.epochs * examples, of=what)
                self.progress.safe_point()
            except BaseException:
                self._save()
                raise
        if not _is_finite(self.method.module):
            return False
        self._close_epoch()
        reached.seconds += time.monotonic() - began_at
        return True

    def _step(self, rows: Tensor) -> bool:
        """One step of the optimiser over `rows`, in pieces that fit; False where its loss shows divergence."""
        reached = self.reached
        self._set_rates()
        self.method.module.train()
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, float] = {"correct": 0.0, "examples": float(len(rows))}
        loss = 0.0
        with seeded(self.schedule.seed, NOISE, reached.step):
            for batch in self._batches(rows):
                with precision(self.device):
                    outcome = self.method.loss(batch)
                share = len(batch.rows) / len(rows)
                whole = torch.stack(list(outcome.parts.values())).sum() * share
                whole.backward()  # type: ignore[no-untyped-call]
                loss += float(whole.detach())
                for name, part in outcome.parts.items():
                    sums[name] = sums.get(name, 0.0) + float(part.detach()) * len(batch.rows)
                sums["correct"] += float((outcome.logits.argmax(dim=1) == batch.labels).sum())
        if reached.first_loss is None and math.isfinite(loss):
            reached.first_loss = loss
        if not math.isfinite(loss) or loss > _EXPLODED * max(1.0, reached.first_loss or 1.0):
            return False
        self.optimiser.step()
        reached.step += 1
        for name, value in sums.items():
            reached.totals[name] = reached.totals.get(name, 0.0) + value
        return True

    def _batches(self, rows: Tensor) -> Iterator[Batch]:
        """One step's batch in pieces of the schedule's micro-batch; crops are the same however it is cut."""
        data, schedule, step = self.data, self.schedule, self.reached.step
        crops = generator_at(schedule.seed, CROPS, step)
        augmented = data.train.augmented(rows, crops, smallest_crop=schedule.smallest_crop, flip=schedule.flip)
        count = -(-len(rows) // schedule.micro_batch)
        views: Sequence[Views] = augmented.tensor_split(count)
        others: list[Views | None] = [None] * count
        if data.unlabelled is not None:
            chosen = epoch_order(len(data.unlabelled), schedule.seed, step, UNLABELLED)[: len(rows)]
            unlabelled = data.unlabelled.augmented(
                chosen, crops, smallest_crop=schedule.smallest_crop, flip=schedule.flip
            )
            others = list(unlabelled.tensor_split(count))
        for piece, view, other in zip(rows.tensor_split(count), views, others, strict=True):
            yield Batch(
                rows=piece,
                views=view.to(self.device, memory_format=torch.channels_last),
                labels=data.train.labels[piece].to(self.device),
                unlabelled=None if other is None else other.to(self.device, memory_format=torch.channels_last),
                progress=self._share_over(),
            )

    def _close_epoch(self) -> None:
        """The epoch's points on the curve, and the best weights so far."""
        reached, validation = self.reached, self.data.validation
        reached.epoch += 1
        totals, reached.totals = reached.totals, {}
        examples, correct = totals.pop("examples"), totals.pop("correct")
        self._tell("train", {n: v / examples for n, v in totals.items()}, correct / examples, int(examples))
        if validation is not None:
            logits = answers(self.method, validation, self.device)
            reached.losses = nn.functional.cross_entropy(logits, validation.labels, reduction="none").tolist()
            loss = fmean(reached.losses)
            accuracy = float((logits.argmax(dim=1) == validation.labels).float().mean())
            self._tell("validation", {"task": loss}, accuracy, len(validation))
            if reached.best_value is not None and (accuracy, -loss) <= reached.best_value:
                return
            reached.best_value = (accuracy, -loss)
        reached.best_epoch = reached.epoch
        state = self.method.module.state_dict()
        reached.best = {name: value.detach().cpu().clone() for name, value in state.items()}

    def _tell(self, split: Literal["train", "validation"], loss: dict[str, float], accuracy: float, seen: int) -> None:
        point = CurvePoint(
            stage=self.schedule.stage,
            epoch=self.reached.epoch,
            step=self.reached.step,
            split=split,
            loss=loss,
            accuracy=accuracy,
            examples=seen,
            learning_rate=self.optimiser.param_groups[0]["lr"] / self.optimiser.param_groups[0]["rate"],
        )
        self.reached.curve.append(point)
        self.progress.event(point)

    def _share_over(self) -> float:
        return self.reached.step / (self.steps * self.schedule.epochs)

    def _set_rates(self) -> None:
        """A cosine from the learning rate to zero, or no change; each group keeps its own multiple of it."""
        share = 0.5 * (1 + math.cos(math.pi * self._share_over())) if self.schedule.anneal else 1.0
        rate = self.schedule.learning_rate * share
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["rate"]

    def _save(self) -> None:
        self.state.save(self.reached, self.method.module, self.optimiser)

    def _move(self, device: torch.device, layout: torch.memory_format) -> None:
        for part in (self.method.module, *self.method.frozen):
            convert_conv2d_weight_memory_format(part.to(device), layout)


def _optimiser(schedule: Schedule, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if schedule.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.learning_rate)
    return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=MOMENTUM, nesterov=True)


def answers(method: Method, examples: Examples, device: torch.device | None = None) -> Tensor:
    """(n, C) logits of the plain views, on the CPU, in evaluation mode."""
    device = device or torch.device("cpu")
    method.module.eval()
    pieces = torch.split(torch.arange(len(examples)), _EVALUATED_AT_ONCE)
    views = (examples.plain(rows).to(device, memory_format=torch.channels_last) for rows in pieces)
    with torch.inference_mode(), precision(device):
        return torch.cat([method.classify(view).float().cpu() for view in views])


def precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 where the device multiplies it in hardware, float32 elsewhere."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


def _is_finite(module: nn.Module) -> bool:
    return all(bool(torch.isfinite(value).all()) for value in module.state_dict().values())
