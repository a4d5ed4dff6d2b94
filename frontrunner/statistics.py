"""`FeatureStatistics`: what a pass over the features leaves behind.

Every field is a sum over examples. So statistics of two shards add, a shard can be taken out by subtraction, the
order of examples does not matter, and memory is O(D^2 + D C) however many examples pass through. Sums are kept in
float64; features may come in any floating type and are converted a block of rows at a time, never as a whole.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dsyrk
from scipy.sparse import csr_array

from frontrunner.errors import FeaturesNotFinite, IncompatibleStatistics, InvalidFeatures

Floats: TypeAlias = NDArray[np.float64]
Label: TypeAlias = int | str

# Rows converted to float64 at once: 1024 x 2048 features are 16 MiB, and larger blocks make dsyrk no faster.
ROWS_PER_BLOCK = 1024
_SCHEMA = 1


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
        self.classes: tuple[Label, ...] | None = None
        self.source_joint: Floats | None = None
        self.source_counts: Floats | None = None
        # Lower triangle only, Fortran order: what dsyrk adds to in place and LAPACK reads.
        self._gram_lower: Floats = np.zeros((0, 0), order="F")

    @property
    def dimension(self) -> int:
        """D, the number of features; 0 before the first update."""
        return self.feature_sum.shape[0]

    @property
    def gram(self) -> Floats:
        """F'F, (D, D), symmetric; a copy."""
        lower = np.tril(self._gram_lower)
        return np.asarray(lower + np.tril(lower, -1).T)

    @property
    def gram_lower(self) -> Floats:
        """F'F with only the lower triangle defined, (D, D), Fortran order; not a copy, do not write to it."""
        return self._gram_lower

    def update(
        self,
        features: ArrayLike,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        source_probabilities: ArrayLike | None = None,
    ) -> Self:
        """Fold examples in and return self. Nothing changes when an argument is refused.

        Args:
            features: (n, D) real numbers.
            labels: (n,) integers or strings, for classification.
            targets: (n,) or (n, K) real numbers, for regression and multi-label.
            source_probabilities: (n, C_source) the checkpoint's own predicted distribution, with labels only.

        Raises:
            InvalidFeatures: shapes or types do not fit together, or both labels and targets are given.
            FeaturesNotFinite: NaN or infinity in any of them.
            IncompatibleStatistics: they differ in kind from what was folded in before.
        """
        part = _of_batch(features, labels, targets, source_probabilities)
        if part.n:
            self._become(part if self.n == 0 else _combine(self, part, +1.0, in_place=True))
        return self

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics of both sets of examples together."""
        if not isinstance(other, FeatureStatistics):
            return NotImplemented
        if self.n == 0 or other.n == 0:
            return (other if self.n == 0 else self).copy()
        return _combine(self, other, +1.0)

    def __sub__(self, other: FeatureStatistics) -> FeatureStatistics:
        """Statistics without `other`'s examples, which must be among these."""
        if not isinstance(other, FeatureStatistics):
            return NotImplemented
        if other.n == 0:
            return self.copy()
        if other.n > self.n or not set(other.classes or ()) <= set(self.classes or ()):
            raise IncompatibleStatistics("cannot subtract examples that were never added")
        return _combine(self, other, -1.0)

    def copy(self) -> FeatureStatistics:
        """An independent copy."""
        twin = FeatureStatistics()
        twin._become(self)
        for name, value in vars(twin).items():
            if isinstance(value, np.ndarray):
                setattr(twin, name, value.copy(order="K"))
        return twin

    def save(self, path: str | Path) -> None:
        """Write to `path` as an npz without pickles: a reader sees the old file or the whole new one."""
        path = Path(path)
        header = {"schema": _SCHEMA, "n": self.n, "classes": self.classes}
        arrays = {k: v for k, v in self._arrays().items() if v is not None}
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> FeatureStatistics:
        """Read what `save` wrote.

        Raises:
            IncompatibleStatistics: the file is not one of ours or of another schema.
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
                        order = "F" if name == "_gram_lower" else "C"
                        setattr(loaded, name, np.array(stored[name], dtype=np.float64, order=order))
        except (KeyError, ValueError, EOFError) as error:
            raise IncompatibleStatistics(f"{path} does not hold feature statistics: {error}") from error
        return loaded

    def __repr__(self) -> str:
        kind = f"{self.cross.shape[1]} targets" if self.classes is None else f"{len(self.classes)} classes"
        return f"FeatureStatistics(n={self.n}, dimension={self.dimension}, {kind})"

    def _arrays(self) -> dict[str, Floats | None]:
        return {
            "feature_sum": self.feature_sum,
            "cross": self.cross,
            "target_sum": self.target_sum,
            "target_square_sum": self.target_square_sum,
            "_gram_lower": self._gram_lower,
            "source_joint": self.source_joint,
            "source_counts": self.source_counts,
        }

    def _become(self, other: FeatureStatistics) -> None:
        vars(self).update(vars(other))


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
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.ravel()):
        array = array.astype(str)
    if array.ndim != 1 or array.dtype.kind not in "iubU":
        raise InvalidFeatures(
            f"labels must be integers or strings of shape (n,), got {array.dtype} {array.shape}; "
            "pass real values as targets"
        )
    values, codes = np.unique(array, return_inverse=True)
    convert = str if array.dtype.kind == "U" else int
    return tuple(convert(value) for value in values), codes.astype(np.int64)


def _of_batch(
    features: ArrayLike,
    labels: ArrayLike | None,
    targets: ArrayLike | None,
    source_probabilities: ArrayLike | None,
) -> FeatureStatistics:
    matrix = as_feature_matrix(features)
    n, dimension = matrix.shape
    if labels is not None and targets is not None:
        raise InvalidFeatures("give labels (classification) or targets (regression), not both")
    if source_probabilities is not None and labels is None:
        raise InvalidFeatures("source_probabilities need labels beside them")

    part = FeatureStatistics()
    part.n = n
    codes: NDArray[np.int64] | None = None
    real: Floats | None = None
    if labels is not None:
        part.classes, codes = encode_labels(labels)
        part.target_sum = np.bincount(codes, minlength=len(part.classes)).astype(np.float64)
        part.target_square_sum = part.target_sum.copy()
    elif targets is not None:
        real = np.asarray(targets, dtype=np.float64)
        real = real[:, None] if real.ndim == 1 else real
        if real.ndim != 2:
            raise InvalidFeatures(f"targets must have shape (n,) or (n, K), got {real.shape}")
        part.target_sum = real.sum(axis=0)
        part.target_square_sum = np.einsum("nk,nk->k", real, real)
        _require_finite(part.target_square_sum, "targets")
    columns = part.target_sum.shape[0]
    for name, length in (("labels", codes), ("targets", real)):
        if length is not None and length.shape[0] != n:
            raise InvalidFeatures(f"{n} feature rows but {length.shape[0]} {name}")

    part.feature_sum = np.zeros(dimension)
    part.cross = np.zeros((dimension, columns))
    gram = np.zeros((dimension, dimension), order="F")
    for start in range(0, n, ROWS_PER_BLOCK):
        block = np.ascontiguousarray(matrix[start : start + ROWS_PER_BLOCK], dtype=np.float64)
        rows = slice(start, start + block.shape[0])
        part.feature_sum += block.sum(axis=0)
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
        if codes is not None:
            part.cross += (_one_hot(codes[rows], columns).T @ block).T
        elif real is not None:
            part.cross += block.T @ real[rows]
    part._gram_lower = gram
    _require_finite(np.diagonal(gram), "features")

    if source_probabilities is not None and codes is not None:
        probabilities = np.asarray(source_probabilities)
        if probabilities.ndim != 2 or probabilities.shape[0] != n:
            raise InvalidFeatures(f"source_probabilities must have shape ({n}, C_source), got {probabilities.shape}")
        one_hot = _one_hot(codes, columns)
        part.source_joint = np.asarray((one_hot.T @ probabilities.astype(np.float64)).T)
        _require_finite(part.source_joint, "source_probabilities")
        part.source_counts = np.zeros_like(part.source_joint)
        np.add.at(part.source_counts, (probabilities.argmax(axis=1), codes), 1.0)
    return part


def _one_hot(codes: NDArray[np.int64], columns: int) -> Any:
    n = codes.shape[0]
    return csr_array((np.ones(n), codes, np.arange(n + 1)), shape=(n, columns))


def _require_finite(values: NDArray[Any], name: str) -> None:
    if not np.isfinite(values).all():
        raise FeaturesNotFinite(f"{name} hold NaN or infinity; drop those examples or repair the checkpoint")


def _combine(
    left: FeatureStatistics, right: FeatureStatistics, sign: float, in_place: bool = False
) -> FeatureStatistics:
    """left + sign * right, class columns aligned by label. `in_place` may reuse left's Gram matrix."""
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
    result.feature_sum = left.feature_sum + sign * right.feature_sum
    if in_place:
        left._gram_lower += sign * right._gram_lower
        result._gram_lower = left._gram_lower
    else:
        result._gram_lower = np.asfortranarray(left._gram_lower + sign * right._gram_lower)

    if left.classes is not None and right.classes is not None:
        try:
            result.classes = tuple(sorted({*left.classes, *right.classes}))  # type: ignore[type-var]
        except TypeError as error:
            raise IncompatibleStatistics("labels are integers in one and strings in the other") from error
    for name in ("cross", "target_sum", "target_square_sum", "source_joint", "source_counts"):
        a, b = getattr(left, name), getattr(right, name)
        if a is not None and b is not None:
            a, b = (_aligned(x, part.classes, result.classes) for x, part in ((a, left), (b, right)))
            setattr(result, name, a + sign * b)
    return result


def _aligned(columns: Floats, have: tuple[Label, ...] | None, want: tuple[Label, ...] | None) -> Floats:
    """The last axis re-laid from the classes it has to the classes it should have; new ones are zero."""
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
