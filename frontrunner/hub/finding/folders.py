"""Folders of checkpoints on this machine: `local:NAME`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

from frontrunner.errors import CheckpointChanged, CheckpointError, CheckpointNotFound
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.configuration import CONFIG_FILE
from frontrunner.hub.describing.description import CheckpointDescription, describe_directory
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.hub.describing.sentence_encoder import MODULES_FILE
from frontrunner.hub.describing.variants import split_variant, variants
from frontrunner.progress import SILENT, Progress

# A folder of checkpoint folders or one checkpoint folder itself, several of them, or those that are configured.
HubFolders: TypeAlias = str | Path | Iterable[str | Path] | None


def folders_of(hub: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """The folders that are meant, one or several."""
    return (Path(hub),) if isinstance(hub, (str, Path)) else tuple(Path(folder) for folder in hub)


class Folders:
    """Checkpoint folders in timm's or transformers' form, below hub folders; a `Hub`.

    Args:
        access: whether pickled weights may count.
        folders: each a folder of checkpoint folders, or one checkpoint folder itself. Where two offer one name, the
            first that can be used is used. None are needed to fetch what was described elsewhere on this machine.
    """

    name = "local"
    at_hand = True

    def __init__(self, access: HubAccess, folders: Iterable[Path] = ()) -> None:
        self._access = access
        self._folders = tuple(folders)

    def owns(self, checkpoint_id: str) -> bool:
        """Whether the id begins with `local:`."""
        return checkpoint_id.startswith("local:")

    def list(self, pattern: str = "*", limit: int = 500) -> Iterator[ListedCheckpoint]:
        """Every folder, also one that turns out to be no checkpoint; a name that two hub folders offer comes twice.

        Raises:
            CheckpointNotFound: a hub folder does not exist.
        """
        for folder in self._folders:
            if not folder.is_dir():
                raise CheckpointNotFound(f"the hub {folder} is not a folder")
            inside = [folder] if _is_checkpoint(folder) else sorted(folder.iterdir())
            for checkpoint in inside:
                if checkpoint.is_dir() and not checkpoint.name.startswith("."):
                    yield ListedCheckpoint(id=f"local:{checkpoint.name}")

    def describe(self, checkpoint_id: str) -> CheckpointDescription:
        """The checkpoint folder of that name.

        Raises:
            CheckpointNotFound: no hub folder holds it.
            CheckpointError: it cannot be used.
        """
        name = checkpoint_id.removeprefix("local:")
        refusal: CheckpointError | None = None
        for folder in self._named(name):
            try:
                return describe_directory(folder, pickles_allowed=self._access.pickles_allowed)
            except CheckpointError as error:
                refusal = refusal or error
        raise refusal or CheckpointNotFound(f"no hub folder holds '{name}'")

    def fetch(self, description: CheckpointDescription, progress: Progress = SILENT) -> Path:
        """The folder where it lies, once its files are seen to be those that were described.

        Features are kept by the described digest: other weights in the same folder must not be read under it.

        Raises:
            CheckpointNotFound: there is no such folder on this machine.
            CheckpointChanged: its files are others by now.
            CheckpointError: it cannot be used any more.
        """
        folder = Path(description.path)
        if not description.path or not folder.is_dir():
            raise CheckpointNotFound(f"{description.id}: there is no folder '{folder}' on this machine")
        present = describe_directory(folder, pickles_allowed=self._access.pickles_allowed)
        _, choice = split_variant(description.id)
        if choice:
            (present,) = variants(present, choice)
        # A pair of encoders has two readings, and variants of them two digests; one of texts reads words, too.
        texts = present.reading("text")
        readings = [present, texts, *([] if texts.text_pooling is None else [texts.reading_words()])]
        if description.digest not in [reading.digest for reading in readings]:
            raise CheckpointChanged(
                f"{description.id}: its files have changed since it was chosen (digest {present.digest[:12]}..., was "
                f"{description.digest[:12]}...); ask again for those that are there now"
            )
        return folder

    def _named(self, name: str) -> Iterator[Path]:
        if Path(name).name != name or name.startswith("."):
            return
        for folder in self._folders:
            checkpoint = folder if _is_checkpoint(folder) else folder / name
            if checkpoint.name == name and checkpoint.is_dir():
                yield checkpoint


def _is_checkpoint(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CONFIG_FILE, MODULES_FILE))
