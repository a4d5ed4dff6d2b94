"""Data that is held in memory, as a file that `open_dataset` reads: arrays, data frames, `datasets` and torch datasets.

The file's bytes depend on the data alone, so features are cached for data in memory as they are for files.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from frontrunner.data.tables.conll import LABELS, WORDS
from frontrunner.errors import EmptyDataset, UnlabelledDataset, UnreadableDataset

if TYPE_CHECKING:
    from PIL.Image import Image

# What `held_dataset` takes: a path, (inputs, labels), or an object of another library, told by what it can do.
DatasetLike: TypeAlias = str | Path | Any

_PAIRS_AT_ONCE = 256


@contextmanager
def held_dataset(data: DatasetLike) -> Iterator[Path]:
    """A path to the data: the one given, or a file that lasts as long as the block.

    Args:
        data: a path; or `(inputs, labels)`; or a pandas or polars data frame or a pyarrow table, read as a table of a
            file is; or a `datasets.Dataset` or `DatasetDict`, whose splits are kept; or a torch dataset of (input,
            label) with a length, or any sequence of such pairs, whose `classes` name the labels where it has them.

    Inputs (n, D) of numbers are features; (n, H, W) or (n, H, W, 3) of uint8, PIL images, and tensors (C, H, W) of
    uint8 or of floats from 0 to 1 are images; strings are texts, and lists of strings are sentences, with a list of
    labels each, one for each word. Labels (n,) of integers or strings are classes, of floats real targets; (n, K) of 0
    and 1 are several labels each, of floats several targets (of features only).

    Raises:
        UnreadableDataset: it is none of these, or inputs are of several kinds.
        UnlabelledDataset: labels and inputs differ in number.
        EmptyDataset: nothing is in it.

    Example:
        >>> with held_dataset((["good", "bad"], [1, 0])) as path:
        ...     path.name
        'texts.parquet'
    """
    if isinstance(data, str | Path):
        yield Path(data)
        return
    with tempfile.TemporaryDirectory(prefix="frontrunner-held-") as folder:
        place = Path(folder, "dataset")
        place.mkdir()
        yield _written(data, place)


def _written(data: Any, folder: Path) -> Path:
    if hasattr(data, "cache_files") and hasattr(data, "to_parquet"):  # datasets.Dataset
        return _of_datasets({"train": data}, folder)
    if isinstance(data, dict) and data and all(hasattr(part, "to_parquet") for part in data.values()):  # DatasetDict
        return _of_datasets(data, folder)
    table = _arrow_table(data)
    if table is not None:
        pq.write_table(table, folder / "table.parquet")
        return folder / "table.parquet"
    if isinstance(data, tuple) and len(data) == 2 and not _is_pair(data):
        inputs, labels = data
        if len(inputs) != len(labels):
            raise UnlabelledDataset(f"there are {len(inputs)} inputs and {len(labels)} labels")
        if _library(inputs) in ("pandas", "polars"):  # which are read by columns
            inputs = np.asarray(inputs)
        if isinstance(inputs, np.ndarray | Sequence) or hasattr(inputs, "__array__"):
            return _of_pairs(zip(inputs, labels, strict=True), (), folder)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _of_pairs((data[i] for i in range(len(data))), getattr(data, "classes", ()), folder)
    raise UnreadableDataset(
        f"data of type {type(data).__name__} cannot be read: give a path, (inputs, labels), a data frame, a "
        "datasets.Dataset or a torch dataset of (input, label) with a length"
    )


def _is_pair(data: tuple[Any, Any]) -> bool:
    """Whether two things are two examples, each an (input, label), rather than inputs and labels."""
    return all(isinstance(part, tuple) and len(part) == 2 for part in data)


def _library(data: Any) -> str:
    """The library that a type comes from; none of them is imported here."""
    return type(data).__module__.partition(".")[0]


def _arrow_table(data: Any) -> pa.Table | None:
    if isinstance(data, pa.Table):
        return data
    maker = _library(data) if type(data).__name__ == "DataFrame" else ""
    if maker == "pandas":
        return pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    if maker == "polars":
        table: pa.Table = data.to_arrow()
        return table
    return None


def _of_datasets(splits: dict[str, Any], folder: Path) -> Path:
    """`datasets` embeds its images in the table; a file a split, called after it."""
    for name, part in splits.items():
        part.to_parquet(str(folder / f"{name}.parquet"))
    return folder if len(splits) > 1 else folder / f"{next(iter(splits))}.parquet"


def _of_pairs(pairs: Iterable[tuple[Any, Any]], classes: Sequence[str], folder: Path) -> Path:
    iterator = iter(pairs)
    first = next(iterator, None)
    if first is None:
        raise EmptyDataset("the data holds no example")
    if not (isinstance(first, tuple | list) and len(first) == 2):
        raise UnreadableDataset(f"an example is {type(first).__name__}; expected a pair (input, label)")
    kind, _ = _input_of(first[0])

    def rows() -> Iterator[tuple[Any, Any]]:
        for place, (given, label) in enumerate(_chained(first, iterator)):
            found, value = _input_of(given)
            if found != kind:
                raise UnreadableDataset(f"example {place} holds {found}, and the first one {kind}")
            if kind == "words":
                yield value, [_label_of(each, classes) for each in label]
            else:
                yield value, np.asarray(label) if kind == "features" else _label_of(label, classes)

    if kind == "features":
        inputs, labels = zip(*rows(), strict=True)
        if len({row.shape for row in inputs}) > 1:
            raise UnreadableDataset("features are of several lengths; expected vectors of one length")
        if len({label.shape for label in labels}) > 1:
            raise UnreadableDataset("labels are of several shapes; expected one label each, or vectors of one length")
        target = np.stack(labels)
        if classes and target.ndim == 1 and target.dtype.kind in "iu":
            target = np.array([_label_of(label, classes) for label in target])
        np.savez(folder / "arrays.npz", features=np.stack(inputs), labels=target)
        return folder / "arrays.npz"
    path = folder / f"{kind}.parquet"
    columns = {"images": ("image", "label"), "texts": ("text", "label"), "words": (WORDS, LABELS)}[kind]
    _write_rows(rows(), columns, path)
    return path


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _write_rows(rows: Iterator[tuple[Any, Any]], columns: tuple[str, str], path: Path) -> None:
    writer = None
    try:
        while block := list(islice(rows, _PAIRS_AT_ONCE)):
            inputs, labels = zip(*block, strict=True)
            try:
                table = pa.table(
                    dict(zip(columns, map(list, (inputs, labels)), strict=True)), schema=writer and writer.schema
                )
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise UnreadableDataset(f"labels are of several types: {error}") from error
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _label_of(given: Any, classes: Sequence[str]) -> Any:
    array = np.asarray(given)
    if array.ndim == 0:
        value = array.item()
        return str(classes[value]) if classes and isinstance(value, int) and 0 <= value < len(classes) else value
    if array.dtype.kind in "iub" and array.size and array.min() >= 0 and array.max() <= 1:
        return [str(classes[i]) if len(classes) == len(array) else str(i) for i in np.flatnonzero(array).tolist()]
    return array.tolist()


def _input_of(given: Any) -> tuple[str, Any]:
    """What an input is, and the value that is stored of it."""
    if isinstance(given, str):
        return "texts", str(given)
    if isinstance(given, list | tuple) and given and all(isinstance(word, str) for word in given):
        return "words", [str(word) for word in given]
    if hasattr(given, "save") and hasattr(given, "mode"):  # a PIL image
        return "images", _png(given)
    if not (isinstance(given, np.ndarray | Sequence) or hasattr(given, "__array__")):
        raise UnreadableDataset(f"an input of type {type(given).__name__} is neither image, text nor array")
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        raise UnreadableDataset(f"an input is an array of {array.dtype}; expected numbers")
    if array.ndim == 1:
        return "features", array
    return "images", _png(_pixels(array, channels_first=_library(given) == "torch"))


def _pixels(array: NDArray[Any], *, channels_first: bool) -> Image:
    from PIL import Image

    shape = array.shape
    if array.ndim == 3 and channels_first:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UnreadableDataset(f"an input has the shape {shape}; expected an image of 1, 3 or 4 channels, or a vector")
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):
            raise UnreadableDataset(
                f"an image of floats goes from {array.min():.3g} to {array.max():.3g}; expected 0 to 1: give the data "
                "without normalisation, which every checkpoint does in its own way"
            )
        array = np.round(array * 255)
    elif array.min() < 0 or array.max() > 255:
        raise UnreadableDataset(f"an image goes from {array.min()} to {array.max()}; expected 0 to 255")
    return Image.fromarray(array.astype(np.uint8))


def _png(image: Image) -> bytes:
    stream = io.BytesIO()
    try:
        image.save(stream, "PNG", compress_level=1)
    except OSError:  # a mode that PNG has no form for, such as CMYK
        image.convert("RGB").save(stream, "PNG", compress_level=1)
    return stream.getvalue()
