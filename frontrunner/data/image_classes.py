"""Folders of images: which files are examples, of which split and class.

Read are `class/...`, `train/class/...` beside `test/class/...`, and `class/train/...` beside `class/test/...`, below
any number of enclosing folders. Folders that could be classes or something else (folds, domains) are refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from frontrunner.data.dataset import Dataset, DatasetOptions, ImageInputs, Interpretation, LeftOut, Split
from frontrunner.data.files import Files
from frontrunner.data.images import EXTENSIONS
from frontrunner.data.splits import SplitChoice, SplitName, is_fold, is_only_split, split_of
from frontrunner.errors import AmbiguousDataset, EmptyDataset, UnlabelledDataset, UnreadableDataset

# Images beside class folders are strays up to one in this many.
_STRAYS = 4


@dataclass(frozen=True)
class _Example:
    path: str
    split: SplitName
    label: str


@dataclass(frozen=True)
class _Arrangement:
    """Examples, what the folders were taken for, and images that are none."""

    examples: list[_Example]
    splits: str
    left_out: list[LeftOut]


def open_image_classes(
    name: str,
    digest: str,
    format: str,  # noqa: A002
    files: Files,
    images: Sequence[str],
    options: DatasetOptions,
) -> Dataset:
    """A dataset of images in folders that are named after their classes.

    Args:
        name: what messages call it.
        digest: of content and options.
        format: folder or zip.
        files: where the images are read.
        images: their paths.
        options: how to read it; those on columns of tables are refused.

    Raises:
        EmptyDataset: there is no image, or none for training.
        UnlabelledDataset: images lie outside of any class folder.
        AmbiguousDataset: the folders may be classes or something else.
        UnreadableDataset: an option asks for what is not there.
    """
    _refuse_options(name, options)
    if not images:
        raise EmptyDataset(
            f"{name} holds no image ({', '.join(sorted(EXTENSIONS))}); expected class/image.jpg, "
            "or train/class/image.jpg beside test/class/image.jpg"
        )
    found = _arranged([PurePosixPath(path).parts for path in images], SplitChoice.parse(options.split), name)
    if not any(example.split == "train" for example in found.examples):
        raise EmptyDataset(f"{name} has no image for training ({found.splits}); choose with --split 'train=FOLDER'")
    classes = tuple(sorted({example.label for example in found.examples}))
    code = {label: index for index, label in enumerate(classes)}

    def split(side: SplitName) -> Split:
        chosen = sorted((e for e in found.examples if e.split == side), key=lambda example: example.path)
        codes = np.array([code[example.label] for example in chosen], dtype=np.int64)
        return Split(tuple(example.path for example in chosen), labels=codes)

    return Dataset(
        name,
        digest,
        format,
        "image",
        "classification",
        classes,
        split("train"),
        split("test"),
        ImageInputs(files),
        Interpretation(
            "images in folders", f"{len(classes)} classes from folder names", found.splits, tuple(found.left_out)
        ),
    )


def _refuse_options(name: str, options: DatasetOptions) -> None:
    for option in ("input", "text", "image", "label"):
        value = getattr(options, option)
        if value is not None and not (option == "label" and value == "folder"):
            raise UnreadableDataset(
                f"{name} holds images in folders and no table: there is no column '{value}' for {option}"
            )
    if options.task not in (None, "classification"):
        raise UnreadableDataset(f"{name} holds images in class folders, which are no {options.task}; a table says more")


def _arranged(paths: list[tuple[str, ...]], choice: SplitChoice, name: str) -> _Arrangement:
    if choice.column is not None:
        raise UnreadableDataset(f"{name} holds images in folders and no table: there is no column '{choice.column}'")
    depth = _enclosing(paths, 0, lambda top: not choice.everything and choice.of(top) is not None)
    tops: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    flat = []
    for path in paths:
        if len(path) > depth + 1:
            tops[path[depth]].append(path)
        else:
            flat.append(path)
    if not tops:
        raise _unlabelled(flat, len(paths), name)
    sides = {} if choice.everything else {top: side for top in tops if (side := choice.of(top))}
    missing = sorted(set(choice.parts) - set(tops))
    if missing:
        raise UnreadableDataset(f"{name} has no folder '{missing[0]}' among {', '.join(sorted(tops))}")
    if choice.parts or _are_splits(tops, sides, depth):
        return _by_split(tops, sides, flat, depth, name)
    if not choice.everything:
        if not _are_folds(tops):
            inner = _split_below_class(tops, depth)
            if inner is not None:
                return inner
        _refuse_other_levels(tops, depth, name)
    return _by_class(tops, flat, depth, name)


def _are_splits(tops: dict[str, list[tuple[str, ...]]], sides: dict[str, SplitName], depth: int) -> bool:
    """Whether the outermost folders are splits: some say so, and hold folders, where a class would hold images."""
    if not sides:
        return False
    if set(sides.values()) == {"train", "test"} or len(sides) == len(tops):
        # Classes may be called "test tube" and "training shoes".
        return all(map(is_only_split, sides)) or any(_has_folders(tops[top], depth) for top in sides)
    return all(_has_folders(tops[top], depth) for top in sides) and not any(
        _has_folders(paths, depth) for top, paths in tops.items() if top not in sides
    )


def _has_folders(paths: Sequence[tuple[str, ...]], depth: int) -> bool:
    return any(len(path) > depth + 2 for path in paths)


def _by_split(
    tops: dict[str, list[tuple[str, ...]]],
    sides: dict[str, SplitName],
    flat: list[tuple[str, ...]],
    depth: int,
    name: str,
) -> _Arrangement:
    examples: list[_Example] = []
    left_out = _strays(flat)
    unlabelled = []
    for top, paths in sorted(tops.items()):
        if top not in sides:
            left_out.append(
                LeftOut(
                    count=len(paths),
                    what=_images(len(paths), f" in {top}/"),
                    reason="the folder is neither train nor test",
                )
            )
            continue
        # A split's folder inside of a split's (`seg_train/seg_train/`) only encloses.
        at = _enclosing(paths, depth + 1, lambda _: False)
        inside = [path for path in paths if len(path) > at + 1]
        outside = len(paths) - len(inside)
        if outside and sides[top] == "train" and outside * _STRAYS > len(paths):
            unlabelled += [path for path in paths if len(path) <= at + 1]
        elif outside:
            reason = "in no class folder"
            left_out.append(LeftOut(count=outside, what=_images(outside, f" in {top}/"), reason=reason))
        examples += [_Example("/".join(path), sides[top], path[at]) for path in inside]
    if unlabelled:
        raise _unlabelled(unlabelled, sum(map(len, tops.values())), name)
    known = {example.label for example in examples if example.split == "train"}
    if known and not any(example.label in known for example in examples if example.split == "test"):
        hidden = [example for example in examples if example.split == "test"]
        if hidden:
            reason = f"in no folder of a class that is trained on, for instance {hidden[0].path}"
            left_out.append(LeftOut(count=len(hidden), what=_images(len(hidden), " for testing"), reason=reason))
        examples = [example for example in examples if example.split == "train"]
    filled = {example.split for example in examples}
    said = [
        f"{side} from {', '.join(f'{top}/' for top in sorted(sides) if sides[top] == side)}"
        for side in ("train", "test")
        if side in filled
    ]
    return _Arrangement(examples, ", ".join(said), left_out)


def _by_class(
    tops: dict[str, list[tuple[str, ...]]], flat: list[tuple[str, ...]], depth: int, name: str
) -> _Arrangement:
    total = sum(map(len, tops.values())) + len(flat)
    if flat and (len(tops) < 2 or len(flat) * _STRAYS > total):
        raise _unlabelled(flat, total, name)
    examples = [_Example("/".join(path), "train", top) for top, paths in sorted(tops.items()) for path in paths]
    return _Arrangement(examples, "no split: every image is for training", _strays(flat))


def _split_below_class(tops: dict[str, list[tuple[str, ...]]], depth: int) -> _Arrangement | None:
    """`class/train/...` beside `class/test/...`, in every class."""
    paths = [path for inside in tops.values() for path in inside]
    if len(tops) < 2 or not all(len(path) > depth + 2 and split_of(path[depth + 1]) for path in paths):
        return None
    examples = [
        _Example("/".join(path), side, path[depth]) for path in sorted(paths) if (side := split_of(path[depth + 1]))
    ]
    return _Arrangement(examples, "train and test from the folders in each class", [])


def _are_folds(tops: Collection[str]) -> bool:
    return len(tops) > 1 and all(map(is_fold, tops))


def _refuse_other_levels(tops: dict[str, list[tuple[str, ...]]], depth: int, name: str) -> None:
    """Outer folders that hold the same inner ones (folds, domains, copies) may not be the classes."""
    some = sorted(tops)[:4]
    listing = ", ".join(f"{top}/" for top in some) + (", ..." if len(tops) > 4 else "")
    remedy = (
        f"choose with --split 'train={some[0]};test={some[-1]}' where folders inside of them are the classes, or with "
        "--split none where they are the classes themselves"
    )
    half = sorted(top for top, paths in tops.items() if is_only_split(top) and _has_folders(paths, depth))
    if half and len(tops) > len(half):
        raise AmbiguousDataset(f"{name}: {', '.join(half)} among the folders {listing} looks like a split; {remedy}")
    if _are_folds(tops):
        raise AmbiguousDataset(
            f"{name}: the folders {listing} look like parts of a split, not like classes; {remedy}, "
            "or open one of the folders"
        )
    pairs = {(path[depth], path[depth + 1]) for paths in tops.values() for path in paths if len(path) > depth + 2}
    inner = Counter(folder for _, folder in pairs)
    shared = sorted(folder for folder, count in inner.items() if count > 1)
    if len(shared) > 1:
        raise AmbiguousDataset(
            f"{name}: the folders {listing} hold the same folders ({', '.join(shared[:4])}): which are the classes? "
            f"{remedy[0].upper()}{remedy[1:]}"
        )


def _enclosing(paths: Sequence[tuple[str, ...]], start: int, is_split: Callable[[str], bool]) -> int:
    """The level, from `start` down, whose folders differ: those above enclose nearly all of the images.

    A split's folder is kept, and so is the only class: the level below must still be a folder for most of the images.
    """
    depth = start
    while True:
        inside = [path for path in paths if len(path) > depth + 1]
        heads = {path[depth] for path in inside}
        if len(heads) != 1 or is_split(next(iter(heads))):
            return depth
        directly = sum(len(path) == depth + 2 for path in inside)
        if directly * _STRAYS > len(inside):
            return depth
        depth += 1


def _strays(flat: Sequence[tuple[str, ...]]) -> list[LeftOut]:
    if not flat:
        return []
    reason = f"in no class folder, for instance {'/'.join(flat[0])}"
    return [LeftOut(count=len(flat), what=_images(len(flat)), reason=reason)]


def _unlabelled(flat: Sequence[tuple[str, ...]], total: int, name: str) -> UnlabelledDataset:
    return UnlabelledDataset(
        f"{name}: {len(flat)} of {total} images lie in no class folder, for instance {'/'.join(flat[0])}; "
        "put each image into a folder named after its class, or add a table with an image and a label column"
    )


def _images(count: int, where: str = "") -> str:
    return f"image{'s' if count != 1 else ''}{where}"
