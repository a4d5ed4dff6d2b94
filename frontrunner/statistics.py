"""`FeatureStatistics`: sums over the examples of a dataset, from one pass over their features.

Every field is a sum over examples. So statistics of two shards can be added, a shard can be left out by subtraction,
the order of examples does not matter, and memory is O(D^2 + D C) for any number of examples. Sums are float64; features
may have any floating type and are converted one block of rows at a time.

Sums of products are taken about a shift c near the mean: of x = f - c, not of f. Otherwise features whose mean is far
larger than their spread would lose the spread to rounding (fourth moments from a ratio of 1e3 on). The shift is the
mean of the first examples that are added. Sums about c become sums about another shift exactly:
sum (x + d)(x + d)' = sum x x' + s d' + d s' + n d d', where s = sum x and d is the difference of the shifts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg.blas import dsymv

from frontrunner.errors import IncompatibleStatistics
from frontrunner.files import whole_file
from frontrunner.inputs import (
    Floats,
    Label,
    as_feature_matrix,
    encode_labels,
)
from frontrunner.shifted_sums import add_gram, gram_about, mean_of, sums_of_batch

__all__ = ["FeatureStatistics", "Floats", "Label", "as_feature_matrix", "encode_labels"]

_SCHEMA = 3
# Sums whose last axis is the target column.
_PER_COLUMN = ("shifted_cross", "target_sum", "target_square_sum", "norm_cross", "source_joint", "source_counts")
# Sums over features alone, but for the Gram matrix, which grows in place.
_PER_FEATURE = ("shifted_sum", "norm_weighted_sum", "norm_fourth_sum")


class FeatureStatistics:
    """Sums over (feature, label or target) pairs; addable, subtractable, constant in the number of examples.

    Holds either class labels (integers or strings; a class gets its column when it first occurs) or real targets of
    a fixed width K, never both; without either it describes features alone.

    Attributes:
        n: number of examples.
        shift: (D,) c; below, x = f - c for a feature row f.
        shifted_sum: (D,) sum of x.
        shifted_cross: (D, C) sum of x y' where y is the one-hot label or the real target.
        target_sum: (C,) sum of y; for classes, the class counts.
        target_square_sum: (C,) sum of y^2 per column; equals `target_sum` for classes.
        norm_cross: (C,) sum of x'x y; about the mean it gives the trace of each class's covariance (GBC).
        norm_weighted_sum: (D,) sum of x'x x.
        norm_fourth_sum: (1,) sum of (x'x)^2; about the mean it gives the shrinkage of Ledoit and Wolf.
        classes: the class label of each column in ascending order, or None for real targets.
        source_joint: (C_source, C) sum of p(z | x) over examples of each class, or None.
        source_counts: (C_source, C) counts of (argmax z, class), or None.

    Example:
        >>> import numpy as np
        >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> whole = FeatureStatistics().update(features, labels=["cat", "dog", "cat"])
        >>> first = FeatureStatistics().update(features[:2], labels=["cat", "dog"])
        >>> rest = FeatureStatistics().update(features[2:], labels=["cat"])
        >>> bool(np.allclose((first + rest).gram, whole.gram, rtol=1e-12))
        True
        >>> whole.classes, whole.target_sum.tolist()
        (('cat', 'dog'), [2.0, 1.0])
    """

    def __init__(self) -> None:
        self.n: int = 0
        self.shift: Floats = np.zeros(0)
        self.shifted_sum: Floats = np.zeros(0)
        self.shifted_cross: Floats = np.zeros((0, 0))
        self.target_sum: Floats = np.zeros(0)
        self.target_square_sum: Floats = np.zeros(0)
        self.norm_cross: Floats = np.zeros(0)
        self.norm_weighted_sum: Floats = np.zeros(0)
        self.norm_fourth_sum: Floats = np.zeros(1)
        self.classes: tuple[Label, ...] | None = None
        self.source_joint: Floats | None = None
        self.source_counts: Floats | None = None
        # Lower triangle only, Fortran order: what dsyrk adds to in place and LAPACK reads.
        self._shifted_gram: Floats = np.zeros((0, 0), order="F")

    @property
    def dimension(self) -> int:
        """D, the number of features; 0 before the first update."""
        return int(self.shift.size)

    @property
    def columns(self) -> int:
        """C, the number of classes or of real targets."""
        return int(self.target_sum.size)

    @property
    def mean(self) -> Floats:
        """(D,) mean of the feature rows."""
        return np.asarray(self.shift + self.shifted_sum / max(self.n, 1))

    @property
    def feature_sum(self) -> Floats:
        """(D,) sum of the feature rows f."""
        return np.asarray(self.shifted_sum + self.n * self.shift)

    @property
    def cross(self) -> Floats:
        """(D, C) sum of f y'."""
        return np.asarray(self.shifted_cross + np.outer(self.shift, self.target_sum))

    @property
    def gram(self) -> Floats:
        """F'F, (D, D), symmetric; a copy."""
        lower = np.tril(self.gram_lower)
        return np.asarray(lower + np.tril(lower, -1).T)

    @property
    def gram_lower(self) -> Floats:
        """F'F, (D, D), Fortran order, only the lower triangle defined; a copy."""
        return gram_about(self._shifted_gram, self.shifted_sum, self.n, self.shift)

    @property
    def shifted_gram_lower(self) -> Floats:
        """Sum of x x', (D, D), Fortran order, only the lower triangle defined; not a copy, so do not write to it."""
        return self._shifted_gram

    def about(self, shift: Floats) -> FeatureStatistics:
        """The same sums about another shift, (D,); a copy.

        Example:
            >>> statistics = FeatureStatistics().update(np.array([[1.0], [3.0]])).about(np.array([1.0]))
            >>> statistics.shifted_sum.tolist(), statistics.shifted_gram_lower.tolist(), statistics.gram.tolist()
            ([2.0], [[4.0]], [[10.0]])
        """
        return _with_gram_about(self, shift)

    @property
    def centred_cross(self) -> Floats:
        """(D, C) sum of (f - mean) y'."""
        return np.asarray(self.shifted_cross - np.outer(self.shifted_sum / max(self.n, 1), self.target_sum))

    @property
    def centred_norm_cross(self) -> Floats:
        """(C,) sum of |f - mean|^2 y."""
        moved = self.shifted_sum / max(self.n, 1)
        return np.asarray(self.norm_cross - 2 * moved @ self.shifted_cross + float(moved @ moved) * self.target_sum)

    def scatter_lower(self) -> Floats:
        """Sum of (f - mean)(f - mean)', (D, D), Fortran order, only the lower triangle defined; a copy."""
        lower = gram_about(self._shifted_gram, self.shifted_sum, self.n, -self.shifted_sum / max(self.n, 1))
        diagonal = np.einsum("ii->i", lower)
        np.maximum(diagonal, 0.0, out=diagonal)  # rounding
        return lower

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
        if self.n and matrix.shape[1] != self.dimension:
            raise IncompatibleStatistics(
                f"statistics differ in feature dimension: {self.dimension} and {matrix.shape[1]}"
            )
        shift = self.shift if self.n else mean_of(matrix)
        part = FeatureStatistics()
        vars(part).update(sums_of_batch(matrix, shift, labels, targets, source_probabilities))
        if part.n == 0:
            return self
        # Everything has been checked by now, so the Gram matrix may grow in place: one D x D in all.
        if self.n:
            gram, part = self._shifted_gram, _combine(self, part, +1.0)
        else:
            gram = np.zeros((part.dimension, part.dimension), order="F")
        part._shifted_gram = add_gram(gram, matrix, shift)
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
        return _with_gram(self, other, +1.0)

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
        return _with_gram(self, other, -1.0)

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
        with whole_file(Path(path)) as file:
            self.write(file)

    def write(self, file: BinaryIO) -> None:
        """Write to an open file what `save` writes."""
        header = {"schema": _SCHEMA, "n": self.n, "classes": self.classes}
        arrays = {k: v for k, v in self._arrays().items() if v is not None}
        np.savez(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)

    @classmethod
    def load(cls, path: str | Path | BinaryIO) -> FeatureStatistics:
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
                        setattr(loaded, name, np.asfortranarray(values) if name == "_shifted_gram" else values)
        except (KeyError, ValueError, EOFError) as error:
            raise IncompatibleStatistics(f"{path} does not hold feature statistics: {error}") from error
        return loaded

    def __repr__(self) -> str:
        kind = f"{self.columns} targets" if self.classes is None else f"{len(self.classes)} classes"
        return f"FeatureStatistics(n={self.n}, dimension={self.dimension}, {kind})"

    def _arrays(self) -> dict[str, Floats | None]:
        return {name: getattr(self, name) for name in ("shift", "_shifted_gram", *_PER_FEATURE, *_PER_COLUMN)}

    def _become(self, other: FeatureStatistics) -> None:
        vars(self).update(vars(other))


def _about(statistics: FeatureStatistics, shift: Floats) -> FeatureStatistics:
    """The sums about `shift` (D,) except for the Gram matrix, which is left as it is."""
    moved = statistics.shift - shift
    result = FeatureStatistics()
    result._become(statistics)
    if not moved.any():
        return result
    n, total, gram = statistics.n, statistics.shifted_sum, statistics.shifted_gram_lower
    square, along, trace = float(moved @ moved), float(moved @ total), float(np.trace(gram))
    by_gram = dsymv(1.0, gram, moved, lower=1)
    result.shift = shift
    result.shifted_sum = total + n * moved
    result.shifted_cross = statistics.shifted_cross + np.outer(moved, statistics.target_sum)
    result.norm_cross = statistics.norm_cross + 2 * moved @ statistics.shifted_cross + square * statistics.target_sum
    result.norm_weighted_sum = (
        statistics.norm_weighted_sum + 2 * by_gram + square * total + (trace + 2 * along + n * square) * moved
    )
    result.norm_fourth_sum = (
        statistics.norm_fourth_sum
        + 4 * (moved @ by_gram + statistics.norm_weighted_sum @ moved + square * along)
        + 2 * square * trace
        + n * square**2
    )
    return result


def _with_gram_about(statistics: FeatureStatistics, shift: Floats) -> FeatureStatistics:
    result = _about(statistics, shift)
    moved = statistics.shift - shift
    result._shifted_gram = gram_about(statistics._shifted_gram, statistics.shifted_sum, statistics.n, moved)
    return result


def _with_gram(left: FeatureStatistics, right: FeatureStatistics, sign: float) -> FeatureStatistics:
    """left + sign * right, about the shift of `left`."""
    _require_same_kind(left, right)
    moved = right.shift - left.shift
    result = _combine(left, _about(right, left.shift), sign)
    result._shifted_gram = np.asfortranarray(
        left._shifted_gram + sign * gram_about(right._shifted_gram, right.shifted_sum, right.n, moved)
    )
    return result


def _require_same_kind(left: FeatureStatistics, right: FeatureStatistics) -> None:
    for description, a, b in (
        ("feature dimension", left.dimension, right.dimension),
        ("kind of target", left.classes is None, right.classes is None),
        ("number of targets", _width(left), _width(right)),
        ("source probabilities", _source_width(left), _source_width(right)),
    ):
        if a != b:
            raise IncompatibleStatistics(f"statistics differ in {description}: {a} and {b}")


def _combine(left: FeatureStatistics, right: FeatureStatistics, sign: float) -> FeatureStatistics:
    """left + sign * right, both about one shift, except for the Gram matrix, with class columns aligned by label."""
    _require_same_kind(left, right)
    result = FeatureStatistics()
    result.n, result.shift = left.n + int(sign) * right.n, left.shift
    if left.classes is not None and right.classes is not None:
        try:
            result.classes = tuple(sorted({*left.classes, *right.classes}))
        except TypeError as error:
            raise IncompatibleStatistics("labels are integers in one and strings in the other") from error
    for name in _PER_FEATURE:
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
    return statistics.columns if statistics.classes is None else None


def _source_width(statistics: FeatureStatistics) -> int | None:
    return None if statistics.source_joint is None else statistics.source_joint.shape[0]
