"""`open_checkpoint`: from a name, a folder or a description to an opened `Checkpoint`. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.configuration import refuse_unsafe, sentence_encoder_in
from frontrunner.hub.describing.description import CheckpointDescription, describe_directory
from frontrunner.hub.describing.weights import weight_files
from frontrunner.hub.finding.folders import HubFolders, folders_of
from frontrunner.hub.finding.registry import hub_of, hubs_of
from frontrunner.hub.finding.selection import describe_named
from frontrunner.hub.opening.checkpoint import Checkpoint
from frontrunner.hub.opening.self_test import with_self_test
from frontrunner.hub.protocol import Hub
from frontrunner.outside import outside
from frontrunner.progress import SILENT, Progress
from frontrunner.settings import get_settings


def open_checkpoint(
    checkpoint: CheckpointDescription | str | Path,
    access: HubAccess | None = None,
    *,
    hub: HubFolders = None,
    progress: Progress = SILENT,
) -> Checkpoint:
    """Open a checkpoint in evaluation mode, float32, on the CPU; fetch it first where it is not at hand.

    Args:
        checkpoint: an id of any hub (`timm:resnet18.a1_in1k`, `hf:ORG/NAME@REVISION`, `package:NAME`, `local:NAME`),
            a variant of one (`ID#layer=3`), a checkpoint's folder, or a description.
        access: how this machine reaches hubs and where it keeps files; as the environment says by default.
        hub: the folder of checkpoints, or several, where `local:NAME` is looked for; the configured ones by default.
        progress: hears of a download, and may stop it at its safe points.

    Returns:
        The opened checkpoint; its `features` gives what it makes of images or texts.

    Raises:
        CheckpointNotFound: there is no such checkpoint.
        CheckpointError: a subclass names what is wrong: unreadable, unsafe, too large, or what its hub did not give.

    Example:
        >>> import tempfile
        >>> import numpy, timm
        >>> import frontrunner
        >>> folder = tempfile.mkdtemp()
        >>> timm.models.save_for_hf(timm.create_model("test_resnet"), folder, safe_serialization=True)
        >>> checkpoint = frontrunner.open_checkpoint(folder)
        >>> checkpoint.description.architecture, checkpoint.feature_dimension
        ('test_resnet', 96)
        >>> images = numpy.zeros((2, 48, 64, 3), dtype=numpy.uint8)
        >>> checkpoint.features(images).shape
        (2, 96)

        From the Hub, which takes a network:

        >>> frontrunner.open_checkpoint("timm:resnet18.a1_in1k").features(["flower.jpg"]).shape  # doctest: +SKIP
        (1, 512)
    """
    settings = get_settings()
    access = access or HubAccess.of(settings)
    hubs = hubs_of(access, settings.hub if hub is None else folders_of(hub))
    description = _described(checkpoint, hubs, access)
    folder = _fetched(description, hubs, progress)
    refuse_unsafe(folder)
    if access.pickles_allowed:
        from frontrunner.hub.opening.pickles import as_safetensors

        folder = as_safetensors(folder, access.folder / "rewritten")
    weight_files(folder / sentence_encoder_in(folder).folder)  # there are some, and no pickles
    import torch

    # Modules draw weights before their own are copied over them. Whoever draws by a seed must not notice an opening.
    with torch.random.fork_rng(devices=[]):
        return with_self_test(opener_of(description)(description, folder))


def _fetched(description: CheckpointDescription, hubs: tuple[Hub, ...], progress: Progress) -> Path:
    other = outside()
    folder = None if other is None else other.fetch(description, progress)
    return folder or hub_of(description.id, hubs).fetch(description, progress)


def opener_of(description: CheckpointDescription) -> Callable[[CheckpointDescription, Path], Checkpoint]:
    """What opens a folder of this form, with the libraries for it."""
    if description.library == "timm":
        from frontrunner.hub.opening.timm_checkpoint import open_timm_directory

        return open_timm_directory
    if description.modality == "text":
        from frontrunner.hub.opening.text_checkpoint import open_text_directory

        return open_text_directory
    from frontrunner.hub.opening.transformers_checkpoint import open_image_directory

    return open_image_directory


def _described(
    checkpoint: CheckpointDescription | str | Path, hubs: tuple[Hub, ...], access: HubAccess
) -> CheckpointDescription:
    if isinstance(checkpoint, CheckpointDescription):
        return checkpoint
    folder = Path(checkpoint)
    if isinstance(checkpoint, Path) or (folder.is_dir() and not any(hub.owns(checkpoint) for hub in hubs)):
        return describe_directory(folder.resolve(), pickles_allowed=access.pickles_allowed)
    return describe_named(checkpoint, hubs)
