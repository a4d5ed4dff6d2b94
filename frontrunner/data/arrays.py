"""`.npz` files of precomputed features: one or more (n, D) matrices beside labels or targets."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from frontrunner.data.dataset import Dataset, DatasetOptions, FeatureInputs, Split, Task
from frontrunner.data.files import MAX_MEMBER_BYTES
from frontrunner.errors import EmptyDataset, InvalidFeatures, UnlabelledDataset, UnreadableDataset
from frontrunner.statistics import encode_labels

LABEL_KEYS = ("labels", "label", "y")
TARGET_KEYS = ("targets", "target")


def open_arrays(name: str, digest: str, path: Path, options: DatasetOptions) -> Dataset:
    """A dataset from an npz: `labels` (n,) or `targets` (n,) or (n, K), and every other (n, D) matrix a feature set.

    Each feature set is ranked as one checkpoint, `features:KEY`.

    Raises:
        UnreadableDataset: damaged, pickled, or arrays whose lengths differ.
        UnlabelledDataset: neither labels nor targets.
        EmptyDataset: no matrix of features, or no row.
    """
    try:
        with zipfile.ZipFile(path) as container:
            if any(info.file_size > 16 * MAX_MEMBER_BYTES for info in container.infolist()):
                raise UnreadableDataset(f"{name} holds an array larger than {16 * MAX_MEMBER_BYTES:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableDataset(f"{name} is not an npz of plain arrays: {error}") from error

    label_key = options.label or next((key for key in (*LABEL_KEYS, *TARGET_KEYS) if key in arrays), None)
    if label_key is None or label_key not in arrays:
        raise UnlabelledDataset(f"{name} holds {sorted(arrays)}; expected 'labels' (n,) or 'targets' (n,) or (n, K)")
    given = arrays.pop(label_key)
    sets = {key: matrix for key, matrix in arrays.items() if matrix.ndim == 2 and matrix.dtype.kind in "fiu"}
    if not sets or len(given) == 0:
        raise EmptyDataset(f"{name} holds no (n, D) matrix of features with labels")
    for key, matrix in sets.items():
        if len(matrix) != len(given):
            raise UnreadableDataset(f"{name}: '{key}' has {len(matrix)} rows but '{label_key}' has {len(given)}")

    keys = tuple(range(len(given)))
    classes: tuple[str, ...]
    task: Task
    if given.ndim == 1 and given.dtype.kind in "iubU" and options.task != "regression":
        try:
            labels, codes = encode_labels(given)
        except InvalidFeatures as error:
            raise UnreadableDataset(f"{name}: {error}") from error
        task, classes, train = "classification", tuple(map(str, labels)), Split(keys, labels=codes)
    else:
        try:
            matrix = given.astype(np.float64).reshape(len(given), -1)
        except ValueError as error:
            raise UnreadableDataset(f"{name}: '{label_key}' holds no numbers: {error}") from error
        if not np.isfinite(matrix).all():
            raise UnreadableDataset(f"{name}: '{label_key}' holds NaN or infinity")
        binary = matrix.shape[1] > 1 and bool(np.isin(matrix, (0.0, 1.0)).all())
        task = options.task or ("multi-label" if binary else "regression")
        classes = tuple(f"{label_key}_{index}" for index in range(matrix.shape[1]))
        train = Split(keys, targets=matrix)
    test = train.take(np.zeros(0, dtype=np.int64))
    return Dataset(name, digest, "npz", "features", task, classes, train, test, FeatureInputs(sets))
