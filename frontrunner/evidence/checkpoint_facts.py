"""Facts about checkpoints and datasets as columns of a regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frontrunner.evidence.history import CheckpointFacts, DatasetFacts

Floats = NDArray[np.float64]
# Standardised numbers beyond this say no more than this: one giant must not bend the line of all others.
_FURTHEST = 3.0
# Sizes of one family within 10% are one backbone with another head.
_SIZES_PER_E_FOLD = 10


@dataclass(frozen=True)
class FactColumns:
    """Which columns there are, and how numbers are standardised.

    Attributes:
        categories: family, and family with size class, that at least two checkpoints share.
        numbers: name, mean and deviation of each number that varies.
    """

    categories: tuple[str, ...]
    numbers: tuple[tuple[str, float, float], ...]

    @classmethod
    def fit(cls, checkpoints: Sequence[CheckpointFacts]) -> FactColumns:
        """The columns that the facts of these checkpoints give."""
        counted = Counter(name for facts in checkpoints for name in _categories(facts))
        stated = [_numbers(facts) for facts in checkpoints]
        numbers = []
        for name in sorted({name for entry in stated for name in entry}):
            values = np.array([entry[name] for entry in stated if name in entry])
            if values.std() > 0:
                numbers.append((name, float(values.mean()), float(values.std())))
        return cls(tuple(sorted(name for name, count in counted.items() if count > 1)), tuple(numbers))

    def of(self, checkpoints: Sequence[CheckpointFacts]) -> tuple[Floats, Floats, Floats]:
        """Indicators (n, c) and numbers (n, q) of checkpoints, and (n,) how many categories of each were never seen.

        A number that is missing counts as the mean; one column says that it is missing. Size has its square beside it.
        """
        known = {name: i for i, name in enumerate(self.categories)}
        indicators = np.zeros((len(checkpoints), len(known)))
        strange = np.zeros(len(checkpoints))
        values = np.full((len(checkpoints), len(self.numbers)), np.nan)
        for row, facts in enumerate(checkpoints):
            for name in _categories(facts):
                if name in known:
                    indicators[row, known[name]] = 1.0
                else:
                    strange[row] += 1
            stated = _numbers(facts)
            for column, (name, mean, deviation) in enumerate(self.numbers):
                if name in stated:
                    values[row, column] = np.clip((stated[name] - mean) / deviation, -_FURTHEST, _FURTHEST)
        missing = np.isnan(values).astype(np.float64)
        values = np.nan_to_num(values)
        curved = [values[:, [i]] ** 2 - 1 for i, (name, *_) in enumerate(self.numbers) if name == "log parameters"]
        return indicators, np.concatenate([values, *curved, missing], axis=1), strange


def dataset_columns(sets: Sequence[DatasetFacts], among: Sequence[DatasetFacts]) -> Floats:
    """(K, 2): log examples and log classes of datasets, standardised by those `among`; 0 where unknown."""
    found = np.zeros((len(sets), 2))
    for column, name in enumerate(("size", "classes")):
        known = np.log([value for facts in among if (value := getattr(facts, name)) is not None])
        if known.size < 2 or known.std() == 0:
            continue
        for row, facts in enumerate(sets):
            if (value := getattr(facts, name)) is not None:
                found[row, column] = np.clip((np.log(value) - known.mean()) / known.std(), -_FURTHEST, _FURTHEST)
    return found


def _categories(facts: CheckpointFacts) -> list[str]:
    if not facts.family:
        return []
    if not facts.parameters:
        return [facts.family]
    return [facts.family, f"{facts.family} {round(np.log(facts.parameters) * _SIZES_PER_E_FOLD)}"]


def _numbers(facts: CheckpointFacts) -> dict[str, float]:
    stated = {
        "log parameters": None if not facts.parameters else float(np.log(facts.parameters)),
        "input size": facts.input_size,
        "source accuracy": facts.source_accuracy,
        **facts.public,
    }
    return {name: value for name, value in stated.items() if value is not None}
