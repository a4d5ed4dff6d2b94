"""A tuning that is stopped at a safe point goes on later and ends in the weights of one that was not."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from frontrunner.hub import CheckpointDescription
from frontrunner.progress import SILENT, Stage
from frontrunner.tuning.run import run_tuning
from frontrunner.tuning.training.budget import affordable_epochs
from frontrunner.tuning.training.loop import TrainingData
from frontrunner.tuning.training.method import Outcome
from frontrunner.tuning.training.state import StateFolder
from tests.tuning.builders import (
    Recorded,
    Stopped,
    StoppedAt,
    coloured_images,
    coloured_zip,
    linear_method,
    payload,
    schedule,
)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """So many images that decoding and reading take several pieces each."""
    return coloured_zip(tmp_path_factory.mktemp("task") / "task.zip", 90, 70)


def work_in(folder, task, zoo: tuple[CheckpointDescription, ...]):
    """Three trials of six steps, then six steps of training."""
    return payload("b_tuning", task, zoo[0], zoo[1:], folder, learning_rate=None, batch_size=32)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, task, zoo):
    work = work_in(tmp_path_factory.mktemp("unbroken"), task, zoo)
    heard = Recorded()
    output = run_tuning(work, heard)
    return output, load_file(work.work_dir / output.weights), heard


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        (Stage.DECODE, 1),
        (Stage.DECODE, 3),
        (Stage.READ, 1),
        (Stage.READ, 4),
        (Stage.TRAIN, 1),
        (Stage.TRAIN, 10),
        (Stage.TRAIN, 21),
        (Stage.EXPORT, 1),
        (Stage.EXPORT, 2),
    ],
)
def test_wherever_it_is_stopped_it_ends_in_the_same_weights(tmp_path, task, zoo, unbroken, stage, place):
    output, weights, heard = unbroken
    work = work_in(tmp_path, task, zoo)
    with pytest.raises(Stopped):
        run_tuning(work, StoppedAt(stage, place))
    assert not (work.work_dir / "output.json").exists()
    again = Recorded()
    ended = run_tuning(work, again)
    reached = load_file(work.work_dir / ended.weights)
    assert reached.keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in reached.items())
    assert (ended.sweep, ended.metrics, ended.curve) == (output.sweep, output.metrics, output.curve)
    # Nothing is trained twice, and what had been decoded or read before is not done again.
    before = heard.counts(Stage.TRAIN)
    steps = {Stage.TRAIN: place, Stage.EXPORT: len(before)}.get(stage, 0)
    assert len(again.counts(Stage.TRAIN)) == max(1, len(before) - steps)
    if stage != Stage.DECODE:
        assert again.counts(Stage.DECODE) == []
    if stage in (Stage.TRAIN, Stage.EXPORT):
        # The 70 of the test split, for the probe to beat: that comes last.
        assert {total for _, total in again.counts(Stage.READ)} == {70}


def test_a_timing_for_a_budget_may_be_stopped_after_a_step_and_is_done_again(tmp_path):
    class StoppedAtOnce(Recorded):
        def safe_point(self):
            raise Stopped

    _, method = linear_method(lambda module, batch: Outcome({"sum": module(batch.views).sum()}, module(batch.views)))
    timed = (method, TrainingData(coloured_images(32)), schedule(), 1e6, 0, StateFolder(tmp_path, "test"))
    heard = StoppedAtOnce()
    with pytest.raises(Stopped):
        affordable_epochs(*timed, heard)
    assert (heard.advances, heard.events, list(tmp_path.glob("epochs.json"))) == ([], [], [])
    assert affordable_epochs(*timed, SILENT) == 2
