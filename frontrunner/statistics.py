"""`FeatureStatistics`: sums over the examples of a dataset, from one pass over their features.

Every field is a sum over examples. So statistics of two shards can be added, a shard can be left out by subtraction,
the order of examples does not matter, and memory is O(D^2 + D C) for any number of examples. Sums are float64; features
may have any floating type and are converted one block of rows at a time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dsyrk
from scipy.sparse import csr_array

from frontrunner.errors import IncompatibleStatistics, InvalidFeatures
from frontrunner.files import whole_file
from frontrunner.inputs import (
    Floats,
    Label,
    as_feature_matrix,
    as_probabilities,
    as_target_matrix,
    encode_labels,
    require_finite,
)

__all__ = ["FeatureStatistics", "Floats", "Label", "as_feature_matrix", "encode_labels"]

# Rows converted to float64 at once: 1024 x 2048 features are 16 MiB, and larger blocks make dsyrk no faster.
ROWS_PER_BLOCK = 1024
_SCHEMA = 2
# Sums whose last axis is the target column.
_PER_COLUMN = ("cross", "target_sum", "target_square_sum", "norm_cross", "source_joint", "source_counts")


class FeatureStatistics:
    """Sums over (feature, label or target) pairs; addable, subtractable, constant in the number of examples.

    Holds either class labels (integers or strings; a class gets its column when it first occurs) or real targets of
    a fixed width K, never both; without either it describes features alone.

    Attributes:
        n: number of examples.
        feature_sum: (D,) sum of the feature rows f.
        cross: (D, C) sum of f y' where y is the one-hot label or the real target.
        target_sum: (C,) sum of y; for classes, the class counts.
        target_square_sum: (C,) sum of y^2 per column; equals `target_sum` for classes.
        norm_cross: (C,) sum of |f|^2 y; with `cross` it gives the trace of each class's covariance (GBC).
        norm_weighted_sum: (D,) sum of |f|^2 f.
        norm_fourth_sum: (1,) sum of |f|^4; with `norm_weighted_sum` it gives the shrinkage of Ledoit and Wolf.
        classes: the class label of each column in ascending order, or None for real targets.
        source_joint: (C_source, C) sum of p(z | x) over examples of each class, or None.
        source_counts: (C_source, C) counts of (argmax z, class), or None.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> whole = FeatureStatistics().update(features, labels=["cat", "dog", "cat"])
        >>> first = FeatureStatistics().update(features[:2], labels=["cat", "dog"])
        >>> rest = FeatureStatistics().update(features[2:], labels=["cat"])
        >>> (first + rest).gram.tolist() == whole.gram.tolist()
        True
        >>> whole.classes, whole.target_sum.tolist()
        (('cat', 'dog'), [2.0, 1.0])
    """

    def __init__(self) -> None:
        self.n: int = 0
        self.feature_sum: Floats = np.zeros(0)
        self.cross: Floats = np.zeros((0, 0))
        self.target_sum: Floats = np.zeros(0)
        self.target_square_sum: Floats = np.zeros(0)
        self.norm_cross: Floats = np.zeros(0)
        self.norm_weighted_sum: Floats = np.zeros(0)
        self.norm_fourth_sum: Floats = np.zeros(1)
        self.classes: tuple[Label, ...] | None = None
        self.source_joint: Floats | None = None
        self.source_counts: Floats | None = None
        # Lower triangle only, Fortran order: what dsyrk adds to in place and LAPACK reads.
        self._gram_lower: Floats = np.zeros((0, 0), order="F")

    @property
    def dimension(self) -> int:
        """D, the number of features; 0 before the first update."""
        return int(self.feature_sum.size)

    @property
    def gram(self) -> Floats:
        """F'F, (D, D), symmetric; a copy."""
        lower = np.tril(self._gram_lower)
        return np.asarray(lower + np.tril(lower, -1).T)

    @property
    def gram_lower(self) -> Floats:
        """F'F, (D, D), Fortran order, only the lower triangle defined; not a copy, so do not write to it."""
        return self._gram_lower

    def update(
        self,
        features: ArrayLike,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        source_probabilities: ArrayLike | None = None,
    ) -> Self:
        """Add examples and return self. Nothing changes when an argument is refused.

        Args:
            features: (n, D) real numbers.
            labels: (n,) integers or strings, for classification.
            targets: (n,) or (n, K) real numbers, for regression and multi-label.
            source_probabilities: (n, C_source) the checkpoint's own predicted distribution, with labels only.

        Raises:
            InvalidFeatures: shapes or types do not fit together, or both labels and targets are given.
            FeaturesNotFinite: NaN or infinity in any of them.
            IncompatibleStatistics: they differ in kind from the examples added before.
        """
        matrix = as_feature_matrix(features)
        part = _of_batch(matrix, labels, targets, source_probabilities)
        if part.n == 0:
            return self
        # Everything has been checked by now, so the Gram matrix may grow in place: one D x D in all.
        if self.n:
            gram, part = self._gram_lower, _combine(self, part, +1.0)
        else:
            gram = np.zeros((part.dimension, part.dimension), order="F")
        part._gram_lower = _add_gram(gram, matrix)
        self._become(part)
        return self

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of both sets of examples together.

        Raises:
            IncompatibleStatistics: they differ in dimension or in kind of target.
        """
        if not isinstance(other, FeatureStatistics):
            return NotImplemented
        if self.n == 0 or other.n == 0:
            return (other if self.n == 0 else self).copy()
        result = _combine(self, other, +1.0)
        result._gram_lower = np.asfortranarray(self._gram_lower + other._gram_lower)
        return result

    def __sub__(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics without `other`'s examples, which must be among these.

        Raises:
            IncompatibleStatistics: they differ in dimension or in kind of target, or `other` holds more examples.
        """
        if not isinstance(other, FeatureStatistics):
            return NotImplemented
        if other.n == 0:
            return self.copy()
        if other.n > self.n or not set(other.classes or ()) <= set(self.classes or ()):
            raise IncompatibleStatistics("cannot subtract examples that were never added")
        result = _combine(self, other, -1.0)
        result._gram_lower = np.asfortranarray(self._gram_lower - other._gram_lower)
        return result

    def copy(self) -> FeatureStatistics:
        """An independent copy."""
        twin = FeatureStatistics()
        twin._become(self)
        for name, value in vars(twin).items():
            if isinstance(value, np.ndarray):
                setattr(twin, name, value.copy(order="K"))
        return twin

    def save(self, path: str | Path) -> None:
        """Write to `path` as an npz without pickles, atomically: a reader finds the old file or the whole new one."""
        header = {"schema": _SCHEMA, "n": self.n, "classes": self.classes}
        arrays = {k: v for k, v in self._arrays().items() if v is not None}
        with whole_file(Path(path)) as file:
            np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> FeatureStatistics:
        """Read what `save` wrote.

        Raises:
            IncompatibleStatistics: the file does not hold feature statistics, or those of another schema.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                header = json.loads(str(stored["header"]))
                if header["schema"] != _SCHEMA:
                    raise IncompatibleStatistics(f"{path} has schema {header['schema']}, expected {_SCHEMA}")
                loaded = cls()
                loaded.n = int(header["n"])
                loaded.classes = None if header["classes"] is None else tuple(header["classes"])
                for name in loaded._arrays():
                    if name in stored:
                        values = np.asarray(stored[name], dtype=np.float64)
                        setattr(loaded, name, np.asfortranarray(values) if name == "_gram_lower" else values)
        except (KeyError, ValueError, EOFError) as error:
            raise IncompatibleStatistics(f"{path} does not hold feature statistics: {error}") from error
        return loaded

    def __repr__(self) -> str:
        kind = f"{self.cross.shape[1]} targets" if self.classes is None else f"{len(self.classes)} classes"
        return f"FeatureStatistics(n={self.n}, dimension={self.dimension}, {kind})"

    def _arrays(self) -> dict[str, Floats | None]:
        names = ("feature_sum", "norm_weighted_sum", "norm_fourth_sum", "_gram_lower", *_PER_COLUMN)
        return {name: getattr(self, name) for name in names}

    def _become(self, other: FeatureStatistics) -> None:
        vars(self).update(vars(other))


def _of_batch(
    matrix: NDArray[Any],
    labels: ArrayLike | None,
    targets: ArrayLike | None,
    source_probabilities: ArrayLike | None,
) -> FeatureStatistics:
    """All sums of one batch except for the Gram matrix, after all checks."""
    n, dimension = matrix.shape
    if labels is not None and targets is not None:
        raise InvalidFeatures("give labels (classification) or targets (regression), not both")
    if source_probabilities is not None and labels is None:
        raise InvalidFeatures("source_probabilities need labels beside them")

    part = FeatureStatistics()
    part.n = n
    codes: NDArray[np.int64] | None = None
    real = np.zeros((n, 0))
    if labels is not None:
        part.classes, codes = encode_labels(labels)
        part.target_sum = np.bincount(codes, minlength=len(part.classes)).astype(np.float64)
        part.target_square_sum = part.target_sum.copy()
    elif targets is not None:
        real = as_target_matrix(targets)
        part.target_sum = real.sum(axis=0)
        part.target_square_sum = np.einsum("nk,nk->k", real, real)
        require_finite(part.target_square_sum, "targets")
    length = real.shape[0] if codes is None else codes.shape[0]
    if length != n:
        raise InvalidFeatures(f"{n} feature rows but {length} {'targets' if codes is None else 'labels'}")

    columns = part.target_sum.shape[0]
    part.feature_sum = np.zeros(dimension)
    part.norm_weighted_sum = np.zeros(dimension)
    part.cross = np.zeros((dimension, columns))
    part.norm_cross = np.zeros(columns)
    part.norm_fourth_sum = np.zeros(1)
    for start in range(0, n, ROWS_PER_BLOCK):
        block = np.asarray(matrix[start : start + ROWS_PER_BLOCK], dtype=np.float64)
        rows = slice(start, start + block.shape[0])
        with np.errstate(over="ignore", invalid="ignore"):
            squared_norms = np.einsum("nd,nd->n", block, block)
            require_finite(squared_norms @ squared_norms, "features")
        part.feature_sum += block.sum(axis=0)
        part.norm_weighted_sum += squared_norms @ block
        part.norm_fourth_sum += squared_norms @ squared_norms
        outputs = real[rows] if codes is None else _one_hot(codes[rows], columns)
        part.cross += (outputs.T @ block).T
        part.norm_cross += outputs.T @ squared_norms

    if source_probabilities is not None and codes is not None:
        probabilities = as_probabilities(source_probabilities, n)
        one_hot = _one_hot(codes, columns)
        part.source_joint = np.asarray((one_hot.T @ probabilities).T)
        part.source_counts = np.zeros_like(part.source_joint)
        np.add.at(part.source_counts, (probabilities.argmax(axis=1), codes), 1.0)
    return part


def _add_gram(gram: Floats, matrix: NDArray[Any]) -> Floats:
    """gram + F'F in the lower triangle, written into `gram`.

    float32 products (ssyrk) would halve the time, but change LogME by up to 1.3e-5 relative (the oracle with n = D),
    and by more after a subtraction; `benchmarks.scores` prints the time and the error on its own features.
    """
    for start in range(0, matrix.shape[0], ROWS_PER_BLOCK):
        block = np.ascontiguousarray(matrix[start : start + ROWS_PER_BLOCK], dtype=np.float64)
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def _one_hot(codes: NDArray[np.int64], columns: int) -> Any:
    n = codes.shape[0]
    return csr_array((np.ones(n), codes, np.arange(n + 1)), shape=(n, columns))


def _combine(left: FeatureStatistics, right: FeatureStatistics, sign: float) -> FeatureStatistics:
    """left + sign * right except for the Gram matrix, with class columns aligned by label."""
    for description, a, b in (
        ("feature dimension", left.dimension, right.dimension),
        ("kind of target", left.classes is None, right.classes is None),
        ("number of targets", _width(left), _width(right)),
        ("source probabilities", _source_width(left), _source_width(right)),
    ):
        if a != b:
            raise IncompatibleStatistics(f"statistics differ in {description}: {a} and {b}")

    result = FeatureStatistics()
    result.n = left.n + int(sign) * right.n
    if left.classes is not None and right.classes is not None:
        try:
            result.classes = tuple(sorted({*left.classes, *right.classes}))
        except TypeError as error:
            raise IncompatibleStatistics("labels are integers in one and strings in the other") from error
    for name in ("feature_sum", "norm_weighted_sum", "norm_fourth_sum"):
        setattr(result, name, getattr(left, name) + sign * getattr(right, name))
    for name in _PER_COLUMN:
        mine, theirs = getattr(left, name), getattr(right, name)
        if mine is not None and theirs is not None:
            mine = _aligned(mine, left.classes, result.classes)
            setattr(result, name, mine + sign * _aligned(theirs, right.classes, result.classes))
    return result


def _aligned(columns: Floats, have: tuple[Label, ...] | None, want: tuple[Label, ...] | None) -> Floats:
    """`columns` with its last axis rearranged from the classes `have` to the classes `want`; new ones are zero."""
    if have == want or have is None or want is None:
        return columns
    position = {label: index for index, label in enumerate(want)}
    aligned = np.zeros((*columns.shape[:-1], len(want)))
    aligned[..., [position[label] for label in have]] = columns
    return aligned


def _width(statistics: FeatureStatistics) -> int | None:
    return statistics.cross.shape[1] if statistics.classes is None else None


def _source_width(statistics: FeatureStatistics) -> int | None:
    return None if statistics.source_joint is None else statistics.source_joint.shape[0]
