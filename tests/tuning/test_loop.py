"""Facts about the training loop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from frontrunner.errors import TuningDiverged
from frontrunner.progress import Stage
from frontrunner.tuning.methods import build
from frontrunner.tuning.options import FinetuneOptions
from frontrunner.tuning.run import run_tuning
from frontrunner.tuning.training.loop import TrainingData, train
from frontrunner.tuning.training.method import Outcome, cross_entropy
from frontrunner.tuning.training.state import StateFile
from tests.tuning.builders import (
    Recorded,
    Stopped,
    StoppedAt,
    coloured_images,
    context,
    linear_method,
    payload,
    schedule,
)

KILLED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
import frontrunner.tuning.training.loop as loop
from frontrunner.progress import Silent, Stage
from frontrunner.tuning import TuningPayload
from frontrunner.tuning.run import run_tuning

loop.SAVE_EVERY_S = 0.0

class Killed(Silent):
    steps = 0

    def advance(self, stage, done, total, *, of=""):
        self.steps += stage == Stage.TRAIN
        if self.steps == 5:
            os.kill(os.getpid(), signal.SIGKILL)

run_tuning(TuningPayload.model_validate_json(Path(sys.argv[1]).read_bytes()), Killed())
"""


def task_loss(module, batch):
    logits = module(batch.views)
    return Outcome({"task": cross_entropy(logits, batch.labels)}, logits)


def state(path, name="state.pt"):
    return StateFile(path / name, "test")


@pytest.mark.parametrize("method", ["lite_zoo_tuning", "hub_pathway"])
def test_a_training_killed_with_signal_9_ends_in_the_weights_of_an_unbroken_one(tmp_path, zoo, colour_task, method):
    """Killed in step 5 of 6 after a save in the middle of an epoch; the pathway draws noise, the lite gates average."""
    unbroken = payload(method, colour_task, None, zoo, tmp_path / "unbroken", batch_size=10)
    run_tuning(unbroken)
    broken = unbroken.model_copy(update={"folder": tmp_path / "broken"})
    (tmp_path / "payload.json").write_text(broken.model_dump_json())
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "payload.json")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not (broken.work_dir / "tuned.safetensors").exists()
    heard = Recorded()
    run_tuning(broken, heard)
    assert min(heard.counts(Stage.TRAIN)) > (26, 52)  # what was saved was not trained again
    expected = load_file(unbroken.work_dir / "tuned.safetensors")
    reached = load_file(broken.work_dir / "tuned.safetensors")
    assert expected.keys() == reached.keys()
    for name, value in expected.items():
        torch.testing.assert_close(reached[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_training_that_is_asked_to_stop_has_saved_the_step_in_hand(tmp_path, optimiser):
    data = TrainingData(coloured_images(16))
    module, method = linear_method(task_loss)
    steps = schedule(optimiser=optimiser)
    with pytest.raises(Stopped):
        train(method, data, steps, state(tmp_path), StoppedAt(Stage.TRAIN, 3))
    heard = Recorded()
    train(method, data, steps, state(tmp_path), heard)
    assert heard.counts(Stage.TRAIN) == [(32, 32)]
    other, unbroken = linear_method(task_loss)
    train(unbroken, data, steps, state(tmp_path, "other.pt"))
    assert torch.equal(module.map.weight, other.map.weight)


def test_the_state_of_another_tuning_is_not_read(tmp_path):
    data = TrainingData(coloured_images(16))
    _, method = linear_method(task_loss)
    train(method, data, schedule(), StateFile(tmp_path / "state.pt", "one"))
    heard = Recorded()
    train(method, data, schedule(), StateFile(tmp_path / "state.pt", "another"), heard)
    assert heard.counts(Stage.TRAIN) == [(8, 32), (16, 32), (24, 32), (32, 32)]


def test_gradients_of_pieces_add_up_to_those_of_the_batch(tmp_path, vit):
    """Without batch statistics cutting a batch changes nothing but rounding."""
    images = coloured_images(16)
    weights = []
    for piece in (8, 3):
        method = build(context(FinetuneOptions(), tmp_path, images, vit))
        steps = schedule(micro_batch=piece, epochs=1)
        train(method, TrainingData(images), steps, state(tmp_path, f"{piece}.pt"))
        weights.append(method.module.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-4, atol=1e-6)


def test_a_loss_that_diverges_in_the_first_epoch_is_an_error_with_a_code(tmp_path):
    def infinite(module, batch):
        outcome = task_loss(module, batch)
        return Outcome({"task": outcome.parts["task"] * float("inf")}, outcome.logits)

    _, method = linear_method(infinite)
    with pytest.raises(TuningDiverged, match="step 1") as caught:
        train(method, TrainingData(coloured_images(16)), schedule(), state(tmp_path))
    assert caught.value.code == "tuning_diverged"


@pytest.mark.parametrize("factor", [float("nan"), 1e6])
def test_a_loss_that_diverges_later_leaves_the_best_weights(tmp_path, factor):
    def fails_late(module, batch):
        outcome = task_loss(module, batch)
        return Outcome({"task": outcome.parts["task"] * (factor if batch.progress >= 0.5 else 1.0)}, outcome.logits)

    images = coloured_images(16)
    data = TrainingData(images, validation=coloured_images(9, seed=1))
    module, method = linear_method(fails_late)
    reached = train(method, data, schedule(epochs=4), state(tmp_path))
    assert (reached.ended, reached.epoch, reached.best_epoch) == ("diverged", 2, 2)
    assert torch.isfinite(module.map.weight).all()
    assert torch.equal(module.map.weight, reached.best["map.weight"])
    heard = Recorded()
    assert train(method, data, schedule(epochs=4), state(tmp_path), heard).ended == "diverged"
    assert heard.advances == []


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(tmp_path):
    """Labels of the validation are turned around, so that every epoch makes it worse."""
    images = coloured_images(32)
    against = coloured_images(9, seed=1)
    against = type(against)(against.pixels, (against.labels + 1) % 3, against.image_size)
    module, method = linear_method(task_loss)
    reached = train(
        method,
        TrainingData(images, against),
        schedule(epochs=20, patience=2, learning_rate=0.1),
        state(tmp_path),
    )
    assert reached.ended == "stopped_early"
    assert reached.epoch == reached.best_epoch + 2 < 20
    assert torch.equal(module.map.bias, reached.best["map.bias"])


def test_the_rate_follows_a_cosine_and_each_group_its_multiple(tmp_path):
    """With a loss whose gradient is one everywhere, the first step's length is 1 + momentum times its rate."""
    lengths = {}
    for rate in (1.0, 10.0):
        module, method = linear_method(
            lambda module, batch: Outcome({"sum": module.map.bias.sum()}, module(batch.views)), rate
        )
        train(method, TrainingData(coloured_images(8)), schedule(epochs=1), state(tmp_path, f"{rate}.pt"))
        lengths[rate] = float(-module.map.bias[0].detach())
    assert lengths[1.0] == pytest.approx(0.01 * 1.9)
    assert lengths[10.0] == pytest.approx(10 * lengths[1.0])


def test_curves_tell_parts_accuracy_and_both_splits(tmp_path):
    heard = Recorded()
    data = TrainingData(coloured_images(16), validation=coloured_images(9, seed=1))
    _, method = linear_method(task_loss)
    reached = train(method, data, schedule(), state(tmp_path), heard)
    told = heard.events
    assert told == reached.curve
    assert {point.type for point in told} == {"curve"}
    assert "type" not in told[0].model_dump()
    assert [(point.epoch, point.split) for point in told] == [
        (1, "train"),
        (1, "validation"),
        (2, "train"),
        (2, "validation"),
    ]
    assert all(set(point.loss) == {"task"} and 0 <= point.accuracy <= 1 for point in told)
    assert [point.step for point in told] == [2, 2, 4, 4]


def test_no_step_sees_a_lonely_example(tmp_path):
    """33 examples in batches of 16 are three batches of 11, not two and a single one."""
    sizes = []

    def watch(module, batch):
        sizes.append(len(batch.rows))
        return task_loss(module, batch)

    _, method = linear_method(watch)
    train(
        method,
        TrainingData(coloured_images(33)),
        schedule(epochs=1, batch_size=16, micro_batch=16),
        state(tmp_path),
    )
    assert sizes == [11, 11, 11]
