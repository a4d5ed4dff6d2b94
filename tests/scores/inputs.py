"""Features, labels and oracles that the tests of the scores share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

ORACLES = Path(__file__).resolve().parent.parent / "oracles"
EXPECTED: dict[str, dict[str, Any]] = json.loads((ORACLES / "expected.json").read_text())
CLASSIFICATION_ORACLES = ("balanced_wide", "many_classes", "fewer_rows_than_features", "square", "rank_deficient")


def oracle(name: str) -> dict[str, Any]:
    """The arrays of one oracle: features, labels or targets, and source_probabilities where it has them."""
    with np.load(ORACLES / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored}


def separable(n: int, dimension: int, classes: int, seed: int = 0, gap: float = 0.5) -> dict[str, Any]:
    """Correlated Gaussian classes, classes in turn, with source probabilities that know a little."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    mixing = generator.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    centres = gap * generator.normal(size=(classes, dimension))
    probabilities = generator.dirichlet(np.ones(6) * 0.5, size=n)
    probabilities[np.arange(n), labels % 6] += 0.4
    return {
        "features": generator.normal(size=(n, dimension)) @ mixing + centres[labels] + 0.3,
        "labels": labels,
        "source_probabilities": probabilities / probabilities.sum(axis=1, keepdims=True),
    }
