"""What the files of a folder or zip are: tables, images that a table names, or images in class folders.

A table that names the images and has labels is preferred to the names of folders where both say the same, and refused
where they do not. Every file that becomes no example is counted by its extension.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from frontrunner.data.dataset import Dataset, DatasetOptions, ImageInputs, LeftOut
from frontrunner.data.files import Files
from frontrunner.data.image_classes import open_image_classes
from frontrunner.data.image_names import ListedImages
from frontrunner.data.images import UNREAD_EXTENSIONS, is_image
from frontrunner.data.splits import SplitChoice, SplitName
from frontrunner.data.table_datasets import open_tables
from frontrunner.data.table_inputs import Images, describes_images, namesakes
from frontrunner.data.table_parts import TablePart, list_of
from frontrunner.data.tables import is_table, read_table
from frontrunner.data.tables.conll import looks_like_conll
from frontrunner.errors import AmbiguousDataset, EmptyDataset, InvalidDataset

# Tables beside images by the convention of Hugging Face's `datasets`.
_METADATA = "metadata"
# JSON that describes a dataset and holds none of it.
_DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"})
_FOLD_TABLE = re.compile(r"(?<![a-z])(?:fold|cv)[ _.-]?(\d+)")
_SHARD = re.compile(r"[-_.]?(part[-_.]?)?\d+([-_.]of[-_.]\d+)?$")


def open_files(name: str, digest: str, format: str, files: Files, options: DatasetOptions) -> Dataset:  # noqa: A002
    """The dataset that the files of a folder or zip make up.

    Raises:
        InvalidDataset: a subclass says what is wrong, or what has to be chosen.
    """
    names = files.names()
    if not names:
        passed_over = ", ".join(f"{count} {what}" for what, count in files.left_out().items())
        raise EmptyDataset(f"{name} holds no files" + (f"; passed over: {passed_over}" if passed_over else ""))
    images = [path for path in names if is_image(path)]
    tables = [path for path in names if is_table(path) and PurePosixPath(path).name.lower() not in _DESCRIPTIONS]
    if not images and not tables:
        tables = [path for path in names if _is_text_file(path) and looks_like_conll(files.read(path))]
    if not images and not tables:
        raise EmptyDataset(f"{name} holds no image and no table, but {_counted(names)}{_advice(names)}")
    dataset, used = _opened(name, digest, format, files, images, tables, options)
    interpretation = dataset.interpretation
    left_out = (*interpretation.left_out, *_passed_over(names, used, files))
    return replace(dataset, interpretation=replace(interpretation, left_out=left_out))


def _opened(
    name: str,
    digest: str,
    format: str,  # noqa: A002
    files: Files,
    images: Sequence[str],
    tables: Sequence[str],
    options: DatasetOptions,
) -> tuple[Dataset, set[str]]:
    """The dataset, and the files that were read or at least taken into account."""
    parts: list[TablePart]
    if not images:
        parts, others = _parts(_metadata_tables(tables) or tables, files, options, name)
        dataset = open_tables(name, digest, format, parts, options, Images(ListedImages([]), files))
        return _saying(dataset, others), set(tables)
    beside = _metadata_tables(tables) or _not_deeper(tables, images)
    wants_folders = options.label == "folder"
    from_folders: Dataset | InvalidDataset
    try:
        from_folders = open_image_classes(name, digest, format, files, images, options)
    except InvalidDataset as error:
        from_folders = error
    if not beside or wants_folders:
        if isinstance(from_folders, InvalidDataset):
            raise from_folders
        return from_folders, set(images)
    listed = ListedImages(images)
    parts = []
    try:
        parts, others = _parts(beside, files, options, name)
        from_table = open_tables(name, digest, format, parts, options, Images(listed, files))
    except InvalidDataset as error:
        if options.label or options.text or options.image or options.input:
            raise  # the table is meant
        if isinstance(from_folders, InvalidDataset):
            raise type(error)(f"{error.reason}. Read as class folders: {from_folders.reason}") from error
        many = len(from_folders.classes) > 1
        if not many or any(describes_images(part.table, listed) for part in parts):
            alike = next(filter(None, (namesakes(part, listed) for part in parts)), "")
            some = list_of(from_folders.classes)
            folders = f"; or --label folder, if the folders ({some}) are the classes" if many else ""
            raise type(error)(f"{error.reason}{alike}{folders}") from error
        what = list_of(beside)
        left_out = LeftOut(count=len(beside), what=what, reason=f"not read: {error.reason}")
        return _with_left_out(from_folders, left_out), {*images, *beside}
    if isinstance(from_folders, Dataset):
        _refuse_contradiction(from_table, from_folders, options, name)
    dataset = _saying(from_table, others)
    used = set(beside)
    if isinstance(dataset.inputs, ImageInputs):
        named = set(map(str, (*dataset.train.keys, *dataset.test.keys)))
        unnamed = set(images) - named
        if unnamed:
            reason = f"named by no row with a label, for instance {min(unnamed)}"
            what = "images" if len(unnamed) > 1 else "image"
            dataset = _with_left_out(dataset, LeftOut(count=len(unnamed), what=what, reason=reason))
        used |= set(images)
    return dataset, used


def _metadata_tables(tables: Sequence[str]) -> list[str]:
    """Tables that name the images beside them, in one folder or in each."""
    return [path for path in tables if PurePosixPath(path).stem.lower() == _METADATA]


def _not_deeper(tables: Sequence[str], images: Sequence[str]) -> list[str]:
    """Tables that lie no deeper than the outermost image: others belong to some part of the images."""
    depth = min(len(PurePosixPath(path).parts) for path in images)
    return [path for path in tables if len(PurePosixPath(path).parts) <= depth]


def _parts(
    tables: Sequence[str], files: Files, options: DatasetOptions, name: str
) -> tuple[list[TablePart], list[tuple[str, str]]]:
    """The tables that make up the dataset, with their splits; and those that do not, each with a reason."""
    choice = SplitChoice.parse(options.split)
    split = {path: _split_of_path(path, choice) for path in tables}
    if choice.column is not None or (choice.parts and not any(split.values())):
        choice = SplitChoice()  # it is about the rows of the tables
        split = {path: _split_of_path(path, choice) for path in tables}
    chosen: Sequence[str] = tables
    others: list[tuple[str, str]] = []
    if options.split is None:
        _refuse_folds(tables, split, name)
    if len(tables) > 1 and not choice.everything:
        if "train" in split.values():
            chosen = [path for path in tables if split[path]]
            others = [(path, "its name is neither of training nor of testing") for path in tables if not split[path]]
        elif len({_SHARD.sub("", str(PurePosixPath(path).with_suffix(""))) for path in tables}) > 1 and not all(
            PurePosixPath(path).stem.lower() == _METADATA for path in tables
        ):
            some = ", ".join(tables[:6])
            raise AmbiguousDataset(
                f"{name} holds {len(tables)} tables, and none is named train: {some}; choose with "
                f"--split 'train={PurePosixPath(tables[0]).name}', or --split none to read all of them as one"
            )
    if not choice.everything:
        _refuse_two_formats(chosen, split, name)
    parts = []
    for path in chosen:
        base = str(PurePosixPath(path).parent)
        for sheet, table in read_table(files.read(path), path):
            title = f"{path} ({sheet})" if sheet else path
            # The only table is for training whatever it is called.
            side = sheet or (split[path] if len(tables) > 1 or choice.parts else None)
            parts.append(TablePart(table, title, base, None if choice.everything else side, chosen=bool(choice.parts)))
    return parts, others


def _split_of_path(path: str, choice: SplitChoice) -> SplitName | None:
    """What a table's name, or the nearest of its folders, says about the split."""
    pure = PurePosixPath(path)
    if choice.parts:
        return next(
            (choice.parts[key] for key in (path, pure.name, pure.stem, *reversed(pure.parts)) if key in choice.parts),
            None,
        )
    return next((side for part in (pure.stem, *reversed(pure.parts[:-1])) if (side := SplitChoice().of(part))), None)


def _refuse_folds(tables: Sequence[str], split: dict[str, SplitName | None], name: str) -> None:
    """Folds of a cross-validation overlap each other, unlike shards of a download."""
    folds = [path for path in tables if _FOLD_TABLE.search(path.lower())]
    if len({_FOLD_TABLE.findall(path.lower())[-1] for path in folds}) > 1:
        train = next((path for path in folds if split[path] == "train"), folds[0])
        test = next((path for path in folds if split[path] == "test"), folds[-1])
        raise AmbiguousDataset(
            f"{name} holds folds of a cross-validation: {list_of(folds)}; choose with --split 'train={train};"
            f"test={test}', or --split none to read all tables as one"
        )


def _refuse_two_formats(tables: Sequence[str], split: dict[str, SplitName | None], name: str) -> None:
    """The same split as CSV and as Parquet would be read twice; so would two configurations of one dataset."""
    for side in ("train", "test", None):
        mine = [path for path in tables if split[path] == side]
        if len({PurePosixPath(path).suffix.lower() for path in mine}) > 1:
            raise AmbiguousDataset(
                f"{name} holds {side or 'the'} rows in more than one format: {', '.join(mine[:6])}; keep one, or "
                f"choose with --split 'train={mine[0]}'"
            )
        folders = {PurePosixPath(path).parent for path in mine}
        if side == "train" and len(folders) > 1 and not all(PurePosixPath(p).stem.lower() == _METADATA for p in mine):
            raise AmbiguousDataset(
                f"{name} holds training tables in more than one folder: {', '.join(mine[:6])}; open one of the folders "
                f"or choose with --split 'train={mine[0]}'"
            )


def _refuse_contradiction(from_table: Dataset, from_folders: Dataset, options: DatasetOptions, name: str) -> None:
    """A table and folders that both label the images, and not alike: which one is meant?"""
    if options.label or options.text or options.image or options.input:
        return
    if from_table.modality != "image" or not isinstance(from_table.inputs, ImageInputs):
        raise AmbiguousDataset(
            f"{name} holds images in class folders and a table of {from_table.modality}; choose with --label folder or "
            "--text COLUMN"
        )
    folder_of = {
        key: code
        for split in (from_folders.train, from_folders.test)
        if split.labels is not None
        for key, code in zip(split.keys, split.labels.tolist(), strict=True)
    }
    if from_table.train.labels is None or len(from_folders.classes) < 2:
        return
    pairs = {
        (code, folder_of[key])
        for key, code in zip(from_table.train.keys, from_table.train.labels.tolist(), strict=True)
        if key in folder_of
    }
    if pairs and not len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}):
        raise AmbiguousDataset(
            f"{name}: the table ({from_table.interpretation.labels}) and the folders "
            f"({', '.join(from_folders.classes[:4])}) label the images differently; "
            "choose with --label COLUMN or --label folder"
        )


def _saying(dataset: Dataset, others: Iterable[tuple[str, str]]) -> Dataset:
    for path, reason in others:
        dataset = _with_left_out(dataset, LeftOut(count=1, what=path, reason=reason))
    return dataset


def _with_left_out(dataset: Dataset, entry: LeftOut) -> Dataset:
    interpretation = dataset.interpretation
    return replace(dataset, interpretation=replace(interpretation, left_out=(*interpretation.left_out, entry)))


def _passed_over(names: Sequence[str], used: set[str], files: Files) -> list[LeftOut]:
    """Files that nothing was done with, by extension; then what was not even listed."""
    counts = Counter(_extension(path) for path in names if path not in used)
    found = [
        LeftOut(
            count=count,
            what=f"{extension} file{'s' if count > 1 else ''}",
            reason=f"images that are not read here: {UNREAD_EXTENSIONS[extension]}"
            if extension in UNREAD_EXTENSIONS
            else "neither images nor tables that belong to the dataset",
        )
        for extension, count in sorted(counts.items())
    ]
    return found + [LeftOut(count=count, what=what, reason="passed over") for what, count in files.left_out().items()]


def _counted(names: Sequence[str]) -> str:
    counts = Counter(map(_extension, names))
    return ", ".join(
        f"{count} {extension} file{'' if count == 1 else 's'}" for extension, count in counts.most_common(8)
    )


def _is_text_file(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() == ".txt"


def _advice(names: Sequence[str]) -> str:
    extensions = {_extension(name) for name in names} & UNREAD_EXTENSIONS.keys()
    return "".join(f"; for {extension}: {UNREAD_EXTENSIONS[extension]}" for extension in sorted(extensions))


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower() or "nameless"
