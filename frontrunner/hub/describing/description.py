"""What can be known of a checkpoint without opening it: from its configuration and its weights' header.

Describing imports neither torch nor timm, so the API can list a hub.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.errors import CheckpointUnreadable, ModalityMismatch
from frontrunner.files import digest_once
from frontrunner.hub.describing.card import CARD_FILE, Card, read_card
from frontrunner.hub.describing.configuration import (
    CONFIG_FILE,
    PROCESSOR_FILE,
    PROCESSOR_FILES,
    TOKENIZER_FILES,
    VOCABULARY_FILES,
    deciding_files,
    read_config,
    refuse_unsafe,
    sentence_encoder_in,
)
from frontrunner.hub.describing.image_families import layer_widths, read_of_images, timm_layers
from frontrunner.hub.describing.reading import ImagePooling, TextPooling
from frontrunner.hub.describing.sentence_encoder import SentenceEncoder
from frontrunner.hub.describing.text_families import (
    DUAL_ENCODERS,
    STATIC,
    STATIC_CONFIG,
)
from frontrunner.hub.describing.text_reading import as_text
from frontrunner.hub.describing.weights import (
    Shapes,
    layer_parameters,
    parameters_of,
    tensor_shapes,
    weight_files,
)

Library: TypeAlias = Literal["timm", "transformers", "features"]
# What only configurations of image encoders, or of pairs with one, say.
_IMAGE_ENTRIES = ("image_size", "patch_size", "num_channels", "vision_config")


class RemoteFile(BaseModel):
    """A file of a repository on a hub at one revision."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str | None = Field(description="Of its bytes, where the hub knows it: large files.")
    git_sha1: str = Field(description="Its name among git's objects: of small files the SHA-1 of header and bytes.")


class PinnedRepository(BaseModel):
    """Where a checkpoint is downloaded from, pinned: other bytes than these are refused."""

    model_config = ConfigDict(frozen=True)

    repository: str
    revision: str = Field(description="The commit, whatever name it was asked for by.")
    files: tuple[RemoteFile, ...]


class ReadingCost(BaseModel):
    """What reading took on one kind of device, as measured by a worker."""

    model_config = ConfigDict(frozen=True)

    device: str
    latency_ms: float = Field(description="Forward pass, an example; batches as large as reading uses.")
    memory_mb: float = Field(description="Most memory taken beyond that of the libraries: weights and activations.")


class CheckpointDescription(BaseModel):
    """A checkpoint, before it is opened. Everything here is JSON, so a step can carry it to a runner."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="What its hub calls it: `local:NAME`, `timm:NAME.TAG`, `hf:ORG/NAME@REVISION`...")
    library: Library = Field(description="What opens it.")
    modality: Literal["image", "text", "features"]
    architecture: str
    digest: str = Field(description="SHA-256 over weights, configuration, preprocessing and pooling, hexadecimal.")
    preprocessing_digest: str = Field(description="SHA-256 of how inputs are prepared, hexadecimal.")
    parameters: int = Field(description="Trained weights; buffers are not counted.")
    bytes: int = Field(description="Size of the weights' files.")
    path: str = Field(description="Folder where it lies; empty where its hub has to bring it into one first.")
    license: str | None = None
    pretraining: str | None = Field(default=None, description="Data that it was trained on, where stated.")
    base_model: str | None = Field(default=None, description="Checkpoint that it was tuned from, where stated.")
    tags: tuple[str, ...] = ()
    input_size: int | None = Field(default=None, description="Pixels a side, images only.")
    text_pooling: TextPooling | None = Field(default=None, description="Texts only.")
    image_pooling: ImagePooling | None = Field(default=None, description="Images only, of a variant.")
    layers: int = Field(default=0, description="Layers of the stack, or stages; 0 where that is not known.")
    layer_parameters: tuple[int, ...] = Field(
        default=(), description="Trained weights of each layer of the stack, where known."
    )
    text_tower: CheckpointDescription | None = Field(
        default=None, description="Of a pair of encoders that reads images: the same checkpoint reading texts."
    )
    costs: tuple[ReadingCost, ...] = ()
    remote: PinnedRepository | None = None

    def reading(self, modality: str) -> CheckpointDescription:
        """The checkpoint as it reads inputs of this kind; itself where it has no other way."""
        if modality != "text" or self.text_tower is None:
            return self
        shared = {"id": self.id, "path": self.path, "remote": self.remote, "costs": self.costs}
        return self.text_tower.model_copy(update=shared)

    def reading_words(self) -> CheckpointDescription:
        """The checkpoint as it reads words of sentences: by the first token of each, unless a variant says otherwise.

        Raises:
            ModalityMismatch: it reads no texts.
        """
        if self.text_pooling is None:
            raise ModalityMismatch(f"it reads {self.modality}, the dataset holds words")
        if self.text_pooling.words is not None:
            return self
        pooling = self.text_pooling.model_copy(update={"words": "first"})
        # Of another digest: what is kept of texts, such as statistics of a source, is none of words.
        digest = hashlib.sha256(f"{self.digest}\nwords".encode()).hexdigest()
        return self.model_copy(update={"text_pooling": pooling, "digest": digest})


def describe_directory(folder: Path, *, pickles_allowed: bool = False) -> CheckpointDescription:
    """Describe a checkpoint folder in timm's or transformers' form: `config.json` beside safetensors.

    Args:
        folder: where its files lie.
        pickles_allowed: whether an administrator lets pickled weights count. They are not read here.

    Raises:
        CheckpointUnreadable: the configuration or the weights' header is missing or damaged.
        UnsafeCheckpoint: the only weights are pickles, or a configuration asks for more than to be read.
    """
    encoder = sentence_encoder_in(folder)
    config = STATIC_CONFIG if encoder.static else read_config(folder / encoder.inside(CONFIG_FILE))
    weights = weight_files(folder / encoder.folder, pickles_allowed=pickles_allowed)
    refuse_unsafe(folder)
    steps = [
        path
        for step in encoder.weighted_steps
        for path in weight_files(folder / step.folder, pickles_allowed=pickles_allowed)
    ]
    readable = [path for path in weights if path.suffix == ".safetensors"]
    present = [path for name in deciding_files(encoder) if (path := folder / name).is_file()]
    found = describe(
        f"local:{folder.name}",
        config,
        read_card(folder / CARD_FILE),
        encoder=encoder,
        digests={path.relative_to(folder).as_posix(): digest_once(path) for path in (*present, *weights, *steps)},
        shapes={name: shape for path in readable for name, shape in tensor_shapes(path).items()},
        size=sum(path.stat().st_size for path in weights),
    )
    return found.model_copy(update={"path": str(folder.resolve())})


def describe(
    checkpoint_id: str,
    config: dict[str, Any],
    card: Card,
    *,
    encoder: SentenceEncoder,
    digests: Mapping[str, str],
    shapes: Shapes,
    size: int,
) -> CheckpointDescription:
    """A description from what is known of a checkpoint's files, wherever they lie.

    Args:
        checkpoint_id: its public id.
        config: its `config.json`.
        card: its model card.
        encoder: what its sentence-transformers' files say.
        digests: a digest of every file that decides what it computes, by the file's name.
        shapes: of its weights; empty where they are pickled, which nobody reads here.
        size: bytes of its weights.

    Raises:
        CheckpointUnreadable: the configuration is of neither library.
    """
    library, architecture = _library(checkpoint_id, config)
    names = {name.rpartition("/")[2]: digest for name, digest in digests.items()}
    modality = _modality(config, library, names)
    provenance = _as_mapping(config.get("provenance"))
    pretrained_cfg = _as_mapping(config.get("pretrained_cfg"))
    preparing = {name: digest for name, digest in names.items() if name in (*PROCESSOR_FILES, *TOKENIZER_FILES)}
    found = CheckpointDescription(
        id=checkpoint_id,
        library=library,
        modality=modality,
        architecture=architecture,
        digest=_combined(digests),
        preprocessing_digest=_combined(preparing or {"pretrained_cfg": json.dumps(pretrained_cfg, sort_keys=True)}),
        parameters=parameters_of(shapes, size),
        bytes=size,
        path="",
        license=_text(provenance.get("license") or config.get("license") or pretrained_cfg.get("license"))
        or card.license,
        pretraining=_text(provenance.get("pretraining_dataset")) or card.pretraining,
        base_model=card.base_model,
        tags=card.tags,
        input_size=_input_size(config, pretrained_cfg) if modality == "image" else None,
    )
    if modality == "image":
        found = found.model_copy(update=_as_image(library, config, shapes, size))
    dual = config.get("model_type") in DUAL_ENCODERS
    if modality == "text":
        return found.model_copy(update=as_text(config, encoder, shapes, size, tower=dual))
    if dual and not set(VOCABULARY_FILES).isdisjoint(names):
        tower = as_text(config, encoder, shapes, size, tower=True) | {"modality": "text", "input_size": None}
        return found.model_copy(update={"text_tower": found.model_copy(update=tower)})
    return found


def _as_image(library: Library, config: Mapping[str, Any], shapes: Shapes, size: int) -> dict[str, Any]:
    """What a description says of the part that reads images, and of its layers."""
    if library == "timm":
        names = timm_layers(shapes)
        stack = tuple(
            parameters_of({part: shape for part, shape in shapes.items() if part.startswith(f"{name}.")}, 0)
            for name in names
        )
        return {"layers": len(names), "layer_parameters": stack}
    read = read_of_images(shapes, config)
    layers = len(layer_widths(config))
    return {
        "parameters": parameters_of(read, size),
        "layers": layers,
        "layer_parameters": layer_parameters(read, layers),
    }


def _combined(digests: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(f"{name}\0{digests[name]}\n".encode())
    return total.hexdigest()


def _library(checkpoint_id: str, config: Mapping[str, Any]) -> tuple[Library, str]:
    architecture = config.get("architecture")
    if isinstance(architecture, str):
        return "timm", architecture
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        return "transformers", model_type
    raise CheckpointUnreadable(
        f"{checkpoint_id}: {CONFIG_FILE} has neither 'architecture' (timm) nor 'model_type' (transformers)"
    )


def _modality(config: Mapping[str, Any], library: Library, names: Collection[str]) -> Literal["image", "text"]:
    if library == "timm" or PROCESSOR_FILE in names:
        return "image"
    if "vocab_size" in config or config.get("model_type") == STATIC:
        return "text"
    sees = any(key in config for key in _IMAGE_ENTRIES)
    if config.get("model_type") in DUAL_ENCODERS and set(PROCESSOR_FILES).isdisjoint(names):
        sees = False  # its image encoder cannot be read without its preprocessing
    return "image" if sees or set(TOKENIZER_FILES).isdisjoint(names) else "text"


def _input_size(config: Mapping[str, Any], pretrained_cfg: Mapping[str, Any]) -> int | None:
    size = pretrained_cfg.get("input_size")
    if isinstance(size, list) and size and isinstance(size[-1], int):
        return size[-1]
    image_size = config.get("image_size")
    return image_size if isinstance(image_size, int) else None


def _as_mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
