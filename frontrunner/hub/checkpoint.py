"""`Checkpoint`: one opened model, whatever library it comes from. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from frontrunner.hub.description import CheckpointDescription


@dataclass
class Checkpoint:
    """An opened vision checkpoint in evaluation mode, float32.

    Attributes:
        description: what was known before it was opened.
        module: the whole model; its weights are not to be changed by readers of features.
        preprocess: an RGB image to a (3, H, W) tensor, as the checkpoint was trained.
        read_features: (b, 3, H, W) to the penultimate features (b, D), what the checkpoint's own head would see.
        feature_dimension: D.
    """

    description: CheckpointDescription
    module: nn.Module
    preprocess: Callable[[Image.Image], Tensor]
    read_features: Callable[[Tensor], Tensor]
    feature_dimension: int

    @torch.inference_mode()
    def features(self, batch: Tensor) -> Tensor:
        """(b, D) penultimate features of a preprocessed batch (b, 3, H, W), without gradients."""
        return self.read_features(batch)
