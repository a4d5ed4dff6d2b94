"""Which of a dataset's training examples are trained on and which decide when to stop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frontrunner.data import Split, stratified_order
from frontrunner.errors import TooFewExamples


def class_codes(split: Split) -> NDArray[np.int64]:
    """(n,) the classes of a classification's examples."""
    assert split.labels is not None  # noqa: S101 - `require_tunable` refuses other datasets
    return split.labels


def split_training(
    split: Split, *, max_examples: int, validation_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows to train on, rows to validate on) of a training split, ascending; a stratified, seeded sample of it.

    Each class gives the share of its sampled examples, rounded down, so no class is left without one to train on, and a
    few examples have no validation at all.

    Args:
        split: its examples have classes.
        max_examples: of the sample.
        validation_share: of each class's sampled examples.
        seed: of the sample.

    Raises:
        TooFewExamples: fewer than two examples, or a single class.
    """
    sample = stratified_order(split, seed)[:max_examples]
    labels = class_codes(split)[sample]
    present = np.unique(labels)
    if len(present) < 2:
        raise TooFewExamples(
            f"{len(sample)} training examples of {len(present)} class; tuning needs two classes with an example each"
        )
    held = np.zeros(len(sample), dtype=bool)
    for label in present:
        members = np.flatnonzero(labels == label)
        held[members[: int(validation_share * len(members))]] = True
    return np.sort(sample[~held]), np.sort(sample[held])
