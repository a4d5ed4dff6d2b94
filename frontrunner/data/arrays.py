"""`.npz` files of precomputed features: one or more (n, D) matrices beside labels or targets."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontrunner.data.dataset import Dataset, DatasetOptions, FeatureInputs, Interpretation, LeftOut, Split
from frontrunner.data.files import MAX_MEMBER_BYTES
from frontrunner.data.splits import SplitChoice, split_of
from frontrunner.data.tables.cells import Column
from frontrunner.data.tables.input_columns import is_id
from frontrunner.data.tables.label_forms import Labels
from frontrunner.data.tables.labels import read_labels
from frontrunner.errors import DatasetTooLarge, EmptyDataset, InvalidDataset, UnlabelledDataset, UnreadableDataset

LABEL_KEYS = ("labels", "label", "y", "targets", "target")
# Each set of features is ranked as a checkpoint: a step of a job.
MAX_ARRAYS = 1000
_SPLIT_KEYS = ("split", "splits")


def open_arrays(name: str, digest: str, path: Path, options: DatasetOptions) -> Dataset:
    """A dataset from an npz: `labels` (n,) or `targets` (n,) or (n, K), and every other (n, D) matrix a feature set.

    Each feature set is ranked as one checkpoint, `features:KEY`. Labels are read by the rules of tables. An array
    `split` (n,) of names tells training from testing.

    Raises:
        UnreadableDataset: damaged, pickled, arrays whose lengths differ, or an option that asks for what is not there.
        UnlabelledDataset: neither labels nor targets.
        EmptyDataset: no matrix of features, or no row.
        AmbiguousDataset: the labels may mean one task or another.
    """
    arrays = _loaded(name, path)
    for option in ("text", "image"):
        if getattr(options, option) is not None:
            raise UnreadableDataset(
                f"{name} holds arrays of features: there is no {option} '{getattr(options, option)}'"
            )
    key = _label_key(arrays, options.label, name)
    given = arrays.pop(key)
    if given.ndim == 0:
        raise UnreadableDataset(f"{name}: '{key}' is one number; expected one label a row")
    split_key, choice = _split_key(arrays, options, name)
    sides = _sides(arrays.pop(split_key) if split_key else None, choice, len(given), name)
    wanted = None if options.input is None else [part.strip() for part in options.input.split(",")]
    sets, left_out = _feature_sets(arrays, wanted, name)
    if not sets or len(given) == 0:
        shapes = ", ".join(f"'{other}' {array.shape} of {array.dtype}" for other, array in arrays.items())
        raise EmptyDataset(
            f"{name} holds no (n, D) matrix of features with labels; beside '{key}' it holds {shapes or 'nothing'}"
        )
    for other, matrix in sets.items():
        if len(matrix) != len(given):
            raise UnreadableDataset(f"{name}: '{other}' has {len(matrix)} rows but '{key}' has {len(given)}")

    labels = _labels(given, key, options, sides == "test", name)
    usable = labels.present & (sides != "")
    if not usable.all():
        left_out.append(LeftOut(count=int((~usable).sum()), what="rows", reason="no label, or no known split"))
    rows = Split(tuple(range(len(given))), labels.codes, labels.matrix)
    train, test = (rows.take(np.flatnonzero(usable & (sides == side))) for side in ("train", "test"))
    what = "classes" if labels.task == "classification" else labels.task
    interpretation = Interpretation(
        inputs=f"features from {', '.join(f'{other} {matrix.shape}' for other, matrix in sets.items())}",
        labels=f"{what} from '{key}'" + (f" ({labels.how})" if labels.how else ""),
        splits=f"splits from '{split_key}'" if split_key else "no split: every row is for training",
        left_out=tuple(left_out),
        warnings=labels.warnings,
    )
    inputs = FeatureInputs(sets)
    return Dataset(name, digest, "npz", "features", labels.task, labels.classes, train, test, inputs, interpretation)


def _loaded(name: str, path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as container:
            if len(container.namelist()) > MAX_ARRAYS:
                raise DatasetTooLarge(f"{name} holds more than {MAX_ARRAYS:,} arrays")
            if any(info.file_size > 16 * MAX_MEMBER_BYTES for info in container.infolist()):
                raise UnreadableDataset(f"{name} holds an array larger than {16 * MAX_MEMBER_BYTES:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (InvalidDataset, MemoryError):
        raise
    except Exception as error:  # headers of damaged arrays lead NumPy's parser anywhere
        advice = "; save texts as np.array(texts, dtype=str)" if "Object arrays" in str(error) else ""
        raise UnreadableDataset(f"{name} is not an npz of plain arrays: {error}{advice}") from error
    # NumPy hands out the bytes of a member that does not begin as an array.
    if broken := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise UnreadableDataset(f"{name} is not an npz of plain arrays: '{broken[0]}' is none")
    return arrays


def _label_key(arrays: dict[str, NDArray[Any]], wanted: str | None, name: str) -> str:
    key = wanted or next((known for known in LABEL_KEYS if known in arrays), None)
    if key is None:
        if any(split_of(other) for other in arrays):
            raise UnlabelledDataset(
                f"{name} holds {sorted(arrays)}: arrays of one split each. Put the splits below each other in a matrix "
                "'features' (n, D) beside 'labels' (n,), and say in an array 'split' (n,) which row is in which"
            )
        raise UnlabelledDataset(
            f"{name} holds {sorted(arrays)}; expected 'labels' (n,), or 'targets' (n,) or (n, K); or choose --label KEY"
        )
    if key not in arrays:
        raise UnlabelledDataset(f"{name} holds no array '{key}' but {sorted(arrays)}")
    return key


def _split_key(arrays: dict[str, NDArray[Any]], options: DatasetOptions, name: str) -> tuple[str | None, SplitChoice]:
    choice = SplitChoice.parse(options.split)
    if choice.everything:
        return None, choice
    key = choice.column or next((known for known in _SPLIT_KEYS if known in arrays), None)
    if (key is not None and key not in arrays) or (key is None and choice.parts):
        raise UnreadableDataset(f"{name} holds no array '{key or 'split'}' but {sorted(arrays)}")
    return key, choice


def _sides(given: NDArray[Any] | None, choice: SplitChoice, n: int, name: str) -> NDArray[np.str_]:
    """(n,) train, test, or nothing where a mapping was asked for that does not name the value."""
    if given is None:
        return np.full(n, "train")
    if given.shape != (n,):
        raise UnreadableDataset(f"{name}: the split has the shape {given.shape}; expected ({n},)")
    meaning = {
        value: choice.parts.get(value, "") if choice.parts else split_of(value) for value in set(map(str, given))
    }
    if None in meaning.values():
        raise UnreadableDataset(f"{name}: the split holds {sorted(meaning)[:5]}; expected train, test or validation")
    return np.array([meaning[str(value)] for value in given], dtype=np.str_)


def _feature_sets(
    arrays: dict[str, NDArray[Any]], wanted: list[str] | None, name: str
) -> tuple[dict[str, NDArray[Any]], list[LeftOut]]:
    sets: dict[str, NDArray[Any]] = {}
    left_out = []
    for key in wanted or ():
        if key not in arrays:
            raise UnreadableDataset(f"{name} holds no array '{key}' but {sorted(arrays)}")
    for key, array in arrays.items():
        if wanted is None and _numbers_rows(key, array):
            left_out.append(LeftOut(count=1, what=f"array '{key}'", reason="it numbers the rows"))
            continue
        if array.ndim == 2 and array.dtype.kind in "fiu" and array.shape[1] and (wanted is None or key in wanted):
            sets[key] = array
            continue
        reason = (
            "not asked for"
            if wanted is not None and key not in wanted
            else (f"an array {array.shape} of {array.dtype}; a feature set is a matrix (n, D) of numbers, D at least 1")
        )
        if wanted is not None and key in wanted:
            raise UnreadableDataset(f"{name}: '{key}' is {reason}")
        left_out.append(LeftOut(count=1, what=f"array '{key}'", reason=reason))
    return sets, left_out


def _numbers_rows(key: str, array: NDArray[Any]) -> bool:
    """Whether an array of one whole number a row counts or names the rows."""
    if array.ndim == 0 or array.size != len(array) or array.dtype.kind not in "iu":
        return False
    return is_id(Column(key, pa.chunked_array([pa.array(array.ravel())]), typed=True))


def _labels(given: NDArray[Any], key: str, options: DatasetOptions, is_test: NDArray[np.bool_], name: str) -> Labels:
    """Labels by the rules of tables, whatever the array's type and shape."""
    if given.dtype.kind == "S":
        given = np.char.decode(given, "utf-8", "replace")
    if given.dtype.kind not in "iufbU":
        raise UnlabelledDataset(f"{name}: '{key}' is an array of {given.dtype}, which holds no labels")
    flat = given.reshape(len(given), -1)
    if flat.shape[1] == 0:
        raise UnlabelledDataset(f"{name}: '{key}' has the shape {given.shape} and holds nothing")
    columns = [
        Column(key if flat.shape[1] == 1 else f"{key}_{index}", pa.chunked_array([pa.array(column)]), typed=True)
        for index, column in enumerate(flat.T)
    ]
    return read_labels(columns, options.task, is_test)
