"""`open_dataset`: from a path to a `Dataset`, whatever the container; the bytes decide, not the file's name."""

from __future__ import annotations

import zipfile
from pathlib import Path

from frontrunner.data.arrays import open_arrays
from frontrunner.data.dataset import Dataset, DatasetOptions
from frontrunner.data.failures import explained
from frontrunner.data.files import FolderFiles, ZipFiles, digest_folder
from frontrunner.data.image_names import ListedImages, NearbyImages
from frontrunner.data.layout import open_files
from frontrunner.data.table_datasets import open_tables
from frontrunner.data.table_inputs import Images
from frontrunner.data.table_parts import TablePart
from frontrunner.data.tables import WORKBOOK, read_table
from frontrunner.errors import DatasetNotFound, EmptyDataset, UnreadableDataset
from frontrunner.files import digest_file

_ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def digest_dataset(path: Path, options: DatasetOptions | None = None) -> str:
    """SHA-256 that names the dataset at `path`: of a file's bytes, or of a folder's names and bytes.

    A table of image paths on disk is named by its own bytes alone; put table and images into one folder or zip to
    have the images counted in.

    Raises:
        DatasetNotFound: nothing is there.
    """
    if not path.exists():
        raise DatasetNotFound(f"there is no file or folder {path}")
    if not (path.is_dir() or path.is_file()):
        raise UnreadableDataset(f"{path} is neither a file nor a folder but a device, a pipe or a socket")
    content = digest_folder(path) if path.is_dir() else digest_file(path)
    return (options or DatasetOptions()).identity(content)


def open_dataset(
    path: Path, options: DatasetOptions | None = None, *, digest: str | None = None, name: str | None = None
) -> Dataset:
    """Open the dataset at `path`; reads its index, and no image.

    Args:
        path: a folder or zip of images or tables, or a CSV, TSV, JSON, JSONL, Excel, Parquet or npz file; see
            docs/datasets.md.
        options: how to read it where its layout leaves a choice.
        digest: its `digest_dataset`, where already known.
        name: what to call it; the path's last part otherwise.

    Raises:
        InvalidDataset: a subclass names what is wrong: not found, unsupported, unreadable, ambiguous, empty or
            unlabelled.
    """
    options = options or DatasetOptions()
    name = name or path.name
    with explained(name):
        digest = digest or digest_dataset(path, options)
        if path.is_dir():
            return open_files(name, digest, "folder", FolderFiles(path), options)
        with path.open("rb") as file:
            head = file.read(4)
        if not head:
            raise EmptyDataset(f"{name} is an empty file")
        members = _members(path) if head in _ZIPS else []
        if members and all(member.endswith(".npy") for member in members):
            return open_arrays(name, digest, path, options)
        if head in _ZIPS and WORKBOOK not in members:
            return open_files(name, digest, "zip", ZipFiles(path, name), options)
        return _open_lone_table(name, digest, path, options)


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as container:
            return container.namelist()
    except Exception:  # `ZipFiles` says of a damaged zip what is wrong with it
        return []


def _open_lone_table(name: str, digest: str, path: Path, options: DatasetOptions) -> Dataset:
    parts = [
        TablePart(table, f"{name} ({split})" if split else name, split=split) for split, table in read_table(path, name)
    ]
    # Images beside the table, in the folder or in a zip of the table's name.
    sibling = path.with_suffix(".zip")
    if sibling.is_file() and sibling != path:
        packed = ZipFiles(sibling)
        images = Images(ListedImages(packed.names()), packed)
    else:
        nearby = NearbyImages(path.parent)
        images = Images(nearby, nearby)
    return open_tables(name, digest, parts[0].table.format, parts, options, images)
