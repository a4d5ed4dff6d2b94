"""Features of the pack's image sets under one of its timm checkpoints, kept between runs in the temporary folder.

The pack is looked for in FRONTRUNNER_PACK, then beside the project in ../shared/pack.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image

CHECKPOINT = "mobilenetv2_035.keras_in1k_backbone"
_BATCH = 32


def pack() -> Path:
    """The pack's folder; leaves the program with a message where there is none."""
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "pack"
    found = Path(os.environ.get("FRONTRUNNER_PACK", beside))
    if not (found / "hub").is_dir():
        sys.exit(f"no pack at {found}: set FRONTRUNNER_PACK to the folder that holds hub/ and datasets/")
    return found


def checkpoint(name: str = CHECKPOINT) -> torch.nn.Module:
    """A timm checkpoint of the pack in evaluation mode, float32."""
    return timm.create_model(f"local-dir:{pack() / 'hub' / name}", pretrained=True).float().eval()


class Backbone(torch.nn.Module):
    """A timm model up to the features that its classifier reads."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, D) features of images (b, 3, h, w)."""
        return self.model.forward_head(self.model.forward_features(images), pre_logits=True)


def images(
    dataset: str, most: int, model: torch.nn.Module, seed: int = 0
) -> tuple[list[torch.Tensor], NDArray[np.int64], NDArray[Any]]:
    """Up to `most` training images of a set as the model wants them, their class codes, and the class names."""
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with zipfile.ZipFile(pack() / "datasets" / dataset / f"{dataset}.zip") as archive:
        members = sorted(name for name in archive.namelist() if name.startswith("train/") and not name.endswith("/"))
        order = np.random.default_rng(seed).permutation(len(members))[:most]
        chosen = [members[index] for index in sorted(order)]
        tensors = [transform(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen]
    names, codes = np.unique([name.split("/")[1] for name in chosen], return_inverse=True)
    return tensors, codes, names


def features(dataset: str, most: int = 100_000, name: str = CHECKPOINT) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(n, D) float32 features and (n,) class codes of up to `most` training images."""
    folder = Path(tempfile.gettempdir()) / "frontrunner-benchmarks"
    stored = folder / f"{name}-{dataset}-{most}.npz"
    if stored.exists():
        with np.load(stored) as arrays:
            return arrays["features"], arrays["codes"]
    model = checkpoint(name)
    tensors, codes, _ = images(dataset, most, model)
    with torch.inference_mode():
        parts = [
            Backbone(model)(torch.stack(tensors[start : start + _BATCH])).numpy()
            for start in range(0, len(tensors), _BATCH)
        ]
    matrix = np.concatenate(parts)
    folder.mkdir(exist_ok=True)
    partial = stored.with_suffix(f".{os.getpid()}.npz")
    np.savez(partial, features=matrix, codes=codes)
    partial.replace(stored)
    return matrix, codes
