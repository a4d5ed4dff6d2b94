"""The one place where features, labels, targets and probabilities are checked.

Every refusal says what was given, what was expected and what to do.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frontrunner.errors import FeaturesNotFinite, InvalidFeatures

Floats: TypeAlias = NDArray[np.float64]
Label: TypeAlias = int | str


def as_feature_matrix(features: ArrayLike, name: str = "features") -> NDArray[Any]:
    """`features` as a 2-D array of real numbers, without a copy where it already is one.

    Raises:
        InvalidFeatures: not two-dimensional, without columns, or not numeric.
    """
    matrix = np.asarray(features)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InvalidFeatures(f"{name} must have shape (n, D) with D >= 1, got {matrix.shape}")
    if matrix.dtype.kind not in "fiub":
        raise InvalidFeatures(f"{name} must be real numbers, got dtype {matrix.dtype}")
    return matrix


def encode_labels(labels: ArrayLike) -> tuple[tuple[Label, ...], NDArray[np.int64]]:
    """Distinct labels in ascending order, and (n,) the index of each example's label among them.

    Raises:
        InvalidFeatures: not one-dimensional, or neither integers nor strings.
    """
    array = np.asarray(labels)
    if array.dtype.kind in "OT" and all(isinstance(value, str) for value in array.ravel()):
        array = array.astype(str)
    if array.ndim != 1 or array.dtype.kind not in "iubU":
        raise InvalidFeatures(
            f"labels must be integers or strings of shape (n,), got {array.dtype} {array.shape}; "
            "pass real values as targets"
        )
    values, codes = np.unique(array, return_inverse=True)
    convert = str if array.dtype.kind == "U" else int
    return tuple(convert(value) for value in values), codes.astype(np.int64)


def as_target_matrix(targets: ArrayLike) -> Floats:
    """Real targets (n,) or (n, K) as (n, K) float64.

    Raises:
        InvalidFeatures: another shape, or not numbers.
    """
    given = np.asarray(targets)
    if given.dtype.kind not in "fiub" or given.ndim not in (1, 2):
        raise InvalidFeatures(f"targets must be real numbers (n,) or (n, K), got {given.dtype} {given.shape}")
    return given.astype(np.float64).reshape(given.shape if given.ndim == 2 else (-1, 1))


def as_probabilities(probabilities: ArrayLike, n: int) -> Floats:
    """The checkpoint's own predictions (n, C_source) in float64: finite, not negative, no row of zeros.

    Raises:
        InvalidFeatures: another shape, a negative entry, or a row without mass.
        FeaturesNotFinite: NaN or infinity.
    """
    matrix = as_feature_matrix(probabilities, "source_probabilities").astype(np.float64)
    if matrix.shape[0] != n:
        raise InvalidFeatures(f"source_probabilities must have shape ({n}, C_source), got {matrix.shape}")
    require_finite(matrix.sum(), "source_probabilities")
    if n and ((matrix < 0).any() or (matrix.sum(axis=1) <= 0).any()):
        raise InvalidFeatures("source_probabilities must not be negative, and every row needs some mass")
    return matrix


def require_finite(sums: NDArray[Any] | float, name: str) -> None:
    """Refuse `name` where its sums are not finite: one bad value anywhere makes them so.

    Raises:
        FeaturesNotFinite: NaN, infinity, or values whose fourth power overflows.
    """
    if not np.isfinite(sums).all():
        raise FeaturesNotFinite(
            f"{name} hold NaN, infinity or values beyond 1e70; drop those examples or repair the checkpoint"
        )
