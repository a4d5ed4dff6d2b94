"""Public facts about timm's checkpoints, shipped with the package: accuracy on ImageNet and its variants, size, speed.

Made by `python -m benchmarks.facts` out of the result tables of pytorch-image-models (Apache-2.0).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("timm_facts.csv.gz")
SOURCE = "Source: result tables of pytorch-image-models (timm) by Ross Wightman; licence: Apache-2.0"
COLUMNS = (
    "model",
    "image_size",
    "parameters_m",
    "imagenet",
    "imagenet_real",
    "imagenet_v2",
    "imagenet_a",
    "imagenet_r",
    "sketch",
    "gpu_images_per_s",
    "cpu_images_per_s",
    "gmacs",
)
# Names of the numbers by which a prior counts.
TOP1 = "imagenet top-1"
_SHIFTED = ("imagenet_v2", "imagenet_a", "imagenet_r", "sketch")


@dataclass(frozen=True)
class TimmFacts:
    """One checkpoint at one image size.

    Attributes:
        name: architecture and tag, `resnet50.a1_in1k`.
        image_size: pixels a side.
        parameters: weights, to 10,000.
        top1: percent by test set: `imagenet`, `imagenet_real`, `imagenet_v2`, `imagenet_a`, `imagenet_r`, `sketch`.
        gpu_images_per_s: at inference on one RTX 4090, mixed precision; None where it was not measured.
        cpu_images_per_s: at inference on one i9-10940X, one image at a time; None where it was not measured.
        gmacs: billions of multiplications with addition of one image; None where nobody counted.
    """

    name: str
    image_size: int
    parameters: int
    top1: dict[str, float]
    gpu_images_per_s: float | None
    cpu_images_per_s: float | None
    gmacs: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """What a prior counts by: accuracy, accuracy under shift (mean of four test sets), log of the GPU's speed."""
        shifted = [self.top1[name] for name in _SHIFTED if name in self.top1]
        found = {}
        if "imagenet" in self.top1:
            found[TOP1] = self.top1["imagenet"]
        if len(shifted) == len(_SHIFTED):
            found["imagenet top-1 under shift"] = sum(shifted) / len(shifted)
        if self.gpu_images_per_s:
            found["log images per second"] = math.log(self.gpu_images_per_s)
        return found


def timm_facts(name: str, image_size: int | None = None) -> TimmFacts | None:
    """What is published about a checkpoint of timm's; None where nothing is.

    Args:
        name: architecture and tag, `resnet50.a1_in1k`, also as an id: `timm:NAME`, `hf:timm/NAME`, `timm/NAME`. An
            architecture without its tag names no weights.
        image_size: pixels a side; the smallest that was tested by default, at which checkpoints are trained.

    Example:
        >>> facts = timm_facts("hf:timm/resnet18.a1_in1k")
        >>> facts.image_size, facts.top1["imagenet"], facts.parameters
        (224, 71.504, 11690000)
        >>> timm_facts("resnet18") is None
        True
    """
    sizes = _table().get(name.rpartition(":")[2].removeprefix("timm/"), {})
    if image_size is None:
        return sizes[min(sizes)] if sizes else None
    return sizes.get(image_size)


def public_facts(checkpoints: Sequence[str]) -> dict[str, dict[str, float]]:
    """The numbers of those checkpoints about which something is published, by id.

    Example:
        >>> found = public_facts(["timm:resnet18.a1_in1k", "local:mine"])
        >>> list(found), found["timm:resnet18.a1_in1k"]["imagenet top-1"]
        (['timm:resnet18.a1_in1k'], 71.504)
    """
    found = {name: timm_facts(name) for name in checkpoints}
    return {name: facts.numbers for name, facts in found.items() if facts is not None}


@cache
def _table() -> dict[str, dict[int, TimmFacts]]:
    """Facts by name and image size."""
    text = gzip.decompress(FILE.read_bytes()).decode()
    lines = csv.DictReader(io.StringIO(text.partition("\n")[2]))
    found: dict[str, dict[int, TimmFacts]] = {}
    for line in lines:
        facts = TimmFacts(
            name=line["model"],
            image_size=int(line["image_size"]),
            parameters=round(float(line["parameters_m"]) * 1e6),
            top1={column: float(line[column]) for column in COLUMNS[3:9] if line[column]},
            gpu_images_per_s=float(line["gpu_images_per_s"]) if line["gpu_images_per_s"] else None,
            cpu_images_per_s=float(line["cpu_images_per_s"]) if line["cpu_images_per_s"] else None,
            gmacs=float(line["gmacs"]) if line["gmacs"] else None,
        )
        found.setdefault(facts.name, {})[facts.image_size] = facts
    return found
