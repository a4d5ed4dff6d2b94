"""`open_dataset`: from a path to a `Dataset`, whatever the container; the bytes decide, not the file's name."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from frontrunner.data.arrays import open_arrays
from frontrunner.data.dataset import Dataset, DatasetOptions
from frontrunner.data.files import Files, FolderFiles, ZipFiles, digest_file, digest_folder
from frontrunner.data.images import is_image, open_image_classes
from frontrunner.data.tables import open_table, read_table
from frontrunner.errors import DatasetNotFound, EmptyDataset, UnreadableDataset, UnsupportedDataset

TABLE_SUFFIXES = frozenset({".csv", ".parquet"})
_NOT_TEXT = frozenset(range(9)) | frozenset(range(14, 32)) - {27}


def digest_dataset(path: Path, options: DatasetOptions | None = None) -> str:
    """SHA-256 that names the dataset at `path`: of a file's bytes, or of a folder's names and bytes.

    A table of image paths on disk is named by its own bytes alone; put table and images into one folder or zip to
    have the images counted in.

    Raises:
        DatasetNotFound: nothing is there.
    """
    if not path.exists():
        raise DatasetNotFound(f"there is no file or folder {path}")
    content = digest_folder(path) if path.is_dir() else digest_file(path)
    return (options or DatasetOptions()).identity(content)


def open_dataset(
    path: Path, options: DatasetOptions | None = None, *, digest: str | None = None, name: str | None = None
) -> Dataset:
    """Open the dataset at `path`; reads its index, and no image.

    Args:
        path: an image folder, or a zip, CSV, Parquet or npz file.
        options: how to read it where its layout leaves a choice.
        digest: its `digest_dataset`, where already known.
        name: what to call it; the path's last part otherwise.

    Raises:
        InvalidDataset: a subclass names what is wrong: not found, unsupported, unreadable, empty or unlabelled.
    """
    options = options or DatasetOptions()
    digest = digest or digest_dataset(path, options)
    name = name or path.name
    if path.is_dir():
        return _open_files(name, digest, "folder", FolderFiles(path), options)
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise EmptyDataset(f"{name} is an empty file")
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        if _is_npz(path):
            return open_arrays(name, digest, path, options)
        return _open_files(name, digest, "zip", ZipFiles(path), options)
    if head[:4] == b"PAR1":
        return _open_lone_table(name, digest, "parquet", path, options)
    if not _NOT_TEXT & set(head):
        return _open_lone_table(name, digest, "csv", path, options)
    raise UnsupportedDataset(f"{name} is none of: image folder, zip, CSV, Parquet, npz (it starts with {head[:8]!r})")


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as container:
            members = container.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableDataset(f"{path.name} is not a readable zip: {error}") from error
    return bool(members) and all(member.endswith(".npy") for member in members)


def _open_files(name: str, digest: str, format: str, files: Files, options: DatasetOptions) -> Dataset:  # noqa: A002
    names = files.names()
    if not names:
        raise EmptyDataset(f"{name} holds no files")
    tables = [path for path in names if PurePosixPath(path).suffix.lower() in TABLE_SUFFIXES]
    if len(tables) == 1 and (_is_outermost(tables[0], names) or not any(map(is_image, names))):
        base = str(PurePosixPath(tables[0]).parent)
        table = read_table(files.read(tables[0]), tables[0])
        return open_table(name, digest, format, table, options, images=lambda: (files, base))
    return open_image_classes(name, digest, format, files, names)


def _open_lone_table(name: str, digest: str, format: str, path: Path, options: DatasetOptions) -> Dataset:  # noqa: A002
    def images() -> tuple[Files, str]:
        # Images beside the table, in the folder or in a zip of the table's name.
        sibling = path.with_suffix(".zip")
        return (ZipFiles(sibling) if sibling.is_file() else FolderFiles(path.parent)), "."

    return open_table(name, digest, format, read_table(path.read_bytes(), name), options, images)


def _is_outermost(table: str, names: list[str]) -> bool:
    depth = len(PurePosixPath(table).parts)
    return all(len(PurePosixPath(path).parts) >= depth for path in names if is_image(path))
