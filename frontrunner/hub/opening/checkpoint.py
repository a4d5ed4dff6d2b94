"""`Checkpoint`: one opened model, whatever library it comes from and whatever it reads. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from frontrunner.data.dataset import FeatureInputs, Key, TextInputs, WordInputs
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.listing import label_names
from frontrunner.hub.describing.reading import ReadingProvenance
from frontrunner.progress import SILENT, Progress

# An image as somebody hands it over: opened, by its path, or as its pixels (H, W, 3).
GivenImage: TypeAlias = Image.Image | str | Path | NDArray[np.uint8]
GivenInputs: TypeAlias = Sequence[GivenImage] | NDArray[np.uint8] | Sequence[str] | Sequence[tuple[str, str]]


@runtime_checkable
class Images(Protocol):
    """Images by key, as those of a dataset are."""

    def decode(self, key: Key) -> Image.Image:
        """The image in RGB, at its full size.

        Raises:
            UnreadableDataset: it cannot be decoded.
        """
        ...


class Shape(Protocol):
    """Brings an image to its size, and changes nothing else of it.

    Attributes:
        name: all that decides the result besides the image.
    """

    name: str

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image, resized and cut."""
        ...


@runtime_checkable
class ShapedImages(Images, Protocol):
    """Images that are kept in their shapes: one of them is shaped once for all checkpoints that shape alike."""

    def shaped(self, key: Key, shape: Shape) -> NDArray[np.uint8]:
        """(H, W, 3), or (H, W) in grey: the image as `shape` makes it.

        Raises:
            UnreadableDataset: it cannot be decoded.
        """
        ...


Inputs: TypeAlias = Images | TextInputs | WordInputs | FeatureInputs


class Batch(NamedTuple):
    """Prepared inputs, and where among the asked-for keys each of them stands.

    Attributes:
        positions: (b,) indices into the asked-for keys.
        inputs: what `Checkpoint.read` takes, movable by `.to(device)`: a tensor of pixels, or a tokenizer's tensors.
    """

    positions: Sequence[int]
    inputs: Any


class Preparation(Protocol):
    """How inputs become batches: the checkpoint's own preprocessing, in the order that reads fastest.

    Attributes:
        one_at_a_time: every batch holds one input, because others beside it would change its features.
    """

    one_at_a_time: bool

    def batches(self, inputs: Inputs, keys: Sequence[Key], device: torch.device) -> Iterator[Batch]:
        """Every key once, in any order.

        Raises:
            ModalityMismatch: the inputs are of a kind that the checkpoint does not read.
            UnreadableDataset: an input cannot be decoded.
        """
        ...


class ForwardOutput(NamedTuple):
    """What one forward pass says of a batch.

    Attributes:
        features: (b, D) what the checkpoint's own head sees, or would see.
        source_logits: (b, C_source) what its head answers, where it has one whose softmax is a distribution over
            classes; None for backbones, projections, regressors and multi-label heads.
    """

    features: Tensor
    source_logits: Tensor | None


@dataclass
class Checkpoint:
    """An opened checkpoint in evaluation mode, float32.

    Attributes:
        description: what was known before it was opened.
        module: the whole model; its weights are not to be changed by readers of features.
        preparation: makes batches of a dataset's inputs, as the checkpoint was trained.
        forward: one forward pass over a batch's inputs.
        feature_dimension: D.
        provenance: what to know of its features besides its files.
    """

    description: CheckpointDescription
    module: nn.Module
    preparation: Preparation
    forward: Callable[[Any], ForwardOutput]
    feature_dimension: int
    provenance: ReadingProvenance = field(default_factory=ReadingProvenance)

    def __repr__(self) -> str:
        """Its id, its architecture and D: the module alone would fill a screen."""
        about = self.description
        return f"<Checkpoint {about.id}: {about.architecture}, {self.feature_dimension} features>"

    @torch.inference_mode()
    def read(self, inputs: Any) -> ForwardOutput:
        """Features, and source logits where there are any, of a batch's inputs, without gradients."""
        return self.forward(inputs)

    def features(self, inputs: GivenInputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """What the checkpoint makes of images or texts, prepared and read as in a ranking, on a GPU where there is one.

        Args:
            inputs: n images: PIL images, paths, or uint8 arrays (H, W, 3); or n texts: strings, or pairs of strings.
            progress: hears of every batch.

        Returns:
            (n, D) features.

        Raises:
            ModalityMismatch: the inputs are not what the checkpoint reads.
            UnreadableDataset: an image cannot be decoded.
            CheckpointUnreadable: the model fails on them, or what it says of them is not finite.

        Example:
            >>> import frontrunner
            >>> import numpy as np, tempfile, timm
            >>> folder = tempfile.mkdtemp()
            >>> timm.models.save_for_hf(timm.create_model("test_vit"), folder, safe_serialization=True)
            >>> pixels = np.random.default_rng(0).integers(0, 255, (3, 50, 70, 3), dtype=np.uint8)
            >>> features = frontrunner.open_checkpoint(folder).features(pixels)
            >>> features.shape, features.dtype.name
            ((3, 64), 'float32')
        """
        # Forward passes are the next room's. A checkpoint that somebody has opened should be of use without it.
        from frontrunner.extraction.given import features_of

        return features_of(self, inputs, progress)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that its own head tells apart, as its files say them; none where they do not."""
        return label_names(self.description)

    def probabilities(self, inputs: GivenInputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """What the checkpoint's own head answers: that of a tuned model, or the classes of its pretraining.

        Args:
            inputs: as for `features`.
            progress: hears of every batch.

        Returns:
            (n, C) a distribution over classes a row; `classes` names the columns.

        Raises:
            NoClassifier: it has no such head.
            ModalityMismatch, UnreadableDataset, CheckpointUnreadable: as for `features`.

        Example:
            >>> import frontrunner
            >>> import numpy as np, tempfile, timm
            >>> folder = tempfile.mkdtemp()
            >>> network = timm.create_model("test_vit", num_classes=2)
            >>> timm.models.save_for_hf(
            ...     network, folder, safe_serialization=True, model_config={"label_names": ["ant", "bee"]}
            ... )
            >>> pixels = np.random.default_rng(0).integers(0, 255, (3, 50, 70, 3), dtype=np.uint8)
            >>> checkpoint = frontrunner.open_checkpoint(folder)
            >>> checkpoint.classes, checkpoint.probabilities(pixels).shape
            (('ant', 'bee'), (3, 2))
        """
        from frontrunner.extraction.given import probabilities_of  # as in `features`

        return probabilities_of(self, inputs, progress)
