"""`open_checkpoint`: from a description to an opened `Checkpoint`. Imports torch and the library that opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from frontrunner.errors import ModalityMismatch
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.configuration import refuse_unsafe
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.weights import PICKLE_FILE, weight_files
from frontrunner.hub.fetching.remote import fetch
from frontrunner.hub.finding.packages import unpack
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.settings import get_settings


def open_checkpoint(
    description: CheckpointDescription,
    access: HubAccess | None = None,
    *,
    on_fetch: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Open a checkpoint in evaluation mode, float32, on the CPU; fetch it first where it lies on a hub.

    Args:
        description: what to open.
        access: how this machine reaches a hub and where it keeps files; as the environment says by default.
        on_fetch: hears (bytes so far, bytes in all) of a download.

    Raises:
        CheckpointError: a subclass names what is wrong: unreadable, unsafe, or of another modality.
    """
    if description.modality == "features":
        raise ModalityMismatch(f"{description.id} is precomputed: there is nothing to open")
    access = access or HubAccess.of(get_settings())
    if description.path.endswith(".pth"):
        from frontrunner.hub.opening.timm_checkpoint import open_packaged

        return open_packaged(description)
    folder = _folder(description, access, on_fetch)
    refuse_unsafe(folder)
    (weights, *_) = weight_files(folder, pickles_allowed=access.pickles_allowed)
    if weights.name == PICKLE_FILE:
        from frontrunner.hub.opening.pickles import as_safetensors

        folder = as_safetensors(folder, weights, access.folder / "rewritten")
    if description.library == "timm":
        from frontrunner.hub.opening.timm_checkpoint import open_timm_directory

        return open_timm_directory(description, folder)
    if description.modality == "text":
        from frontrunner.hub.opening.text_checkpoint import open_text_directory

        return open_text_directory(description, folder)
    from frontrunner.hub.opening.transformers_checkpoint import open_image_directory

    return open_image_directory(description, folder)


def _folder(description: CheckpointDescription, access: HubAccess, on_fetch: Callable[[int, int], None]) -> Path:
    if description.remote is not None:
        return fetch(description.id, description.remote, access, on_fetch)
    if description.path.endswith(".zip"):
        return unpack(Path(description.path), access.folder / "packages")
    return Path(description.path)
