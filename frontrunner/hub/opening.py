"""`open_checkpoint`: from a description to an opened `Checkpoint`. Imports torch and the library that opens it."""

from __future__ import annotations

from frontrunner.errors import ModalityMismatch
from frontrunner.hub.checkpoint import Checkpoint
from frontrunner.hub.description import CheckpointDescription


def open_checkpoint(description: CheckpointDescription) -> Checkpoint:
    """Open a vision checkpoint, in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: a subclass names what is wrong: unreadable, unsafe, or of another modality.
    """
    if description.modality != "image":
        raise ModalityMismatch(f"{description.id} reads {description.modality}, and only images are opened")
    if description.id.startswith("package:"):
        from frontrunner.hub.timm_checkpoint import open_packaged

        return open_packaged(description)
    if description.library == "timm":
        from frontrunner.hub.timm_checkpoint import open_timm_directory

        return open_timm_directory(description)
    from frontrunner.hub.transformers_checkpoint import open_transformers_directory

    return open_transformers_directory(description)
