"""Image folders and zips: which files are examples, of which split and class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from frontrunner.data.dataset import Dataset, ImageInputs, Split
from frontrunner.data.files import Files
from frontrunner.errors import EmptyDataset, UnlabelledDataset

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
TRAIN_NAMES = frozenset({"train", "training"})
TEST_NAMES = frozenset({"test", "testing", "val", "valid", "validation", "dev"})


def is_image(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


def open_image_classes(name: str, digest: str, format: str, files: Files, names: Sequence[str]) -> Dataset:  # noqa: A002
    """A dataset of `class/...` or `train/class/...` and `test/class/...`; one enclosing folder may stand around.

    Raises:
        EmptyDataset: no file is an image.
        UnlabelledDataset: images lie outside of any class folder.
    """
    images = [PurePosixPath(path) for path in names if is_image(path)]
    if not images:
        raise EmptyDataset(
            f"{name} holds no image ({', '.join(sorted(EXTENSIONS))}); expected class/image.jpg, "
            "or train/class/image.jpg beside test/class/image.jpg"
        )
    depth = _enclosing_folders([path.parts for path in images])
    split_known = all(path.parts[depth].lower() in TRAIN_NAMES | TEST_NAMES for path in images)
    class_at = depth + 1 if split_known else depth
    flat = [path for path in images if len(path.parts) <= class_at + 1]
    if flat:
        raise UnlabelledDataset(
            f"{len(flat)} of {len(images)} images lie in no class folder, for instance {flat[0]}; "
            "put each image into a folder named after its class, or add a table with an image and a label column"
        )
    classes = tuple(sorted({path.parts[class_at] for path in images}))
    code = {label: index for index, label in enumerate(classes)}

    def split(wanted: frozenset[str] | None) -> Split:
        chosen = [path for path in images if wanted is None or path.parts[depth].lower() in wanted]
        codes = np.array([code[path.parts[class_at]] for path in chosen], dtype=np.int64)
        return Split(tuple(str(path) for path in chosen), labels=codes)

    train, test = (
        split(TRAIN_NAMES if split_known else None),
        split(TEST_NAMES if split_known else frozenset()),
    )
    return Dataset(name, digest, format, "image", "classification", classes, train, test, ImageInputs(files))


def _enclosing_folders(paths: Sequence[tuple[str, ...]]) -> int:
    """How many leading folders all paths share and that are neither a split nor the only class."""
    depth = 0
    while True:
        heads = {path[depth] for path in paths}
        if len(heads) > 1 or next(iter(heads)).lower() in TRAIN_NAMES | TEST_NAMES:
            return depth
        # The next level must still be a folder for every image, else this one is the class.
        if any(len(path) < depth + 3 for path in paths):
            return depth
        depth += 1
