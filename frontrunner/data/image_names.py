"""Which file a name in a table means: relative to the table or to a folder of images, with or without an extension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from frontrunner.data.files import FolderFiles
from frontrunner.data.images import EXTENSIONS, is_image
from frontrunner.data.splits import SplitName, split_of
from frontrunner.errors import UnreadableDataset

# Where images lie beside a lone table; its folder is not searched, since it may be anybody's home.
_FOLDERS = ("", "images", "image", "imgs", "img", "photos", "pictures", "train", "data", "files")


class ImageNames(Protocol):
    """Finds images by what a table calls them."""

    def find(self, name: str, base: str, split: SplitName | None = None) -> str | None:
        """The path of the image that a table in the folder `base` calls `name`; None where none or several fit.

        Of several, those in a folder of the table's `split` are meant.
        """
        ...


class ListedImages:
    """Images of a folder or zip whose files are all known."""

    def __init__(self, names: Iterable[str]) -> None:
        self._paths = {name for name in names if is_image(name)}
        self._by_end: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            pure = PurePosixPath(path)
            for end in {pure.name.lower(), pure.stem.lower()}:
                self._by_end.setdefault(end, []).append(path)

    def called(self, name: str) -> list[str]:
        """The images that are called so in any folder."""
        parts = parts_of(name)
        return self._by_end.get(parts[-1].lower(), []) if parts else []

    def find(self, name: str, base: str, split: SplitName | None = None) -> str | None:
        """See `ImageNames.find`: first as written, then with as many of the name's folders as some file has."""
        parts = parts_of(name)
        if not parts:
            return None
        for start in (base, "."):
            exact = str(PurePosixPath(start, *parts))
            if exact in self._paths:
                return exact
        ends = self._by_end.get(parts[-1].lower(), [])
        for begin in range(len(parts)):
            fits = [path for path in ends if _ends_with(path, parts[begin:])]
            fits = [path for path in fits if path.startswith(f"{base}/")] or fits
            if len(fits) > 1 and split is not None:
                fits = [path for path in fits if split in map(split_of, path.split("/")[:-1])]
            if len(fits) > 1:  # as it is written; names that differ only by case are two files on some systems
                fits = [path for path in fits if path.endswith(parts[-1])]
            if fits:
                return fits[0] if len(fits) == 1 else None
        return None


class NearbyImages:
    """Images beside a lone table, looked for by name where people put them; a `Files` as well.

    Nothing else is read, whatever the table says: what lies beside an uploaded table belongs to others.
    """

    def __init__(self, folder: Path) -> None:
        self._files = FolderFiles(folder)
        self._pattern = ("", "")

    def find(self, name: str, base: str, split: SplitName | None = None) -> str | None:
        """See `ImageNames.find`."""
        path = "/".join(parts_of(name))
        extensions = ("",) if is_image(path) else tuple(sorted(EXTENSIONS))
        for folder, extension in (self._pattern, *((f, e) for f in _FOLDERS for e in extensions)):
            candidate = f"{folder}/{path}{extension}" if folder else f"{path}{extension}"
            if path and is_image(candidate) and self._files.holds(candidate):
                self._pattern = (folder, extension)
                return candidate
        return None

    def names(self) -> list[str]:
        """Nothing: the folder is not listed."""
        return []

    def left_out(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def read(self, name: str) -> bytes:
        """The bytes of an image.

        Raises:
            UnreadableDataset: it is not there, or its name is not that of an image.
        """
        if not is_image(name):
            raise UnreadableDataset(f"no image beside the table is called {name!r}")
        return self._files.read(name)


def parts_of(name: str) -> Sequence[str]:
    """The folders and the file of a name, whichever separators it is written with.

    Example:
        >>> parts_of(".\\\\\\\\train\\\\\\\\cat.png"), parts_of("/data/train/cat.png")
        (('train', 'cat.png'), ('data', 'train', 'cat.png'))
    """
    return tuple(part for part in name.strip().replace("\\", "/").split("/") if part not in ("", "."))


def found_share(images: ImageNames, names: Sequence[str], base: str, split: SplitName | None) -> float:
    """The share of the names that mean an image; 0 of no names."""
    return sum(images.find(name, base, split) is not None for name in names) / max(1, len(names))


def _ends_with(path: str, parts: Sequence[str]) -> bool:
    """Whether a path ends with these folders and this file, its extension aside if the name has none."""
    own = PurePosixPath(path.lower()).parts
    asked = tuple(part.lower() for part in parts)
    if len(own) < len(asked) or own[len(own) - len(asked) : -1] != asked[:-1]:
        return False
    return asked[-1] in (own[-1], PurePosixPath(own[-1]).stem)
