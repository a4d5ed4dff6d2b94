"""What a tuned model does on images that it was not trained on: accuracy with an interval, confusion, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frontrunner.tuning.result import Interval, Metrics, ReliabilityBin

# Normal quantile of 97.5%.
_Z = 1.959963984540054
_BINS = 15


def measure(logits: Tensor, labels: Tensor, classes: Sequence[str], split: Literal["test", "validation"]) -> Metrics:
    """Metrics of logits (n, C) for class codes (n,)."""
    log_probability = logits.double().log_softmax(dim=1)
    confidence, predicted = log_probability.exp().max(dim=1)
    correct = predicted == labels
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (labels.numpy(), predicted.numpy()), 1)
    return Metrics(
        split=split,
        examples=len(labels),
        accuracy=wilson(int(correct.sum()), len(labels)),
        log_loss=float(-log_probability.gather(1, labels[:, None]).mean()),
        calibration_error=calibration_error(confidence.numpy(), correct.numpy()),
        classes=tuple(classes),
        confusion=confusion.tolist(),
        reliability=reliability(confidence.numpy(), correct.numpy()),
    )


def surest_mistakes(logits: Tensor, labels: Tensor, limit: int) -> list[tuple[int, int, float]]:
    """(index, predicted class code, its probability) of wrong answers, the surest first.

    Args:
        logits: (n, C).
        labels: (n,) class codes.
        limit: at most this many.

    Example:
        >>> import torch
        >>> found = surest_mistakes(torch.tensor([[9.0, 0.0], [0.0, 2.0], [0.0, 1.0]]), torch.tensor([0, 0, 0]), 5)
        >>> [(index, code) for index, code, _ in found]
        [(1, 1), (2, 1)]
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    wrong = (predicted != labels).nonzero()[:, 0].tolist()
    wrong.sort(key=lambda index: -float(confidence[index]))
    return [(index, int(predicted[index]), float(confidence[index])) for index in wrong[:limit]]


def reliability(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """How often answers of each confidence are right: the bins of `calibration_error` that hold examples.

    Example:
        >>> [found] = reliability(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, False, False]))
        >>> found.accuracy, found.examples
        (0.5, 4)
    """
    bins = _bin_of(confidence)
    counts = np.bincount(bins, minlength=_BINS)
    means = np.bincount(bins, weights=confidence, minlength=_BINS)
    right = np.bincount(bins, weights=correct, minlength=_BINS)
    return [
        ReliabilityBin(confidence=means[k] / counts[k], accuracy=right[k] / counts[k], examples=int(counts[k]))
        for k in range(_BINS)
        if counts[k]
    ]


def wilson(successes: int, trials: int) -> Interval:
    """A share with Wilson's score interval at 95%: it stays within 0 and 1 and holds for small counts too.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    Example:
        >>> interval = wilson(9, 10)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.596, 0.982)
    """
    share = successes / trials
    shrink = 1 + _Z**2 / trials
    centre = (share + _Z**2 / (2 * trials)) / shrink
    half = _Z / shrink * (share * (1 - share) / trials + _Z**2 / (4 * trials**2)) ** 0.5
    return Interval(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean over bins of |accuracy - confidence|, weighted by the bins' examples.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3; 15 bins of equal width.

    Example:
        >>> calibration_error(np.array([0.9, 0.9, 0.9, 0.9]), np.array([True, True, False, False]))
        0.4
    """
    gaps = np.bincount(_bin_of(confidence), weights=correct - confidence, minlength=_BINS)
    return float(np.round(np.abs(gaps).sum() / len(confidence), 12))


def _bin_of(confidence: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
