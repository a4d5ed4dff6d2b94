"""Facts about what is measured of a tuned model, and about memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from frontrunner.errors import MemoryLimitTooLow
from frontrunner.tuning.measurement import calibration_error, measure, wilson
from frontrunner.tuning.methods import build
from frontrunner.tuning.options import FinetuneOptions, LiteZooTuningOptions
from frontrunner.tuning.training.memory import comfortable_batch, kept_for_backward, micro_batch
from frontrunner.tuning.training.method import Batch, Outcome, cross_entropy
from tests.tuning.builders import coloured_images, context, linear_method


@pytest.mark.parametrize(("successes", "trials"), [(0, 12), (7, 12), (12, 12), (431, 500)])
def test_the_interval_is_wilsons(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_rows_of_the_confusion_are_the_true_classes():
    logits = torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [0, 2.0, 0], [0, 0, 2.0]])
    found = measure(logits, torch.tensor([0, 0, 1, 2]), ("a", "b", "c"), "test")
    assert found.confusion == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.accuracy.value == 0.75
    assert found.log_loss == pytest.approx(float(cross_entropy(logits, torch.tensor([0, 0, 1, 2]))), rel=1e-6)


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    confidence = np.array([0.95, 0.95, 0.61, 0.61, 0.61])
    correct = np.array([True, False, True, True, True])
    assert calibration_error(confidence, correct) == pytest.approx(2 / 5 * 0.45 + 3 / 5 * 0.39)


def batch_of(images, n):
    rows = torch.arange(n)
    return Batch(rows, images.plain(rows), images.labels[rows], None, 0.0)


def test_what_is_kept_for_the_backward_pass_grows_with_the_batch_and_nothing_is_changed(tmp_path, zoo):
    images = coloured_images(8)
    for options, teachers in ((FinetuneOptions(), ()), (LiteZooTuningOptions(), zoo)):
        given = context(options, tmp_path, images, None if teachers else zoo[0], teachers)
        method = build(given)
        before = {name: value.clone() for name, value in method.module.state_dict().items()}
        kept = [kept_for_backward(method, batch_of(images, n)) for n in (2, 4, 8)]
        # What mixing weights keeps does not grow; what is kept of each example does.
        assert kept[2] - kept[1] == pytest.approx(2 * (kept[1] - kept[0]), rel=0.05)
        assert all(torch.equal(value, before[name]) for name, value in method.module.state_dict().items())


def test_the_bytes_kept_are_those_of_the_activations():
    """x W' of (b, 3) pixels: the pooled input and the softmax's output are kept, a few floats an example."""

    def loss(module, batch):
        logits = module(batch.views)
        return Outcome({"task": logits.square().sum()}, logits)

    _, method = linear_method(loss)
    images = coloured_images(8)
    # square keeps its input (b, 3), the linear map its own (b, 3), four bytes each.
    assert kept_for_backward(method, batch_of(images, 8)) == 8 * 3 * 4 * 2


def test_a_limit_splits_the_batch_and_a_lower_one_is_refused(tmp_path, zoo):
    images = coloured_images(8)
    method = build(context(FinetuneOptions(), tmp_path, images, zoo[0]))
    weights = sum(weight.numel() for weight in method.module.parameters()) * 4 * 4
    each = kept_for_backward(method, batch_of(images, 2)) / 2

    def allowed(limit):
        return micro_batch(method, limit, 32, lambda: batch_of(images, 2))

    assert allowed(None) == 32
    assert allowed(weights + 5.5 * each) == 5
    assert allowed(weights + 1000 * each) == 32
    with pytest.raises(MemoryLimitTooLow, match="two examples take"):
        allowed(weights + 1.5 * each)


def test_without_a_limit_as_many_examples_go_through_as_keep_what_a_laptop_has(tmp_path, zoo, monkeypatch):
    images = coloured_images(8)
    method = build(context(FinetuneOptions(), tmp_path, images, zoo[0]))
    each = kept_for_backward(method, batch_of(images, 2)) / 2

    def comfortable(examples):
        monkeypatch.setattr("frontrunner.tuning.training.memory.COMFORTABLE_BYTES", examples * each)
        return comfortable_batch(method, 32, lambda: batch_of(images, 2))

    assert [comfortable(share) for share in (0.1, 5.5, 1000)] == [2, 5, 32]
