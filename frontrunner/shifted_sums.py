"""Sums over the rows of one batch about a shift c, that is of x = f - c; what `FeatureStatistics` adds up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dsyr2, dsyrk
from scipy.sparse import csr_array

from frontrunner.errors import InvalidFeatures
from frontrunner.inputs import Floats, as_probabilities, as_target_matrix, encode_labels, require_finite

# Rows converted to float64 at once: 1024 x 2048 features are 16 MiB, and larger blocks make dsyrk no faster.
ROWS_PER_BLOCK = 1024


def mean_of(matrix: NDArray[Any]) -> Floats:
    """(D,) the mean of the rows, about the first one: a feature that does not vary is met exactly."""
    if matrix.shape[0] == 0:
        return np.zeros(matrix.shape[1])
    first = np.asarray(matrix[0], dtype=np.float64)
    require_finite(first, "features")
    with np.errstate(over="ignore", invalid="ignore"):
        moved = sum(block.sum(axis=0) for _, block in _blocks(matrix, first))
    require_finite(np.asarray(moved), "features")
    return np.asarray(first + moved / matrix.shape[0])


def _blocks(matrix: NDArray[Any], shift: Floats) -> Iterator[tuple[slice, Floats]]:
    """Slices of rows with x = f - `shift` of these rows in float64."""
    for start in range(0, matrix.shape[0], ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        block = matrix[rows].astype(np.float64)
        block -= shift
        yield rows, block


def add_gram(gram: Floats, matrix: NDArray[Any], shift: Floats) -> Floats:
    """gram + X'X in the lower triangle, written into `gram`.

    float32 products (ssyrk) of blocks, summed in float64, would halve the time, but change LogME by 7e-8 to 1.1e-5
    relative on the oracles (the largest where n = D), where float64 agrees to 1e-11, and by more after a subtraction.
    `benchmarks.scores` prints the time and the error on its own features.
    """
    for _, block in _blocks(matrix, shift):
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def gram_about(gram: Floats, shifted_sum: Floats, n: int, moved: Floats) -> Floats:
    """(D, D) sum of (x + d)(x + d)' in the lower triangle from the sums of x x' and x, d = `moved` (D,); a copy."""
    if not moved.any():
        return gram.copy(order="F")
    return np.asarray(dsyr2(1.0, shifted_sum + n / 2 * moved, moved, lower=1, a=gram))


def sums_of_batch(
    matrix: NDArray[Any],
    shift: Floats,
    labels: ArrayLike | None,
    targets: ArrayLike | None,
    source_probabilities: ArrayLike | None,
) -> dict[str, Any]:
    """All sums of one batch about `shift` (D,) except for the Gram matrix, by the statistic's name, after all checks.

    Raises:
        InvalidFeatures: shapes or types do not fit together, or both labels and targets are given.
        FeaturesNotFinite: NaN, infinity, or squares beyond float64.
    """
    n = matrix.shape[0]
    if labels is not None and targets is not None:
        raise InvalidFeatures("give labels (classification) or targets (regression), not both")
    if source_probabilities is not None and labels is None:
        raise InvalidFeatures("source_probabilities need labels beside them")

    sums: dict[str, Any] = {"n": n, "shift": shift}
    target_sum = target_square_sum = np.zeros(0)
    codes: NDArray[np.int64] | None = None
    real = np.zeros((n, 0))
    if labels is not None:
        sums["classes"], codes = encode_labels(labels)
        target_sum = np.bincount(codes, minlength=len(sums["classes"])).astype(np.float64)
        target_square_sum = target_sum.copy()
    elif targets is not None:
        real = as_target_matrix(targets)
        target_sum = real.sum(axis=0)
        target_square_sum = np.einsum("nk,nk->k", real, real)
        require_finite(target_square_sum, "targets")
    length = real.shape[0] if codes is None else codes.shape[0]
    if length != n:
        raise InvalidFeatures(f"{n} feature rows but {length} {'targets' if codes is None else 'labels'}")

    outputs = real if codes is None else _one_hot(codes, target_sum.size)
    sums |= {"target_sum": target_sum, "target_square_sum": target_square_sum, **_sums_about(matrix, shift, outputs)}

    if source_probabilities is not None and codes is not None:
        probabilities = as_probabilities(source_probabilities, n)
        counts = np.zeros((probabilities.shape[1], target_sum.size))
        np.add.at(counts, (probabilities.argmax(axis=1), codes), 1.0)
        sums |= {"source_joint": np.asarray((outputs.T @ probabilities).T), "source_counts": counts}
    return sums


def _sums_about(matrix: NDArray[Any], shift: Floats, outputs: Any) -> dict[str, Floats]:
    """The sums that are linear in the rows or weigh them by their squared norms, by the statistic's name.

    Args:
        matrix: (n, D) feature rows f.
        shift: (D,) c.
        outputs: (n, C) targets, dense or sparse.

    Raises:
        FeaturesNotFinite: NaN, infinity, or squares beyond float64.
    """
    dimension, columns = matrix.shape[1], outputs.shape[1]
    total, weighted, cross = np.zeros(dimension), np.zeros(dimension), np.zeros((dimension, columns))
    norm_cross, fourth = np.zeros(columns), np.zeros(1)
    for rows, block in _blocks(matrix, shift):
        with np.errstate(over="ignore", invalid="ignore"):
            squared_norms = np.einsum("nd,nd->n", block, block)
            require_finite(squared_norms @ squared_norms, "features")
        total += block.sum(axis=0)
        weighted += squared_norms @ block
        fourth += squared_norms @ squared_norms
        cross += (outputs[rows].T @ block).T
        norm_cross += outputs[rows].T @ squared_norms
    return {
        "shifted_sum": total,
        "shifted_cross": cross,
        "norm_cross": norm_cross,
        "norm_weighted_sum": weighted,
        "norm_fourth_sum": fourth,
    }


def _one_hot(codes: NDArray[np.int64], columns: int) -> Any:
    """(n, columns) sparse one-hot rows of `codes` (n,)."""
    n = codes.shape[0]
    return csr_array((np.ones(n), codes, np.arange(n + 1)), shape=(n, columns))
